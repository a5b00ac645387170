"""Stage "adversarial_refinement": a conditional patch discriminator counters the over-smoothing of the prior.

Regression to the mean makes predicted envelopes smoother than measured ones over frequency and, worse, over time. The
discriminator compares measured with predicted envelopes, conditioned on tokens and speaker embedding; the norm of its
gradient is set relative to that of the regression error.

Sources: the patch discriminator is that of Isola et al. 2016, Image-to-Image Translation with Conditional Adversarial
Networks, arXiv:1611.07004. Adversarial loss: Mao et al. 2016, Least Squares Generative Adversarial Networks,
arXiv:1611.04076. Feature matching: Larsen et al. 2015, Autoencoding beyond pixels using a learned similarity metric,
arXiv:1512.09300. Balancing by gradient norms: Esser et al. 2020, Taming Transformers for High-Resolution Image
Synthesis, arXiv:2012.09841. Over-smoothing: Toda & Tokuda 2007, A Speech Parameter Generation Algorithm Considering
Global Variance for HMM-Based Speech Synthesis, IEICE Transactions E90-D(5).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.models import Synthesizer
from sovits_core.models.discriminator import DiscriminatorOutput
from sovits_core.models.losses import adversarial_loss, discriminator_loss, feature_loss
from tiny_base.acoustics import BANDS, speech_mask
from tiny_base.batches import LengthBucketSampler, TokenizedUtterance
from tiny_base.prior import DEVIATION_WEIGHT, MAX_SECONDS, RECORDED_PROB, Prediction, latent_loss, predict
from tiny_base.stage import Stage

SEED_LABEL = "detail"  # of the random draws; kept from the runs that made the embedded base
RATE = 4e-4
DISCRIMINATOR_RATE = 4e-4
ENCODER_TOKENS_PROB = 0.1  # of a batch; low, since a wrong token asks for wrong detail
DISCRIMINATOR_WARMUP_STEPS = 150  # during which the prior rests
ADVERSARIAL_GRADIENT_RATIO = 1.0  # norm of the adversarial gradient, relative to that of the regression error
FEATURE_MATCHING_WEIGHT = 2.0
# (in, out, kernel, stride) over (bands, frames); the first keeps the frame rate: over-smoothing is worst in time
LAYERS = ((3, 24, 5, (2, 1)), (24, 32, 5, (2, 2)), (32, 48, 3, (2, 2)), (48, 48, 3, (1, 1)))
SLOPE = 0.2
COND_CHANNELS = 64  # of the conditioning: token and speaker embedding together


class PatchDiscriminator(nn.Module):
    """Tells measured envelopes from predicted ones, patch by patch, given tokens and speaker embedding."""

    # Isola et al. 2016, arXiv:1611.07004

    def __init__(self, tokens: int, speaker_embedding: int) -> None:
        super().__init__()
        self.token = nn.Embedding(tokens, COND_CHANNELS)
        self.speaker = nn.Linear(speaker_embedding, COND_CHANNELS)
        self.cond = nn.Linear(COND_CHANNELS, (LAYERS[0][0] - 1) * BANDS)
        self.layers = nn.ModuleList(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2) for inputs, outputs, kernel, stride in LAYERS
        )
        self.last = nn.Conv2d(LAYERS[-1][1], 1, 3, padding=1)

    def forward(self, latents: Tensor, batch: Prediction) -> DiscriminatorOutput:
        """Score latents (batch, channels, frames), measured or predicted; padding counts as zeros.

        Returns:
            scores (batch, 1, bands', frames'), and the feature maps of all layers.
        """
        cond = self.token(batch.tokens).repeat_interleave(2, dim=1) + self.speaker(batch.speaker_embedding.mT)
        maps = self.cond(functional.leaky_relu(cond, SLOPE)).mT.unflatten(1, (-1, BANDS))  # (batch, 2, BANDS, frames)
        x = torch.cat([latents[:, None, :BANDS], maps], dim=1) * batch.mask[:, None]
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.last(x), features


def fast_variation_ratio(predicted: Tensor, target: Tensor) -> Tensor:
    """RMS of the variation within 100 ms in speech frames (batch, channels, frames), predicted over measured."""

    def variation(latents: Tensor) -> Tensor:
        envelope = latents[:, :BANDS]
        fast = envelope - functional.avg_pool1d(envelope, 5, 1, 2, count_include_pad=False)
        return (fast.square() * speech_mask(target)[:, None]).sum()

    return (variation(predicted) / variation(target)).sqrt()


def train_adversarial_refinement(stage: Stage, s2: Synthesizer, rows: Sequence[TokenizedUtterance], seed: int) -> None:
    """Train the networks that predict latents until the stage's budget is used; the posterior encoder rests."""
    rng = random.Random(f"{seed}-{SEED_LABEL}-{stage.step}")  # noqa: S311 -- batches, not secrets
    sampler = LengthBucketSampler(rows, MAX_SECONDS, RECORDED_PROB)
    parts = nn.ModuleList([s2.content_encoder, s2.timbre_encoder, s2.timbre_for_content])
    discriminator = PatchDiscriminator(s2.config.codebook_size, s2.config.speaker_embedding).to(stage.machine.device)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=RATE, betas=(0.8, 0.98), weight_decay=0.01)
    discriminator_optimizer = torch.optim.AdamW(
        discriminator.parameters(), lr=DISCRIMINATOR_RATE, betas=(0.5, 0.98), weight_decay=0.0
    )
    s2.train()
    for count, _ in enumerate(stage.steps([optimizer, discriminator_optimizer])):
        batch = predict(s2, sampler, rng, stage.machine, encoder_tokens=rng.random() < ENCODER_TOKENS_PROB)
        constant = batch.without_gradient()
        loss = discriminator_loss([discriminator(batch.target, constant)], [discriminator(constant.mean, constant)])
        discriminator_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        discriminator_optimizer.step()
        stage.log(discriminator=loss)
        if count < DISCRIMINATOR_WARMUP_STEPS:
            continue
        error = latent_loss(batch.mean, batch.target, batch.weights)
        real, fake = discriminator(batch.target, constant), discriminator(batch.mean, constant)
        adversarial = adversarial_loss([fake]) + FEATURE_MATCHING_WEIGHT * feature_loss([real], [fake])
        (error_gradient,) = torch.autograd.grad(error, batch.mean, retain_graph=True)
        (adversarial_gradient,) = torch.autograd.grad(adversarial, batch.mean, retain_graph=True)
        weight = ADVERSARIAL_GRADIENT_RATIO * error_gradient.norm() / adversarial_gradient.norm().clamp_min(1e-9)
        optimizer.zero_grad()
        torch.autograd.backward(
            [batch.mean, DEVIATION_WEIGHT * batch.deviation_loss],
            [error_gradient + weight * adversarial_gradient, None],
        )
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        variation = fast_variation_ratio(batch.mean.detach(), batch.target)
        stage.log(error=error, deviation=batch.deviation_loss, variation=variation)
    s2.eval()
