"""Mandarin characters with several readings, read by the characters beside them: polyphone_rules.txt."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from importlib import resources

from sovits_core.text.chinese.readings import Reading

_Rules = dict[str, list[tuple[re.Pattern[str], Reading]]]


@lru_cache(maxsize=1024)
def rules_read(clause: str) -> tuple[Reading | None, ...]:
    """Return the reading of each character of a clause that a rule knows, else None."""
    found: list[Reading | None] = [None] * len(clause)
    rules = _rules()
    for character in set(clause) & rules.keys():
        for pattern, reading in rules[character]:
            for match in pattern.finditer(clause):
                found[match.start()] = reading
    return tuple(found)


@cache
def _rules() -> _Rules:
    """Return the rules of each character in the order of the file."""
    text = (resources.files("sovits_core.text.chinese") / "polyphone_rules.txt").read_text(encoding="utf-8")
    rules: _Rules = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            character, reading, where = line.split(" ", 2)
            pattern = re.compile(where.replace("_", character))
            rules.setdefault(character, []).append((pattern, Reading(reading[:-1], int(reading[-1]))))
    return rules
