"""What one process measures: a reader's voice, one of flite's voices, or whose recordings sound like what."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from dev.voice_bench import flite
from dev.voice_bench.copying import TorchBase
from dev.voice_bench.digests import code_digest, text_digest
from dev.voice_bench.hearing import Ears
from dev.voice_bench.measures import expected_seconds
from dev.voice_bench.readers import Reader
from dev.voice_bench.samples import FliteResult, ReaderResult, Sample, read_sample, spoken_sample
from dev.voice_bench.serving import SEED, Server
from dev.voice_bench.training import TrainedVoice, train
from dev.voice_bench.waves import RATE, Wave, read16
from dev.voice_bench.wording import sentences
from sovits_core.bundle.base import BaseBundle
from voice_inference.bundles.voice import PROMPT, Voice
from voice_trainer.evaluation.gates import chosen_gates, judge
from voice_trainer.evaluation.scores import compare
from voice_trainer.recordings.audio import read_flac, write_flac
from voice_trainer.recordings.clips import Clip, training_copy
from voice_trainer.recordings.vad import detect

SHOWN = 3
"""Sentences and clips of each kind that the page offers."""

Tell = Callable[[str], None]
"""Takes what has just been done."""


@dataclass(frozen=True)
class Plan:
    """What all processes know."""

    base: BaseBundle
    work: Path
    """Of this base: voices and what they said."""
    memory: Path
    """What was heard, of any base."""
    samples: Path
    """Where what can be listened to goes."""
    spoken: tuple[str, ...]
    """The sentences to speak."""


def measure_reader(plan: Plan, reader: Reader, tell: Tell) -> ReaderResult:
    """Train the reader's voice, let it speak, and listen.

    Raises:
        DevError: the voice cannot be trained.
    """
    voice = train(reader, plan.base, plan.work)
    tell("trained")
    ears = Ears(plan.memory, sentences())
    samples = _held_out(plan, reader, voice, ears)
    tell("held-out clips")
    server = Server(plan.base)
    served = server.voice(voice)
    expected = _expected(plan, voice.clips())
    plain = server.without_adapter(voice.bundle / PROMPT, voice.folder / "without-adapter")
    for kind, loaded in (("without_adapter", plain), ("lora", served)):
        speaker = Speaker(server, loaded, reader.name, kind, voice.folder)
        samples[kind] = _listen(plan, speaker, ears, expected)
        tell(f"{kind} heard")
    evaluation = voice.summary("evaluate")
    gates, _ = chosen_gates(None, plan.base.document.gates)
    scores = {name: float(value) for name, value in evaluation["scores"].items()}
    clips = voice.clips()
    return ReaderResult(
        reader=reader.name,
        seen=reader.seen,
        speech_seconds=sum(clip.speech_seconds for clip in clips),
        train_seconds=voice.cost.seconds,
        train_cpu_seconds=voice.cost.cpu_seconds,
        training_loop_seconds=float(voice.summary("train")["trainSeconds"]),
        gates_passed=all(verdict.passed for verdict in judge(gates, scores)),
        prompt=next(clip.text for clip in clips if clip.id == evaluation["prompt"]),
        base_scores={name: float(value) for name, value in evaluation["baseScores"].items()},
        samples=samples,
    )


def measure_flite(plan: Plan, voice: str, tell: Tell) -> FliteResult:
    """Let a voice of flite speak, and the base in the light of a prompt by that voice."""
    ears = Ears(plan.memory, sentences())
    server = Server(plan.base)
    folder = plan.work / f"flite-{voice}"
    TorchBase(plan.base).write_flite_prompt(voice, folder / PROMPT)
    prompted = server.without_adapter(folder / PROMPT, folder / "without-adapter")
    own = []
    waves = [flite.speak(text, voice) for text in plan.spoken]
    for number, (text, wav) in enumerate(zip(plan.spoken, waves, strict=True)):
        heard = ears.hear(wav, closed=True)
        sample = spoken_sample(
            read_sample(text, wav, heard), wav, heard, ears.ending(wav, text),
            number=number, expected=len(wav) / RATE, codes=(), ended=True,
        )  # fmt: skip
        own.append(_shown(sample, plan, f"flite-{voice}/flite-{number + 1}.flac", wav, number))
    tell("flite heard")
    speaker = Speaker(server, prompted, f"flite-{voice}", "base", folder)
    imitated = _listen(plan, speaker, ears, [len(wav) / RATE for wav in waves])
    tell("base heard")
    return FliteResult(voice=voice, samples={"flite": own, "base": imitated})


def measure_speaker(plan: Plan, reader: Reader, tell: Tell) -> tuple[str, tuple[float, ...]]:
    """Return the reader's name and the unit vector (256) of the voice: the mean over all recordings."""
    ears = Ears(plan.memory, ())
    mean = np.mean([ears.speaker(read16(path)).vector for path in reader.clips()], axis=0)
    tell("known")
    return reader.name, tuple(map(float, mean / np.linalg.norm(mean)))


class Said(BaseModel):
    """What is kept of a spoken sentence beside its sound."""

    model_config = ConfigDict(frozen=True)

    codes: tuple[int, ...]
    ended: bool


@dataclass(frozen=True)
class Speaker:
    """A voice, and where its sentences are kept, so that none is spoken twice."""

    server: Server
    voice: Voice
    name: str
    kind: str
    folder: Path

    def say(self, text: str) -> tuple[Path, Said]:
        """Speak a sentence, or fetch it; return where its sound is, and the rest."""
        prompt = (array.tobytes().hex() for array in (self.voice.prompt.codes, self.voice.prompt.ge))
        key = text_digest(text, str(SEED), code_digest("sovits_core", "inference"), *prompt)
        wav, rest = (self.folder / "spoken" / f"{self.kind}-{key[:16]}.{ending}" for ending in ("flac", "json"))
        if not rest.exists():
            spoken = self.server.speak(self.voice, text)
            write_flac(wav, spoken.samples, self.server.sample_rate)
            rest.write_text(Said(codes=spoken.codes, ended=spoken.ended).model_dump_json(), encoding="utf-8")
        return wav, Said.model_validate_json(rest.read_bytes())


def _listen(plan: Plan, speaker: Speaker, ears: Ears, expected: list[float]) -> list[Sample]:
    samples = []
    for number, (text, seconds) in enumerate(zip(plan.spoken, expected, strict=True)):
        path, said = speaker.say(text)
        wav16 = read16(path)
        heard = ears.hear(wav16, closed=True)
        sample = spoken_sample(
            read_sample(text, wav16, heard), wav16, heard, ears.ending(wav16, text),
            number=number, expected=seconds, codes=said.codes, ended=said.ended,
        )  # fmt: skip
        samples.append(_shown(sample, plan, f"{speaker.name}/{speaker.kind}-{number + 1}.flac", wav16, number))
    return samples


def _held_out(plan: Plan, reader: Reader, voice: TrainedVoice, ears: Ears) -> dict[str, list[Sample]]:
    """Listen to the recordings that the adapter has not learnt, their copies, and what their tokens become."""
    base = TorchBase(plan.base)
    evaluated, prepared = voice.results("evaluate"), voice.results("prepare")
    report = {clip["id"]: clip for clip in json.loads((evaluated / "report.json").read_bytes())["clips"]}
    samples: dict[str, list[Sample]] = {"recording": [], "copy_synthesis": [], "token_forced": []}
    for number, clip in enumerate(clip for clip in voice.clips() if clip.held_out):
        recording = read16(evaluated / f"samples/{clip.id}.recording.flac")
        forced = read16(evaluated / f"samples/{clip.id}.resynthesis.flac")
        copied = base.copy16(read_flac(training_copy(prepared, clip.id)))
        copy_scores = compare(recording, copied)
        forced_scores = {name: float(value) for name in ("pesq", "stoi") if (value := report[clip.id][name])}
        for kind, wav, scores in (
            ("recording", recording, {}),
            ("copy_synthesis", copied, {"pesq": copy_scores.pesq, "stoi": copy_scores.stoi}),
            ("token_forced", forced, forced_scores),
        ):
            sample = read_sample(clip.text, wav, ears.hear(wav, closed=False)).model_copy(update=scores)
            samples[kind].append(_shown(sample, plan, f"{reader.name}/{kind}-{number + 1}.flac", wav, number))
    return samples


def _expected(plan: Plan, clips: tuple[Clip, ...]) -> list[float]:
    """How long the reader would take for each sentence; pauses in the recordings do not count."""
    alone = [len(flite.speak(text, flite.CLOCK)) / RATE for text in plan.spoken]
    voice = sum(detect(flite.speak(clip.text, flite.CLOCK)).seconds for clip in clips)
    return expected_seconds(alone, sum(clip.speech_seconds for clip in clips), voice)


def _shown(sample: Sample, plan: Plan, name: str, wav16: Wave, number: int) -> Sample:
    """Put the first few of each kind where people can listen to them."""
    if number >= SHOWN:
        return sample
    write_flac(plan.samples / name, wav16, RATE)
    return sample.model_copy(update={"file": f"{plan.samples.name}/{name}"})
