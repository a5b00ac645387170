"""pocketsphinx: open vocabulary, and nothing of one recording in the next."""

from pathlib import Path

import numpy as np

from voice_trainer.recognition.error_rates import compare_texts
from voice_trainer.recognition.pocket_sphinx import PocketSphinx
from voice_trainer.recordings import audio
from voice_trainer.recordings.audio import ANALYSIS_RATE


def test_speech_is_recognised_the_same_whatever_came_before(spoken_dataset: Path, transcripts: dict[str, str]) -> None:
    recogniser, (first, second) = PocketSphinx(), sorted(transcripts)[:2]

    def words(name: str) -> str:
        samples, rate = audio.read_mono(spoken_dataset / "wavs" / f"{name}.wav")
        return recogniser.write(audio.resample(samples, rate, ANALYSIS_RATE)).text

    alone = words(first)
    assert compare_texts(transcripts[first], alone, "en").character_rate < 0.5
    assert compare_texts(transcripts[second], alone, "en").character_rate > 0.5, "the text of another clip"
    words(second)
    assert words(first) == alone


def test_silence_has_no_words() -> None:
    assert PocketSphinx().write(np.zeros(16000, dtype=np.float32)).text == ""
