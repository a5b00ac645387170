"""Forced alignment of a recording with its phones, for bases whose semantic tokens stand for phones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bundle.strategies import PhoneTokens
from sovits_core.text.phones import SILENCE, sound_phones


def align_tokens(
    distances: Tensor, phones: Sequence[str], pauses: Sequence[bool], phone_tokens: PhoneTokens
) -> Tensor | None:
    """Return the nearest tokens, int64 (tokens), that follow the phones in their order.

    Args:
        distances: (tokens, codebook entries) from the encoder's output; only differences within a row count.
        phones: the front end's.
        pauses: for each phone that is a sound, whether silence may follow it.
        phone_tokens: of the base's `aligned` strategy.

    Returns:
        None where the phones do not fit: too many for so few tokens, or some that the base has no tokens for.
    """
    sounds = sound_phones(phones)
    if not all(phone in phone_tokens for phone in (*sounds, SILENCE)):
        return None
    states: list[Sequence[int]] = list(phone_tokens[SILENCE])
    optional = [True] * len(states)
    for phone, pause in zip(sounds, pauses, strict=True):
        following = [*phone_tokens[phone], *(phone_tokens[SILENCE] if pause else ())]
        states += following
        optional += [index > 0 for index in range(len(following))]
    nearest = [distances[:, list(tokens)].min(dim=1) for tokens in states]
    path = viterbi(-torch.stack([found.values for found in nearest], dim=1), optional)
    if path is None:
        return None
    return torch.tensor([states[state][int(nearest[state].indices[step])] for step, state in enumerate(path)])


def trim_silence(tokens: Tensor, phone_tokens: PhoneTokens) -> Tensor:
    """Return tokens, int64 (tokens), from the first that is no silence to the last; silence alone is kept.

    Args:
        tokens: int64 (tokens).
        phone_tokens: of the base's `aligned` strategy.
    """
    silent = torch.tensor([token for state in phone_tokens[SILENCE] for token in state])
    sounds = (~torch.isin(tokens, silent)).nonzero()[:, 0]
    return tokens[int(sounds[0]) : int(sounds[-1]) + 1] if len(sounds) else tokens


# Viterbi 1967, Error bounds for convolutional codes, IEEE Trans. Inf. Theory 13(2), doi:10.1109/TIT.1967.1054010
def viterbi(scores: Tensor, optional: Sequence[bool]) -> list[int] | None:
    """Return the state of each step on the path of the highest score through all states in order.

    Args:
        scores: (steps, states); a path's score is their sum.
        optional: for each state, whether it may be skipped.

    Returns:
        The indices of states, one per step, or None where the steps are too few for the states.
    """
    states = scores.shape[1]
    forbidden = [torch.zeros(states, dtype=torch.bool)]  # by how many states a move goes: where it may not end
    while not bool(forbidden[-1].all()):
        by = len(forbidden)
        forbidden.append(
            torch.tensor([state < by or not all(optional[state - by + 1 : state]) for state in range(states)])
        )
    required = [index for index, can in enumerate(optional) if not can]
    first, last = (required[0], required[-1]) if required else (states - 1, 0)
    best = torch.full((states,), -torch.inf, dtype=scores.dtype)
    best[: first + 1] = scores[0, : first + 1]
    origins = []
    for step in scores[1:]:
        reached = torch.stack(
            [
                functional.pad(best, (by, 0), value=-torch.inf)[:states].masked_fill(mask, -torch.inf)
                for by, mask in enumerate(forbidden)
            ]
        )
        best, origin = reached.max(0)
        best = best + step
        origins.append(origin)
    state = last + int(best[last:].argmax())
    if best[state] == -torch.inf:
        return None
    path = [state]
    for origin in reversed(origins):
        state -= int(origin[state])
        path.append(state)
    return path[::-1]
