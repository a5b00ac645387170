"""Acoustic fingerprints: the same sound under two ids, whatever its level, its format or the silence around it.

Haitsma and Kalker 2002, A Highly Robust Audio Fingerprinting System: signs of differences of band energies.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from voice_trainer.recordings.decoding import Samples

Fingerprint = NDArray[np.int8]  # (frames, 32) of -1 and 1

RATE: Final = 16_000  # Hz
WINDOW: Final = 4096  # samples: 0.26 s
HOP: Final = 512  # samples: 32 ms
BANDS_HZ: Final = (300.0, 4000.0)
BITS: Final = 32
MIN_OVERLAP_SECONDS: Final = 1.5
MIN_OVERLAP_SHARE: Final = 0.6  # of the shorter clip
MIN_SHARED: Final = 3  # words that two clips must have in common to be compared
COMMON: Final = 20  # clips with a word that says nothing: that of silence, for one


def fingerprint(samples: Samples) -> Fingerprint:
    """Return the fingerprint of a clip at 16 kHz: 32 bits each 32 ms."""
    if len(samples) < WINDOW + HOP:
        return np.zeros((0, BITS), dtype=np.int8)
    frequencies, _, power = signal.spectrogram(samples, RATE, nperseg=WINDOW, noverlap=WINDOW - HOP, detrend=False)
    edges = np.geomspace(*BANDS_HZ, BITS + 2)
    band = np.searchsorted(edges, frequencies, side="right") - 1
    energy = np.stack([power[band == n].sum(axis=0) for n in range(BITS + 1)])  # (33, frames)
    difference = np.diff(np.diff(energy, axis=0), axis=1)  # (32, frames - 1)
    return np.ascontiguousarray(np.where(difference.T > 0, 1, -1), dtype=np.int8)


def same_sounds(prints: Sequence[Fingerprint], agreement: float) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of clips whose bits agree over most of the shorter one, and the share that does (0.5 by chance).

    Only clips that have some moments exactly alike are compared, so the time grows with their number, not its square.
    """
    for first, second in _candidates(prints):
        share = _agreement(prints[first], prints[second])
        if share >= agreement:
            yield first, second, share


def _candidates(prints: Sequence[Fingerprint]) -> list[tuple[int, int]]:
    """Return the pairs that share a few words of 32 bits, in order."""
    holders: dict[int, list[int]] = {}
    for clip, one in enumerate(prints):
        words = np.packbits(one > 0, axis=1).view(">u4").ravel()
        for word in np.unique(words).tolist():
            holders.setdefault(word, []).append(clip)
    shared = Counter(
        pair for clips in holders.values() if len(clips) <= COMMON for pair in itertools.combinations(clips, 2)
    )
    return sorted(pair for pair, count in shared.items() if count >= MIN_SHARED)


def _agreement(one: Fingerprint, other: Fingerprint) -> float:
    """Return the largest share of equal bits over all lags with enough overlap, by correlation; 0 without any."""
    size = 1 << (len(one) + len(other)).bit_length()
    first, second = (np.fft.rfft(bits.astype(np.float32), size, axis=0) for bits in (one, other))
    matches = np.fft.irfft((np.conj(first) * second).sum(axis=1), size) / BITS  # at lag n: frame k beside frame k + n
    lags = np.arange(1 - len(one), len(other))
    overlap = np.minimum(len(one), len(other) - lags) - np.maximum(0, -lags)
    enough = overlap >= max(MIN_OVERLAP_SECONDS * RATE / HOP, MIN_OVERLAP_SHARE * min(len(one), len(other)))
    return float((0.5 + 0.5 * matches[lags[enough]] / overlap[enough]).max(initial=0.0))
