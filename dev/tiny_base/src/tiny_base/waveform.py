"""Stages "subband_regression" and "waveform_adversarial": the waveform generator imitates the pulse-plus-noise vocoder.

Half of the latents are measured and half are the prior's means, which are smoother: a generator trained on measured
ones alone degrades on those that it gets in use. A spectral enhancement post-filter is part of the targets, since the
prior's means stay slightly over-smoothed.

First regression on sub-bands at 250 Hz; then the whole generator, with discriminators that compare it with the vocoder.

Sources: regression on a teacher's output: Hinton et al. 2015, Distilling the Knowledge in a Neural Network,
arXiv:1503.02531. Multi-scale and multi-period discriminators: Kong et al. 2020, HiFi-GAN, arXiv:2010.05646. Adversarial
loss: Mao et al. 2016, Least Squares Generative Adversarial Networks, arXiv:1611.04076. Feature matching: Larsen et al.
2015, arXiv:1512.09300. Post-filter: linear expansion about a mean envelope, after Ling et al. 2006, USTC System for
Blizzard Challenge 2006 (formant enhancement).
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.models import Discriminator, Synthesizer
from sovits_core.models.losses import adversarial_loss, discriminator_loss, feature_loss
from tiny_base.acoustics import BANDS, HOP, NOISE_CHANNELS, PITCH, speech_mask
from tiny_base.pulse_vocoder import NOISE_DEVIATION, vocode
from tiny_base.stage import Stage
from tiny_base.subbands import SUBBANDS, mdct, predict_subbands

SUBBAND_SEED_LABEL, ADVERSARIAL_SEED_LABEL = "bands", "sound"  # kept from the runs that made the embedded base
BATCH = 10
SEGMENT = 36  # frames
MARGIN = 6  # frames on both sides that are computed and not compared
RATE = 2e-3
ENHANCEMENT = 1.2  # factor on the deviation of an envelope from that of mean speech
ENHANCED_BANDS = 38  # up to 5 kHz, where intelligibility lies; the bands above carry the speaker and stay as they are
PITCH_JITTER = 0.25  # deviation in the latents' units: every multiple of 50 Hz must be trained at every pitch
SMOOTHING_PROB = 0.3  # of a crop, as a substitute for a less certain prior's means
PREDICTED_PROB = 0.5  # of a crop to come from the prior
# Errors are divided by this power of the local amplitude, so that quiet sub-bands count as well as loud ones.
EARLY_EXPONENT, LATE_EXPONENT = 0.7, 0.85
LATE_FROM = 0.65  # share of the budget: from here the noise between harmonics counts more
NEIGHBOURHOOD = (5, 3)  # sub-bands and steps over which amplitude is averaged
AMPLITUDE_FLOOR = 5e-3  # root of a sub-band's power
HOP_STEPS = HOP // SUBBANDS
ADVERSARIAL_SEGMENT = 24  # frames of a discriminator's input
ADVERSARIAL_BATCH = 6
ADVERSARIAL_RATE = 2e-4
ADVERSARIAL_WEIGHT = 0.002  # low: the sub-band error determines the waveform, the discriminators only sharpen it


@dataclass(frozen=True)
class LatentSets:
    """Latents without noise channels, each (SUPERVISED_CHANNELS, frames), measured and as the prior predicts them."""

    measured: list[Tensor]
    predicted: list[Tensor]

    def longer_than(self, count: int) -> LatentSets:
        """Leave out utterances of at most so many frames."""
        long = [[row for row in rows if row.shape[1] > count] for rows in (self.measured, self.predicted)]
        return LatentSets(*long)


def mean_speech_envelope(latents: list[Tensor]) -> Tensor:
    """Mean of the lower bands (ENHANCED_BANDS, 1) over speech frames of latents, each (SUPERVISED_CHANNELS, frames)."""
    frames = torch.cat(latents, dim=1)
    return frames[:ENHANCED_BANDS, speech_mask(frames[None])[0]].mean(1, keepdim=True)


def enhance(z: Tensor, mean: Tensor) -> Tensor:
    """Apply the spectral enhancement post-filter to latents (batch, LATENT, frames).

    Args:
        z: the latents.
        mean: of `mean_speech_envelope`.
    """
    return torch.cat([torch.lerp(mean.to(z), z[:, :ENHANCED_BANDS], ENHANCEMENT), z[:, ENHANCED_BANDS:]], dim=1)


def random_crops(latents: LatentSets, count: int, frames: int, rng: random.Random) -> Tensor:
    """Draw latents (count, LATENT, frames) at random, with pitch jitter, partly smoothed, and with fresh noise."""
    rows = []
    for _ in range(count):
        row = rng.choice(latents.predicted if rng.random() < PREDICTED_PROB else latents.measured)
        start = rng.randrange(row.shape[1] - frames + 1)
        crop = row[:, start : start + frames].clone()
        crop[PITCH] += rng.gauss(0, PITCH_JITTER)
        if rng.random() < SMOOTHING_PROB:
            smooth = functional.avg_pool1d(functional.pad(crop[None, :BANDS], (1, 1), mode="replicate"), 3, 1)[0]
            crop[:BANDS] = torch.lerp(crop[:BANDS], smooth, rng.random())
        rows.append(crop)
    noise = NOISE_DEVIATION * torch.randn(count, NOISE_CHANNELS, frames)
    return torch.cat([torch.stack(rows), noise], dim=1)


def subband_loss(predicted: Tensor, target: Tensor, exponent: float) -> Tensor:
    """Squared error of sub-bands (batch, SUBBANDS, steps), relative to a power of the local amplitude of the target."""
    across, along = NEIGHBOURHOOD
    power = functional.avg_pool2d(
        target.square()[:, None], NEIGHBOURHOOD, 1, padding=(across // 2, along // 2), count_include_pad=False
    )[:, 0]
    scale = (power.sqrt() + AMPLITUDE_FLOOR).pow(-exponent)
    return ((predicted - target) * scale).square().mean()


def train_subband_regression(stage: Stage, s2: Synthesizer, readout: nn.Conv1d, latents: LatentSets, seed: int) -> None:
    """Train the early stages and the readout until the stage's budget is used."""
    generator = s2.waveform_generator
    rng = random.Random(f"{seed}-{SUBBAND_SEED_LABEL}-{stage.step}")  # noqa: S311 -- crops, not secrets
    frames = SEGMENT + 2 * MARGIN
    latents = latents.longer_than(frames)
    mean = mean_speech_envelope(latents.measured)
    parts = nn.ModuleList([generator.input, *list(generator.stages)[:2], readout])
    optimizer = torch.optim.Adam(parts.parameters(), lr=RATE, betas=(0.9, 0.99))
    middle = slice(MARGIN * HOP_STEPS, (MARGIN + SEGMENT) * HOP_STEPS)
    device, count = stage.machine.device, BATCH * stage.machine.batches
    no_speaker = torch.zeros(count, s2.config.speaker_embedding, 1, device=device)
    for _ in stage.steps([optimizer]):
        z = random_crops(latents, count, frames, rng).to(device)
        target = mdct(vocode(enhance(z, mean)))[:, :, middle]
        predicted = predict_subbands(generator, readout, z, no_speaker)[:, :, middle]
        loss = subband_loss(predicted, target, LATE_EXPONENT if stage.progress > LATE_FROM else EARLY_EXPONENT)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, explained=1 - (predicted - target).square().sum() / target.square().sum())


def train_waveform_adversarial(
    stage: Stage, s2: Synthesizer, discriminator: Discriminator, latents: LatentSets, seed: int
) -> None:
    """Train the whole generator against discriminators until the stage's budget is used."""
    generator = s2.waveform_generator
    rng = random.Random(f"{seed}-{ADVERSARIAL_SEED_LABEL}-{stage.step}")  # noqa: S311 -- crops, not secrets
    frames = ADVERSARIAL_SEGMENT + 2 * MARGIN
    latents = latents.longer_than(frames)
    mean = mean_speech_envelope(latents.measured)
    optimizer = torch.optim.AdamW(generator.parameters(), lr=ADVERSARIAL_RATE, betas=(0.8, 0.99))
    discriminator_optimizer = torch.optim.AdamW(discriminator.parameters(), lr=ADVERSARIAL_RATE, betas=(0.8, 0.99))
    middle = slice(MARGIN * HOP, (MARGIN + ADVERSARIAL_SEGMENT) * HOP)
    device, count = stage.machine.device, ADVERSARIAL_BATCH * stage.machine.batches
    no_speaker = torch.zeros(count, s2.config.speaker_embedding, 1, device=device)
    for _ in stage.steps([optimizer, discriminator_optimizer]):
        z = random_crops(latents, count, frames, rng).to(device)
        target = vocode(enhance(z, mean)).tanh()
        generated = generator(z, no_speaker)[:, 0]
        loss = subband_loss(mdct(generated), mdct(target), LATE_EXPONENT)
        real, fake = target[:, None, middle], generated[:, None, middle]
        discrimination = discriminator_loss(discriminator(real), discriminator(fake.detach()))
        discriminator_optimizer.zero_grad()
        discrimination.backward()  # type: ignore[no-untyped-call]
        discriminator_optimizer.step()
        real_outputs, fake_outputs = discriminator(real), discriminator(fake)
        matching = feature_loss(real_outputs, fake_outputs)
        optimizer.zero_grad()
        adversarial = adversarial_loss(fake_outputs) + 2 * matching
        (loss + ADVERSARIAL_WEIGHT * adversarial).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, discriminator=discrimination, features=matching)
