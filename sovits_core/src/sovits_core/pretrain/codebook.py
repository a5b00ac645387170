"""The semantic codebook: the encoder's linear readings become the projection, k-means on them the codes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sovits_core.features import training_features
from sovits_core.models import Synthesizer
from sovits_core.pretrain.data import ENCODER_RATE, Utterance, floats
from sovits_core.pretrain.encoder import BANDS, CLASSES, PITCH, Encoder

ROUNDS = 25
# How much each reading counts in the distance between two frames, as shares of the whole variance: what is said first.
PHONE_SHARE, SOUND_SHARE, PITCH_SHARE = 0.55, 0.3, 0.15


@torch.no_grad()
def utterance_features(encoder: Encoder, utterances: list[Utterance]) -> list[Tensor]:
    """Return HuBERT features (1, hidden, frames) of whole utterances, prepared as for training a voice."""
    return [training_features(encoder.hubert, floats(utterance.wav16), ENCODER_RATE) for utterance in utterances]


@torch.no_grad()
def learn_codebook(encoder: Encoder, s2: Synthesizer, features: list[Tensor], seed: int) -> float:
    """Set the synthesizer's projection and codebook; return the share of the variance that the codes keep."""
    weight = encoder.read.weight  # (readings, hidden)
    sizes = [len(CLASSES), BANDS, PITCH]
    heard = torch.cat([feature[0].T for feature in features]) @ weight.T  # (frames, readings)
    blocks = []
    for block, values, share in zip(
        torch.split(weight, sizes),
        torch.split(heard, sizes, dim=1),
        (PHONE_SHARE, SOUND_SHARE, PITCH_SHARE),
        strict=True,
    ):
        blocks.append(block * (share / values.var(0).sum()).sqrt())
    reading = torch.cat(blocks)
    bias = s2.ssl_projection.bias
    assert bias is not None  # noqa: S101 -- the family's projection has one
    s2.ssl_projection.weight.zero_()
    nn.init.zeros_(bias)
    # One token is the mean of its two frames.
    s2.ssl_projection.weight[: len(reading)] = 0.5 * reading[:, :, None]
    points = torch.cat([s2.ssl_projection(feature)[0].T for feature in features])  # (tokens, ssl_dim)
    centres = _k_means(points, s2.config.codes, seed)
    s2.quantizer.set_vectors(centres)
    nearest = s2.quantizer.encode(points.T[None])[0]
    return 1 - float((points - centres[nearest]).square().sum() / (points - points.mean(0)).square().sum())


def _k_means(points: Tensor, count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = points[torch.randperm(len(points), generator=generator)[:count]].clone()
    for _ in range(ROUNDS):
        nearest = (centres.square().sum(1) - 2 * points @ centres.T).argmin(1)
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        centres = sums / sizes.clamp_min(1)[:, None]
        # A code that nothing is nearest to starts again somewhere else.
        empty = sizes == 0
        if bool(empty.any()):
            centres[empty] = points[torch.randint(len(points), (int(empty.sum()),), generator=generator)]
    return centres
