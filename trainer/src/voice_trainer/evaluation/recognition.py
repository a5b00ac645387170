"""What a recogniser writes of a sentence, and how far that is from the sentence: word and character error rates."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import pocketsphinx

from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loudness import rms_dbfs

RATE: Final = 16_000  # Hz
LEVEL_DBFS: Final = -24.0  # RMS; one level for all


class Recogniser(Protocol):
    """Writes what is said in a recording; calls do not influence one another."""

    def words(self, samples: Samples) -> str:
        """Return the words of (samples) at 16 kHz; empty where there are none."""


class PocketSphinx:
    """The US English model in pocketsphinx's wheel, with its dictionary and its trigrams: open vocabulary."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")

    def words(self, samples: Samples) -> str:
        """Return the words of (samples) at 16 kHz, in lower case."""
        if not samples.any():  # digital silence is not in the model's training data: it recognises words in it
            return ""
        loud = samples * np.float32(10 ** ((LEVEL_DBFS - rms_dbfs(samples)) / 20))
        self._decoder.reinit_feat()  # resets the noise estimate
        self._decoder.start_utt()
        self._decoder.process_raw((np.clip(loud, -1.0, 1.0) * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return str(found.hypstr) if found is not None else ""


@dataclass(frozen=True)
class Errors:
    """Substitutions, deletions and insertions, among so many words and characters of the text."""

    wrong_words: int
    words: int
    wrong_characters: int
    characters: int


def compare_texts(text: str, recognised: str) -> Errors:
    """Compare what was recognised with the text, both without case and punctuation; characters without spaces."""
    expected, found = plain(text), plain(recognised)
    words, characters = expected.split(), expected.replace(" ", "")
    return Errors(
        edit_distance(words, found.split()),
        len(words),
        edit_distance(characters, found.replace(" ", "")),
        len(characters),
    )


def plain(text: str) -> str:
    """Return lower-case letters and digits of any script, apostrophes inside words, and single spaces."""
    folded = unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
    kept = re.sub(r"[^\w']|_", " ", folded)
    return " ".join(word.strip("'") for word in kept.split() if word.strip("'"))


def edit_distance(expected: Sequence[str], found: Sequence[str]) -> int:
    """Return the least number of substitutions, deletions and insertions (Levenshtein 1966)."""
    row = list(range(len(found) + 1))
    for index, wanted in enumerate(expected, start=1):
        diagonal, row[0] = row[0], index
        for place, given in enumerate(found, start=1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (wanted != given))
    return row[-1]
