"""Voice activity detection: how much of a clip is speech, its span, and its signal-to-noise ratio."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from voice_trainer.recordings.audio import ANALYSIS_RATE, blocks
from voice_trainer.recordings.decoding import Samples

AGGRESSIVENESS = 2  # of WebRTC's detector: 0 lets most pass, 3 least
FRAME_SECONDS = 0.03
FRAME = int(ANALYSIS_RATE * FRAME_SECONDS)  # samples: one of the three lengths that the detector accepts
BLOCK = 2000 * FRAME  # samples: a minute of a file at a time
MARGIN_SECONDS = 0.15  # of silence kept around the speech, so that no onset is cut
NOISE_PERCENTILE = 10  # the quietest frames of a recording are its noise
SNR_LIMITS = (0.0, 80.0)  # dB; beyond these the estimate is meaningless


@dataclass(frozen=True)
class Speech:
    """Voice activity and signal-to-noise ratio of one clip."""

    voiced: NDArray[np.bool_]  # one per 30 ms frame
    snr_db: float

    @property
    def seconds(self) -> float:
        """Effective speech: the frames with a voice in them."""
        return float(self.voiced.sum()) * FRAME_SECONDS

    def span(self) -> tuple[float, float]:
        """Return where speech begins and ends, in seconds, with a margin; (0, 0) without any speech."""
        frames = np.flatnonzero(self.voiced)
        if not len(frames):
            return 0.0, 0.0
        begin = float(frames[0]) * FRAME_SECONDS - MARGIN_SECONDS
        return max(0.0, begin), float(frames[-1] + 1) * FRAME_SECONDS + MARGIN_SECONDS


def detect(samples: Samples) -> Speech:
    """Find the speech in 16 kHz samples; the level does not matter, the peak is brought to full scale first."""
    return _detect([samples], _peak(samples))


def detect_file(path: Path) -> Speech:
    """Find the speech in a mono file at 16 kHz, a block at a time: the same as ``detect`` finds."""
    peak = max(map(_peak, blocks(path, BLOCK)), default=0.0)
    return _detect(blocks(path, BLOCK), peak)


def _peak(samples: Samples) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _detect(parts: Iterable[Samples], peak: float) -> Speech:
    """Find the speech in parts of a recording; all but the last one are whole frames."""
    gain = np.float32(0.9 / peak if peak > 0 else 1.0)
    detector = webrtcvad.Vad(AGGRESSIVENESS)
    voiced: list[bool] = []
    powers = [np.zeros(0)]
    for samples in parts:
        frames = gain * samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
        pcm = (frames * 32767).astype("<i2")
        voiced += [detector.is_speech(frame.tobytes(), ANALYSIS_RATE) for frame in pcm]
        powers.append(np.square(frames, dtype=np.float64).mean(axis=1))
    return Speech(np.array(voiced, dtype=np.bool_), _snr(np.concatenate(powers), np.array(voiced, dtype=np.bool_)))


def _snr(powers: NDArray[np.float64], voiced: NDArray[np.bool_]) -> float:
    """Speech power over the power of the quietest tenth of frames, in dB."""
    if not voiced.any():
        return SNR_LIMITS[0]
    noise = float(np.percentile(powers, NOISE_PERCENTILE))
    speech = float(powers[voiced].mean())
    ratio = max(speech - noise, 1e-12) / max(noise, 1e-12)
    return float(np.clip(10.0 * np.log10(ratio), *SNR_LIMITS))
