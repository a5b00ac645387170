"""From the bytes of a recording to samples: which format they are, and the processes that decode them."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from voice_trainer.errors import Transient
from voice_trainer.job import children
from voice_trainer.recordings import decoder_process

Samples = NDArray[np.float32]  # mono, full scale is 1.0
Container = Literal["wav", "flac", "ogg", "mp3"]

DECODED_SECONDS: Final = 70.0  # of sound, above the longest clip that is accepted
RATES: Final = (8_000, 192_000)  # Hz
CHANNELS: Final = 8
ANSWER_LIMIT: Final = 4096  # bytes of a decoder's answer
BOUNDS: Final = children.Bounds(
    wall_seconds=60.0,  # for one recording
    cpu_seconds=3600,  # for all that one process decodes
    memory=512 * children.MIB,
    file_bytes=int(DECODED_SECONDS * RATES[1]) * 4 + 4096,
)

_ID3_HEADER: Final = 10  # bytes before the tag's content


class Undecodable(Exception):
    """The bytes are no sound in a format that is taken."""


class Decoders:
    """Processes that decode recordings, as many as are asked at a time; safe to use from several threads."""

    def __init__(self) -> None:
        self._idle: list[_Decoder] = []
        self._lock = threading.Lock()
        self._running = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    def decode(self, path: Path) -> tuple[Samples, int]:
        """Return mono samples and their rate, at most ``DECODED_SECONDS`` of them.

        Raises:
            Undecodable: it is another format, or no recording of speech.
            ChildFailed: libsndfile cannot read it; ffmpeg may.
        """
        with self._borrowed() as decoder:
            return decoder.decode(path)

    @contextmanager
    def _borrowed(self) -> Iterator[_Decoder]:
        with self._lock:
            decoder = self._idle.pop() if self._idle else None
        if decoder is None:
            decoder = _Decoder()
            with self._lock:
                self._running.callback(decoder.close)
        try:
            yield decoder
        finally:
            with self._lock:
                if decoder.is_alive:
                    self._idle.append(decoder)


class _Decoder:
    """One process, and the file that its samples come in."""

    def __init__(self) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed with the process
        number = self._file.fileno()
        modules = os.pathsep.join(part for part in sys.path if part)
        self._process: subprocess.Popen[bytes] = children.start(
            [sys.executable, "-P", str(Path(decoder_process.__file__)), str(number)],
            BOUNDS,
            variables={"PYTHONPATH": modules, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            pass_fds=(number,),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, path: Path) -> tuple[Samples, int]:
        answer = self._ask({"path": str(path), "seconds": DECODED_SECONDS, "rates": RATES, "channels": CHANNELS})
        if "refused" in answer:
            raise Undecodable(str(answer["refused"])[:200])
        if "unreadable" in answer:
            raise children.ChildFailed(str(answer["unreadable"])[:200])
        rate, count = int(answer["rate"]), int(answer["samples"])
        self._file.seek(0)
        samples = np.fromfile(self._file, dtype="<f4", count=min(count, BOUNDS.file_bytes // 4))
        if len(samples) != count or not RATES[0] <= rate <= RATES[1]:
            raise Undecodable("its decoder answered something else than it wrote")
        return samples, rate

    def close(self) -> None:
        children.stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._file.close()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer; a process that gives none is ended.

        Raises:
            Undecodable: the recording ended it, or took too long.
            Transient: it cannot run at all.
        """
        pipe, answers = self._process.stdin, self._process.stdout
        assert pipe is not None  # noqa: S101 -- it was started with both
        assert answers is not None  # noqa: S101
        deadline = time.monotonic() + BOUNDS.wall_seconds
        line = b""
        try:
            pipe.write(json.dumps(question).encode() + b"\n")
            pipe.flush()
            while not line.endswith(b"\n"):
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([answers], [], [], left)[0]:
                    children.stop(self._process)
                    raise Undecodable(f"decoding took more than {BOUNDS.wall_seconds:.0f} s")
                part = os.read(answers.fileno(), ANSWER_LIMIT)
                line += part
                if not part or len(line) > ANSWER_LIMIT:
                    break
        except BrokenPipeError:
            line = b""
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            with suppress(subprocess.TimeoutExpired):  # its pipe may be closed before it has ended
                self._process.wait(timeout=1)
            children.stop(self._process)
            if self._process.returncode > 0:  # by itself: Python, a library or the program is missing
                raise Transient(
                    f"the decoder of recordings cannot run ({children.ending(self._process.returncode)}); "
                    "use the trainer's image as it was released",
                    reason="DecoderFailed",
                )
            raise Undecodable(f"its decoder failed: {children.ending(self._process.returncode)}")
        return answer


def container_of(path: Path) -> Container:
    """Return the format that a file's first bytes have, whatever it is called.

    Raises:
        Undecodable: it is none that is taken.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:3] == b"ID3":  # a tag before the sound; its size has seven bits in each byte
            size = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))
            file.seek(_ID3_HEADER + size)
            return "flac" if file.read(4) == b"fLaC" else "mp3"
    if head[:4] in {b"RIFF", b"RIFX", b"RF64"} and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06:  # layer 0 is AAC
        return "mp3"
    raise Undecodable("its content is none of WAV, FLAC, Ogg and MP3")
