"""Stage "sound": the synthesizer's posterior, timbre and waveform parts learn to copy speech, long before any text."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.features import log_mel, spectrogram
from sovits_core.losses import adversarial_loss, discriminator_loss, feature_loss
from sovits_core.models import Discriminator, Synthesizer
from sovits_core.models.synthesizer import cut
from sovits_core.pretrain.data import HOP, Utterance, floats
from sovits_core.pretrain.stage import Stage

BATCH = 8
MARGIN = 8  # frames on both sides of a slice that the posterior sees and nobody decodes
REFERENCE_FRAMES = 100  # two seconds of the same speaker say whose voice it is
JUDGED_FROM = 0.7  # until then the spectral losses alone move fastest
RATE = 1e-3
# A weak pull towards a standard normal keeps the latent frames in a range that a prior can learn.
KL_WEIGHT = 0.02
FFT_SIZES = (512, 1024, 2048)


def spectral_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Compare two waveforms [batch, samples] at several resolutions: logs everywhere, magnitudes where it is loud."""
    terms = []
    for size in FFT_SIZES:
        first, second = (spectrogram(wav, size, size // 4) for wav in (real, generated))
        logs = functional.l1_loss((second + 1e-3).log(), (first + 1e-3).log())
        loud = (second - first).square().sum().sqrt() / first.square().sum().sqrt().clamp_min(1e-3)
        terms.append(logs + loud)
    return torch.stack(terms).mean()


def mel_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Compare two waveforms [batch, samples] by log mels at two resolutions."""
    terms = []
    for size, hop, bands in ((2048, 640, 128), (1024, 256, 80)):
        first, second = (log_mel(spectrogram(wav, size, hop), bands=bands) for wav in (real, generated))
        terms.append(functional.l1_loss(second, first))
    return torch.stack(terms).mean()


class Copier(nn.Module):
    """What this stage trains, as one module to save."""

    def __init__(self, s2: Synthesizer, judges: Discriminator) -> None:
        super().__init__()
        self.s2 = s2
        self.judges = judges


def train_sound(stage: Stage, s2: Synthesizer, judges: Discriminator, utterances: list[Utterance], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-sound-{stage.step}")  # noqa: S311 -- crops, not secrets
    segment = s2.config.segment_frames
    frames = segment + 2 * MARGIN
    usable = [utterance for utterance in utterances if utterance.frames >= max(frames, REFERENCE_FRAMES) + 4]
    parts = nn.ModuleList([s2.posterior_encoder, s2.timbre_encoder, s2.waveform_generator])
    optimizer = torch.optim.AdamW(parts.parameters(), lr=RATE, betas=(0.8, 0.99))
    judging = torch.optim.AdamW(judges.parameters(), lr=RATE / 2, betas=(0.8, 0.99))
    for _ in stage.steps([optimizer, judging]):
        batch = rng.choices(usable, k=BATCH)
        wav = torch.stack([_crop(utterance, frames, rng) for utterance in batch])
        reference = torch.stack([_crop(utterance, REFERENCE_FRAMES, rng) for utterance in batch])
        ge = s2.timbre(spectrogram(reference))
        mask = torch.ones(BATCH, 1, frames)
        spec = spectrogram(wav)
        z, mean, log_deviation = s2.posterior(spec, mask, ge.detach(), torch.randn(BATCH, s2.config.latent, frames))
        starts = torch.full((BATCH,), MARGIN)
        made = s2.waveform_generator(cut(z, starts, segment), ge)
        real = cut(wav[:, None], starts * HOP, segment * HOP)
        kl = 0.5 * (mean.square() + (2 * log_deviation).exp() - 2 * log_deviation - 1).sum(1).mean()
        mel, spectral = mel_loss(real[:, 0], made[:, 0]), spectral_loss(real[:, 0], made[:, 0])
        loss = 45 * mel + 10 * spectral + KL_WEIGHT * kl
        if stage.progress > JUDGED_FROM:
            judged = discriminator_loss(judges(real), judges(made.detach()))
            judging.zero_grad()
            judged.backward()  # type: ignore[no-untyped-call]
            judging.step()
            seen, heard = judges(real), judges(made)
            loss = loss + adversarial_loss(heard) + 2 * feature_loss(seen, heard)
            stage.log(judged=judged)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 50.0)
        optimizer.step()
        stage.log(mel=mel, spectral=spectral, kl=kl)


def _crop(utterance: Utterance, frames: int, rng: random.Random) -> Tensor:
    start = rng.randrange(utterance.frames - frames + 1)
    return floats(utterance.wav[start * HOP : (start + frames) * HOP])
