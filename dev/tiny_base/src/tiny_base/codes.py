"""What a semantic token of the tiny base means: half a phone, how high it is spoken, and whether it begins only now.

A token stands for two frames. Where a phone ends between them, the token is the next phone's and says that it starts
late, so that tokens of 40 ms tell beginnings to 20 ms.

The codebook is written, not learnt: the encoder reads every half phone, every pitch level and both starts off its last
layer, and the nearest code is the most likely combination. So a token is what was said, and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.strategies import PhoneTokens
from sovits_core.models import Synthesizer
from sovits_core.text.phones import SILENCE
from tiny_base.acoustics import Acoustics
from tiny_base.phones import CLASSES, VOICELESS

HALVES = (SILENCE, *(f"{phone}{half}" for phone in CLASSES[1:] for half in (1, 2)))
LEVELS = 3  # low, middle, high
LEVEL_STEP = 0.1  # in log pitch around the clip's median
STARTS = 2  # with its first frame, or late
READINGS = len(HALVES) + LEVELS + STARTS
# Codes of voiced phones are longer vectors than others; scores this large make the difference not count.
SCORE_SCALE = 64.0


class Code(NamedTuple):
    """One meaning of a token."""

    half: int  # index in HALVES
    level: int | None  # None where nothing is voiced
    late: bool | None  # None where nothing begins: in second halves


CODES = tuple(
    Code(half, level, late)
    for half, name in enumerate(HALVES)
    for level in ((None,) if name.rstrip("12") in VOICELESS else range(LEVELS))
    for late in ((None,) if name.endswith("2") else (False, True))
)
CODE_SECONDS = 0.04
FRAME_SECONDS = CODE_SECONDS / 2
FIRST_CENTRE = 0.0225  # s: the middle of what the first two frames of HuBERT hear


def code_vectors() -> Tensor:
    """Each code as a sum over readings, float32 [codes, READINGS]; what a code leaves open counts for nothing."""
    vectors = torch.zeros(len(CODES), READINGS)
    for index, code in enumerate(CODES):
        vectors[index, code.half] = 1
        if code.level is not None:
            vectors[index, len(HALVES) + code.level] = 1
        if code.late is not None:
            vectors[index, len(HALVES) + LEVELS + code.late] = 1
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


@torch.no_grad()
def read_projection(s2: Synthesizer, read: Tensor) -> None:
    """The inverse of `write_projection`: set the encoder's readings (READINGS, hidden) to what was written."""
    read.copy_(s2.ssl_projection.weight[:READINGS].mean(2) / (0.5 * SCORE_SCALE))


def half_of_code() -> Tensor:
    """Index in HALVES of each code, int64 [codes]."""
    return torch.tensor([code.half for code in CODES])


def phone_codes() -> PhoneTokens:
    """The codes of each class, first halves apart from second ones, as `alignment.align_codes` takes them."""
    halves = half_of_code()

    def codes(half: int) -> tuple[int, ...]:
        return tuple((halves == half).nonzero()[:, 0].tolist())

    spoken = {name: (codes(2 * index - 1), codes(2 * index)) for index, name in enumerate(CLASSES) if name != SILENCE}
    return {SILENCE: (codes(0),), **spoken}


def phone_scores(readings: Tensor) -> Tensor:
    """Log probabilities of CLASSES (..., classes) from readings (..., READINGS), whatever half, level and start."""
    scores = (readings @ code_vectors().T).log_softmax(-1)
    classes = (half_of_code() + 1) // 2
    spread = scores.new_full((*scores.shape[:-1], len(CLASSES), len(CODES)), -torch.inf)
    mine = classes[None] == torch.arange(len(CLASSES))[:, None]
    return torch.where(mine, scores[..., None, :], spread).logsumexp(-1)


def code_labels(acoustics: Acoustics, segments: list[tuple[str, float]], count: int) -> Tensor:
    """The code that is right for each token, int64 [count], given which phone ends when (seconds)."""
    times = token_centres(count)
    ends = torch.tensor([end for _, end in segments])
    starts = functional.pad(ends[:-1], (1, 0))
    spoken, late = shown_segments(ends, times)
    names = torch.tensor([CLASSES.index(name) for name, _ in segments])[spoken]
    goes_on = functional.pad(spoken[1:] == spoken[:-1], (1, 0))  # the first token of a phone shows that it begins
    second = goes_on & (times > (starts + ends)[spoken] / 2)
    half = torch.where(names == 0, 0, 2 * names - 1 + second)
    frames = (times / FRAME_SECONDS).floor().long().clamp(max=len(acoustics.pitch) - 1)
    away = acoustics.pitch[frames] - median_pitch(acoustics)
    level = 1 + (away > LEVEL_STEP).long() - (away < -LEVEL_STEP).long()
    return _code_table()[half, level, late.long()]


def token_centres(count: int) -> Tensor:
    """Middles of tokens, float32 [count], in seconds."""
    return FIRST_CENTRE + CODE_SECONDS * torch.arange(count)


def shown_segments(ends: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Which segment each token shows, int64 like `times`, and whether that one starts with its second frame, bool.

    A segment so short that its token is the next one's would be lost: it is shown, and the next one waits for a token.
    """
    last = len(ends) - 1
    shift = FRAME_SECONDS / 2
    early, now = (torch.searchsorted(ends, middle).clamp(max=last) for middle in (times - shift, times + shift))
    spoken, late = [], []
    before = -1
    for first, second in zip(early.tolist(), now.tolist(), strict=True):
        crowded = first > before and second > first
        before = first if crowded else second
        spoken.append(before)
        late.append(second > first and not crowded)
    return torch.tensor(spoken), torch.tensor(late)


def _code_table() -> Tensor:
    """Index of each code by half, level and start, int64 [HALVES, LEVELS, STARTS]."""
    table = torch.full((len(HALVES), LEVELS, STARTS), -1)
    for index, code in enumerate(CODES):
        levels = slice(None) if code.level is None else code.level
        table[code.half, levels, slice(None) if code.late is None else int(code.late)] = index
    return table


def median_pitch(acoustics: Acoustics) -> Tensor:
    """Log Hz in the middle of a clip's voiced frames."""
    return acoustics.pitch[acoustics.voiced].median() if bool(acoustics.voiced.any()) else acoustics.pitch.median()
