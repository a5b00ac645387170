"""Whether a clip's transcript is what is said in it: recognised phones beside those of the text.

The recogniser is pocketsphinx with the US English model of its own wheel, and hears phones without words, grammar or
dictionary. A third of them are wrong, so a clip is never judged by them alone: its own text must explain them better
than the texts of other clips do. Other languages have no such model; there the speaking rate is all that is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pocketsphinx
from numpy.typing import NDArray

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loudness import rms_dbfs

LANGUAGE: Final = "en"  # of the recogniser
RATE: Final = 16_000  # Hz
LEVEL_DBFS: Final = -24.0  # RMS; one level for all
NOT_PHONES: Final = ("SIL", "+", "(", "<", "[")  # prefixes of silence and of the model's noises
OTHERS: Final = 24  # texts that a clip's own one is compared with
MIN_OTHERS: Final = 4
MIN_PHONES: Final = 8  # of a text that can be judged
# Sounds that the recogniser takes for one another: a mistake within a class costs half.
CLASSES: Final = (
    ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"),
    ("B", "D", "G", "P", "T", "K", "DH"),
    ("CH", "JH", "S", "SH", "Z", "ZH", "TH", "F", "V", "HH"),
    ("M", "N", "NG"),
    ("L", "R", "W", "Y"),
)
PHONES: Final = {phone: number for number, phone in enumerate(phone for group in CLASSES for phone in group)}
CLASS_OF: Final = np.array([number for number, group in enumerate(CLASSES) for _ in group])
GAP: Final = 0.7  # cost of a phone that is missing or too many
WITHIN_CLASS: Final = 0.5
OTHER_CLASS: Final = 1.0

Phones = NDArray[np.int64]  # (phones), numbers of PHONES


@dataclass(frozen=True)
class TextMatch:
    """How well a clip's own text explains what is heard, beside the other texts of the dataset."""

    margin: float  # standard deviations by which the own text is nearer than the mean of the others
    nearest: int | None  # the index of another text that is nearer than the own one


class PhoneRecogniser:
    """The recogniser, loaded once; calls do not influence one another."""

    def __init__(self) -> None:
        model = Path(pocketsphinx.get_model_path("en-us"))
        self._decoder = pocketsphinx.Decoder(
            samprate=RATE, loglevel="FATAL", lm=None, allphone=str(model / "en-us-phone.lm.bin"),
            lw=2.0, beam=1e-20, pbeam=1e-20,
        )  # fmt: skip

    def phones(self, samples: Samples) -> tuple[str, ...]:
        """Return the phones of a clip at 16 kHz: ARPAbet, no stress, no silence."""
        if not samples.any():
            return ()
        loud = samples * np.float32(10 ** ((LEVEL_DBFS - rms_dbfs(samples)) / 20))
        self._decoder.reinit_feat()  # resets the noise estimate
        self._decoder.start_utt()
        self._decoder.process_raw((np.clip(loud, -1.0, 1.0) * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        return tuple(one.word for one in self._decoder.seg() or () if not one.word.startswith(NOT_PHONES))


def numbers_of(phones: Sequence[str]) -> Phones:
    """Return the numbers of ARPAbet phones, without stress; punctuation and what is no such phone is left out."""
    plain = (phone.rstrip("012") for phone in phones)
    return np.array([PHONES[phone] for phone in plain if phone in PHONES], dtype=np.int64)


def match_texts(heard: Sequence[Phones], texts: Sequence[Phones]) -> list[TextMatch | None]:
    """Compare what is heard in each clip with its own text and with those of others.

    Args:
        heard: the recognised phones of each clip.
        texts: those of its transcript, in the same order.

    Returns:
        One for each clip; None where it or its text is too short, or where too few other texts are there.
    """
    usable = [index for index, text in enumerate(texts) if len(text) >= MIN_PHONES]
    found: list[TextMatch | None] = []
    for index, clip in enumerate(heard):
        if index not in usable or len(clip) < MIN_PHONES:
            found.append(None)
            continue
        others = _others(index, usable)
        if len(others) < MIN_OTHERS:
            found.append(None)
            continue
        costs = distances(clip, [texts[index], *(texts[other] for other in others)])
        mean, deviation = float(costs[1:].mean()), max(float(costs[1:].std()), 0.02)
        nearest = int(costs[1:].argmin())
        found.append(
            TextMatch((mean - float(costs[0])) / deviation, others[nearest] if costs[1 + nearest] < costs[0] else None)
        )
    return found


def _others(index: int, usable: Sequence[int]) -> list[int]:
    """Return the other texts to compare with: the neighbours first, because lists are shifted more than shuffled."""
    return sorted((other for other in usable if other != index), key=lambda other: abs(other - index))[:OTHERS]


def distances(heard: Phones, texts: Sequence[Phones]) -> NDArray[np.float64]:
    """Return the edit distance of (phones) to each text, in costs per phone of the longer of the two.

    One pass of dynamic programming for all texts: a row for each heard phone, all texts side by side.
    """
    longest = max(len(text) for text in texts)
    padded = np.zeros((len(texts), longest), dtype=np.int64)
    for row, text in enumerate(texts):
        padded[row, : len(text)] = text
    gaps = GAP * np.arange(longest + 1)
    costs = np.tile(gaps, (len(texts), 1))
    for phone in heard:
        same_class = CLASS_OF[padded] == CLASS_OF[phone]
        exchange = np.where(padded == phone, 0.0, np.where(same_class, WITHIN_CLASS, OTHER_CLASS))
        best = costs + GAP
        best[:, 1:] = np.minimum(best[:, 1:], costs[:, :-1] + exchange)
        costs = np.minimum.accumulate(best - gaps, axis=1) + gaps  # phones of the text that are not heard
    lengths = np.array([len(text) for text in texts])
    final: NDArray[np.float64] = costs[np.arange(len(texts)), lengths] / np.maximum(lengths, len(heard))
    return final
