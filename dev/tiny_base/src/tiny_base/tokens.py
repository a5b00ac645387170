"""Semantic tokens of the tiny base: a sub-phone state, a pitch bin and an onset offset.

A token stands for two frames. Where a phone ends between them, the token is the next phone's with an onset offset of
one frame, so that tokens of 40 ms resolve onsets to 20 ms.

The codebook is constructed, not learnt: the encoder's linear head gives logits of every sub-phone state, pitch bin and
onset offset, and the nearest codebook vector is the most likely combination.
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

SUBPHONE_STATES = (SILENCE, *(f"{phone}{half}" for phone in CLASSES[1:] for half in (1, 2)))
PITCH_BINS = 3  # low, middle, high
PITCH_BIN_EDGE = 0.1  # in log pitch below and above the clip's median
ONSET_OFFSETS = 2  # the phone begins with the token's first or second frame
LOGITS = len(SUBPHONE_STATES) + PITCH_BINS + ONSET_OFFSETS
# Codebook vectors of voiced phones are longer than others; scores of this scale make the difference negligible.
SCORE_SCALE = 64.0


class Token(NamedTuple):
    """The factors of one token."""

    state: int  # index in SUBPHONE_STATES
    pitch_bin: int | None  # None for voiceless phones and silence
    onset_offset: bool | None  # None in second states, which have no onset


TOKENS = tuple(
    Token(state, pitch_bin, onset_offset)
    for state, name in enumerate(SUBPHONE_STATES)
    for pitch_bin in ((None,) if name.rstrip("12") in VOICELESS else range(PITCH_BINS))
    for onset_offset in ((None,) if name.endswith("2") else (False, True))
)
TOKEN_SECONDS = 0.04
FRAME_SECONDS = TOKEN_SECONDS / 2
FIRST_CENTRE = 0.0225  # s: centre of the receptive field of HuBERT's first two frames


def token_vectors() -> Tensor:
    """Each token as a sum of one-hot factors, float32 [tokens, LOGITS]; a factor that is None adds nothing."""
    vectors = torch.zeros(len(TOKENS), LOGITS)
    for index, token in enumerate(TOKENS):
        vectors[index, token.state] = 1
        if token.pitch_bin is not None:
            vectors[index, len(SUBPHONE_STATES) + token.pitch_bin] = 1
        if token.onset_offset is not None:
            vectors[index, len(SUBPHONE_STATES) + PITCH_BINS + token.onset_offset] = 1
    return vectors


@torch.no_grad()
def write_codebook(s2: Synthesizer) -> None:
    """Set the codebook, padded to the width of HuBERT's features."""
    s2.quantizer.set_vectors(functional.pad(token_vectors(), (0, s2.config.ssl_dim - LOGITS)))


@torch.no_grad()
def write_projection(s2: Synthesizer, head: Tensor) -> None:
    """Set the projection before the codebook, so that the nearest vector is that of the token with the highest score.

    Args:
        s2: the synthesizer.
        head: weights of the encoder's linear head, (LOGITS, hidden); a token's logits are the mean of its two frames'.
    """
    bias = s2.ssl_projection.bias
    assert bias is not None  # noqa: S101 -- the family's projection has one
    nn.init.zeros_(bias)
    s2.ssl_projection.weight.zero_()
    s2.ssl_projection.weight[:LOGITS] = 0.5 * SCORE_SCALE * head[:, :, None]


@torch.no_grad()
def read_projection(s2: Synthesizer, head: Tensor) -> None:
    """Invert `write_projection`: set the encoder's head (LOGITS, hidden) in place."""
    head.copy_(s2.ssl_projection.weight[:LOGITS].mean(2) / (0.5 * SCORE_SCALE))


def state_of_token() -> Tensor:
    """Index in SUBPHONE_STATES of each token, int64 [tokens]."""
    return torch.tensor([token.state for token in TOKENS])


def phone_tokens() -> PhoneTokens:
    """Tokens of each phone class, first states apart from second ones, as base.json declares them for alignment."""
    states = state_of_token()

    def tokens(state: int) -> tuple[int, ...]:
        return tuple((states == state).nonzero()[:, 0].tolist())

    spoken = {name: (tokens(2 * index - 1), tokens(2 * index)) for index, name in enumerate(CLASSES) if name != SILENCE}
    return {SILENCE: (tokens(0),), **spoken}


def phone_scores(logits: Tensor) -> Tensor:
    """Log probabilities of CLASSES (..., classes) from logits (..., LOGITS), marginalised over all other factors."""
    scores = (logits @ token_vectors().T).log_softmax(-1)
    classes = (state_of_token() + 1) // 2
    spread = scores.new_full((*scores.shape[:-1], len(CLASSES), len(TOKENS)), -torch.inf)
    members = classes[None] == torch.arange(len(CLASSES))[:, None]
    return torch.where(members, scores[..., None, :], spread).logsumexp(-1)


def token_labels(acoustics: Acoustics, phone_times: list[tuple[str, float]], count: int) -> Tensor:
    """The aligned tokens of an utterance, int64 [count], given each phone and its end (seconds)."""
    times = token_centres(count)
    ends = torch.tensor([end for _, end in phone_times])
    starts = functional.pad(ends[:-1], (1, 0))
    phone, onset_offset = phone_of_token(ends, times)
    names = torch.tensor([CLASSES.index(name) for name, _ in phone_times])[phone]
    continues = functional.pad(phone[1:] == phone[:-1], (1, 0))  # a phone's first token is always its first state
    second = continues & (times > (starts + ends)[phone] / 2)
    state = torch.where(names == 0, 0, 2 * names - 1 + second)
    frames = (times / FRAME_SECONDS).floor().long().clamp(max=len(acoustics.pitch) - 1)
    deviation = acoustics.pitch[frames] - median_pitch(acoustics)
    pitch_bin = 1 + (deviation > PITCH_BIN_EDGE).long() - (deviation < -PITCH_BIN_EDGE).long()
    return _token_table()[state, pitch_bin, onset_offset.long()]


def token_centres(count: int) -> Tensor:
    """Centres of tokens, float32 [count], in seconds."""
    return FIRST_CENTRE + TOKEN_SECONDS * torch.arange(count)


def phone_of_token(ends: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """Index of each token's phone, int64 like `times`, and whether that phone begins with the second frame, bool.

    A phone so short that no token falls to it would be lost: it takes the token in which it ends, and the next phone
    begins one token later.
    """
    last = len(ends) - 1
    shift = FRAME_SECONDS / 2
    early, now = (torch.searchsorted(ends, middle).clamp(max=last) for middle in (times - shift, times + shift))
    phones, offsets = [], []
    previous = -1
    for first, second in zip(early.tolist(), now.tolist(), strict=True):
        too_short = first > previous and second > first
        previous = first if too_short else second
        phones.append(previous)
        offsets.append(second > first and not too_short)
    return torch.tensor(phones), torch.tensor(offsets)


def _token_table() -> Tensor:
    """Index of each token by its factors, int64 [SUBPHONE_STATES, PITCH_BINS, ONSET_OFFSETS]."""
    table = torch.full((len(SUBPHONE_STATES), PITCH_BINS, ONSET_OFFSETS), -1)
    for index, token in enumerate(TOKENS):
        bins = slice(None) if token.pitch_bin is None else token.pitch_bin
        table[token.state, bins, slice(None) if token.onset_offset is None else int(token.onset_offset)] = index
    return table


def median_pitch(acoustics: Acoustics) -> Tensor:
    """Median log Hz of a clip's voiced frames."""
    return acoustics.pitch[acoustics.voiced].median() if bool(acoustics.voiced.any()) else acoustics.pitch.median()
