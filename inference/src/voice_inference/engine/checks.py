"""What is wrong with a spoken sentence, from its tokens and, where it was listened to, its missing words."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from sovits_core.synthesis.repetition import LOOP_TIMES, most_repeated
from voice_inference.engine.tokens import FinishReason

# Of 180 sentences of a voice each has 0.8 to 1.2 times the tokens per phone of the voice's prompt.
FASTEST: Final = 0.5
SLOWEST: Final = 2.0
LEAST_PHONES: Final = 10  # a shorter sentence may be slow or quick


class Fault(StrEnum):
    """A reason to speak a sentence again."""

    ENDLESS = "endless"
    """No end token before the maximum length."""
    REPEATED = "repeated"
    """A run of tokens comes again and again."""
    TOO_SHORT = "too_short"
    """Far fewer tokens than the voice needs for so many phones."""
    TOO_LONG = "too_long"
    MISSING_WORDS = "missing_words"
    """Words of the text are not heard."""


def faults_of(
    tokens: Sequence[int], finish_reason: FinishReason | None, *, phones: int, pace: float, missing: int = 0
) -> tuple[Fault, ...]:
    """Return all faults, one for each missing word: fewer are better.

    Args:
        tokens: semantic tokens of the sentence.
        finish_reason: how it ended.
        phones: of the sentence.
        pace: tokens per phone of the voice's prompt.
        missing: words that were not heard.
    """
    found = [Fault.MISSING_WORDS] * missing
    if finish_reason is FinishReason.MAX_LENGTH:
        found.append(Fault.ENDLESS)
    if most_repeated(tokens) >= LOOP_TIMES:
        found.append(Fault.REPEATED)
    if phones >= LEAST_PHONES and not FASTEST * pace <= len(tokens) / phones <= SLOWEST * pace:
        found.append(Fault.TOO_SHORT if len(tokens) < pace * phones else Fault.TOO_LONG)
    return tuple(found)
