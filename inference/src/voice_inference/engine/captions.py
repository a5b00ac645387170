"""When each sentence and word is heard, and captions of them as WebVTT (W3C) and SRT."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final, Literal, NamedTuple

import numpy as np

from voice_inference.engine.audio import Samples
from voice_inference.engine.listening import Listener
from voice_inference.engine.sentence import Segment

CaptionFormat = Literal["vtt", "srt"]
MEDIA_TYPES: Final[dict[CaptionFormat, str]] = {"vtt": "text/vtt", "srt": "application/x-subrip"}


class Cue(NamedTuple):
    """A text and when it is heard, in seconds from the start of the audio."""

    text: str
    start: float
    end: float


class Caption(NamedTuple):
    """A sentence, and its words where these were listened for; a word that is not heard is not among them."""

    sentence: Cue
    words: tuple[Cue, ...] = ()


class Captioner:
    """Follows the segments of one request."""

    def __init__(self, rate: int, speed: float, listener: Listener | None) -> None:
        """Take the samples' rate in Hz, how many times faster they are played, and who listens for words."""
        self._rate, self._speed, self._listener = rate, speed, listener
        self._position = 0  # samples
        self._parts: list[Samples] = []  # of the sentence that is being spoken

    def add(self, segment: Segment) -> Caption | None:
        """Take the next segment; return the caption of the sentence that ends with it."""
        self._parts.append(segment.samples)
        if segment.sentence is None:
            return None
        samples = np.concatenate(self._parts)
        self._parts = []
        begin, self._position = self._position, self._position + samples.size
        start = begin + segment.pause
        words: tuple[Cue, ...] = ()
        if self._listener is not None:
            spoken = self._listener.listen(samples[segment.pause :], self._rate, segment.sentence.parts)
            words = tuple(
                self._cue(one.word, start + one.start * self._rate, start + one.end * self._rate)
                for one in spoken
                if one.is_heard
            )
        return Caption(self._cue(segment.sentence.text, start, self._position), words)

    def _cue(self, text: str, start: float, end: float) -> Cue:
        scale = self._rate * self._speed
        return Cue(text, round(start / scale, 3), round(end / scale, 3))


def captions_file(captions: Iterable[Caption], form: CaptionFormat) -> str:
    """Return a file of captions: a cue for each word where there are words, else for each sentence."""
    cues = [cue for caption in captions for cue in (caption.words or (caption.sentence,))]
    mark = "." if form == "vtt" else ","
    blocks = ["WEBVTT"] if form == "vtt" else []
    for number, cue in enumerate(cues, start=1):
        times = f"{_clock(cue.start, mark)} --> {_clock(cue.end, mark)}"
        text = escape(cue.text, quote=False) if form == "vtt" else cue.text
        blocks.append(f"{number}\n{times}\n{text}")
    return "\n\n".join(blocks) + "\n"


def _clock(seconds: float, mark: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}{mark}{milliseconds:03}"
