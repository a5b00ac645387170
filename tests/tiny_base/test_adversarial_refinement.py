"""The patch discriminator is conditional, and its gradient trains the prior alone."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from tiny_base import adversarial_refinement
from tiny_base.acoustics import BANDS, HOP, LATENT, Acoustics, envelope_scale
from tiny_base.adversarial_refinement import (
    LAYERS,
    PatchDiscriminator,
    fast_variation_ratio,
    train_adversarial_refinement,
)
from tiny_base.batches import TokenizedUtterance
from tiny_base.config import TinyBaseConfig
from tiny_base.corpus import Clip
from tiny_base.data import Utterance
from tiny_base.networks import TrainedNetworks
from tiny_base.prior import Prediction
from tiny_base.speaker_augmentation import EQ_POINTS, SpeakerAugmentation
from tiny_base.stage import REPORT_STEPS, Stage
from tiny_base.tokens import TOKENS


def test_the_discriminator_is_conditioned_on_tokens_and_speaker_and_ignores_padding() -> None:
    torch.manual_seed(0)
    discriminator = PatchDiscriminator(len(TOKENS), speaker_embedding=16)
    tokens, speaker_embedding, latents = torch.arange(12)[None], torch.randn(1, 16, 1), torch.randn(1, LATENT, 24)
    mask = (torch.arange(24) < 16).float()[None, None]
    identity = SpeakerAugmentation(torch.zeros(1, 1), torch.zeros(1, EQ_POINTS))
    batch = Prediction(
        [], tokens, speaker_embedding, latents, latents, latents, mask, identity, deviation_loss=torch.zeros(())
    )
    with torch.no_grad():
        score, features = discriminator(latents, batch)
        padded, _ = discriminator(latents + 5 * (1 - mask), batch)
        other_tokens, _ = discriminator(latents, replace(batch, tokens=tokens + 1))
        other_speaker, _ = discriminator(latents, replace(batch, speaker_embedding=-speaker_embedding))
    assert len(features) == len(LAYERS)
    assert torch.equal(score, padded)
    assert not torch.allclose(score, other_tokens)
    assert not torch.allclose(score, other_speaker)


def test_the_fast_variation_ratio_falls_with_smoothing() -> None:
    speech = torch.randn(1, LATENT, 200) + 1
    smooth = functional.avg_pool1d(speech, 5, 1, 2, count_include_pad=False)
    assert float(fast_variation_ratio(speech, speech)) == 1
    assert 0.4 < float(fast_variation_ratio(torch.lerp(smooth, speech, 0.5), speech)) < 0.6


def test_refinement_trains_the_prior_and_not_the_posterior(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adversarial_refinement, "DISCRIMINATOR_WARMUP_STEPS", 3)
    networks = TrainedNetworks(TinyBaseConfig())
    clip = Clip("one", "flite-rms", "", "", 1.0, [("AA", 1.0)])
    acoustics = Acoustics(envelope_scale()[0] + torch.randn(50, BANDS), torch.ones(50) > 0, torch.full((50,), 5.0))
    wav = torch.zeros(50 * HOP, dtype=torch.int16)
    utterance = Utterance(clip, wav, wav[::2], acoustics, ("AA1",), torch.tensor([12]))
    rows = [TokenizedUtterance(utterance, torch.arange(25), torch.arange(25))] * 8
    before = {name: value.clone() for name, value in networks.s2.state_dict().items()}
    stage = Stage("adversarial_refinement", tmp_path, networks.of("adversarial_refinement"), 60.0)
    monkeypatch.setattr(Stage, "progress", property(lambda self: self.step / REPORT_STEPS))
    train_adversarial_refinement(stage, networks.s2, rows, seed=3)
    changed = {
        name.split(".")[0] for name, value in networks.s2.state_dict().items() if not torch.equal(value, before[name])
    }
    assert changed == {"content_encoder", "timbre_encoder"}
    rows = [row.split(",") for row in (tmp_path / "curves.csv").read_text().splitlines()[1:]]
    assert {row[3] for row in rows} == {"discriminator", "error", "deviation", "variation"}
    assert all(np.isfinite(float(row[4])) for row in rows)
