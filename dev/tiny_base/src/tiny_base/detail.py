"""Stage "detail": judges of frames give the prior back the detail that means lack.

Least squares make a frame the mean of all that a speaker might say: flatter than speech over bands and, worse, over
time. Judges see a measured and a predicted envelope beside what is said and who says it, and the prior learns what
they tell them apart by. Their gradient is scaled to that of the error, so that neither drowns the other.
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
from tiny_base.acoustics import BANDS, audible
from tiny_base.batches import Similar, Spoken
from tiny_base.prior import LONGEST, RECORDED_SHARE, SPREAD_WEIGHT, Predicted, frame_loss, predict
from tiny_base.stage import Stage

RATE = 4e-4
JUDGE_RATE = 4e-4
HEARD_SHARE = 0.1  # a token that is wrong asks for detail that is wrong
JUDGED_ALONE = 150  # steps that a fresh judge learns before anything learns from it
JUDGEMENT = 1.0  # size of the judge's gradient, relative to that of the error
FEATURES_WEIGHT = 2.0
# (in, out, kernel, stride) over (bands, frames); the first keeps time, of which details matter most
LAYERS = ((3, 24, 5, (2, 1)), (24, 32, 5, (2, 2)), (32, 48, 3, (2, 2)), (48, 48, 3, (1, 1)))
SLOPE = 0.2
MEANING = 64  # channels of a token and a timbre together


class FrameJudge(nn.Module):
    """Tells measured envelopes from predicted ones, patch by patch."""

    def __init__(self, codes: int, timbre: int) -> None:
        super().__init__()
        self.token = nn.Embedding(codes, MEANING)
        self.speaker = nn.Linear(timbre, MEANING)
        self.beside = nn.Linear(MEANING, (LAYERS[0][0] - 1) * BANDS)
        self.layers = nn.ModuleList(
            nn.Conv2d(heard, made, kernel, stride, kernel // 2) for heard, made, kernel, stride in LAYERS
        )
        self.last = nn.Conv2d(LAYERS[-1][1], 1, 3, padding=1)

    def forward(self, frames: Tensor, said: Predicted) -> DiscriminatorOutput:
        """Judge frames (batch, channels, frames), measured or `said`'s; what nobody says counts as zeros."""
        meaning = self.token(said.codes).repeat_interleave(2, dim=1) + self.speaker(said.timbre.mT)
        beside = self.beside(functional.leaky_relu(meaning, SLOPE)).mT.unflatten(1, (-1, BANDS))
        x = torch.cat([frames[:, None, :BANDS], beside], dim=1) * said.mask[:, None]
        features = []
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
            features.append(x)
        return self.last(x), features


def detail_kept(predicted: Tensor, wanted: Tensor) -> Tensor:
    """How far speech moves within 100 ms in predicted frames (batch, channels, frames), relative to measured ones."""

    def moved(frames: Tensor) -> Tensor:
        envelope = frames[:, :BANDS]
        quick = envelope - functional.avg_pool1d(envelope, 5, 1, 2, count_include_pad=False)
        return (quick.square() * audible(wanted)[:, None]).sum()

    return (moved(predicted) / moved(wanted)).sqrt()


def train_detail(stage: Stage, s2: Synthesizer, spoken: Sequence[Spoken], seed: int) -> None:
    """Train what predicts frames until the stage's budget is used; the posterior rests."""
    rng = random.Random(f"{seed}-detail-{stage.step}")  # noqa: S311 -- batches, not secrets
    similar = Similar(spoken, LONGEST, RECORDED_SHARE)
    parts = nn.ModuleList([s2.content_encoder, s2.timbre_encoder, s2.timbre_for_content])
    judge = FrameJudge(s2.config.codebook_size, s2.config.speaker_embedding).to(stage.machine.device)
    optimizer = torch.optim.AdamW(parts.parameters(), lr=RATE, betas=(0.8, 0.98), weight_decay=0.01)
    judging = torch.optim.AdamW(judge.parameters(), lr=JUDGE_RATE, betas=(0.5, 0.98), weight_decay=0.0)
    s2.train()
    for count, _ in enumerate(stage.steps([optimizer, judging])):
        said = predict(s2, similar, rng, stage.machine, heard=rng.random() < HEARD_SHARE)
        known = said.without_gradient()
        judged = discriminator_loss([judge(said.wanted, known)], [judge(known.mean, known)])
        judging.zero_grad()
        judged.backward()  # type: ignore[no-untyped-call]
        judging.step()
        stage.log(judged=judged)
        if count < JUDGED_ALONE:
            continue
        error = frame_loss(said.mean, said.wanted, said.weights)
        real, copy = judge(said.wanted, known), judge(said.mean, known)
        doubt = adversarial_loss([copy]) + FEATURES_WEIGHT * feature_loss([real], [copy])
        (downhill,) = torch.autograd.grad(error, said.mean, retain_graph=True)
        (sharper,) = torch.autograd.grad(doubt, said.mean, retain_graph=True)
        weight = JUDGEMENT * downhill.norm() / sharper.norm().clamp_min(1e-9)
        optimizer.zero_grad()
        torch.autograd.backward([said.mean, SPREAD_WEIGHT * said.spread], [downhill + weight * sharper, None])
        nn.utils.clip_grad_norm_(parts.parameters(), 1.0)
        optimizer.step()
        stage.log(error=error, spread=said.spread, detail=detail_kept(said.mean.detach(), said.wanted))
    s2.eval()
