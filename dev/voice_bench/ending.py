"""Where a sentence ends, given its words: what is heard after that was never asked for."""

from __future__ import annotations

import pocketsphinx

from dev.voice_bench.recogniser import FRAMES_PER_SECOND, NOT_PHONES, decode, teach
from dev.voice_bench.waves import RATE, Wave
from dev.voice_bench.wording import plain


class Aligner:
    """Lays known words over a recording, with silence and noises between them and after them."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", lm=None)

    def last_word_end(self, wav16: Wave, text: str) -> float | None:
        """Return the seconds at which the last word of `text` ends; None where the words do not fit.

        Args:
            wav16: (samples) at 16 kHz.
            text: what should have been said.
        """
        if not wav16.any():
            return None
        words = plain(text).split()
        teach(self._decoder, words)
        self._decoder.set_align_text(" ".join(words))
        decode(self._decoder, wav16)
        found = [segment for segment in self._decoder.seg() or () if not segment.word.startswith(NOT_PHONES)]
        return (found[-1].end_frame + 1) / FRAMES_PER_SECOND if len(found) >= len(words) else None
