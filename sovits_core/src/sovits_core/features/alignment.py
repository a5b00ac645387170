"""Semantic codes of a recording whose words are known, for bases whose codes stand for phones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.bundle.base import PhoneCodes
from sovits_core.text.spoken import SILENCE, spoken_phones


def align_codes(
    distances: Tensor, phones: Sequence[str], pauses: Sequence[bool], codes_of: PhoneCodes
) -> Tensor | None:
    """Return the nearest codes, int64 [tokens], that say the phones in their order.

    Args:
        distances: (tokens, codes), of what is heard from each code; of a token only differences count.
        phones: the front end's.
        pauses: for each spoken phone, whether silence may follow it.
        codes_of: the base's `phoneCodes`.

    Returns:
        None where the phones do not fit: too many for so few tokens, or some that the base has no codes for.
    """
    spoken = spoken_phones(phones)
    if not all(phone in codes_of for phone in (*spoken, SILENCE)):
        return None
    states: list[Sequence[int]] = list(codes_of[SILENCE])
    optional = [True] * len(states)
    for phone, pause in zip(spoken, pauses, strict=True):
        parts = [*codes_of[phone], *(codes_of[SILENCE] if pause else ())]
        states += parts
        optional += [index > 0 for index in range(len(parts))]
    nearest = [distances[:, list(codes)].min(dim=1) for codes in states]
    path = best_path(-torch.stack([found.values for found in nearest], dim=1), optional)
    if path is None:
        return None
    return torch.tensor([states[state][int(nearest[state].indices[token])] for token, state in enumerate(path)])


def without_silence(codes: Tensor, codes_of: PhoneCodes) -> Tensor:
    """Return codes, int64 [tokens], from the first that is no silence to the last; silence alone as it is.

    Args:
        codes: int64 [tokens].
        codes_of: the base's `phoneCodes`.
    """
    silent = torch.tensor([code for part in codes_of[SILENCE] for code in part])
    spoken = (~torch.isin(codes, silent)).nonzero()[:, 0]
    return codes[int(spoken[0]) : int(spoken[-1]) + 1] if len(spoken) else codes


def best_path(scores: Tensor, optional: Sequence[bool]) -> list[int] | None:
    """Return in which state each step is, if all states are passed in order, or None where the steps are too few.

    Args:
        scores: (steps, states); the sum over the path is to be as large as may be.
        optional: for each state, whether it may be left out.
    """
    states = scores.shape[1]
    moves = [torch.zeros(states, dtype=torch.bool)]  # for each number of states at once: where that is forbidden
    while not bool(moves[-1].all()):
        by = len(moves)
        moves.append(torch.tensor([state < by or not all(optional[state - by + 1 : state]) for state in range(states)]))
    required = [index for index, can in enumerate(optional) if not can]
    first, last = (required[0], required[-1]) if required else (states - 1, 0)
    best = torch.full((states,), -torch.inf, dtype=scores.dtype)
    best[: first + 1] = scores[0, : first + 1]
    origins = []
    for step in scores[1:]:
        reached = torch.stack(
            [
                functional.pad(best, (by, 0), value=-torch.inf)[:states].masked_fill(forbidden, -torch.inf)
                for by, forbidden in enumerate(moves)
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
