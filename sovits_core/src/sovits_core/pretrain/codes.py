"""What a semantic token of the tiny base means: half a phone, and for voiced ones how high it is spoken.

The codebook is written, not learnt: the encoder reads every half phone and every pitch level off its last layer, and
the nearest code is the most likely pair. So a token is what was said, and nothing else.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.models import Synthesizer
from sovits_core.pretrain.acoustics import Acoustics
from sovits_core.pretrain.phones import CLASSES, SILENCE, VOICELESS

HALVES = (SILENCE, *(f"{phone}{half}" for phone in CLASSES[1:] for half in (1, 2)))
LEVELS = 3  # low, middle, high
LEVEL_STEP = 0.1  # in log pitch around the clip's median
READINGS = len(HALVES) + LEVELS
# Codes of voiced phones are longer vectors than others; scores this large make the difference not count.
SCORE_SCALE = 64.0
CODES: tuple[tuple[int, int | None], ...] = tuple(
    (half, level)
    for half, name in enumerate(HALVES)
    for level in ((None,) if name.rstrip("12") in VOICELESS else range(LEVELS))
)
"""(index in HALVES, level or None) of each code."""
CODE_SECONDS = 0.04
FIRST_CENTRE = 0.0225  # s: the middle of what the first two frames of HuBERT hear


def code_vectors() -> Tensor:
    """Each code as a sum over readings, float32 [codes, READINGS]: one half phone, and its level or all three alike."""
    vectors = torch.zeros(len(CODES), READINGS)
    for code, (half, level) in enumerate(CODES):
        vectors[code, half] = 1
        if level is not None:
            vectors[code, len(HALVES) + level] = 1
    return vectors


@torch.no_grad()
def write_codebook(s2: Synthesizer) -> None:
    """Set the codebook, padded to the width of HuBERT's features."""
    s2.quantizer.set_vectors(functional.pad(code_vectors(), (0, s2.config.ssl_dim - READINGS)))


@torch.no_grad()
def write_projection(s2: Synthesizer, read: Tensor) -> None:
    """Set the projection before the codebook, so that the nearest code is the one of the highest score.

    Args:
        s2: the synthesizer.
        read: the encoder's readings, (READINGS, hidden); a token is the mean of its two frames.
    """
    bias = s2.ssl_projection.bias
    assert bias is not None  # noqa: S101 -- the family's projection has one
    nn.init.zeros_(bias)
    s2.ssl_projection.weight.zero_()
    s2.ssl_projection.weight[:READINGS] = 0.5 * SCORE_SCALE * read[:, :, None]


def half_of_code() -> Tensor:
    """Index in HALVES of each code, int64 [codes]."""
    return torch.tensor([half for half, _ in CODES])


def phone_scores(readings: Tensor) -> Tensor:
    """Log probabilities of CLASSES (..., classes) from readings (..., READINGS), whatever half and level."""
    scores = (readings @ code_vectors().T).log_softmax(-1)
    classes = (half_of_code() + 1) // 2
    spread = scores.new_full((*scores.shape[:-1], len(CLASSES), len(CODES)), -torch.inf)
    mine = classes[None] == torch.arange(len(CLASSES))[:, None]
    return torch.where(mine, scores[..., None, :], spread).logsumexp(-1)


def code_labels(acoustics: Acoustics, segments: list[tuple[str, float]], count: int) -> Tensor:
    """The code that is right for each token, int64 [count], given which phone ends when (seconds)."""
    times = FIRST_CENTRE + CODE_SECONDS * torch.arange(count)
    ends = torch.tensor([end for _, end in segments])
    starts = functional.pad(ends[:-1], (1, 0))
    index = torch.searchsorted(ends, times).clamp(max=len(segments) - 1)
    late = times > (starts + ends)[index] / 2
    names = torch.tensor([CLASSES.index(name) for name, _ in segments])[index]
    half = torch.where(names == 0, 0, 2 * names - 1 + late)
    frames = (times / 0.02).floor().long().clamp(max=len(acoustics.pitch) - 1)
    away = acoustics.pitch[frames] - median_pitch(acoustics)
    level = 1 + (away > LEVEL_STEP).long() - (away < -LEVEL_STEP).long()
    table = torch.full((len(HALVES), LEVELS), -1)
    for code, (at, of) in enumerate(CODES):
        table[at, slice(None) if of is None else of] = code
    return table[half, level]


def median_pitch(acoustics: Acoustics) -> Tensor:
    """Log Hz in the middle of a clip's voiced frames."""
    return acoustics.pitch[acoustics.voiced].median() if bool(acoustics.voiced.any()) else acoustics.pitch.median()
