"""Samples of clips: reading, resampling, FLAC."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import overload

import numpy as np
import soundfile

from voice_trainer.errors import BadData, Transient
from voice_trainer.job import children
from voice_trainer.recordings.decoding import DECODED_SECONDS, Samples

TRAINING_RATE = 32_000  # Hz, of the synthesizer
ANALYSIS_RATE = 16_000  # Hz, of HuBERT, the voice activity detector and PESQ
FILE_BYTES = 160 * children.MIB  # of a resampled recording: 30 minutes at 16 kHz are 110 MiB


def read_mono(path: Path) -> tuple[Samples, int]:
    """Return samples and rate of a clip that ``Decoders.to_mono`` or ``slicing`` wrote."""
    samples, rate = soundfile.read(path, dtype="float32")
    return np.asarray(samples, dtype=np.float32), int(rate)


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return the same sound at another rate (ffmpeg's soxr)."""
    if rate == wanted or not len(samples):
        return samples
    given = ["-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "pipe:0"]
    data = np.ascontiguousarray(samples, dtype="<f4").tobytes()
    found = _run_graph([*given, "-af", _rate(wanted), "-f", "f32le", "-ac", "1", "pipe:1"], data)
    return np.frombuffer(found, dtype="<f4").copy()


def resample_file(path: Path, wanted: int, target: Path) -> None:
    """Write a mono WAV of ours at another rate as float32 WAV; no part of it is held in memory."""
    given = ["-f", "wav", "-i", f"file:{path}"]
    _run_graph([*given, "-af", _rate(wanted), "-c:a", "pcm_f32le", "-f", "wav", "-y", f"file:{target}"], b"")


def blocks(path: Path, size: int) -> Iterator[Samples]:
    """Yield the (samples) of a mono file, ``size`` at a time; the last ones may be fewer."""
    with soundfile.SoundFile(path) as source:
        while len(block := source.read(size, dtype="float32")):
            yield block


class Parts(Sequence[Samples]):
    """Parts of a mono file, each read whenever it is asked for: a long recording is never held as a whole."""

    def __init__(self, path: Path, spans: Sequence[tuple[float, float]]) -> None:
        """Take the parts that lie between two moments each, in seconds."""
        self._path = path
        self._spans = spans

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> Samples: ...
    @overload
    def __getitem__(self, index: slice) -> Parts: ...
    def __getitem__(self, index: int | slice) -> Samples | Parts:
        if isinstance(index, slice):
            return Parts(self._path, self._spans[index])
        with soundfile.SoundFile(self._path) as source:
            begin, end = (min(int(moment * source.samplerate), source.frames) for moment in self._spans[index])
            source.seek(begin)
            return np.asarray(source.read(end - begin, dtype="float32"), dtype=np.float32)


def write_flac(path: Path, samples: Samples, rate: int) -> None:
    """Write 16-bit mono FLAC; samples beyond full scale are an error of the caller and are clipped."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.clip(samples, -1.0, 1.0), rate, subtype="PCM_16", format="FLAC")


def read_flac(path: Path) -> Samples:
    """Read a file that ``write_flac`` wrote; it was in the store meanwhile, so its size is bounded again.

    Raises:
        BadData: it is something else.
    """
    with soundfile.SoundFile(path) as source:
        if source.format != "FLAC" or source.channels != 1:
            raise BadData(
                f"{path.name} is no mono FLAC; remove the voice's workspace and prepare the recordings again",
                reason="ClipDamaged",
            )
        samples = source.read(int(DECODED_SECONDS * source.samplerate), dtype="float32")
    return np.asarray(samples, dtype=np.float32)


def _rate(wanted: int) -> str:
    return f"aresample={wanted}:resampler=soxr"


def _run_graph(arguments: list[str], data: bytes) -> bytes:
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *arguments]
    try:
        return children.run(command, data, children.Bounds(file_bytes=FILE_BYTES))
    except FileNotFoundError as error:
        raise Transient("ffmpeg is not installed; the trainer's image has it", reason="FfmpegMissing") from error
    except children.ChildFailed as error:
        raise Transient(f"ffmpeg cannot resample: {error!s:.200}", reason="FfmpegFailed") from error
