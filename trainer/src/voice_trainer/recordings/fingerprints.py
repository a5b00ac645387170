"""Acoustic fingerprints: the same sound under two ids, whatever its level, its format or the silence around it.

Haitsma and Kalker 2002, A Highly Robust Audio Fingerprinting System: signs of differences of band energies.
"""

from __future__ import annotations

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


def fingerprint(samples: Samples) -> Fingerprint:
    """Return the fingerprint of a clip at 16 kHz: 32 bits each 32 ms."""
    if len(samples) < WINDOW + HOP:
        return np.zeros((0, BITS), dtype=np.int8)
    frequencies, _, power = signal.spectrogram(samples, RATE, nperseg=WINDOW, noverlap=WINDOW - HOP, detrend=False)
    edges = np.geomspace(*BANDS_HZ, BITS + 2)
    band = np.searchsorted(edges, frequencies, side="right") - 1
    energy = np.stack([power[band == n].sum(axis=0) for n in range(BITS + 1)])  # (33, frames)
    difference = np.diff(np.diff(energy, axis=0), axis=1)  # (32, frames - 1)
    return np.where(difference.T > 0, 1, -1).astype(np.int8)


def same_sounds(prints: Sequence[Fingerprint], agreement: float) -> Iterator[tuple[int, int, float]]:
    """Yield pairs of clips whose bits agree over most of the shorter one, and the share that does (0.5 by chance).

    All lags are compared at once, by correlation.
    """
    longest = max((len(one) for one in prints), default=0)
    if not longest:
        return
    size = 1 << (2 * longest - 1).bit_length()
    spectra = [np.fft.rfft(one.astype(np.float32), size, axis=0).astype(np.complex64) for one in prints]
    for first in range(len(prints)):
        for second in range(first + 1, len(prints)):
            one, other = len(prints[first]), len(prints[second])
            if not one or not other:
                continue
            product = (np.conj(spectra[first]) * spectra[second]).sum(axis=1)
            matches = np.fft.irfft(product, size) / BITS  # at lag n: clip 1's frame k beside clip 2's frame k + n
            lags = np.concatenate([np.arange(other), np.arange(-one + 1, 0)])
            overlap = np.minimum(one, other - lags) - np.maximum(0, -lags)
            enough = overlap >= max(MIN_OVERLAP_SECONDS * RATE / HOP, MIN_OVERLAP_SHARE * min(one, other))
            if enough.any():
                shares = 0.5 + 0.5 * matches[lags[enough]] / overlap[enough]
                best = float(shares.max())
                if best >= agreement:
                    yield first, second, best
