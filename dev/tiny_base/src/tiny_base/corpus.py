"""The pretraining corpus: sentences spoken by flite, with their phone times, and free recordings when present."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import soundfile
import torch
import torchaudio.functional as audio_functional
from tqdm import tqdm

from sovits_core.text import phonemize
from sovits_core.text.phones import SILENCE, sound_phones
from tiny_base.acoustics import SAMPLE_RATE
from tiny_base.errors import PretrainError
from tiny_base.sentences import compose

FLITE_RATE = 16_000
# The mean pitch in Hz that each voice of Debian's flite was recorded with.
VOICES = {"slt": 180.0, "rms": 105.0, "awb": 125.0, "kal16": 110.0}
# How often each voice speaks: the ones that listeners understand best most often.
WEIGHTS = {"slt": 0.3, "rms": 0.35, "awb": 0.25, "kal16": 0.1}
PLAIN_SHARE = 0.5  # of a voice's sentences are spoken without a disguise
DISGUISES = 6
# These two readers never enter a base, so that evaluation on them stays honest.
RESERVED_READERS = frozenset({"2033", "2609"})
STORED_LOUDNESS = 0.06  # RMS; leaves room for peaks
SIZES = (1.0, 0.92, 1.08)  # at which each recording is played
# The last clips of the LJ Speech sample are kept for measuring the base.
HELD_OUT_LJSPEECH = 4


@dataclass(frozen=True)
class Clip:
    """One utterance: mono 32 kHz audio in `audio`, relative to the corpus folder."""

    id: str
    speaker: str
    text: str
    audio: str
    seconds: float
    # (ARPAbet phone without stress or "SIL", end in seconds); empty where nobody measured it
    segments: list[tuple[str, float]] = field(default_factory=list)

    @property
    def synthetic(self) -> bool:
        """Whether a synthesiser spoke, whose phone times are exact."""
        return self.speaker.startswith("flite")


@dataclass(frozen=True)
class Variation:
    """How a synthetic speaker departs from its voice, so that few voices make many speakers."""

    voice: str
    pitch: float = 1.0  # factor on the voice's mean pitch
    stretch: float = 1.0  # factor on all durations
    size: float = 1.0  # factor on pitch, formants and tempo together, as if the tape ran faster

    @property
    def speaker(self) -> str:
        """A name that clips of one speaker share."""
        return f"flite-{self.voice}-{self.pitch:g}-{self.stretch:g}-{self.size:g}"


def cache_folder() -> Path:
    """Return where generated speech and checkpoints are kept: never inside a repository."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "voice-operator" / "pretrain"


def require_flite() -> None:
    """Raise PretrainError, with the command that helps, when flite is not installed."""
    if shutil.which("flite") is None:
        raise PretrainError("flite, the speech synthesiser, is not installed: run `apt-get install flite`")


def speak(text: str, variation: Variation) -> tuple[torch.Tensor, list[tuple[str, float]]]:
    """Speak with flite; return the samples (float32, [samples], 32 kHz) and where each phone ends, in seconds."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "speech.wav"
        command = [
            "flite", "-voice", variation.voice, "-psdur",
            "--setf", f"int_f0_target_mean={VOICES[variation.voice] * variation.pitch:.1f}",
            "--setf", f"duration_stretch={variation.stretch:.3f}",
            "-t", text, "-o", str(target),
        ]  # fmt: skip
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if result.returncode != 0 or not target.exists():
            raise PretrainError(f"flite could not speak {text!r}: {result.stderr.strip()[:200]}")
        samples, _ = soundfile.read(target, dtype="float32")
    # Rates are multiples of 400 Hz, so that the resampling filters stay short.
    rate = round(FLITE_RATE * variation.size / 400) * 400
    waveform = audio_functional.resample(torch.from_numpy(samples), rate, SAMPLE_RATE)
    segments = []
    for item in result.stdout.split():
        name, end = item.rsplit(":", 1)
        segments.append((_arpabet(name), float(end) * FLITE_RATE / rate))
    return waveform, segments


def _arpabet(name: str) -> str:
    return {"pau": SILENCE, "ax": "AH", "axr": "ER"}.get(name, name.upper())


def speakers(rng: random.Random, weights: Mapping[str, float]) -> list[tuple[Variation, float]]:
    """Every voice as it is and in disguises, with how often each speaks; one randomness gives the same disguises."""
    found = []
    for voice, weight in weights.items():
        found.append((Variation(voice), weight * PLAIN_SHARE))
        for _ in range(DISGUISES):
            disguise = Variation(
                voice,
                pitch=round(rng.uniform(0.8, 1.35), 2),
                stretch=round(rng.uniform(0.85, 1.2), 2),
                size=round(rng.uniform(0.86, 1.16), 2),
            )
            found.append((disguise, weight * (1 - PLAIN_SHARE) / DISGUISES))
    return found


def same_phones(text: str, segments: list[tuple[str, float]]) -> bool:
    """Whether flite reads a text with as many phones as our front end."""
    spoken = sum(name != SILENCE for name, _ in segments)
    return spoken == len(sound_phones(phonemize(text, "en").phones))


def _synthetic(folder: Path, sentences: int, seed: int) -> Iterator[Clip]:
    require_flite()
    rng = random.Random(seed)  # noqa: S311 -- varied voices, not a secret
    who = speakers(rng, WEIGHTS)
    texts = tqdm(compose(sentences, seed), desc="corpus", unit="clip", disable=None)
    for index, text in enumerate(texts):
        [variation] = rng.choices([one for one, _ in who], [weight for _, weight in who])
        waveform, segments = speak(text, variation)
        if not same_phones(text, segments):
            continue
        name = f"synthetic-{index:05d}"
        yield replace(_store(folder, name, variation.speaker, text, waveform, rate=SAMPLE_RATE), segments=segments)


def _store(folder: Path, name: str, speaker: str, text: str, waveform: torch.Tensor, *, rate: int) -> Clip:
    if rate != SAMPLE_RATE:
        waveform = audio_functional.resample(waveform, rate, SAMPLE_RATE)
    # One loudness for all, since the networks have no use for the recording level.
    level = waveform.square().mean().sqrt().clamp_min(1e-4)
    waveform = waveform * (STORED_LOUDNESS / level)
    waveform = waveform / max(1.0, float(waveform.abs().max()) / 0.95)
    soundfile.write(folder / f"{name}.flac", waveform.numpy(), SAMPLE_RATE)
    return Clip(name, speaker, text, f"{name}.flac", len(waveform) / SAMPLE_RATE)


def _recorded(folder: Path, recordings: Path) -> Iterator[Clip]:
    """Yield LJ Speech and LibriSpeech clips of `recordings`: <set>/metadata.csv (`id|text`) beside wavs/."""
    readers = [("ljspeech", recordings / "ljspeech")]
    readers += [(f"librispeech-{path.name}", path) for path in sorted((recordings / "librispeech").glob("[0-9]*"))]
    for speaker, source in readers:
        table = source / "metadata.csv"
        if not table.exists() or source.name in RESERVED_READERS:
            continue
        for line in table.read_text(encoding="utf-8").splitlines():
            name, text = line.split("|", 1)
            samples, rate = soundfile.read(source / "wavs" / f"{name}.flac", dtype="float32")
            for size in SIZES:
                # As in `speak`: a tape that runs faster makes another speaker of the same words.
                played = rate if size == 1 else round(rate * size / 400) * 400
                of = speaker if size == 1 else f"{speaker}-{size:g}"
                yield _store(folder, f"{of}-{name}", of, text, torch.from_numpy(samples), rate=played)


def build_corpus(sentences: int, seed: int, recordings: Path | None) -> tuple[Path, list[Clip]]:
    """Make the corpus once and reuse it afterwards; return its folder and its clips."""
    key = hashlib.sha256(json.dumps([sentences, seed, str(recordings), 2]).encode()).hexdigest()[:12]
    folder = cache_folder() / f"corpus-{key}"
    index = folder / "corpus.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        clips = list(_recorded(folder, recordings)) if recordings else []
        clips += _synthetic(folder, sentences, seed)
        # Written last: a corpus without an index is made again.
        index.write_text(json.dumps([asdict(clip) for clip in clips]), encoding="utf-8")
    stored = json.loads(index.read_text(encoding="utf-8"))
    return folder, [Clip(**{**row, "segments": [tuple(pair) for pair in row["segments"]]}) for row in stored]
