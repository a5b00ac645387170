"""Audio files: decoding uploads, resampling, loudness, FLAC."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from voice_trainer.errors import Transient

Samples = NDArray[np.float32]  # mono, full scale is 1.0

TRAINING_RATE = 32_000  # Hz, of the synthesizer
ANALYSIS_RATE = 16_000  # Hz, of HuBERT, the voice activity detector and PESQ
PEAK = 0.95  # full scale is 1.0; the rest is room for resampling's overshoot
DECODED_SECONDS = 120.0  # of sound, well above the longest clip that is accepted
DECODE_SECONDS = 60.0  # of wall clock for one clip
RATES = (8_000, 192_000)  # Hz
CHANNELS = 8
LOUDNESS_PASSES = 3
LOUDNESS_TOLERANCE = 0.3  # dB, below the audible difference


class Undecodable(Exception):
    """The bytes are no sound in the format that the file's name claims."""


def decode(path: Path) -> tuple[Samples, int]:
    """Return mono samples and their rate, at most ``DECODED_SECONDS`` of them: a few bytes of FLAC can hold hours.

    Raises:
        Undecodable: neither libsndfile nor ffmpeg can read the file.
    """
    try:
        with soundfile.SoundFile(path) as source:
            if not (RATES[0] <= source.samplerate <= RATES[1] and source.channels <= CHANNELS):
                raise Undecodable(
                    f"{source.samplerate} Hz with {source.channels} channels is not a recording of speech"
                )
            rate = source.samplerate
            samples = source.read(int(DECODED_SECONDS * rate), dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError):
        return _decode_with_ffmpeg(path), TRAINING_RATE
    mono = samples.mean(axis=1)
    if not np.isfinite(mono).all():
        raise Undecodable("it holds numbers that are not finite")
    return np.asarray(mono, dtype=np.float32), int(rate)


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
    """Read a file that ``write_flac`` wrote."""
    samples, _ = soundfile.read(path, dtype="float32")
    return np.asarray(samples, dtype=np.float32)


def _decode_with_ffmpeg(path: Path) -> Samples:
    # The demuxer is forced: a playlist in disguise could otherwise make ffmpeg open other files.
    source = ["-protocol_whitelist", "file", "-f", path.suffix[1:].lower(), "-i", f"file:{path}"]
    try:
        data = _ffmpeg(
            [
                *source,
                "-t",
                str(DECODED_SECONDS),
                "-vn",
                "-ac",
                "1",
                "-ar",
                str(TRAINING_RATE),
                "-f",
                "f32le",
                "pipe:1",
            ],
            b"",
        )
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        raise Undecodable(lines[-1][:120] if lines else "ffmpeg cannot decode it") from error
    except subprocess.TimeoutExpired as error:
        raise Undecodable(f"decoding took more than {DECODE_SECONDS:.0f} s") from error
    return np.frombuffer(data, dtype="<f4").copy()


def _filter(samples: Samples, rate: int, graph: str) -> Samples:
    pcm = ["-f", "f32le", "-ar", str(rate), "-ac", "1"]
    arguments = [*pcm, "-i", "pipe:0", "-af", graph, "-f", "f32le", "-ac", "1", "pipe:1"]
    try:
        data = _ffmpeg(arguments, np.ascontiguousarray(samples, dtype="<f4").tobytes())
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise Transient(f"ffmpeg -af {graph} failed: {error.stderr!r:.200}", reason="FfmpegFailed") from error
    return np.frombuffer(data, dtype="<f4").copy()


def _ffmpeg(arguments: list[str], data: bytes) -> bytes:
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", *arguments]
    try:
        return subprocess.run(command, input=data, capture_output=True, check=True, timeout=DECODE_SECONDS).stdout
    except FileNotFoundError as error:
        raise Transient("ffmpeg is not installed; the trainer's image has it", reason="FfmpegMissing") from error
