"""What a recogniser writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Written:
    """The words of a recording, and how sure the recogniser is of them."""

    text: str
    """Empty: there are none."""
    confidence: float
    """Mean log probability of a token, 0 where a recogniser gives none; the lowest of all parts."""
