"""Audio files: decoding uploads, resampling, loudness, FLAC."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from voice_trainer.errors import BadData, Transient
from voice_trainer.job import children
from voice_trainer.recordings.decoding import DECODED_SECONDS, Decoders, Samples, Undecodable, container_of

TRAINING_RATE = 32_000  # Hz, of the synthesizer
ANALYSIS_RATE = 16_000  # Hz, of HuBERT, the voice activity detector and PESQ
PEAK = 0.95  # full scale is 1.0; the rest is room for resampling's overshoot
LOUDNESS_PASSES = 3
LOUDNESS_TOLERANCE = 0.3  # dB, below the audible difference


def decode(path: Path, decoders: Decoders) -> tuple[Samples, int]:
    """Return mono samples and their rate, at most ``DECODED_SECONDS`` of them: a few bytes of FLAC can hold hours.

    Raises:
        Undecodable: it is no format that is taken, or neither libsndfile nor ffmpeg can read it.
    """
    container = container_of(path)
    try:
        return decoders.decode(path)
    except children.ChildFailed:
        return _decode_with_ffmpeg(path, container), TRAINING_RATE


def resample(samples: Samples, rate: int, wanted: int) -> Samples:
    """Return the same sound at another rate (ffmpeg's soxr)."""
    if rate == wanted or not len(samples):
        return samples
    return _filter(samples, rate, f"aresample={wanted}:resampler=soxr")


def normalise(samples: Samples, rate: int, wanted: int, *, rms_dbfs: float) -> Samples:
    """Resample to ``wanted`` and bring the clip to ``rms_dbfs`` (dB re full scale), with peaks limited to ``PEAK``.

    The limiter takes a little loudness away, so the gain is corrected until the result is near enough.
    """
    result = samples
    gain = rms_dbfs - level(samples)
    for _ in range(LOUDNESS_PASSES):
        # level=false: the limiter must not raise the whole to full scale; latency: no shift against the transcript
        limiter = f"alimiter=limit={PEAK}:attack=5:release=50:level=false:latency=true"
        graph = f"aresample={wanted}:resampler=soxr,volume={gain:.3f}dB:precision=float,{limiter}"
        result = _filter(samples, rate, graph)
        missing = rms_dbfs - level(result)
        if abs(missing) < LOUDNESS_TOLERANCE:
            break
        gain += missing
    return np.clip(result, -1.0, 1.0)


def level(samples: Samples) -> float:
    """Return the RMS level in dB re full scale; digital silence is -120."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(-120.0, 10.0 * float(np.log10(power))) if power > 0 else -120.0


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


def _decode_with_ffmpeg(path: Path, container: str) -> Samples:
    # The demuxer is forced: a playlist under another name could make ffmpeg open other files.
    source = ["-protocol_whitelist", "file", "-f", container, "-i", f"file:{path}", "-t", str(DECODED_SECONDS)]
    try:
        data = _ffmpeg([*source, "-vn", "-ac", "1", "-ar", str(TRAINING_RATE), "-f", "f32le", "pipe:1"], b"")
    except children.ChildFailed as error:
        raise Undecodable(str(error)[:120]) from error
    return np.frombuffer(data, dtype="<f4").copy()


def _filter(samples: Samples, rate: int, graph: str) -> Samples:
    pcm = ["-f", "f32le", "-ar", str(rate), "-ac", "1"]
    arguments = [*pcm, "-i", "pipe:0", "-af", graph, "-f", "f32le", "-ac", "1", "pipe:1"]
    try:
        data = _ffmpeg(arguments, np.ascontiguousarray(samples, dtype="<f4").tobytes())
    except children.ChildFailed as error:
        raise Transient(f"ffmpeg -af {graph} failed: {error!s:.200}", reason="FfmpegFailed") from error
    return np.frombuffer(data, dtype="<f4").copy()


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *arguments]
    try:
        return children.run(command, data)
    except FileNotFoundError as error:
        raise Transient("ffmpeg is not installed; the trainer's image has it", reason="FfmpegMissing") from error
