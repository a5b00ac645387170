"""A whole pretraining run: corpus, encoder, waveform generator, prior, text model, measurement, bundle."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from sovits_core.bundle.base import BaseBundle
from sovits_core.features.recording import training_features
from sovits_core.models import Synthesizer
from sovits_core.models.networks import Networks
from tiny_base.assemble import assemble
from tiny_base.batches import Spoken
from tiny_base.codes import write_projection
from tiny_base.corpus import build_corpus, cache_folder
from tiny_base.data import ENCODER_RATE, Utterance, floats, load_utterances, split
from tiny_base.detail import train_detail
from tiny_base.encoder import Encoder, align_recordings, labels_of, train_encoder
from tiny_base.errors import PretrainError
from tiny_base.lines import build_lines
from tiny_base.machine import Machine, machine_for
from tiny_base.measure import gates_from, measure
from tiny_base.parts import Parts
from tiny_base.pieces import cut
from tiny_base.prior import predicted_latents, train_prior
from tiny_base.semantic import train_semantic
from tiny_base.sizes import PretrainConfig, Shares
from tiny_base.sound import Frames, train_bands, train_sound
from tiny_base.stage import Stage
from tiny_base.subbands import write_synthesis

PREDICTED_UTTERANCES = 600
STAGES = tuple(Shares.model_fields)


@torch.no_grad()
def listen(encoder: Encoder, s2: Synthesizer, utterances: list[Utterance], kept: Path) -> list[Spoken]:
    """Utterances with their tokens: as the phone times say, and as the encoder hears them; long ones in pieces.

    What was heard is written to `kept`, and read from there the next time.
    """
    _say("listening")
    before = load_file(kept) if kept.exists() else {}
    device = encoder.read.weight.device
    heard = {
        row.clip.id: before[row.clip.id]
        if row.clip.id in before
        else s2.quantize(training_features(encoder.hubert, floats(row.wav16).to(device), ENCODER_RATE))[0].cpu()
        for row in utterances
    }
    if heard.keys() != before.keys():
        partial = kept.with_suffix(f".{os.getpid()}.partial")
        save_file(heard, partial)
        partial.replace(kept)
    spoken: list[Spoken] = []
    for row in align_recordings(encoder, utterances):
        right = labels_of(row)
        spoken += cut(Spoken(row, right, heard[row.clip.id][: len(right)]))
    return spoken


class Training:
    """One run's networks and their stages; a stage that is complete is loaded, not trained again."""

    def __init__(  # noqa: PLR0917 -- what a run is told, each of its own type
        self,
        config: PretrainConfig,
        minutes: float,
        work: Path,
        only: Collection[str],
        start: BaseBundle | None,
        machine: Machine,
    ) -> None:
        self.config = config
        self.parts = Parts(config)
        if start:
            self.parts.take_from(start)
        self.parts.to(machine.device)
        self.machine = machine
        self._seconds = {name: 60 * minutes * share for name, share in config.shares.model_dump().items()}
        self._work = work
        self._only = only
        self._stages: dict[str, Stage] = {}

    def train(self, utterances: list[Utterance]) -> None:
        """Train what is to be trained, each stage on what those before it have become."""
        parts, seed = self.parts, self.config.seed
        self._do("encoder", lambda stage: train_encoder(stage, parts.encoder, utterances, seed))
        parts.encoder.eval()
        write_projection(parts.s2, parts.encoder.read.weight)
        kept = self._work / "heard.safetensors"
        spoken = cache(lambda: listen(parts.encoder, parts.s2, utterances, kept))

        @cache
        def latents() -> Frames:
            predicted = predicted_latents(parts.s2, spoken(), PREDICTED_UTTERANCES, seed)
            return Frames([row.acoustics.latents() for row in utterances], predicted)

        def lines() -> list[Spoken]:
            _say("lines")
            return build_lines(self.config.lines, seed, {row.clip.text for row in utterances})

        self._do("prior", lambda stage: train_prior(stage, parts.s2, spoken(), seed), after="encoder")
        self._do("detail", lambda stage: train_detail(stage, parts.s2, spoken(), seed), after="prior")
        self._do("bands", lambda stage: train_bands(stage, parts.s2, parts.readout, latents(), seed), after="detail")
        write_synthesis(parts.s2.waveform_generator, parts.readout)
        self._do("sound", lambda stage: train_sound(stage, parts.s2, parts.judges, latents(), seed), after="bands")
        self._do("semantic", lambda stage: train_semantic(stage, parts.s1, spoken() + lines(), seed), after="encoder")

    def left(self) -> list[str]:
        """Names of the stages that are not complete."""
        return [name for name, stage in self._stages.items() if stage.progress < 1]

    def _do(self, name: str, train: Callable[[Stage], None], after: str = "") -> None:
        stage = Stage(name, self._work, self.parts.of(name), self._seconds[name], self.machine)
        self._stages[name] = stage
        if name in self._only and stage.progress < 1:
            if after:
                self._need(after, name)
            _say(name)
            train(stage)

    def _need(self, earlier: str, name: str) -> None:
        if self._stages[earlier].progress < 1:
            raise PretrainError(f"stage {name!r} needs {earlier!r} to be complete: train that first")


def pretrain(  # noqa: PLR0917 -- what a run is told, each of its own type
    out: Path,
    config: PretrainConfig,
    minutes: float,
    recordings: Path | None,
    work: Path | None = None,
    only: Collection[str] = STAGES,
    start: BaseBundle | None = None,
    device: str = "cpu",
) -> dict[str, float] | None:
    """Make a base bundle at `out` within so many minutes of computing; a run that was killed goes on where it was.

    Args:
        out: the bundle's folder; replaced at the end, untouched until then.
        config: sizes, shares and seed.
        minutes: of one thread's computing time, or of the wall clock on a GPU; the corpus, the measurement and the
            assembly come on top.
        recordings: a folder with `ljspeech/` and `librispeech/`; None trains on synthetic speech alone.
        work: where checkpoints and curves are kept; the cache, by configuration and minutes, when None.
        only: stages to train now, so that two processes can share them: "semantic" needs the "encoder" alone.
        start: a base of the same sizes whose weights every stage starts with, instead of random ones.
        device: cpu, cuda, or auto for a GPU where there is one.

    Returns:
        The mean scores on held-out clips, or None as long as a stage is left to do.

    Raises:
        PretrainError: flite is missing, the time is not positive, a stage is unknown or comes too early, the base
            to start from is of other sizes, there is no such device, or the bundle is too large.
    """
    if not minutes > 0:
        raise PretrainError(f"minutes={minutes} must be above zero")
    if unknown := sorted(set(only) - set(STAGES)):
        raise PretrainError(f"stages={unknown} are unknown: choose from {', '.join(STAGES)}")
    machine = machine_for(device)
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    told = f"{config.model_dump_json()} {minutes} {recordings} {start.digest if start else ''}"
    key = hashlib.sha256(told.encode()).hexdigest()[:12]
    training = Training(config, minutes, work or cache_folder() / f"run-{config.name}-{key}", only, start, machine)
    _say("corpus")
    corpus, clips = build_corpus(config.sentences, config.seed, recordings)
    utterances, held_out = split(load_utterances(corpus, clips))
    training.train(utterances)
    if left := training.left():
        _say(f"left to do: {', '.join(left)}")
        return None
    about = {
        "minutes": f"{minutes:g}",
        "device": machine.device.type,
        "speechSeconds": f"{sum(row.clip.seconds for row in utterances):.0f}",
    }
    if start:
        before = start.document.training.get("minutes", "an unknown number")
        about["startedFrom"] = f"{start.document.name} {start.digest}, of {before} minutes"
    return _finish(out, training, held_out, about, recordings=recordings is not None)


def _finish(
    out: Path, training: Training, held_out: list[Utterance], about: dict[str, str], *, recordings: bool
) -> dict[str, float]:
    _say("measure")
    config, parts = training.config, training.parts
    parts.to(torch.device("cpu"))  # what is measured and written is what will be served
    for network in (parts.s2, parts.s1, parts.encoder):
        network.eval()
    scores = measure(parts.encoder.hubert, parts.s2, held_out, config.seed)
    about |= {f"heldOut{metric.capitalize()}": f"{value:.3f}" for metric, value in scores.items()}
    assemble(
        out, config, parts.encoder.hubert, Networks(parts.s1, parts.s2), parts.judges,
        gates=gates_from(scores), training=about, recordings=recordings,
    )  # fmt: skip
    return scores


def _say(stage: str) -> None:
    print(f"tiny_base: {stage}", file=sys.stderr, flush=True)
