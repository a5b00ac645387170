"""English sounds as the pretraining labels them: classes without stress, silence first."""

from __future__ import annotations

from collections.abc import Sequence

SILENCE = "SIL"
CLASSES = (
    SILENCE, "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
VOICELESS = frozenset({SILENCE, "CH", "F", "HH", "K", "P", "S", "SH", "T", "TH"})


def spoken_phones(phones: Sequence[str]) -> list[str]:
    """Return the classes of the front end's phones; punctuation is left out."""
    return [phone.rstrip("012") for phone in phones if phone[0].isalpha()]
