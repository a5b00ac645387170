"""One sentence per wrong field of a document: the only place that words pydantic's errors."""

from __future__ import annotations

from pydantic import ValidationError

MAX_SENTENCES = 5
MAX_VALUE_CHARACTERS = 80


def sentences(error: ValidationError) -> list[str]:
    """Return ``field: what is wrong (found value)`` for each of the first few problems."""
    problems = error.errors(include_url=False, include_context=False)
    found = [_sentence(problem["loc"], problem["msg"], problem["type"], problem["input"]) for problem in problems]
    rest = len(found) - MAX_SENTENCES
    return found[:MAX_SENTENCES] + ([f"and {rest} more"] if rest > 0 else [])


def one_line(error: ValidationError) -> str:
    """Return all of ``sentences`` in one line."""
    return "; ".join(sentences(error))


def _sentence(location: tuple[int | str, ...], message: str, kind: str, value: object) -> str:
    field = ".".join(str(part) for part in location) or "the document"
    shown = repr(value)
    if len(shown) > MAX_VALUE_CHARACTERS:
        shown = f"{shown[:MAX_VALUE_CHARACTERS]}…"
    whole_document = isinstance(value, dict | list)  # a validator of several fields is given all of them
    return f"{field}: {message}" + ("" if kind == "missing" or whole_document else f" (found {shown})")
