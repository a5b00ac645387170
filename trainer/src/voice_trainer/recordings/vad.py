"""Voice activity detection: how much of a clip is speech, its span, and its signal-to-noise ratio."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.decoding import Samples

AGGRESSIVENESS = 2  # of WebRTC's detector: 0 lets most pass, 3 least
FRAME_SECONDS = 0.03
FRAME = int(ANALYSIS_RATE * FRAME_SECONDS)  # samples: one of the three lengths that the detector accepts
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
    peak = float(np.abs(samples).max(initial=0.0))
    scaled = samples * (0.9 / peak) if peak > 0 else samples
    frames = scaled[: len(scaled) // FRAME * FRAME].reshape(-1, FRAME)
    detector = webrtcvad.Vad(AGGRESSIVENESS)
    pcm = (frames * 32767).astype("<i2")
    voiced = np.array([detector.is_speech(frame.tobytes(), ANALYSIS_RATE) for frame in pcm], dtype=np.bool_)
    return Speech(voiced, _snr(frames, voiced))


def _snr(frames: Samples, voiced: NDArray[np.bool_]) -> float:
    """Speech power over the power of the quietest tenth of frames, in dB."""
    if not voiced.any():
        return SNR_LIMITS[0]
    powers = np.square(frames, dtype=np.float64).mean(axis=1)
    noise = float(np.percentile(powers, NOISE_PERCENTILE))
    speech = float(powers[voiced].mean())
    ratio = max(speech - noise, 1e-12) / max(noise, 1e-12)
    return float(np.clip(10.0 * np.log10(ratio), *SNR_LIMITS))
