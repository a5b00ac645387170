"""Voice activity: a file is judged a block at a time, and as its samples are."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from voice_trainer.recordings import audio, vad


@pytest.fixture(scope="module")
def speech(spoken_dataset: Path) -> np.ndarray:
    """Three clips at 16 kHz and some noise."""
    clips = [audio.read_mono(path)[0] for path in sorted((spoken_dataset / "wavs").iterdir())[:3]]
    found = np.concatenate(clips)
    return (found + 1e-3 * np.random.default_rng(0).standard_normal(len(found))).astype(np.float32)


@pytest.mark.parametrize("odd", [0, 17])
def test_a_file_of_several_blocks_is_judged_as_its_samples_are(
    speech: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: int
) -> None:
    samples = speech[: len(speech) // vad.FRAME * vad.FRAME + odd - vad.FRAME]
    soundfile.write(tmp_path / "talk.wav", samples, audio.ANALYSIS_RATE, "FLOAT")
    monkeypatch.setattr(vad, "BLOCK", 50 * vad.FRAME)
    one, other = vad.detect(samples), vad.detect_file(tmp_path / "talk.wav")
    assert len(samples) > 4 * vad.BLOCK
    assert 0 < one.seconds < len(samples) / audio.ANALYSIS_RATE
    assert np.array_equal(one.voiced, other.voiced)
    assert other.snr_db == pytest.approx(one.snr_db, abs=1e-9)


def test_nothing_has_no_speech(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros(0, np.float32), audio.ANALYSIS_RATE, "FLOAT")
    assert vad.detect_file(tmp_path / "empty.wav").span() == vad.detect(np.zeros(0, np.float32)).span() == (0.0, 0.0)
