"""English phone classes of the labels: ARPAbet without stress, silence first."""

from __future__ import annotations

from sovits_core.text.phones import SILENCE

CLASSES = (
    SILENCE, "AA", "AE", "AH", "AO", "AW", "AY", "B", "CH", "D", "DH", "EH", "ER", "EY", "F", "G", "HH", "IH", "IY",
    "JH", "K", "L", "M", "N", "NG", "OW", "OY", "P", "R", "S", "SH", "T", "TH", "UH", "UW", "V", "W", "Y", "Z", "ZH",
)  # fmt: skip
VOICELESS = frozenset({SILENCE, "CH", "F", "HH", "K", "P", "S", "SH", "T", "TH"})
