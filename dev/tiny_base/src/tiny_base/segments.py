"""Segments of utterances: recordings split at pauses, as S1 is trained on short context only, and random crops."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import pairwise

from torch import Tensor

from sovits_core.text.phones import SILENCE, sound_indices
from tiny_base.acoustics import HOP, Acoustics
from tiny_base.batches import TokenizedUtterance
from tiny_base.data import Utterance
from tiny_base.tokens import FRAME_SECONDS, TOKEN_SECONDS, state_of_token

MAX_SECONDS = 5.5  # where the pauses allow it
MIN_PAUSE = 3  # tokens
CROP_TOKENS = (25, 70)  # of a crop, the fewest and the most
TOKEN_FRAMES = round(TOKEN_SECONDS / FRAME_SECONDS)


def split_at_pauses(row: TokenizedUtterance) -> list[TokenizedUtterance]:
    """Split an utterance with phone times into as few segments as possible, in the middle of pauses.

    Speech between two pauses stays whole, however long it is.
    """
    size, longest = len(row.aligned_tokens), round(MAX_SECONDS / TOKEN_SECONDS)
    silent = state_of_token()[row.aligned_tokens] == 0
    edges = [0]
    candidate = 0  # the latest pause passed
    for position in [*_pause_centres(silent), size]:
        if position - edges[-1] > longest and candidate > edges[-1]:
            edges.append(candidate)
        candidate = position
    edges.append(size)
    return [_segment(row, start, end) for start, end in pairwise(edges) if not bool(silent[start:end].all())]


def random_crop(row: TokenizedUtterance, rng: random.Random) -> TokenizedUtterance:
    """A random run of whole phones of a longer utterance, against overfitting to its context."""
    size = rng.randint(*CROP_TOKENS)
    if len(row.aligned_tokens) <= size:
        return row
    changes = (row.phone_index[1:] != row.phone_index[:-1]).nonzero()[:, 0] + 1
    edges = [0, *changes.tolist(), len(row.aligned_tokens)]
    start = rng.choice([edge for edge in edges if edge <= len(row.aligned_tokens) - size])
    end = max(edge for edge in edges if edge <= start + size)
    silent = state_of_token()[row.aligned_tokens[start:end]] == 0
    return row if bool(silent.all()) else _segment(row, start, end)


def _pause_centres(silent: Tensor) -> list[int]:
    """Tokens in the middle of long enough runs of silence, but those at the start and the end."""
    changes = [0, *((silent[1:] != silent[:-1]).nonzero()[:, 0] + 1).tolist(), len(silent)]
    return [
        (start + end) // 2
        for start, end in pairwise(changes)
        if bool(silent[start]) and end - start >= MIN_PAUSE and start > 0 and end < len(silent)
    ]


def _segment(row: TokenizedUtterance, start: int, end: int) -> TokenizedUtterance:
    """The tokens from `start` to `end`, with their phones, times and audio; the text stays that of the whole."""
    if (start, end) == (0, len(row.aligned_tokens)):
        return row
    whole = row.utterance
    start_seconds, end_seconds = start * TOKEN_SECONDS, end * TOKEN_SECONDS
    phone_times, first, stop = _within(whole, start_seconds, end_seconds)
    if start == 0:
        first = 0
    frames = slice(TOKEN_FRAMES * start, TOKEN_FRAMES * end)
    samples = slice(frames.start * HOP, frames.stop * HOP)
    acoustics = whole.acoustics
    segment = replace(
        whole,
        clip=replace(
            whole.clip, id=f"{whole.clip.id}-{start}", seconds=(end - start) * TOKEN_SECONDS, phone_times=phone_times
        ),
        wav=whole.wav[samples],
        wav16=whole.wav16[samples.start // 2 : samples.stop // 2],
        acoustics=Acoustics(acoustics.envelope[frames], acoustics.voiced[frames], acoustics.pitch[frames]),
        phones=whole.phones[first:stop],
        phone_ids=whole.phone_ids[first:stop],
    )
    return TokenizedUtterance(segment, row.aligned_tokens[start:end], row.encoder_tokens[start:end])


def _within(whole: Utterance, start: float, end: float) -> tuple[list[tuple[str, float]], int, int]:
    """Phone times within a stretch of time, relative to its start, and the range of its phones with following marks.

    A phone belongs to the stretch that contains its centre.
    """
    phone_times: list[tuple[str, float]] = []
    preceding, phone_start = 0, 0.0  # `preceding`: spoken phones before the stretch
    for name, phone_end in whole.clip.phone_times:
        centre = (phone_start + phone_end) / 2
        inside = phone_start < end and phone_end > start if name == SILENCE else start <= centre < end
        if inside:
            phone_times.append((name, min(phone_end, end) - start))
        preceding += name != SILENCE and centre < start
        phone_start = phone_end
    positions = sound_indices(whole.phones)
    stop = preceding + sum(name != SILENCE for name, _ in phone_times)
    return phone_times, positions[preceding], positions[stop] if stop < len(positions) else len(whole.phones)
