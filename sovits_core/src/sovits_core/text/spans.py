"""Text that remembers: for each character, which part of the input it was written for, and by which rule."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

DIGITS = "0123456789"
Say = Callable[[re.Match[str]], str | None]


class Rule(NamedTuple):
    """One way to write something out: what it is called, what it looks like, and what is said for it.

    `say` gets the match and returns the words, or None to leave what it found as it stands.
    """

    name: str
    pattern: re.Pattern[str]
    say: Say
    needs: str = ""
    """A rule is skipped for texts that have none of these characters, which saves most of the time."""


class Origin(NamedTuple):
    """Where a character comes from."""

    start: int
    """First character of the input that it was written for."""
    end: int
    """One past the last of them."""
    rule: str
    """The name of the rule that wrote it, empty for a character that stands in the input."""


class SpannedText:
    """A text and the origin of each of its characters; never changed in place."""

    __slots__ = ("origins", "text")

    def __init__(self, text: str, origins: list[Origin] | None = None) -> None:
        self.text = text
        self.origins = origins if origins is not None else [Origin(at, at + 1, "") for at in range(len(text))]

    def sub(self, pattern: re.Pattern[str], say: Say, rule: str = "", *, apart: bool = False) -> SpannedText:
        """Replace matches; with `apart`, words that would touch a letter or digit beside them get a space."""
        pieces: list[str] = []
        origins: list[Origin] = []
        done = 0
        for match in pattern.finditer(self.text):
            words = say(match)
            if words is None or words == match[0]:
                continue
            start, end = match.span()
            if apart and words:
                words = self._apart(words, start, end)
            pieces += self.text[done:start], words
            origins += self.origins[done:start]
            origins += [self._origin(start, end, rule)] * len(words)
            done = end
        if not done and not pieces:
            return self
        return SpannedText("".join(pieces) + self.text[done:], origins + self.origins[done:])

    def apply(self, rules: Iterable[Rule], *, apart: bool = False) -> SpannedText:
        """Apply rules one after the other."""
        text, present = self, set(self.text)
        for rule in rules:
            if rule.needs and present.isdisjoint(rule.needs):
                continue
            after = text.sub(rule.pattern, rule.say, rule.name, apart=apart)
            if after is not text:
                text, present = after, set(after.text)
        return text

    def translate(self, table: Mapping[str, str], rule: str = "") -> SpannedText:
        """Replace single characters."""
        if not any(sign in table for sign in self.text):
            return self
        pattern = re.compile("[" + "".join(map(re.escape, table)) + "]")
        return self.sub(pattern, lambda match: table[match[0]], rule)

    def replaced(self, text: str) -> SpannedText:
        """Return another text of the same length with the same origins."""
        if len(text) != len(self.text):
            raise ValueError(f"a text of {len(text)} characters takes no origins of {len(self.text)}")
        return SpannedText(text, self.origins)

    def strip(self, characters: str | None = None) -> SpannedText:
        """Return it without white space, or without the given characters, at both ends."""
        start = len(self.text) - len(self.text.lstrip(characters))
        end = len(self.text.rstrip(characters))
        return self[start:end] if start < end else SpannedText("", [])

    def __getitem__(self, part: slice) -> SpannedText:
        return SpannedText(self.text[part], self.origins[part])

    def __len__(self) -> int:
        return len(self.text)

    def _origin(self, start: int, end: int, rule: str) -> Origin:
        if start == end:  # something is put in between
            at = self.origins[start - 1].end if start else 0
            return Origin(at, at, rule)
        covered = self.origins[start:end]
        name = rule or next((origin.rule for origin in covered if origin.rule), "")
        return Origin(min(origin.start for origin in covered), max(origin.end for origin in covered), name)

    def _apart(self, words: str, start: int, end: int) -> str:
        before, after = self.text[start - 1 : start], self.text[end : end + 1]
        first = " " if before.isalnum() and words[0].isalnum() else ""
        return first + words + (" " if after.isalnum() and words[-1].isalnum() else "")
