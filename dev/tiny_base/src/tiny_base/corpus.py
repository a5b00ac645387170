"""The audio corpus: sentences synthesized by flite, with their phone times, and free recordings where given."""

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
from tiny_base.errors import MissingProgram, SynthesisFailed
from tiny_base.sentences import compose

FLITE_RATE = 16_000
# The mean pitch in Hz that each voice of Debian's flite was recorded with.
VOICES = {"slt": 180.0, "rms": 105.0, "awb": 125.0, "kal16": 110.0}
# Fraction of the sentences by each voice: the most intelligible have most.
VOICE_WEIGHTS = {"slt": 0.3, "rms": 0.35, "awb": 0.25, "kal16": 0.1}
UNVARIED_PROB = 0.5  # of a sentence to be the voice without a variation
VARIATIONS = 6  # of each voice
# These speakers are in no base's training, for evaluation on unseen speakers.
RESERVED_SPEAKERS = frozenset({"2033", "2609"})
STORED_LOUDNESS = 0.06  # RMS; leaves room for peaks
PLAYBACK_RATES = (1.0, 0.92, 1.08)  # of each recording
# The last clips of the LJ Speech sample are held out for measuring the base.
HELD_OUT_LJSPEECH = 4


@dataclass(frozen=True)
class Clip:
    """One utterance: mono 32 kHz audio in `audio`, relative to the corpus folder."""

    id: str
    speaker: str
    text: str
    audio: str
    seconds: float
    # (ARPAbet phone without stress or "SIL", end in seconds); empty where unknown
    phone_times: list[tuple[str, float]] = field(default_factory=list)

    @property
    def synthetic(self) -> bool:
        """Whether this is synthetic speech, whose phone times are exact."""
        return self.speaker.startswith("flite")


@dataclass(frozen=True)
class Variation:
    """Changes to a synthetic voice, so that few voices make many speakers."""

    voice: str
    pitch: float = 1.0  # factor on the voice's mean pitch
    stretch: float = 1.0  # factor on all durations
    rate_factor: float = 1.0  # factor on the playback rate: pitch, formants and tempo together

    @property
    def speaker(self) -> str:
        """The name of the speaker."""
        return f"flite-{self.voice}-{self.pitch:g}-{self.stretch:g}-{self.rate_factor:g}"


def cache_folder() -> Path:
    """Return where generated speech and checkpoints are kept: never inside a repository."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "voice-operator" / "tiny-base"


def require_flite() -> None:
    """Raise MissingProgram, with the command that helps, when flite is not installed."""
    if shutil.which("flite") is None:
        raise MissingProgram("flite, the speech synthesiser, is not installed: run `apt-get install flite`")


def synthesize(text: str, variation: Variation) -> tuple[torch.Tensor, list[tuple[str, float]]]:
    """Synthesize with flite; return the samples (float32, [samples], 32 kHz) and each phone's end, in seconds."""
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
            raise SynthesisFailed(f"flite could not synthesize {text!r}: {result.stderr.strip()[:200]}")
        samples, _ = soundfile.read(target, dtype="float32")
    # Rates are multiples of 400 Hz, so that the resampling filters stay short.
    rate = round(FLITE_RATE * variation.rate_factor / 400) * 400
    waveform = audio_functional.resample(torch.from_numpy(samples), rate, SAMPLE_RATE)
    phone_times = []
    for item in result.stdout.split():
        name, end = item.rsplit(":", 1)
        phone_times.append((_arpabet(name), float(end) * FLITE_RATE / rate))
    return waveform, phone_times


def _arpabet(name: str) -> str:
    return {"pau": SILENCE, "ax": "AH", "axr": "ER"}.get(name, name.upper())


def speakers(rng: random.Random, weights: Mapping[str, float]) -> list[tuple[Variation, float]]:
    """Every voice without and with variations, and the weight of each; the same `rng` gives the same variations."""
    found = []
    for voice, weight in weights.items():
        found.append((Variation(voice), weight * UNVARIED_PROB))
        for _ in range(VARIATIONS):
            variation = Variation(
                voice,
                pitch=round(rng.uniform(0.8, 1.35), 2),
                stretch=round(rng.uniform(0.85, 1.2), 2),
                rate_factor=round(rng.uniform(0.86, 1.16), 2),
            )
            found.append((variation, weight * (1 - UNVARIED_PROB) / VARIATIONS))
    return found


def same_phones(text: str, phone_times: list[tuple[str, float]]) -> bool:
    """Whether flite's phones are as many as our front end's."""
    count = sum(name != SILENCE for name, _ in phone_times)
    return count == len(sound_phones(phonemize(text, "en").phones))


def _synthetic(folder: Path, sentences: int, seed: int) -> Iterator[Clip]:
    require_flite()
    rng = random.Random(seed)  # noqa: S311 -- varied voices, not a secret
    variations = speakers(rng, VOICE_WEIGHTS)
    texts = tqdm(compose(sentences, seed), desc="corpus", unit="clip", disable=None)
    for index, text in enumerate(texts):
        [drawn] = rng.choices([one for one, _ in variations], [weight for _, weight in variations])
        waveform, phone_times = synthesize(text, drawn)
        if not same_phones(text, phone_times):
            continue
        name = f"synthetic-{index:05d}"
        clip = _store(folder, name, drawn.speaker, text, waveform, rate=SAMPLE_RATE)
        yield replace(clip, phone_times=phone_times)


def _store(folder: Path, name: str, speaker: str, text: str, waveform: torch.Tensor, *, rate: int) -> Clip:
    if rate != SAMPLE_RATE:
        waveform = audio_functional.resample(waveform, rate, SAMPLE_RATE)
    # All clips at one loudness: the recording level carries no information.
    rms = waveform.square().mean().sqrt().clamp_min(1e-4)
    waveform = waveform * (STORED_LOUDNESS / rms)
    waveform = waveform / max(1.0, float(waveform.abs().max()) / 0.95)
    soundfile.write(folder / f"{name}.flac", waveform.numpy(), SAMPLE_RATE)
    return Clip(name, speaker, text, f"{name}.flac", len(waveform) / SAMPLE_RATE)


def _recorded(folder: Path, recordings: Path) -> Iterator[Clip]:
    """Yield LJ Speech and LibriSpeech clips of `recordings`: <set>/metadata.csv (`id|text`) and wavs/."""
    sources = [("ljspeech", recordings / "ljspeech")]
    sources += [(f"librispeech-{path.name}", path) for path in sorted((recordings / "librispeech").glob("[0-9]*"))]
    for speaker, source in sources:
        table = source / "metadata.csv"
        if not table.exists() or source.name in RESERVED_SPEAKERS:
            continue
        for line in table.read_text(encoding="utf-8").splitlines():
            name, text = line.split("|", 1)
            samples, rate = soundfile.read(source / "wavs" / f"{name}.flac", dtype="float32")
            for rate_factor in PLAYBACK_RATES:
                # As in `synthesize`: another playback rate makes another speaker.
                played = rate if rate_factor == 1 else round(rate * rate_factor / 400) * 400
                who = speaker if rate_factor == 1 else f"{speaker}-{rate_factor:g}"
                yield _store(folder, f"{who}-{name}", who, text, torch.from_numpy(samples), rate=played)


def build_corpus(sentences: int, seed: int, recordings: Path | None) -> tuple[Path, list[Clip]]:
    """Make the corpus once and reuse it afterwards; return its folder and its clips."""
    key = hashlib.sha256(json.dumps([sentences, seed, str(recordings), 3]).encode()).hexdigest()[:12]
    folder = cache_folder() / f"corpus-{key}"
    index = folder / "corpus.json"
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        clips = list(_recorded(folder, recordings)) if recordings else []
        clips += _synthetic(folder, sentences, seed)
        # Written last: a corpus without an index is incomplete and made again.
        index.write_text(json.dumps([asdict(clip) for clip in clips]), encoding="utf-8")
    stored = json.loads(index.read_text(encoding="utf-8"))
    return folder, [Clip(**{**row, "phone_times": [tuple(pair) for pair in row["phone_times"]]}) for row in stored]
