"""Utterances cut at their pauses, since readers go on for longer than a small network learns from at once; excerpts."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

from torch import Tensor

from sovits_core.text.phones import SILENCE, sound_indices
from tiny_base.acoustics import HOP, Acoustics
from tiny_base.batches import Spoken
from tiny_base.codes import CODE_SECONDS, FRAME_SECONDS, half_of_code
from tiny_base.data import Utterance

LONGEST = 5.5  # seconds, where the pauses allow it
SHORTEST_PAUSE = 3  # tokens
EXCERPT = (25, 70)  # tokens of an excerpt, the fewest and the most
CODE_FRAMES = round(CODE_SECONDS / FRAME_SECONDS)


def cut(row: Spoken) -> list[Spoken]:
    """Cut an utterance with phone times into as few pieces as may be, in the middle of pauses.

    What lies between two pauses stays whole, however long it is.
    """
    size, most = len(row.codes), round(LONGEST / CODE_SECONDS)
    silent = half_of_code()[row.codes] == 0
    edges = [0]
    last = 0  # the latest place where it could be cut
    for place in [*_middles_of_pauses(silent), size]:
        if place - edges[-1] > most and last > edges[-1]:
            edges.append(last)
        last = place
    edges.append(size)
    return [_piece(row, start, end) for start, end in pairwise(edges) if not bool(silent[start:end].all())]


def excerpt(row: Spoken, rng: random.Random) -> Spoken:
    """Some phones in a row of an utterance that is longer: what lies around them cannot be learnt by heart."""
    size = rng.randint(*EXCERPT)
    if len(row.codes) <= size:
        return row
    changes = (row.place[1:] != row.place[:-1]).nonzero()[:, 0] + 1
    edges = [0, *changes.tolist(), len(row.codes)]
    start = rng.choice([edge for edge in edges if edge <= len(row.codes) - size])
    end = max(edge for edge in edges if edge <= start + size)
    silent = half_of_code()[row.codes[start:end]] == 0
    return row if bool(silent.all()) else _piece(row, start, end)


def _middles_of_pauses(silent: Tensor) -> list[int]:
    """Tokens in the middle of long enough runs of silence, but those at the start and the end."""
    changes = [0, *((silent[1:] != silent[:-1]).nonzero()[:, 0] + 1).tolist(), len(silent)]
    return [
        (start + end) // 2
        for start, end in pairwise(changes)
        if bool(silent[start]) and end - start >= SHORTEST_PAUSE and start > 0 and end < len(silent)
    ]


def _piece(row: Spoken, start: int, end: int) -> Spoken:
    """The tokens from `start` to `end`, with their phones, times and sound; the text stays that of the whole."""
    if (start, end) == (0, len(row.codes)):
        return row
    whole = row.utterance
    begins, ends = start * CODE_SECONDS, end * CODE_SECONDS
    segments, first, behind = _within(whole, begins, ends)
    if start == 0:
        first = 0
    frames = slice(CODE_FRAMES * start, CODE_FRAMES * end)
    samples = slice(frames.start * HOP, frames.stop * HOP)
    found = whole.acoustics
    piece = replace(
        whole,
        clip=replace(
            whole.clip, id=f"{whole.clip.id}-{start}", seconds=(end - start) * CODE_SECONDS, segments=segments
        ),
        wav=whole.wav[samples],
        wav16=whole.wav16[samples.start // 2 : samples.stop // 2],
        acoustics=Acoustics(found.envelope[frames], found.voiced[frames], found.pitch[frames]),
        phones=whole.phones[first:behind],
        phone_ids=whole.phone_ids[first:behind],
    )
    return Spoken(piece, row.codes[start:end], row.heard[start:end])


def _within(whole: Utterance, begins: float, ends: float) -> tuple[list[tuple[str, float]], int, int]:
    """The segments of a stretch of time, from its start on, and the range of their phones with the marks behind them.

    A phone belongs to the stretch that its middle lies in.
    """
    segments: list[tuple[str, float]] = []
    before, since = 0, 0.0  # spoken phones before the stretch
    for name, until in whole.clip.segments:
        middle = (since + until) / 2
        here = since < ends and until > begins if name == SILENCE else begins <= middle < ends
        if here:
            segments.append((name, min(until, ends) - begins))
        before += name != SILENCE and middle < begins
        since = until
    letters = sound_indices(whole.phones)
    behind = before + sum(name != SILENCE for name, _ in segments)
    return segments, letters[before], letters[behind] if behind < len(letters) else len(whole.phones)
