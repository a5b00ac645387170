"""Real speech and noises to measure with; bounds were chosen on other readers than those of the figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
from scipy import signal

from sovits_core.text import phonemize
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.examination import Sound
from voice_trainer.recordings.vad import FRAME, detect

RATE: Final = 16_000  # Hz
CHOSEN_ON: Final = ("1688", "1998", "2033")  # readers that the bounds were chosen on
REPORTED: Final = ("2414", "2609", "367")  # readers of the figures
LJSPEECH: Final = "ljspeech"  # its first half is in the figures on sound, the other one chose the bounds


@dataclass(frozen=True)
class Utterance:
    """A clip of a reader, at 16 kHz."""

    id: str
    reader: str
    text: str
    phones: tuple[str, ...]
    samples: Samples

    @property
    def sound(self) -> Sound:
        """The clip as prepare decodes it."""
        return sound_of(self.samples)


def sound_of(samples: Samples) -> Sound:
    """Return a clip at 16 kHz as prepare decodes it, uncut."""
    return Sound(samples, RATE, (0.0, len(samples) / RATE), detect(samples).snr_db)


def utterances(folder: Path, reader: str) -> tuple[Utterance, ...]:
    """Read a folder of clips with its `metadata.csv`."""
    found = []
    for line in (folder / "metadata.csv").read_text(encoding="utf-8").splitlines():
        name, text = line.split("|", 1)
        samples, rate = soundfile.read(folder / "wavs" / f"{name}.flac", dtype="float32")
        phones = phonemize(text, "en").phones
        found.append(Utterance(name, reader, text, phones, resample(samples, rate, RATE)))
    return tuple(found)


def all_utterances(data: Path, readers: Sequence[str]) -> dict[str, tuple[Utterance, ...]]:
    """Return the clips of each reader."""
    folders = {reader: data / (reader if reader == LJSPEECH else f"librispeech/{reader}") for reader in readers}
    return {reader: utterances(folder, reader) for reader, folder in folders.items()}


def pink(count: int, rng: np.random.Generator) -> Samples:
    """Return noise whose power falls by 3 dB an octave."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(1.0, np.arange(len(spectrum))))
    noise: Samples = np.fft.irfft(spectrum, count).astype(np.float32)
    return noise


def babble(speakers: Sequence[Utterance], count: int) -> Samples:
    """Return several people speaking at once, each at the same level."""
    voices = [np.resize(one.samples, count) / np.sqrt(np.mean(np.square(one.samples))) for one in speakers]
    crowd: Samples = np.sum(voices, axis=0).astype(np.float32)
    return crowd


def recorded(data: Path, count: int, rng: np.random.Generator) -> Samples:
    """Return a stretch of the recorded noise, repeated where it is too short."""
    samples, rate = soundfile.read(data / "noise" / "freesound_573577.wav", dtype="float32", always_2d=True)
    noise = resample(samples.mean(axis=1), rate, RATE)
    stretch: Samples = np.roll(np.resize(noise, count), int(rng.integers(count)))
    return stretch


def mixed(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add noise at a distance from the level of the voice, without its pauses; peaks stay below full scale."""
    voiced = detect(speech).voiced
    level = np.mean(np.square(speech[: len(voiced) * FRAME].reshape(-1, FRAME)[voiced]))
    gain = np.sqrt(level / np.mean(np.square(noise))) * 10 ** (-snr_db / 20)
    sum_ = speech + noise * gain
    mixture: Samples = (sum_ * min(1.0, 0.9 / np.abs(sum_).max())).astype(np.float32)
    return mixture


def clipped(speech: Samples, gain_db: float) -> Samples:
    """Return a clip whose converter was overdriven."""
    loud = speech / np.abs(speech).max() * 10 ** (gain_db / 20)
    flat: Samples = (0.9 * np.clip(loud, -1.0, 1.0)).astype(np.float32)
    return flat


def telephone(speech: Samples) -> Samples:
    """Return a clip that went through a telephone and was brought back to 16 kHz."""
    band = signal.butter(6, (300, 3400), "bandpass", fs=RATE, output="sos")
    return resample(resample(signal.sosfilt(band, speech).astype(np.float32), RATE, 8000), 8000, RATE)


def in_a_room(speech: Samples, seconds: float, rng: np.random.Generator) -> Samples:
    """Return a clip in a room that decays by 60 dB in so many seconds: noise with an exponential envelope."""
    count = int(seconds * RATE)
    response = rng.standard_normal(count) * 10 ** (-3 * np.arange(count) / count)
    response *= 0.5 / np.sqrt(np.sum(np.square(response)))
    response[0] = 1.0  # the direct sound, 6 dB above all the rest
    wet = signal.fftconvolve(speech, response)[: len(speech)]
    room: Samples = (wet / np.abs(wet).max() * 0.9).astype(np.float32)
    return room


def with_hum(speech: Samples, level_db: float, mains: float = 50.0) -> Samples:
    """Return a clip with the mains' hum and three of its harmonics."""
    times = np.arange(len(speech)) / RATE
    tones = sum(np.sin(2 * np.pi * mains * k * times + k) / k for k in (1, 2, 3, 5))
    return mixed(speech, np.asarray(tones, dtype=np.float32), -level_db)


def each_mixture(
    clips: Sequence[Utterance], data: Path, crowd: Sequence[Utterance], levels: Sequence[float], seed: int = 1
) -> Iterator[tuple[str, float, Utterance, Samples]]:
    """Yield noise, distance in dB, clip and the mixture."""
    rng = np.random.default_rng(seed)
    for name in ("pink", "babble", "recorded"):
        for level in levels:
            for clip in clips:
                count = len(clip.samples)
                others = [one for one in crowd if one.reader != clip.reader]
                chosen = [others[int(n)] for n in rng.choice(len(others), 6, replace=False)]
                noise = (
                    pink(count, rng)
                    if name == "pink"
                    else babble(chosen, count)
                    if name == "babble"
                    else recorded(data, count, rng)
                )
                yield name, level, clip, mixed(clip.samples, noise, level)
