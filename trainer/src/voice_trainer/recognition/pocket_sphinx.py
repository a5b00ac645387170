"""pocketsphinx: the US English model in its wheel, with its dictionary and its trigrams; open vocabulary."""

from __future__ import annotations

from typing import Final

import numpy as np
import pocketsphinx

from voice_trainer.recognition.written import Written
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loudness import rms_dbfs

RATE: Final = 16_000  # Hz
LEVEL_DBFS: Final = -24.0  # RMS; one level for all


class PocketSphinx:
    """The decoder, loaded once; calls do not influence one another."""

    def __init__(self) -> None:
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")

    def write(self, samples: Samples) -> Written:
        """Return the words of (samples) at 16 kHz, in lower case."""
        if not samples.any():  # digital silence is not in the model's training data: it recognises words in it
            return Written("", 0.0)
        loud = samples * np.float32(10 ** ((LEVEL_DBFS - rms_dbfs(samples)) / 20))
        self._decoder.reinit_feat()  # resets the noise estimate
        self._decoder.start_utt()
        self._decoder.process_raw((np.clip(loud, -1.0, 1.0) * 32767).astype("<i2").tobytes(), full_utt=True)
        self._decoder.end_utt()
        found = self._decoder.hyp()
        return Written(str(found.hypstr) if found is not None else "", 0.0)
