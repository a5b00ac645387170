"""Reads a spoken English sentence back, by pocketsphinx and the model in its wheel: which words are heard, and when.

The recogniser need not guess among all words. It knows the sentence and chooses, word by word, between hearing it and
not, so that it is right where free recognition is far off.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import av
import numpy as np
import pocketsphinx

from sovits_core.errors import TextRejected
from sovits_core.text import PhonemeSegment, phonemize
from voice_inference.engine.audio import Samples, to_pcm
from voice_inference.engine.encoding import to_frame

LANGUAGE: Final = "en"  # of the model
RATE: Final = 16_000  # Hz, of the model
LOUDNESS: Final = 0.06  # RMS: one level for all
MAX_ADDED: Final = 10_000  # words beyond the model's own dictionary, before a decoder is made anew

FRAMES: Final = 100  # of the model, a second
_FILLERS: Final = ("<", "[", "+", "(")  # silence and noises
_ALTERNATIVE: Final = re.compile(r"\(\d+\)$")  # a word's second pronunciation
_WORD: Final = re.compile(r"[A-Za-z]+(?:'[A-Za-z]+)*'?")


class SpokenWord(NamedTuple):
    """A word, and its seconds from the start of the sentence; both 0 where it is not heard."""

    word: str
    start: float = 0.0
    end: float = 0.0

    @property
    def is_heard(self) -> bool:
        """Whether it is heard at all."""
        return self.end > self.start


class Listener:
    """One decoder, so one sentence at a time: a tenth of a second each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._words: _Words | None = None  # 30 MB, not before somebody asks

    def listen(self, samples: Samples, rate: int, parts: Sequence[PhonemeSegment]) -> tuple[SpokenWord, ...]:
        """Return the words of a sentence in their order, as they are read, and when each is heard.

        Args:
            samples: float32 (samples,) of the sentence.
            rate: of the samples, in Hz.
            parts: of the sentence; one that is not in English has no words here.
        """
        if any(part.language != LANGUAGE for part in parts):
            return ()
        spoken = [word.lower() for part in parts for word in _WORD.findall(part.normalized)]
        with self._lock:
            if self._words is None or self._words.added >= MAX_ADDED:
                self._words = _Words()
            words = [word for word in spoken if self._words.know(word)]
            heard = self._words.hear(_model_input(samples, rate), words) if samples.any() else []
        return tuple(_in_place(words, heard))


class _Words:
    """A decoder, and the words that it has learnt."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", lm=None)
        self.added = 0

    def know(self, word: str) -> bool:
        """Tell whether the decoder has the word; one that it lacks is added as our front end reads it."""
        if self._decoder.lookup_word(word) is not None:
            return True
        phones = _phones(word)
        if phones:
            self._decoder.add_word(word, phones, update=False)
            self.added += 1
        return bool(phones)

    def hear(self, pcm: bytes, words: Sequence[str]) -> list[SpokenWord]:
        """Return those of the words that are said, in their order."""
        arcs: list[tuple[object, ...]] = []
        for place, word in enumerate(words):
            arcs += [(place, place + 1, 1.0, word), (place, place + 1, 1.0)]  # said, or not
        self._decoder.add_fsg("sentence", self._decoder.create_fsg("sentence", 0, len(words), arcs))
        self._decoder.activate_search("sentence")
        self._decoder.reinit_feat()  # what was heard before leaves no trace
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        if self._decoder.hyp() is None:
            return []
        return [
            SpokenWord(_ALTERNATIVE.sub("", one.word), one.start_frame / FRAMES, (one.end_frame + 1) / FRAMES)
            for one in self._decoder.seg() or ()
            if not one.word.startswith(_FILLERS)
        ]


def _in_place(words: Sequence[str], heard: Sequence[SpokenWord]) -> Iterator[SpokenWord]:
    """Yield all words; those heard are some of them in the same order."""
    rest = list(reversed(heard))
    for word in words:
        yield rest.pop() if rest and rest[-1].word == word else SpokenWord(word)


def _phones(word: str) -> str:
    """Return the phones of a word without stress, or nothing where it is not spoken."""
    try:
        found = phonemize(word, LANGUAGE).phones
    except TextRejected:
        return ""
    return " ".join(phone.rstrip("012") for phone in found if phone[0].isalpha())


def _model_input(samples: Samples, rate: int) -> bytes:
    """Return the samples at the model's rate and at one level, as 16-bit PCM."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    frames = [*resampler.resample(to_frame(samples, rate)), *resampler.resample(None)]
    resampled = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames])
    level = float(np.sqrt(np.mean(np.square(resampled, dtype=np.float64))))
    return to_pcm(resampled * np.float32(LOUDNESS / level))
