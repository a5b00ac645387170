"""What is heard in a recording, kept by its content: the same sound is never listened to twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from dev.voice_bench.digests import own_digest, text_digest
from dev.voice_bench.ending import Aligner
from dev.voice_bench.recogniser import Recogniser
from dev.voice_bench.samples import Ending, Heard, Voiceprint
from dev.voice_bench.speakers import SpeakerEncoder
from dev.voice_bench.waves import Wave

Answer = TypeVar("Answer", Heard, Voiceprint, Ending)


class Ears:
    """Recogniser and speaker encoder, with a memory in a folder."""

    def __init__(self, memory: Path, closed_set: Sequence[str]) -> None:
        self._memory = memory
        self._closed_set = tuple(closed_set)
        self._recogniser = Recogniser()
        self._speakers = SpeakerEncoder()
        self._aligner = Aligner()

    def hear(self, wav16: Wave, *, closed: bool) -> Heard:
        """Listen to (samples) at 16 kHz; `closed`: also pick one of the closed set."""
        asked = self._closed_set if closed else ()
        return self._remembered(Heard, wav16, asked, lambda: self._hear(wav16, asked))

    def speaker(self, wav16: Wave) -> Voiceprint:
        """Listen to the speaker alone, which is much faster."""
        return self._remembered(Voiceprint, wav16, (), lambda: Voiceprint(vector=self._vector(wav16)))

    def ending(self, wav16: Wave, text: str) -> Ending:
        """Where `text` ends in (samples) at 16 kHz, if it is what was said."""
        source = own_digest("ending.py")
        return self._remembered(
            Ending, wav16, (source, text), lambda: Ending(seconds=self._aligner.last_word_end(wav16, text))
        )

    def _hear(self, wav16: Wave, asked: Sequence[str]) -> Heard:
        segments = [segment for segment in self._recogniser.segments(wav16) if segment.is_speech]
        return Heard(
            words=self._recogniser.words(wav16),
            picked=self._recogniser.pick(wav16, asked) if asked else None,
            phones=tuple(segment.phone for segment in segments),
            speech_end=segments[-1].end if segments else 0.0,
            vector=self._vector(wav16),
        )

    def _vector(self, wav16: Wave) -> tuple[float, ...]:
        return tuple(round(float(number), 6) for number in self._speakers.embed(wav16))

    def _remembered(
        self, kind: type[Answer], wav16: Wave, asked: Sequence[str], listen: Callable[[], Answer]
    ) -> Answer:
        """Answer from the folder, where the same code has been asked the same of the same sound."""
        question = (kind.__name__, own_digest("recogniser.py", "speakers.py", "wording.py"), *asked)
        key = text_digest(*question, hashlib.sha256(wav16.tobytes()).hexdigest())
        path = self._memory / key[:2] / f"{key}.json"
        if path.exists():
            return kind.model_validate_json(path.read_bytes())
        answer = listen()
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}")  # another process may hear the same
        unfinished.write_text(answer.model_dump_json(), encoding="utf-8")
        unfinished.rename(path)
        return answer
