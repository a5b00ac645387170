"""A whole pretraining run: corpus, encoder, codebook, synthesizer, text model, measurement, bundle."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch

from sovits_core.errors import PretrainError
from sovits_core.models import Discriminator, Synthesizer, TextToSemantic
from sovits_core.networks import Networks
from sovits_core.pretrain.assemble import assemble
from sovits_core.pretrain.batches import Spoken
from sovits_core.pretrain.codebook import learn_codebook, utterance_features
from sovits_core.pretrain.corpus import HELD_OUT_LJSPEECH, build_corpus, cache_folder
from sovits_core.pretrain.data import Utterance, load_utterances
from sovits_core.pretrain.encoder import Encoder, train_encoder
from sovits_core.pretrain.measure import gates_from, measure
from sovits_core.pretrain.prior import train_prior, train_together
from sovits_core.pretrain.semantic import train_semantic
from sovits_core.pretrain.sizes import PretrainConfig
from sovits_core.pretrain.sound import Copier, train_sound
from sovits_core.pretrain.stage import Stage

HELD_OUT_SYNTHETIC = 8


def split(utterances: list[Utterance]) -> tuple[list[Utterance], list[Utterance]]:
    """Return what is trained on, and what the base is measured with: the last clips of LJ Speech and of flite."""
    recorded = [utterance for utterance in utterances if utterance.clip.speaker == "ljspeech"][-HELD_OUT_LJSPEECH:]
    synthetic = [utterance for utterance in utterances if utterance.clip.segments][-HELD_OUT_SYNTHETIC:]
    kept_out = {utterance.clip.id for utterance in [*recorded, *synthetic]}
    return [utterance for utterance in utterances if utterance.clip.id not in kept_out], [*recorded, *synthetic]


def pretrain(
    out: Path, config: PretrainConfig, minutes: float, recordings: Path | None, work: Path | None = None
) -> dict[str, float]:
    """Make a base bundle at `out` within so many minutes of computing; a run that was killed goes on where it was.

    Args:
        out: the bundle's folder; replaced at the end, untouched until then.
        config: sizes, shares and seed.
        minutes: of one thread's computing time; the corpus, the measurement and the assembly come on top.
        recordings: a folder with `ljspeech/` and `librispeech/`; None trains on synthetic speech alone.
        work: where checkpoints and curves are kept; the cache, by configuration and minutes, when None.

    Returns:
        The mean scores on held-out clips.

    Raises:
        PretrainError: flite is missing, the time is not positive, or the bundle is too large.
    """
    if not minutes > 0:
        raise PretrainError(f"minutes={minutes} must be above zero")
    torch.manual_seed(config.seed)
    torch.set_num_threads(config.threads)
    key = hashlib.sha256(f"{config.model_dump_json()} {minutes} {recordings}".encode()).hexdigest()[:12]
    work = work or cache_folder() / f"run-{config.name}-{key}"
    budget = {name: 60 * minutes * share for name, share in config.shares.model_dump().items()}

    _say("corpus")
    corpus, clips = build_corpus(config.sentences, config.seed, recordings)
    utterances, held_out = split(load_utterances(corpus, clips))

    encoder = Encoder(config.hubert)
    _say("encoder")
    train_encoder(Stage("encoder", work, encoder, budget["encoder"]), encoder, utterances, config.seed)
    encoder.eval()

    s2, judges = Synthesizer(config.s2), Discriminator(config.s2d)
    copier = Copier(s2, judges)
    _say("sound")
    train_sound(Stage("sound", work, copier, budget["sound"]), s2, judges, utterances, config.seed)

    _say("codebook")
    features = utterance_features(encoder, utterances)
    kept = learn_codebook(encoder, s2, features, config.seed)
    with torch.no_grad():
        spoken = [Spoken(row, s2.quantize(feature)[0]) for row, feature in zip(utterances, features, strict=True)]
    del features

    _say("prior")
    train_prior(Stage("prior", work, copier, budget["prior"]), s2, spoken, config.seed)
    _say("together")
    train_together(Stage("together", work, copier, budget["together"]), s2, judges, spoken, config.seed)
    s1 = TextToSemantic(config.s1)
    _say("semantic")
    train_semantic(Stage("semantic", work, s1, budget["semantic"]), s1, spoken, config.seed)

    _say("measure")
    s2.eval()
    s1.eval()
    scores = measure(encoder.hubert, s2, held_out, config.seed)
    training = {
        "minutes": f"{minutes:g}",
        "speechSeconds": f"{sum(row.clip.seconds for row in utterances):.0f}",
        "codebookVarianceKept": f"{kept:.3f}",
        **{f"heldOut{metric.capitalize()}": f"{value:.3f}" for metric, value in scores.items()},
    }
    assemble(
        out, config, encoder.hubert, Networks(s1, s2), judges,
        gates=gates_from(scores), training=training, recordings=recordings is not None,
    )  # fmt: skip
    return scores


def _say(stage: str) -> None:
    print(f"sovits-core pretrain: {stage}", file=sys.stderr, flush=True)  # noqa: T201 -- the command's progress
