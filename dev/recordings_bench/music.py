"""Music under speech: synthesised here in six kinds, or recorded pieces of a folder; how often it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from numpy.typing import NDArray

from dev.recordings_bench.speech import RATE, Utterance, in_a_room, mixed
from voice_trainer.recordings import acoustics
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.measures import MUSIC

Wave = NDArray[np.float64]

LEVELS: Final = (0.0, 5.0, 10.0, 20.0)  # dB of the voice above the music
SECONDS: Final = 20.0  # of a piece
ROOMS: Final = (0.6, 1.0)  # seconds of decay by 60 dB: they keep tones as well
PIECES: Final = 3  # of each kind that is synthesised
RECORDED_FROM: Final = 30.0  # seconds: pieces are faded in
BARS: Final = ((0, 4, 7), (9, 12, 16), (5, 9, 12), (7, 11, 14))  # semitones of four chords
KINDS: Final = ("chords", "piano", "plucked", "melody", "drums", "band")
NYQUIST: Final = 7500.0


def music_rows(clips: Sequence[Utterance], folder: Path | None = None) -> list[dict[str, Any]]:
    """Return how often music is told at each level, and how often it is told of the clips alone."""
    rng = np.random.default_rng(3)
    pieces: dict[str, list[Samples]] = {kind: [piece(kind, rng) for _ in range(PIECES)] for kind in KINDS}
    if folder is not None:
        pieces["recorded"] = [found for path in sorted(folder.iterdir()) if len(found := excerpt(path))]
    alone = [_row("none", None, [clip.samples for clip in clips])]
    alone += [
        _row(f"none, room of {seconds} s", None, [in_a_room(clip.samples, seconds, rng) for clip in clips])
        for seconds in ROOMS
    ]
    return alone + [
        _row(kind, level, [_under(clip.samples, pieces[kind], number, level, rng) for number, clip in enumerate(clips)])
        for kind in pieces
        for level in LEVELS
    ]


def _under(voice: Samples, pieces: Sequence[Samples], number: int, level: float, rng: np.random.Generator) -> Samples:
    music = np.resize(pieces[number % len(pieces)], len(voice))
    return mixed(voice, np.roll(music, int(rng.integers(len(voice)))), level)


def _row(kind: str, level: float | None, sounds: Sequence[Samples]) -> dict[str, Any]:
    values = [value for sound in sounds if (value := acoustics.steady_tones(sound, RATE)) is not None]
    verdicts = [MUSIC.severity(value) for value in values]
    return {
        "music": kind,
        "levelDb": "" if level is None else level,
        "clips": len(values),
        "median": round(float(np.median(values)), 3),
        "highest": round(max(values), 3),
        "told": sum(verdict is not None for verdict in verdicts),
        "leftOut": verdicts.count("refusal"),
    }


def excerpt(path: Path) -> Samples:
    """Return some seconds of a recorded piece at 16 kHz; nothing of one that is shorter."""
    with soundfile.SoundFile(path) as source:
        begin = int(RECORDED_FROM * source.samplerate)
        if source.frames < begin + SECONDS * source.samplerate:
            return np.zeros(0, dtype=np.float32)
        source.seek(begin)
        found = source.read(int(SECONDS * source.samplerate), dtype="float32", always_2d=True)
        return resample(found.mean(axis=1), source.samplerate, RATE)


def piece(kind: str, rng: np.random.Generator) -> Samples:
    """Return a piece of music of four chords, in a random key and tempo."""
    music, root = np.zeros(int(SECONDS * RATE)), 110.0 * 2 ** (rng.integers(12) / 12)
    beat = 60.0 / rng.uniform(80, 140)  # seconds
    for number in range(int(SECONDS / beat / 4) + 1):
        chord = [root * 2 ** (step / 12) for step in BARS[number % len(BARS)]]
        for at, sound in _bar(kind, chord, beat, rng):
            begin = int((4 * number * beat + at) * RATE)
            part = music[begin : begin + len(sound)]
            part += sound[: len(part)]
    found: Samples = music.astype(np.float32)
    return found


def _bar(kind: str, chord: Sequence[float], beat: float, rng: np.random.Generator) -> list[tuple[float, Wave]]:
    """Return the sounds of a bar and when they begin, in seconds."""
    eighths = [(half * beat / 2, half) for half in range(8)]
    if kind == "chords":
        return [(0.0, _pad(2 * pitch, 4 * beat, rng)) for pitch in chord]
    if kind == "piano":
        return [(n * beat, _struck(2 * pitch, 1.5 * beat, 1.2, 0.5)) for n in range(4) for pitch in chord]
    if kind == "plucked":
        return [(at, _struck(chord[half % 3] * (2 + 2 * (half % 2)), beat, 3.0, 2.0)) for at, half in eighths]
    if kind == "melody":
        return [(at, _sung(4 * chord[int(rng.integers(3))], beat / 2)) for at, _ in eighths]
    drums = [(at, _drum(half % 4, rng)) for at, half in eighths]
    if kind == "drums":
        return drums
    softer: Mapping[str, float] = {"chords": 0.5, "melody": 0.5}
    others = [(at, gain * sound) for part, gain in softer.items() for at, sound in _bar(part, chord, beat, rng)]
    return drums + others


def _times(seconds: float) -> Wave:
    return np.arange(int(seconds * RATE)) / RATE


def _pad(pitch: float, seconds: float, rng: np.random.Generator) -> Wave:
    """Two detuned strings, faded in and out."""
    times, wave = _times(seconds), np.zeros(int(seconds * RATE))
    for harmonic in range(1, int(NYQUIST / pitch) + 1):
        for detuned in (0.9993, 1.0007):
            phase = rng.uniform(0, 2 * np.pi)
            wave += np.sin(2 * np.pi * detuned * harmonic * pitch * times + phase) / harmonic
    return wave * np.minimum(1.0, np.minimum(times / 0.08, (seconds - times) / 0.15))


def _struck(pitch: float, seconds: float, decay: float, faster: float) -> Wave:
    """A string that decays, higher partials faster and a little sharp."""
    times, wave = _times(seconds), np.zeros(int(seconds * RATE))
    for harmonic in range(1, int(NYQUIST / pitch / 1.1) + 1):
        partial = harmonic * pitch * np.sqrt(1 + 3e-4 * harmonic**2)
        envelope = np.exp(-times * (decay + faster * harmonic)) / harmonic**1.3
        wave += envelope * np.sin(2 * np.pi * partial * times) * (partial < NYQUIST)
    return wave * np.minimum(1.0, times / 0.004)


def _sung(pitch: float, seconds: float) -> Wave:
    """A tone with vibrato of 10 cents."""
    times = _times(seconds)
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.006 * np.sin(2 * np.pi * 5.5 * times))) / RATE
    wave = sum((np.sin(n * phase) / n for n in range(1, int(NYQUIST / pitch) + 1)), np.zeros(len(times)))
    return wave * np.minimum(1.0, np.minimum(times / 0.03, (seconds - times) / 0.05))


def _drum(place: int, rng: np.random.Generator) -> Wave:
    """A hi-hat, with a bass drum or a snare on the beat."""
    times = _times(0.25)
    noise = rng.standard_normal(len(times) + 1)
    wave: Wave = 0.4 * np.diff(noise) * np.exp(-70 * times)
    if place == 0:
        wave += 2 * np.sin(2 * np.pi * (50 * times + 8 * (1 - np.exp(-30 * times)))) * np.exp(-18 * times)
    if place == 2:
        wave += 0.8 * noise[1:] * np.exp(-22 * times)
    return wave
