"""Stage "prior": tokens, phones and a timbre predict latent frames; the posterior hears them in a spectrogram."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from sovits_core.features.recording import spectrogram
from sovits_core.models import Synthesizer
from sovits_core.models.masks import length_mask
from tiny_base.acoustics import BANDS, CHANCE, CHANCES, HOP, LATENT, PITCH, VOICING, audible
from tiny_base.batches import Similar, Spoken, pad
from tiny_base.data import floats
from tiny_base.disguises import Disguise
from tiny_base.machine import Machine
from tiny_base.pieces import excerpt
from tiny_base.stage import Stage

BATCH = 6
LONGEST = 6.0  # seconds
RATE = 1.5e-3
RECORDED_SHARE = 0.45
HEARD_SHARE = 0.4  # of the batches learn from tokens as the encoder hears them, the others from right ones
EXCERPTS = 0.5  # of the rows are learnt without what was said around them
POSTERIOR_UNTIL = 0.35  # share of the budget: it has the sound to look at and learns in a third of the time
REFERENCE_FRAMES = 150  # three seconds of the speaker say whose voice it is
# A frame's meaning hardly varies, or the voice would be rough; its chance varies like the official noise.
LOG_DEVIATION = -3.0
SHAPE_WEIGHT = 5.0
SPREAD_WEIGHT = 0.1
# One channel each beside an envelope of many.
VOICING_WEIGHT, PITCH_WEIGHT = BANDS / 16, BANDS / 8


def wanted_frames(rows: Sequence[Spoken], frames: int) -> tuple[Tensor, Tensor]:
    """Latents (batch, LATENT, frames), chance as zeros, and their weights of the same shape."""
    latents, weights = torch.zeros(len(rows), LATENT, frames), torch.ones(len(rows), LATENT, frames)
    for index, row in enumerate(rows):
        count = 2 * len(row.codes)
        acoustics = row.utterance.acoustics
        latents[index, :CHANCE, :count] = acoustics.latents()[:, :count]
        weights[index, PITCH, :count] = PITCH_WEIGHT * acoustics.voiced[:count]
        weights[index, :, count:] = 0
    weights[:, VOICING] *= VOICING_WEIGHT
    return latents, weights


def frame_loss(found: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Squared error of frames (batch, LATENT, frames); in speech the shape of an envelope counts beside its level.

    Silence and speech lie further apart than one vowel and another, so that plain errors would leave all vowels alike.
    """
    error = found - wanted
    shape = error[:, :BANDS] - error[:, :BANDS].mean(1, keepdim=True)
    shapes = (shape.square() * weights[:, :BANDS] * audible(wanted)[:, None]).sum()
    return ((error.square() * weights).sum() + SHAPE_WEIGHT * shapes) / weights.sum()


def wanted_deviations() -> Tensor:
    """Log deviations [LATENT, 1] that posterior and prior declare."""
    return torch.tensor([LOG_DEVIATION] * CHANCE + [0.0] * CHANCES)[:, None]


def references(rows: Sequence[Spoken], similar: Similar, rng: random.Random, device: torch.device) -> Tensor:
    """Spectrograms (batch, bins, REFERENCE_FRAMES), on a device, of other clips of the same speakers."""
    pieces = []
    for row in rows:
        wav = floats(similar.another(row, rng).utterance.wav)
        size = REFERENCE_FRAMES * HOP
        wav = wav.repeat(-(-size // len(wav)))
        start = rng.randrange(len(wav) - size + 1)
        pieces.append(wav[start : start + size])
    return spectrogram(torch.stack(pieces).to(device))


@torch.no_grad()
def predicted_latents(s2: Synthesizer, spoken: list[Spoken], count: int, seed: int) -> list[Tensor]:
    """What the prior says of `count` utterances' right tokens, each (CHANCE, frames)."""
    rng = random.Random(f"{seed}-predicted")  # noqa: S311 -- a choice of clips, not secrets
    similar = Similar(spoken, LONGEST, RECORDED_SHARE)
    s2.eval()  # it may come from a file, where nothing has been trained in this process
    device = next(s2.parameters()).device
    found = []
    for _ in range(count):
        (row,) = similar.draw(1, rng)
        timbre = s2.speaker_embedding(references([row], similar, rng, device))
        codes, text = (pad([ids]).to(device) for ids in (row.codes, row.utterance.phone_ids))
        mean, _, _ = s2.prior(codes.values, text.values, timbre, codes.lengths, text.lengths)
        found.append(mean[0, :CHANCE].cpu())
    return found


@dataclass(frozen=True)
class Predicted:
    """A batch, what the prior says of it, and what it should say; frames are (batch, LATENT, frames)."""

    rows: list[Spoken]
    codes: Tensor  # int64 [batch, tokens]
    timbre: Tensor  # (batch, timbre, 1)
    mean: Tensor
    wanted: Tensor
    weights: Tensor
    mask: Tensor  # (batch, 1, frames)
    disguise: Disguise
    spread: Tensor  # how far the declared deviations are from the wanted ones

    def without_gradient(self) -> Predicted:
        """The same, for what is not to change the prior."""
        return replace(self, mean=self.mean.detach(), timbre=self.timbre.detach())


def predict(s2: Synthesizer, similar: Similar, rng: random.Random, machine: Machine, *, heard: bool) -> Predicted:
    """Draw a batch and predict its frames, from right tokens or as the encoder hears them."""
    whole = similar.draw(BATCH * machine.batches, rng)
    rows = [excerpt(row, rng) if rng.random() < EXCERPTS else row for row in whole]
    codes = pad([row.heard if heard else row.codes for row in rows]).to(machine.device)
    text = pad([row.utterance.phone_ids for row in rows]).to(machine.device)
    frames = 2 * codes.values.shape[1]
    mask = length_mask(2 * codes.lengths, frames)[:, None].float()
    disguise = Disguise.drawn(len(rows), machine.device)
    wanted, weights = (tensor.to(machine.device) for tensor in wanted_frames(rows, frames))
    wanted = disguise.of_frames(wanted)
    timbre = s2.speaker_embedding(disguise.of_spectra(references(whole, similar, rng, machine.device)))
    mean, deviation, _ = s2.prior(codes.values, text.values, timbre, codes.lengths, text.lengths)
    spread = ((deviation - wanted_deviations().to(deviation)).square() * mask).mean()
    return Predicted(rows, codes.values, timbre, mean, wanted, weights, mask, disguise, spread)


def train_prior(stage: Stage, s2: Synthesizer, spoken: list[Spoken], seed: int) -> None:
    """Train everything but the flow, which stays the identity, and the waveform generator."""
    rng = random.Random(f"{seed}-prior-{stage.step}")  # noqa: S311 -- batches, not secrets
    similar = Similar(spoken, LONGEST, RECORDED_SHARE)
    parts = nn.ModuleList([s2.content_encoder, s2.timbre_encoder, s2.timbre_for_content, s2.posterior_encoder])
    optimizer = torch.optim.AdamW(parts.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    s2.train()
    for _ in stage.steps([optimizer]):
        heard = rng.random() < HEARD_SHARE
        batch = predict(s2, similar, rng, stage.machine, heard=heard)
        said = frame_loss(batch.mean, batch.wanted, batch.weights)
        loss = said + SPREAD_WEIGHT * batch.spread
        if stage.progress < POSTERIOR_UNTIL:
            loss = loss + _posterior_loss(stage, s2, batch)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        stage.log(**{f"said-{'heard' if heard else 'right'}": said}, spread=batch.spread)
    s2.eval()


def _posterior_loss(stage: Stage, s2: Synthesizer, batch: Predicted) -> Tensor:
    """What the posterior hears in the batch's sound, held against what it should."""
    wav = pad([floats(row.utterance.wav[: len(row.codes) * 2 * HOP]) for row in batch.rows])
    spec = batch.disguise.of_spectra(spectrogram(wav.values.to(batch.mask.device)))[:, :, : batch.mask.shape[2]]
    _, mean, deviation = s2.posterior(spec, batch.mask, batch.timbre.detach(), torch.zeros_like(batch.mean))
    known = frame_loss(mean, batch.wanted, batch.weights)
    stage.log(posterior=known)
    return known + SPREAD_WEIGHT * ((deviation - wanted_deviations().to(deviation)).square() * batch.mask).mean()
