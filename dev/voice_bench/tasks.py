"""Tasks of one process each: measure a speaker's voice or one of flite's, or embed a speaker's recordings."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from dev.voice_bench import flite
from dev.voice_bench.audio import RATE, Wave, read16
from dev.voice_bench.copy_synthesis import TorchBase
from dev.voice_bench.digests import code_digest, own_digest, text_digest
from dev.voice_bench.measures import expected_seconds
from dev.voice_bench.samples import FliteResult, Sample, SpeakerResult, measured_recording, measured_synthesis
from dev.voice_bench.serving import SEED, Server
from dev.voice_bench.speakers import BenchSpeaker
from dev.voice_bench.texts import sentences
from dev.voice_bench.training import LANGUAGE, TrainedVoice, train
from dev.voice_bench.transcription import Transcriber
from sovits_core.bundle.base import BaseBundle
from voice_inference.bundles.voice import PROMPT, Voice
from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.gates import chosen_gates, judge
from voice_trainer.evaluation.scores import compare
from voice_trainer.recordings.audio import read_flac, write_flac
from voice_trainer.recordings.clips import Clip, training_copy
from voice_trainer.recordings.vad import detect

SHOWN = 3
"""Sentences and clips of each condition on the page."""

Progress = Callable[[str], None]
"""Takes the name of a finished step."""


@dataclass(frozen=True)
class Plan:
    """Inputs of all tasks."""

    base: BaseBundle
    work: Path
    """Cache of this base: voices and their audio."""
    recognised: Path
    """Cache of recognition, of all bases."""
    samples: Path
    """Audio of the page."""
    spoken: tuple[str, ...]
    """The sentences to synthesize."""


def measure_speaker(plan: Plan, speaker: BenchSpeaker, progress: Progress) -> SpeakerResult:
    """Fine-tune the speaker's voice, synthesize the sentences zero-shot and fine-tuned, and measure them.

    Raises:
        DevError: the voice cannot be trained.
    """
    voice = train(speaker, plan.base, plan.work)
    progress("trained")
    transcriber = Transcriber(plan.recognised, sentences())
    samples = _held_out(plan, speaker, voice, transcriber)
    progress("held-out clips")
    server = Server(plan.base)
    served = server.voice(voice)
    expected = _expected(plan, voice.clips())
    zero_shot = server.zero_shot(voice.bundle / PROMPT, voice.folder / "zero-shot")
    for condition, loaded in (("zero_shot", zero_shot), ("fine_tuned", served)):
        voiced = CachedVoice(server, loaded, speaker.name, condition, voice.folder)
        samples[condition] = _measured(plan, voiced, transcriber, expected)
        progress(f"{condition} measured")
    evaluation = voice.summary("evaluate")
    gates, _ = chosen_gates(None, plan.base.document.gates, language=LANGUAGE)
    means = {name: float(value) for name, value in evaluation["scores"].items()}
    scores = {name: Estimate(mean, mean, mean, 1) for name, mean in means.items()}
    clips = voice.clips()
    return SpeakerResult(
        speaker=speaker.name,
        seen=speaker.seen,
        speech_seconds=sum(clip.speech_seconds for clip in clips),
        train_seconds=voice.cost.seconds,
        train_cpu_seconds=voice.cost.cpu_seconds,
        training_loop_seconds=float(voice.summary("train")["trainSeconds"]),
        gates_passed=all(verdict.passed for verdict in judge(gates, scores)),
        prompt=next(clip.text for clip in clips if clip.id == evaluation["prompt"]),
        base_scores={name: float(value) for name, value in evaluation["baseScores"].items()},
        samples=samples,
    )


def measure_flite(plan: Plan, voice: str, progress: Progress) -> FliteResult:
    """Measure a voice of flite, and the base prompted by that voice."""
    transcriber = Transcriber(plan.recognised, sentences())
    server = Server(plan.base)
    folder = plan.work / f"flite-{voice}"
    TorchBase(plan.base).write_flite_prompt(voice, folder / PROMPT)
    prompted = server.zero_shot(folder / PROMPT, folder / "zero-shot")
    own = []
    waves = [flite.synthesize(text, voice) for text in plan.spoken]
    for number, (text, wav) in enumerate(zip(plan.spoken, waves, strict=True)):
        recognition = transcriber.transcribe(wav, closed=True)
        sample = measured_synthesis(
            measured_recording(text, wav, recognition), wav, recognition, transcriber.speech_end(wav, text),
            number=number, expected=len(wav) / RATE, tokens=(), ended=True,
        )  # fmt: skip
        own.append(_shown(sample, plan, f"flite-{voice}/flite-{number + 1}.flac", wav, number))
    progress("flite measured")
    voiced = CachedVoice(server, prompted, f"flite-{voice}", "base", folder)
    synthesized = _measured(plan, voiced, transcriber, [len(wav) / RATE for wav in waves])
    progress("base measured")
    return FliteResult(voice=voice, samples={"flite": own, "base": synthesized})


def embed_speaker(plan: Plan, speaker: BenchSpeaker, progress: Progress) -> tuple[str, tuple[float, ...]]:
    """Return the speaker's name and the mean speaker embedding (256) of all recordings, of length 1."""
    transcriber = Transcriber(plan.recognised, ())
    mean = np.mean([transcriber.embed(read16(path)).embedding for path in speaker.clips()], axis=0)
    progress("embedded")
    return speaker.name, tuple(map(float, mean / np.linalg.norm(mean)))


class StoredSynthesis(BaseModel):
    """Stored traits of a synthesized sentence, besides its audio."""

    model_config = ConfigDict(frozen=True)

    tokens: tuple[int, ...]
    ended: bool


@dataclass(frozen=True)
class CachedVoice:
    """A voice with a cache of its sentences."""

    server: Server
    voice: Voice
    name: str
    condition: str
    folder: Path

    def synthesize(self, text: str) -> tuple[Path, StoredSynthesis]:
        """Synthesize a sentence, or read it from the cache; return its audio file and its tokens."""
        prompt = (array.tobytes().hex() for array in (self.voice.prompt.tokens, self.voice.prompt.speaker_embedding))
        key = text_digest(text, str(SEED), code_digest("sovits_core", "inference"), own_digest("serving.py"), *prompt)
        wav, rest = (
            self.folder / "synthesized" / f"{self.condition}-{key[:16]}.{suffix}" for suffix in ("flac", "json")
        )
        if not rest.exists():
            synthesis = self.server.synthesize(self.voice, text)
            write_flac(wav, synthesis.samples, self.server.sample_rate)
            rest.write_text(
                StoredSynthesis(tokens=synthesis.tokens, ended=synthesis.ended).model_dump_json(), encoding="utf-8"
            )
        return wav, StoredSynthesis.model_validate_json(rest.read_bytes())


def _measured(plan: Plan, voice: CachedVoice, transcriber: Transcriber, expected: list[float]) -> list[Sample]:
    samples = []
    for number, (text, seconds) in enumerate(zip(plan.spoken, expected, strict=True)):
        path, synthesis = voice.synthesize(text)
        wav16 = read16(path)
        recognition = transcriber.transcribe(wav16, closed=True)
        sample = measured_synthesis(
            measured_recording(text, wav16, recognition), wav16, recognition, transcriber.speech_end(wav16, text),
            number=number, expected=seconds, tokens=synthesis.tokens, ended=synthesis.ended,
        )  # fmt: skip
        samples.append(_shown(sample, plan, f"{voice.name}/{voice.condition}-{number + 1}.flac", wav16, number))
    return samples


def _held_out(
    plan: Plan, speaker: BenchSpeaker, voice: TrainedVoice, transcriber: Transcriber
) -> dict[str, list[Sample]]:
    """Measure held-out recordings, their copy synthesis, and their token-forced resynthesis."""
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
        for condition, wav, scores in (
            ("recording", recording, {}),
            ("copy_synthesis", copied, {"pesq": copy_scores.pesq, "stoi": copy_scores.stoi}),
            ("token_forced", forced, forced_scores),
        ):
            recognition = transcriber.transcribe(wav, closed=False)
            sample = measured_recording(clip.text, wav, recognition).model_copy(update=scores)
            name = f"{speaker.name}/{condition}-{number + 1}.flac"
            samples[condition].append(_shown(sample, plan, name, wav, number))
    return samples


def _expected(plan: Plan, clips: tuple[Clip, ...]) -> list[float]:
    """The speaker's expected seconds for each sentence; pauses in the recordings do not count."""
    seconds = [len(flite.synthesize(text, flite.REFERENCE)) / RATE for text in plan.spoken]
    voiced = sum(detect(flite.synthesize(clip.text, flite.REFERENCE)).seconds for clip in clips)
    return expected_seconds(seconds, sum(clip.speech_seconds for clip in clips), voiced)


def _shown(sample: Sample, plan: Plan, name: str, wav16: Wave, number: int) -> Sample:
    """Write the audio of the first few of each condition for the page."""
    if number >= SHOWN:
        return sample
    write_flac(plan.samples / name, wav16, RATE)
    return sample.model_copy(update={"file": f"{plan.samples.name}/{name}"})
