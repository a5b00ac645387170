"""Stages "prior" and "together": tokens, phones and timbre predict latent frames; then all of S2 trains at once."""

from __future__ import annotations

import random

import torch
from torch import Tensor, nn

from sovits_core.features import spectrogram
from sovits_core.losses import adversarial_loss, discriminator_loss, feature_loss, kl_loss
from sovits_core.models import Discriminator, Synthesizer, TrainingPass
from sovits_core.models.masks import length_mask
from sovits_core.models.synthesizer import cut
from sovits_core.pretrain.batches import Padded, Spoken, by_length, pad, similar
from sovits_core.pretrain.data import HOP, floats
from sovits_core.pretrain.sound import mel_loss, spectral_loss
from sovits_core.pretrain.stage import Stage

BATCH = 8
LONGEST = 8.0  # seconds
PRIOR_RATE = 1e-3
TOGETHER_RATE = 3e-4


def train_prior(stage: Stage, s2: Synthesizer, spoken: list[Spoken], seed: int) -> None:
    """Fit prior and flow to the frozen posterior: no sound is made, so a step costs little."""
    rng = random.Random(f"{seed}-prior-{stage.step}")  # noqa: S311 -- batches, not secrets
    rows = by_length([row for row in spoken if row.utterance.clip.seconds <= LONGEST])
    parts = nn.ModuleList([s2.content_encoder, s2.flow])
    optimizer = torch.optim.AdamW(parts.parameters(), lr=PRIOR_RATE, betas=(0.9, 0.98))
    s2.train()
    for _ in stage.steps([optimizer]):
        codes, text, wav = _batch(similar(rows, BATCH, rng))
        frames = 2 * codes.values.shape[1]
        with torch.no_grad():
            spec = spectrogram(wav.values)[:, :, :frames]
            mask = length_mask(2 * codes.lengths, frames)[:, None].float()
            ge = s2.timbre(spec, 2 * codes.lengths)
            noise = torch.randn(len(spec), s2.config.latent, frames)
            z_q, m_q, logs_q = s2.posterior(spec, mask, ge, noise)
        m_p, logs_p, _ = s2.prior(codes.values, text.values, ge, codes.lengths, text.lengths)
        z_p = s2.flow(z_q, mask, ge)
        unused = torch.zeros(0)
        loss = kl_loss(TrainingPass(unused, unused, mask, z_q, m_q, logs_q, z_p, m_p, logs_p))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 50.0)
        optimizer.step()
        stage.log(kl=loss)
    s2.eval()


def train_together(stage: Stage, s2: Synthesizer, judges: Discriminator, spoken: list[Spoken], seed: int) -> None:
    """Train the whole synthesizer and its judges, as a voice is fine-tuned later."""
    rng = random.Random(f"{seed}-together-{stage.step}")  # noqa: S311 -- batches, not secrets
    rows = by_length([row for row in spoken if row.utterance.clip.seconds <= LONGEST])
    optimizer = torch.optim.AdamW(s2.parameters(), lr=TOGETHER_RATE, betas=(0.8, 0.99))
    judging = torch.optim.AdamW(judges.parameters(), lr=TOGETHER_RATE, betas=(0.8, 0.99))
    segment = s2.config.segment_frames * HOP
    s2.train()
    for _ in stage.steps([optimizer, judging]):
        codes, text, wav = _batch(similar(rows, BATCH, rng))
        spec = spectrogram(wav.values)
        made = s2.training_pass(
            None,
            None,
            spec,
            2 * codes.lengths,
            text.values,
            text.lengths,
            codes=codes.values,
            code_lengths=codes.lengths,
        )
        real = cut(wav.values[:, None], made.starts * HOP, segment)
        judged = discriminator_loss(judges(real), judges(made.wav.detach()))
        judging.zero_grad()
        judged.backward()  # type: ignore[no-untyped-call]
        judging.step()
        heard = judges(made.wav)
        mel, spectral = mel_loss(real[:, 0], made.wav[:, 0]), spectral_loss(real[:, 0], made.wav[:, 0])
        kl = kl_loss(made)
        loss = 45 * mel + 10 * spectral + kl + adversarial_loss(heard) + 2 * feature_loss(judges(real), heard)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(s2.parameters(), 50.0)
        optimizer.step()
        stage.log(mel=mel, spectral=spectral, kl=kl, judged=judged)
    s2.eval()


def _batch(rows: list[Spoken]) -> tuple[Padded, Padded, Padded]:
    wavs: list[Tensor] = [floats(row.utterance.wav[: len(row.codes) * 2 * HOP]) for row in rows]
    return pad([row.codes for row in rows]), pad([row.utterance.phone_ids for row in rows]), pad(wavs)
