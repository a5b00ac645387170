"""Sentences to speak where a voice and its base name too few: the project's own, short and of common words."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files


def sentences_for(language: str, named: Sequence[str], most: int) -> tuple[str, ...]:
    """Return the named sentences, all of them, and then ours of the language up to ``most``; none twice."""
    source = files(__name__).joinpath(f"{language}.txt")
    own = source.read_text(encoding="utf-8").splitlines() if source.is_file() else []
    chosen = list(dict.fromkeys(named))
    rest = [sentence for sentence in own if sentence not in chosen]
    return (*chosen, *rest[: max(0, most - len(chosen))])
