"""A whole training run: corpora, all stages, measurement, bundle."""

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
from tiny_base.adversarial_refinement import train_adversarial_refinement
from tiny_base.assemble import assemble
from tiny_base.batches import TokenizedUtterance
from tiny_base.config import TinyBaseConfig
from tiny_base.corpus import build_corpus, cache_folder
from tiny_base.data import ENCODER_RATE, Utterance, load_utterances, split, to_float
from tiny_base.encoder import Encoder, align_recordings, labels_of, train_encoder
from tiny_base.errors import InvalidInput, StageOrder
from tiny_base.machine import Machine, machine_for
from tiny_base.measure import gates_from, measure
from tiny_base.networks import STAGES, TrainedNetworks
from tiny_base.prior import predicted_latents, train_prior
from tiny_base.segments import split_at_pauses
from tiny_base.semantic import train_semantic
from tiny_base.stage import Stage
from tiny_base.subbands import write_inverse_mdct
from tiny_base.text_corpus import build_text_corpus
from tiny_base.tokens import write_projection
from tiny_base.waveform import LatentSets, train_subband_regression, train_waveform_adversarial

PREDICTED_UTTERANCES = 600


@torch.no_grad()
def tokenize(encoder: Encoder, s2: Synthesizer, utterances: list[Utterance], cached: Path) -> list[TokenizedUtterance]:
    """Utterances with aligned and encoder tokens, long ones split at pauses.

    Encoder tokens are written to `cached`, and read from there the next time.
    """
    _report("tokenize")
    before = load_file(cached) if cached.exists() else {}
    device = encoder.head.weight.device
    encoder_tokens = {
        row.clip.id: before[row.clip.id]
        if row.clip.id in before
        else s2.quantize(training_features(encoder.hubert, to_float(row.wav16).to(device), ENCODER_RATE))[0].cpu()
        for row in utterances
    }
    if encoder_tokens.keys() != before.keys():
        partial = cached.with_suffix(f".{os.getpid()}.partial")
        save_file(encoder_tokens, partial)
        partial.replace(cached)
    rows: list[TokenizedUtterance] = []
    for row in align_recordings(encoder, utterances):
        aligned_tokens = labels_of(row)
        rows += split_at_pauses(
            TokenizedUtterance(row, aligned_tokens, encoder_tokens[row.clip.id][: len(aligned_tokens)])
        )
    return rows


class Training:
    """One run's networks and their stages; a stage that is complete is loaded, not trained again."""

    def __init__(  # noqa: PLR0917 -- the parameters of a run, each of its own type
        self,
        config: TinyBaseConfig,
        minutes: float,
        work: Path,
        only: Collection[str],
        start: BaseBundle | None,
        machine: Machine,
    ) -> None:
        self.config = config
        self.networks = TrainedNetworks(config)
        if start:
            self.networks.load_base(start)
        self.networks.to(machine.device)
        self.machine = machine
        self._seconds = {name: 60 * minutes * share for name, share in config.shares.model_dump().items()}
        self._work = work
        self._only = only
        self._stages: dict[str, Stage] = {}

    def train(self, utterances: list[Utterance]) -> None:
        """Run the chosen stages, each on the results of those before."""
        networks, seed = self.networks, self.config.seed
        encoder, s2 = networks.encoder, networks.s2
        self._run("encoder", lambda stage: train_encoder(stage, encoder, utterances, seed))
        encoder.eval()
        write_projection(s2, encoder.head.weight)
        cached = self._work / "encoder_tokens.safetensors"
        rows = cache(lambda: tokenize(encoder, s2, utterances, cached))

        @cache
        def latents() -> LatentSets:
            predicted = predicted_latents(s2, rows(), PREDICTED_UTTERANCES, seed)
            return LatentSets([row.acoustics.latents() for row in utterances], predicted)

        def text_corpus() -> list[TokenizedUtterance]:
            _report("text corpus")
            return build_text_corpus(self.config.text_corpus_sentences, seed, {row.clip.text for row in utterances})

        self._run("prior", lambda stage: train_prior(stage, s2, rows(), seed))
        self._run("adversarial_refinement", lambda stage: train_adversarial_refinement(stage, s2, rows(), seed))
        self._run(
            "subband_regression", lambda stage: train_subband_regression(stage, s2, networks.readout, latents(), seed)
        )
        write_inverse_mdct(s2.waveform_generator, networks.readout)
        self._run(
            "waveform_adversarial",
            lambda stage: train_waveform_adversarial(stage, s2, networks.discriminator, latents(), seed),
        )
        self._run("semantic", lambda stage: train_semantic(stage, networks.s1, rows() + text_corpus(), seed))

    def incomplete(self) -> list[str]:
        """Names of the stages that are not complete."""
        return [name for name, stage in self._stages.items() if stage.progress < 1]

    def _run(self, name: str, train: Callable[[Stage], None]) -> None:
        stage = Stage(name, self._work, self.networks.of(name), self._seconds[name], self.machine)
        self._stages[name] = stage
        if name in self._only and stage.progress < 1:
            after = STAGES[name].after
            if after and self._stages[after].progress < 1:
                raise StageOrder(f"stage {name!r} needs {after!r} to be complete: train that first")
            _report(name)
            train(stage)


def train_base(  # noqa: PLR0917 -- the parameters of a run, each of its own type
    out: Path,
    config: TinyBaseConfig,
    minutes: float,
    recordings: Path | None,
    work: Path | None = None,
    only: Collection[str] = tuple(STAGES),
    start: BaseBundle | None = None,
    device: str = "cpu",
) -> dict[str, float] | None:
    """Make a base bundle at `out` within so many minutes of computing; a run that was killed is continued.

    Args:
        out: the bundle's folder; replaced at the end, untouched until then.
        config: sizes, shares and seed.
        minutes: of one thread's computing time, or of the wall clock on a GPU; corpora, measurement and assembly are
            not counted.
        recordings: a folder with `ljspeech/` and `librispeech/`; None trains on synthetic speech alone.
        work: where checkpoints and curves are kept; the cache, by configuration and minutes, when None.
        only: stages to train now, so that two processes can share them: "semantic" needs the "encoder" alone.
        start: a base of the same sizes whose weights every stage starts with, instead of random ones.
        device: cpu, cuda, or auto for a GPU where there is one.

    Returns:
        The mean scores on held-out clips, or None while a stage is incomplete.

    Raises:
        InvalidInput: the minutes are not positive, or a stage is unknown.
        MissingProgram: flite is not installed.
        StageOrder: a stage needs an earlier one.
        IncompatibleBase: the base to start from has other sizes.
        DeviceUnavailable: there is no such device.
        BundleTooLarge: the bundle exceeds what may be committed.
    """
    if not minutes > 0:
        raise InvalidInput(f"minutes={minutes} must be above zero")
    if unknown := sorted(set(only) - set(STAGES)):
        raise InvalidInput(f"stages={unknown} are unknown: choose from {', '.join(STAGES)}")
    machine = machine_for(device)
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    inputs = f"{config.model_dump_json()} {minutes} {recordings} {start.digest if start else ''}"
    key = hashlib.sha256(inputs.encode()).hexdigest()[:12]
    training = Training(config, minutes, work or cache_folder() / f"run-{config.name}-{key}", only, start, machine)
    _report("corpus")
    corpus, clips = build_corpus(config.sentences, config.seed, recordings)
    utterances, held_out = split(load_utterances(corpus, clips))
    training.train(utterances)
    if incomplete := training.incomplete():
        _report(f"incomplete: {', '.join(incomplete)}")
        return None
    provenance = {
        "minutes": f"{minutes:g}",
        "device": machine.device.type,
        "speechSeconds": f"{sum(row.clip.seconds for row in utterances):.0f}",
    }
    if start:
        before = start.document.training.get("minutes", "an unknown number")
        provenance["startedFrom"] = f"{start.document.name} {start.digest}, of {before} minutes"
    return _finish(out, training, held_out, provenance, recordings=recordings is not None)


def _finish(
    out: Path, training: Training, held_out: list[Utterance], provenance: dict[str, str], *, recordings: bool
) -> dict[str, float]:
    _report("measure")
    config, networks = training.config, training.networks
    networks.to(torch.device("cpu"))  # as it will be served
    for network in (networks.s2, networks.s1, networks.encoder):
        network.eval()
    scores = measure(networks.encoder.hubert, networks.s2, held_out, config.seed)
    provenance |= {f"heldOut{metric.capitalize()}": f"{value:.3f}" for metric, value in scores.items()}
    assemble(
        out, config, networks.encoder.hubert, Networks(networks.s1, networks.s2), networks.discriminator,
        gates=gates_from(scores), training=provenance, recordings=recordings,
    )  # fmt: skip
    return scores


def _report(stage: str) -> None:
    print(f"tiny_base: {stage}", file=sys.stderr, flush=True)
