"""Stage "prior": latents predicted from tokens, phones and a speaker embedding, and the posterior encoder.

Both are trained by regression on supervised latents instead of the variational bound of Kim et al. 2021, Conditional
Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech (VITS), arXiv:2106.06103.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sovits_core.features.recording import spectrogram
from sovits_core.models import Synthesizer
from sovits_core.models.masks import length_mask
from tiny_base.acoustics import BANDS, HOP, LATENT, NOISE_CHANNELS, PITCH, SUPERVISED_CHANNELS, VOICING, speech_mask
from tiny_base.batches import LengthBucketSampler, TokenizedUtterance, pad
from tiny_base.data import to_float
from tiny_base.machine import Machine
from tiny_base.segments import random_crop
from tiny_base.speaker_augmentation import SpeakerAugmentation
from tiny_base.stage import Stage

BATCH = 6
MAX_SECONDS = 6.0
RATE = 1.5e-3
RECORDED_PROB = 0.45  # of a batch
ENCODER_TOKENS_PROB = 0.4  # of a batch; the others use aligned tokens
CROP_PROB = 0.5  # of a row
POSTERIOR_UNTIL = 0.35  # share of the budget: its input determines its output, and it converges in a third of the time
REFERENCE_FRAMES = 150  # three seconds of the speaker
# Supervised channels have a small variance, or the voice would be rough; noise channels that of the official noise.
LOG_DEVIATION = -3.0
SHAPE_WEIGHT = 5.0
DEVIATION_WEIGHT = 0.1
# One channel each, against the many of the envelope.
VOICING_WEIGHT, PITCH_WEIGHT = BANDS / 16, BANDS / 8


def target_latents(rows: Sequence[TokenizedUtterance], frames: int) -> tuple[Tensor, Tensor]:
    """Latents (batch, LATENT, frames), with zeros in the noise channels, and their weights of the same shape."""
    latents, weights = torch.zeros(len(rows), LATENT, frames), torch.ones(len(rows), LATENT, frames)
    for index, row in enumerate(rows):
        count = 2 * len(row.aligned_tokens)
        acoustics = row.utterance.acoustics
        latents[index, :SUPERVISED_CHANNELS, :count] = acoustics.latents()[:, :count]
        weights[index, PITCH, :count] = PITCH_WEIGHT * acoustics.voiced[:count]
        weights[index, :, count:] = 0
    weights[:, VOICING] *= VOICING_WEIGHT
    return latents, weights


def latent_loss(latents: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Weighted squared error of latents (batch, LATENT, frames), with an extra term for the envelope's shape in speech.

    The distance between silence and speech exceeds that between vowels, so that the plain error alone would leave
    vowels indistinct.
    """
    error = latents - target
    shape = error[:, :BANDS] - error[:, :BANDS].mean(1, keepdim=True)
    shapes = (shape.square() * weights[:, :BANDS] * speech_mask(target)[:, None]).sum()
    return ((error.square() * weights).sum() + SHAPE_WEIGHT * shapes) / weights.sum()


def target_deviations() -> Tensor:
    """Log standard deviations [LATENT, 1] that posterior and prior are trained to predict."""
    return torch.tensor([LOG_DEVIATION] * SUPERVISED_CHANNELS + [0.0] * NOISE_CHANNELS)[:, None]


def reference_spectra(
    rows: Sequence[TokenizedUtterance], sampler: LengthBucketSampler, rng: random.Random, device: torch.device
) -> Tensor:
    """Spectrograms (batch, bins, REFERENCE_FRAMES), on a device, of other clips of the same speakers."""
    crops = []
    for row in rows:
        wav = to_float(sampler.same_speaker(row, rng).utterance.wav)
        size = REFERENCE_FRAMES * HOP
        wav = wav.repeat(-(-size // len(wav)))
        start = rng.randrange(len(wav) - size + 1)
        crops.append(wav[start : start + size])
    return spectrogram(torch.stack(crops).to(device))


@torch.no_grad()
def predicted_latents(s2: Synthesizer, rows: list[TokenizedUtterance], count: int, seed: int) -> list[Tensor]:
    """The prior's means for the aligned tokens of `count` utterances, each (SUPERVISED_CHANNELS, frames)."""
    rng = random.Random(f"{seed}-predicted")  # noqa: S311 -- a choice of clips, not secrets
    sampler = LengthBucketSampler(rows, MAX_SECONDS, RECORDED_PROB)
    s2.eval()  # it may come from a file, where nothing has been trained in this process
    device = next(s2.parameters()).device
    found = []
    for _ in range(count):
        (row,) = sampler.draw(1, rng)
        speaker_embedding = s2.speaker_embedding(reference_spectra([row], sampler, rng, device))
        tokens, text = (pad([ids]).to(device) for ids in (row.aligned_tokens, row.utterance.phone_ids))
        mean, _, _ = s2.prior(tokens.values, text.values, speaker_embedding, tokens.lengths, text.lengths)
        found.append(mean[0, :SUPERVISED_CHANNELS].cpu())
    return found


@dataclass(frozen=True)
class Prediction:
    """A batch, its predicted latents and its targets; latents are (batch, LATENT, frames)."""

    rows: list[TokenizedUtterance]
    tokens: Tensor  # int64 [batch, tokens]
    speaker_embedding: Tensor  # (batch, channels, 1)
    mean: Tensor
    target: Tensor
    weights: Tensor
    mask: Tensor  # (batch, 1, frames)
    augmentation: SpeakerAugmentation
    deviation_loss: Tensor  # squared error of the predicted log deviations

    def without_gradient(self) -> Prediction:
        """The same, detached from the prior."""
        return replace(self, mean=self.mean.detach(), speaker_embedding=self.speaker_embedding.detach())


def predict(
    s2: Synthesizer, sampler: LengthBucketSampler, rng: random.Random, machine: Machine, *, encoder_tokens: bool
) -> Prediction:
    """Draw a batch and predict its latents, from aligned tokens or from the encoder's."""
    whole = sampler.draw(BATCH * machine.batches, rng)
    rows = [random_crop(row, rng) if rng.random() < CROP_PROB else row for row in whole]
    tokens = pad([row.encoder_tokens if encoder_tokens else row.aligned_tokens for row in rows]).to(machine.device)
    text = pad([row.utterance.phone_ids for row in rows]).to(machine.device)
    frames = 2 * tokens.values.shape[1]
    mask = length_mask(2 * tokens.lengths, frames)[:, None].float()
    augmentation = SpeakerAugmentation.sample(len(rows), machine.device)
    target, weights = (tensor.to(machine.device) for tensor in target_latents(rows, frames))
    target = augmentation.apply_to_latents(target)
    spectra = reference_spectra(whole, sampler, rng, machine.device)
    speaker_embedding = s2.speaker_embedding(augmentation.apply_to_spectra(spectra))
    mean, deviation, _ = s2.prior(tokens.values, text.values, speaker_embedding, tokens.lengths, text.lengths)
    deviation_loss = ((deviation - target_deviations().to(deviation)).square() * mask).mean()
    return Prediction(rows, tokens.values, speaker_embedding, mean, target, weights, mask, augmentation, deviation_loss)


def train_prior(stage: Stage, s2: Synthesizer, rows: list[TokenizedUtterance], seed: int) -> None:
    """Train everything but the flow, which stays the identity, and the waveform generator."""
    rng = random.Random(f"{seed}-prior-{stage.step}")  # noqa: S311 -- batches, not secrets
    sampler = LengthBucketSampler(rows, MAX_SECONDS, RECORDED_PROB)
    parts = nn.ModuleList([s2.content_encoder, s2.timbre_encoder, s2.timbre_for_content, s2.posterior_encoder])
    optimizer = torch.optim.AdamW(parts.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    s2.train()
    for _ in stage.steps([optimizer]):
        encoder_tokens = rng.random() < ENCODER_TOKENS_PROB
        batch = predict(s2, sampler, rng, stage.machine, encoder_tokens=encoder_tokens)
        error = latent_loss(batch.mean, batch.target, batch.weights)
        loss = error + DEVIATION_WEIGHT * batch.deviation_loss
        if stage.progress < POSTERIOR_UNTIL:
            loss = loss + _posterior_loss(stage, s2, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        source = "encoder" if encoder_tokens else "aligned"
        stage.log(**{f"error-{source}-tokens": error}, deviation=batch.deviation_loss)
    s2.eval()


def _posterior_loss(stage: Stage, s2: Synthesizer, batch: Prediction) -> Tensor:
    """The error of the posterior's latents, from the batch's spectrograms."""
    wav = pad([to_float(row.utterance.wav[: len(row.aligned_tokens) * 2 * HOP]) for row in batch.rows])
    spec = spectrogram(wav.values.to(batch.mask.device))
    spec = batch.augmentation.apply_to_spectra(spec)[:, :, : batch.mask.shape[2]]
    noise = torch.zeros_like(batch.mean)
    _, mean, deviation = s2.posterior(spec, batch.mask, batch.speaker_embedding.detach(), noise)
    error = latent_loss(mean, batch.target, batch.weights)
    stage.log(posterior=error)
    return error + DEVIATION_WEIGHT * ((deviation - target_deviations().to(deviation)).square() * batch.mask).mean()
