"""Stages "bands" and "sound": the waveform generator learns to sound latent frames as `pulses` does.

Half of the frames are measured in speech and half are the prior's, less certain: a generator that knows only measured
ones stumbles over those that it will be given. What it sounds has more contrast than its frames, since those that it
will be given are still a little flatter than speech.

First at 250 steps a second, by regression on sub-bands; then as a whole, with judges that compare it with its teacher.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.models import Discriminator, Synthesizer
from sovits_core.models.losses import adversarial_loss, discriminator_loss, feature_loss
from tiny_base.acoustics import BANDS, CHANCES, HOP, PITCH, audible
from tiny_base.pulses import CHANCE_DEVIATION, sound
from tiny_base.stage import Stage
from tiny_base.subbands import SUBBANDS, bands_seen, split

BATCH = 10
SEGMENT = 36  # frames
MARGIN = 6  # frames on both sides that are computed and not compared
RATE = 2e-3
CONTRAST = 1.2  # how much further from the average of speech an envelope is sounded than a frame says
FORMANT_BANDS = 38  # up to 5 kHz, which have more contrast; by the rest above a voice is known rather than understood
PITCH_SHIFT = 0.25  # in the latents' units: steps of 50 Hz must be learnt at every pitch
SMOOTHED = 0.3  # of the crops are smoothed, as a less certain prior's means are
PREDICTED = 0.5  # of the crops are the prior's
# Errors count relative to what sounds around them, raised to this: a quiet band is as much speech as a loud one.
LOOSELY, CLOSELY = 0.7, 0.85
CLOSELY_FROM = 0.65  # share of the budget: then the quiet between the harmonics counts more
AROUND = (5, 3)  # sub-bands and steps
INAUDIBLE = 5e-3  # root of a sub-band's power
HOP_STEPS = HOP // SUBBANDS
JUDGED = 24  # frames that judges hear at once
JUDGED_BATCH = 6
JUDGED_RATE = 2e-4
JUDGES_WEIGHT = 0.002  # beside errors of sub-bands, which tell everything: the judges only sharpen


@dataclass(frozen=True)
class Frames:
    """Latents without chance, each (CHANCE, frames), measured and as the prior predicts them."""

    measured: list[Tensor]
    predicted: list[Tensor]

    def of_more_than(self, count: int) -> Frames:
        """Leave out what has at most so many frames."""
        long = [[row for row in rows if row.shape[1] > count] for rows in (self.measured, self.predicted)]
        return Frames(*long)


def average_speech(latents: list[Tensor]) -> Tensor:
    """The average lower envelope (FORMANT_BANDS, 1) of what is audible in latents, each (CHANCE, frames)."""
    frames = torch.cat(latents, dim=1)
    return frames[:FORMANT_BANDS, audible(frames[None])[0]].mean(1, keepdim=True)


def contrasted(z: Tensor, average: Tensor) -> Tensor:
    """Latents (batch, LATENT, frames) with CONTRAST; `average` is that of `average_speech`."""
    return torch.cat([torch.lerp(average.to(z), z[:, :FORMANT_BANDS], CONTRAST), z[:, FORMANT_BANDS:]], dim=1)


def crops(latents: Frames, count: int, frames: int, rng: random.Random) -> Tensor:
    """Draw latents (count, LATENT, frames) from anywhere, at shifted pitches and partly smoothed, with fresh chance."""
    rows = []
    for _ in range(count):
        row = rng.choice(latents.predicted if rng.random() < PREDICTED else latents.measured)
        start = rng.randrange(row.shape[1] - frames + 1)
        piece = row[:, start : start + frames].clone()
        piece[PITCH] += rng.gauss(0, PITCH_SHIFT)
        if rng.random() < SMOOTHED:
            soft = functional.avg_pool1d(functional.pad(piece[None, :BANDS], (1, 1), mode="replicate"), 3, 1)[0]
            piece[:BANDS] = torch.lerp(piece[:BANDS], soft, rng.random())
        rows.append(piece)
    chance = CHANCE_DEVIATION * torch.randn(count, CHANCES, frames)
    return torch.cat([torch.stack(rows), chance], dim=1)


def band_loss(seen: Tensor, wanted: Tensor, relative: float) -> Tensor:
    """Squared error of sub-bands (batch, SUBBANDS, steps), relative to a power of how loud their neighbourhood is."""
    across, along = AROUND
    power = functional.avg_pool2d(
        wanted.square()[:, None], AROUND, 1, padding=(across // 2, along // 2), count_include_pad=False
    )[:, 0]
    scale = (power.sqrt() + INAUDIBLE).pow(-relative)
    return ((seen - wanted) * scale).square().mean()


def train_bands(stage: Stage, s2: Synthesizer, readout: nn.Conv1d, latents: Frames, seed: int) -> None:
    """Train the early stages and the readout until the stage's budget is used."""
    generator = s2.waveform_generator
    rng = random.Random(f"{seed}-bands-{stage.step}")  # noqa: S311 -- crops, not secrets
    frames = SEGMENT + 2 * MARGIN
    latents = latents.of_more_than(frames)
    average = average_speech(latents.measured)
    parts = nn.ModuleList([generator.input, *list(generator.stages)[:2], readout])
    optimizer = torch.optim.Adam(parts.parameters(), lr=RATE, betas=(0.9, 0.99))
    middle = slice(MARGIN * HOP_STEPS, (MARGIN + SEGMENT) * HOP_STEPS)
    device, count = stage.machine.device, BATCH * stage.machine.batches
    nobody = torch.zeros(count, s2.config.speaker_embedding, 1, device=device)
    for _ in stage.steps([optimizer]):
        z = crops(latents, count, frames, rng).to(device)
        wanted = split(sound(contrasted(z, average)))[:, :, middle]
        seen = bands_seen(generator, readout, z, nobody)[:, :, middle]
        loss = band_loss(seen, wanted, CLOSELY if stage.progress > CLOSELY_FROM else LOOSELY)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, kept=1 - (seen - wanted).square().sum() / wanted.square().sum())


def train_sound(stage: Stage, s2: Synthesizer, judges: Discriminator, latents: Frames, seed: int) -> None:
    """Train the whole generator, and judges that tell it from its teacher, until the stage's budget is used."""
    generator = s2.waveform_generator
    rng = random.Random(f"{seed}-sound-{stage.step}")  # noqa: S311 -- crops, not secrets
    frames = JUDGED + 2 * MARGIN
    latents = latents.of_more_than(frames)
    average = average_speech(latents.measured)
    optimizer = torch.optim.AdamW(generator.parameters(), lr=JUDGED_RATE, betas=(0.8, 0.99))
    judging = torch.optim.AdamW(judges.parameters(), lr=JUDGED_RATE, betas=(0.8, 0.99))
    middle = slice(MARGIN * HOP, (MARGIN + JUDGED) * HOP)
    device, count = stage.machine.device, JUDGED_BATCH * stage.machine.batches
    nobody = torch.zeros(count, s2.config.speaker_embedding, 1, device=device)
    for _ in stage.steps([optimizer, judging]):
        z = crops(latents, count, frames, rng).to(device)
        wanted = sound(contrasted(z, average)).tanh()
        made = generator(z, nobody)[:, 0]
        loss = band_loss(split(made), split(wanted), CLOSELY)
        real, copy = wanted[:, None, middle], made[:, None, middle]
        judged = discriminator_loss(judges(real), judges(copy.detach()))
        judging.zero_grad()
        judged.backward()  # type: ignore[no-untyped-call]
        judging.step()
        seen, heard = judges(real), judges(copy)
        copied = feature_loss(seen, heard)
        optimizer.zero_grad()
        (loss + JUDGES_WEIGHT * (adversarial_loss(heard) + 2 * copied)).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(generator.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, judged=judged, copied=copied)
