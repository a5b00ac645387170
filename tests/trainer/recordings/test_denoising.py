"""Denoising: the official model, no shift, no change of level, less noise, and clean speech as it was."""

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from voice_trainer.errors import Transient
from voice_trainer.evaluation.scores import compare
from voice_trainer.recordings import models
from voice_trainer.recordings.audio import resample
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.denoising import RATE, Denoiser
from voice_trainer.recordings.dnsmos import Rater
from voice_trainer.recordings.loudness import rms_dbfs
from voice_trainer.recordings.vad import detect


@pytest.fixture(scope="module")
def clean(recorded: dict[str, list[Samples]]) -> Samples:
    return resample(recorded["ljspeech"][0], 16_000, RATE)


@pytest.fixture(scope="module")
def noisy(clean: Samples) -> Samples:
    noise = np.random.default_rng(0).standard_normal(len(clean)).astype(np.float32)
    return clean + noise * np.float32(10 ** ((rms_dbfs(clean) - 5) / 20))


@pytest.mark.parametrize("cut", [0, 1, 479, 480, 481])
def test_as_many_samples_come_out_as_went_in(clean: Samples, cut: int) -> None:
    clip = clean[: RATE + cut]
    assert len(Denoiser().denoise(clip)) == len(clip)


def test_speech_is_neither_shifted_nor_louder(clean: Samples) -> None:
    result = Denoiser().denoise(clean)
    lags = signal.correlation_lags(len(result), len(clean))
    assert lags[np.argmax(signal.correlate(result, clean, method="fft"))] == 0
    assert rms_dbfs(result) == pytest.approx(rms_dbfs(clean), abs=0.5)
    last = slice(-RATE // 2, None)
    assert rms_dbfs(result[last]) == pytest.approx(rms_dbfs(clean[last]), abs=3.0), "the end is there too"


def test_noise_goes_and_listeners_would_rate_it_better(clean: Samples, noisy: Samples) -> None:
    was, result = (resample(one, RATE, 16_000) for one in (noisy, Denoiser().denoise(noisy)))
    rater = Rater()
    assert detect(result).snr_db > detect(was).snr_db + 15
    assert rater.rate(result).overall > rater.rate(was).overall + 0.5
    reference = resample(clean, RATE, 16_000)
    before, after = compare(reference, was), compare(reference, result)
    assert before.pesq is not None
    assert after.pesq is not None
    assert after.pesq > before.pesq + 0.3


def test_a_model_of_another_content_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "a_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "weights").write_bytes(b"other weights")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Transient, match=r"has the SHA-256 .* expected 0000") as raised:
        models.verified(models.ModelFile("a_package", "weights", "0" * 64))
    assert raised.value.reason == "ModelChanged"
    with pytest.raises(Transient, match="is not installed"):
        models.verified(models.ModelFile("no_such_package", "weights", "0" * 64))
