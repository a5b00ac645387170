"""Forced alignment of known words, for the end of the last word: sound after it is trailing noise."""

from __future__ import annotations

import pocketsphinx

from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.recogniser import FRAMES_PER_SECOND, NOT_PHONES, add_pronunciations, decode
from dev.voice_bench.texts import plain


class ForcedAligner:
    """Aligns known words with a recording, with silence and noises between and after them."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", lm=None)

    def last_word_end(self, wav16: Wave, text: str) -> float | None:
        """Return the seconds at which the last word of `text` ends; None where there is no alignment.

        Args:
            wav16: (samples) at 16 kHz.
            text: the words.
        """
        if not wav16.any():
            return None
        words = plain(text).split()
        add_pronunciations(self._decoder, words)
        self._decoder.set_align_text(" ".join(words))
        decode(self._decoder, wav16)
        found = [segment for segment in self._decoder.seg() or () if not segment.word.startswith(NOT_PHONES)]
        return (found[-1].end_frame + 1) / FRAMES_PER_SECOND if len(found) >= len(words) else None
