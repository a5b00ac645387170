"""Korean words that are not pronounced as the rules say, respelled so that the rules give what dictionaries give."""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import cache
from importlib import resources


@cache
def _words() -> dict[str, str]:
    lines = (resources.files("sovits_core.text.korean") / "words.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=") for line in lines if line and not line.startswith("#"))


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(sorted(map(re.escape, _words()), key=len, reverse=True)))


def respell(text: str, borders: Collection[int]) -> str:
    """Replace exceptions that begin and end at borders of words or their parts; the length of the text stays."""

    def respelled(match: re.Match[str]) -> str:
        return _words()[match[0]] if match.start() in borders and match.end() in borders else match[0]

    return _pattern().sub(respelled, text)
