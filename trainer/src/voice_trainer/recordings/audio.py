"""Samples of clips: reading, resampling, FLAC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from voice_trainer.errors import BadData, Transient
from voice_trainer.job import children
from voice_trainer.recordings.decoding import DECODED_SECONDS, Samples

TRAINING_RATE = 32_000  # Hz, of the synthesizer
ANALYSIS_RATE = 16_000  # Hz, of HuBERT, the voice activity detector and PESQ


def read_mono(path: Path) -> tuple[Samples, int]:
    """Return samples and rate of a clip that ``Decoders.to_mono`` or ``slicing`` wrote."""
    samples, rate = soundfile.read(path, dtype="float32")
    return np.asarray(samples, dtype=np.float32), int(rate)


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return the same sound at another rate (ffmpeg's soxr)."""
    if rate == wanted or not len(samples):
        return samples
    return _filter(samples, rate, f"aresample={wanted}:resampler=soxr")


def resample_file(path: Path, wanted: int) -> Samples:
    """Return a mono WAV of ours at another rate; the file may be longer than memory should hold at its own."""
    graph = f"aresample={wanted}:resampler=soxr"
    return _samples(["-f", "wav", "-i", f"file:{path}"], b"", graph)


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


def _filter(samples: Samples, rate: int, graph: str) -> Samples:
    given = ["-f", "f32le", "-ar", str(rate), "-ac", "1", "-i", "pipe:0"]
    return _samples(given, np.ascontiguousarray(samples, dtype="<f4").tobytes(), graph)


def _samples(given: list[str], data: bytes, graph: str) -> Samples:
    try:
        found = _ffmpeg([*given, "-af", graph, "-f", "f32le", "-ac", "1", "pipe:1"], data)
    except children.ChildFailed as error:
        raise Transient(f"ffmpeg -af {graph} failed: {error!s:.200}", reason="FfmpegFailed") from error
    return np.frombuffer(found, dtype="<f4").copy()


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *arguments]
    try:
        return children.run(command, data)
    except FileNotFoundError as error:
        raise Transient("ffmpeg is not installed; the trainer's image has it", reason="FfmpegMissing") from error
