"""The corpus: flite's speech with phone times, and reserved speakers."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tiny_base import corpus
from tiny_base.errors import TinyBaseError

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")


def test_a_missing_synthesiser_is_named_with_the_command_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TinyBaseError, match="apt-get install flite"):
        corpus.require_flite()


@needs_flite
def test_reserved_speakers_never_enter_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for speaker in ("1688", "2033", "2609"):
        wavs = tmp_path / "librispeech" / speaker / "wavs"
        wavs.mkdir(parents=True)
        soundfile.write(wavs / f"{speaker}-1.flac", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
        (wavs.parent / "metadata.csv").write_text(f"{speaker}-1|hello there\n")
    _, clips = corpus.build_corpus(2, 1, tmp_path)
    assert [clip.speaker for clip in clips if clip.speaker.startswith("librispeech")] == [
        "librispeech-1688",
        "librispeech-1688-0.92",
        "librispeech-1688-1.08",
    ]


@needs_flite
def test_synthetic_speech_comes_with_phone_times() -> None:
    wav, phone_times = corpus.synthesize(
        "Hello world.", corpus.Variation("slt", pitch=1.2, stretch=1.0, rate_factor=0.9)
    )
    names = [name for name, _ in phone_times if name != "SIL"]
    assert names == ["HH", "AH", "L", "OW", "W", "ER", "L", "D"]
    ends = [end for _, end in phone_times]
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(len(wav) / corpus.SAMPLE_RATE, abs=0.1)
