"""Recognition of recordings, cached by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from dev.voice_bench.audio import Wave
from dev.voice_bench.digests import own_digest, text_digest
from dev.voice_bench.forced_alignment import ForcedAligner
from dev.voice_bench.recogniser import Recogniser
from dev.voice_bench.samples import Recognition, SpeakerEmbedding, SpeechEnd
from dev.voice_bench.speaker_encoder import SpeakerEncoder

Result = TypeVar("Result", Recognition, SpeakerEmbedding, SpeechEnd)


class Transcriber:
    """Recogniser, forced aligner and speaker encoder, with a cache in a folder."""

    def __init__(self, folder: Path, closed_set: Sequence[str]) -> None:
        self._folder = folder
        self._closed_set = tuple(closed_set)
        self._recogniser = Recogniser()
        self._speakers = SpeakerEncoder()
        self._aligner = ForcedAligner()

    def transcribe(self, wav16: Wave, *, closed: bool) -> Recognition:
        """Recognise (samples) at 16 kHz; `closed`: also choose from the closed set."""
        inputs = self._closed_set if closed else ()
        return self._cached(Recognition, wav16, inputs, lambda: self._transcribe(wav16, inputs))

    def embed(self, wav16: Wave) -> SpeakerEmbedding:
        """The speaker embedding alone, which is much faster."""
        return self._cached(SpeakerEmbedding, wav16, (), lambda: SpeakerEmbedding(embedding=self._embedding(wav16)))

    def speech_end(self, wav16: Wave, text: str) -> SpeechEnd:
        """The end of `text` in (samples) at 16 kHz, by forced alignment."""
        source = own_digest("forced_alignment.py")
        return self._cached(
            SpeechEnd, wav16, (source, text), lambda: SpeechEnd(seconds=self._aligner.last_word_end(wav16, text))
        )

    def _transcribe(self, wav16: Wave, inputs: Sequence[str]) -> Recognition:
        segments = [segment for segment in self._recogniser.segments(wav16) if segment.is_speech]
        return Recognition(
            words=self._recogniser.words(wav16),
            picked=self._recogniser.pick(wav16, inputs) if inputs else None,
            phones=tuple(segment.phone for segment in segments),
            speech_end=segments[-1].end if segments else 0.0,
            embedding=self._embedding(wav16),
        )

    def _embedding(self, wav16: Wave) -> tuple[float, ...]:
        return tuple(round(float(number), 6) for number in self._speakers.embed(wav16))

    def _cached(self, kind: type[Result], wav16: Wave, inputs: Sequence[str], compute: Callable[[], Result]) -> Result:
        """Read the result from the folder, if the same code has had the same input."""
        question = (kind.__name__, own_digest("recogniser.py", "speaker_encoder.py", "texts.py"), *inputs)
        key = text_digest(*question, hashlib.sha256(wav16.tobytes()).hexdigest())
        path = self._folder / key[:2] / f"{key}.json"
        if path.exists():
            return kind.model_validate_json(path.read_bytes())
        result = compute()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")  # another process may compute the same
        unfinished.write_text(result.model_dump_json(), encoding="utf-8")
        unfinished.rename(path)
        return result
