"""English sentences for the corpora, composed from the project's own word lists, so that they carry no licence."""

from __future__ import annotations

import random
import tomllib
from functools import cache
from importlib import resources

from sovits_core.text.english.dictionary import known_words

LONGEST_WORD = 10  # letters
LINKS = (
    "the", "a", "of", "and", "to", "in", "is", "was", "that", "for", "with", "on", "at", "by", "it", "he", "she",
    "they", "we", "you", "I", "his", "her", "not", "but", "or", "from", "as", "are", "were", "had", "has",
)  # fmt: skip
LINK_PROB = 0.5  # of a function word between two random words


@cache
def _words() -> dict[str, list[str]]:
    source = resources.files("tiny_base") / "words.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


@cache
def _dictionary() -> list[str]:
    return [word for word in sorted(known_words()) if word.isalpha() and 3 <= len(word) <= LONGEST_WORD]


class _Composer:
    """Draws from the word lists; every method returns a part of a sentence."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)  # noqa: S311 -- varied text, not a secret

    def pick(self, kind: str) -> str:
        return self.rng.choice(_words()[kind])

    def clause(self) -> str:
        subject = self.rng.choice((self.pick("people"), self.pick("who"), self.pick("who")))
        choice = self.rng.randrange(6)
        if choice == 0:
            return f"{self.pick('thing')} is {self.pick('is')}"
        if choice == 1:
            return f"{self.pick('thing')} was {self.pick('is')} {self.pick('when')}"
        ending = self.rng.choice((self.pick("where"), self.pick("when"), self.pick("how"), ""))
        return f"{subject} {self.pick('did')} {self.pick('thing')} {ending}".strip()

    def list_of_words(self) -> str:
        return ", ".join(self.rng.sample(_words()["rare"], 3)) + f", and {self.pick('rare')}."

    def comment(self) -> str:
        comment_word = self.rng.choice(("strange", "nice", "odd", "typical"))
        return f"How {comment_word}, {self.pick('people')} said {self.pick('how')}!"

    def random_words(self) -> str:
        """Random words of the dictionary, for phones in every context."""
        words = [self.rng.choice(_dictionary()) for _ in range(self.rng.randint(2, 6))]
        for index in range(len(words) - 1, 0, -1):
            if self.rng.random() < LINK_PROB:
                words.insert(index, self.rng.choice(LINKS))
        return " ".join(words) + self.rng.choice((".", ".", ".", "?", "!"))

    def sentence(self) -> str:
        # Long enough for prosody, short enough for a CPU to train on many of them.
        kind = self.rng.randrange(20)
        if kind >= 12:
            return self.random_words()
        if kind == 0:
            return self.pick("small")
        if kind == 1:
            return self.list_of_words()
        if kind == 7:
            return self.comment()
        return self._clauses(kind)

    def _clauses(self, kind: int) -> str:
        match kind:
            case 2:
                return f"There are {self.pick('numbers')} {self.pick('units')} {self.pick('where')}."
            case 3:
                return f"Did {self.pick('people')} really say that {self.pick('thing')} is {self.pick('is')}?"
            case 4:
                return f"{self.pick('opening')} {self.clause()}."
            case 5 | 6:
                opening = f"{self.pick('when')}," if kind == 5 else f"{self.clause()}, but"
                return f"{opening} {self.clause()}."
            case 8:
                return f"{self.pick('numbers')} {self.pick('units')} {self.pick('how')} {self.pick('when')}."
            case _:
                return f"{self.clause()}."


def compose(count: int, seed: int) -> list[str]:
    """Return `count` different sentences; the same seed gives the same ones."""
    composer = _Composer(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        text = composer.sentence()
        found[text[0].upper() + text[1:]] = None
    return list(found)
