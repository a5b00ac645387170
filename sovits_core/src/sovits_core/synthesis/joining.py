"""Joins versions of one wave, each decoded from more tokens than the one before, without a seam; NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from sovits_core.errors import InvalidModelInput

Samples: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Overlap:
    """How two versions are joined, in latent frames of 20 ms unless noted (as SOLA)."""

    lookahead: int = 8
    """The newest frames wait for the tokens after them, since the encoder is not causal."""
    cross_fade: int = 2
    """Over how many of them the older version of the samples is cross-faded to the newer one."""
    search: int = 160
    """Samples by which the newer version may be moved either way to be in phase with the older."""

    def __post_init__(self) -> None:
        if not 1 <= self.cross_fade <= self.lookahead:
            raise InvalidModelInput(
                f"cross_fade={self.cross_fade} must be 1 to lookahead={self.lookahead}: only held frames can be faded"
            )
        if self.search < 0:
            raise InvalidModelInput(f"search={self.search} must be 0 or above")


class Joiner:
    """Gives away the samples that can no longer change, and keeps what the next version is faded from."""

    def __init__(self, hop: int, overlap: Overlap) -> None:
        """`hop`: samples of a latent frame."""
        self.done = 0
        """Frames whose samples have been given away."""
        self._hop, self._overlap = hop, overlap
        self._tail: Samples | None = None  # (cross_fade * hop): the older version of the samples after those

    def needed(self, until: int, frames: int) -> tuple[int, int]:
        """Return the first and the last frame (exclusive) that `advance` looks at, of so many frames."""
        margin = -(-self._overlap.search // self._hop)  # frames in which the newer version may be moved
        return max(0, self.done - margin), min(frames, until + self._overlap.cross_fade + margin)

    def ready(self, frames: int) -> int:
        """Return how many of so many frames no longer change when more tokens come."""
        return frames - self._overlap.lookahead

    def advance(self, wav: Samples, first: int, until: int) -> Samples:
        """Return the samples (m) of the frames from where we are until there.

        wav: the newer version, from the frame `first` on; as many frames as `needed` tells.
        """
        if until <= self.done:
            return np.zeros(0, dtype=np.float32)
        search, fade = self._overlap.search, self._overlap.cross_fade
        # silence where the window ends with the utterance, so that it can be moved there as well
        wav = np.pad(wav, (search, search))
        start = (self.done - first) * self._hop + search
        if self._tail is not None:
            start += best_shift(self._tail, wav, start, search)
        fresh = wav[start : start + (until - self.done + fade) * self._hop]
        if self._tail is not None:
            fresh = cross_fade(self._tail, fresh)
        ready = (until - self.done) * self._hop
        self._tail, self.done = fresh[ready:], until
        return fresh[:ready]


# Roucos and Wilgus 1985, High quality time-scale modification for speech (SOLA), doi:10.1109/ICASSP.1985.1168381
def best_shift(older: Samples, newer: Samples, start: int, search: int) -> int:
    """Return the shift in samples, at most `search` either way, of the highest correlation with the older signal.

    older: (n), newer: (m) with `start - search >= 0`; of equals the smallest shift wins, and none where one is silent.
    """
    window = newer[start - search : start + search + len(older)]
    if len(window) < len(older) + 2 * search or not older.any():
        return 0
    windows = sliding_window_view(window, len(older))  # (2 search + 1, n)
    similarity = windows @ older / np.sqrt(np.maximum(np.square(windows).sum(axis=1), 1e-8))
    shifts = np.arange(-search, search + 1)
    # rounding must not move signals that are the same
    ties = shifts[similarity >= similarity.max() - 1e-4 * np.abs(similarity).max()]
    return int(ties[np.abs(ties).argmin()])


def cross_fade(older: Samples, newer: Samples) -> Samples:
    """Return the newer signal, cross-faded from the older; the weights sum to one, as both are in phase.

    older: (n), newer: (m) with m >= n -> (m).
    """
    size = len(older)
    weight = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, size + 1, dtype=np.float32) / (size + 1))
    return np.concatenate([older + weight * (newer[:size] - older), newer[size:]])
