"""The watermark's real networks on speech: it is found after each format, and not where there is none."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voice_inference.__main__ import main
from voice_inference.engine.encoding import open_encoder
from voice_inference.engine.watermark import MARKED, RATE, Watermark
from voice_inference.errors import InvalidSettings, SynthesisFailed

TEXT = "We took the last train home after the show, and it was late."


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """Float32 (samples,) at RATE."""
    path = tmp_path_factory.mktemp("speech") / "spoken.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", TEXT, "-o", str(path)], check=True, capture_output=True)
    command = ["ffmpeg", "-loglevel", "error", "-i", str(path), "-ar", str(RATE), "-ac", "1", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.float32)


def detect(path: Path, networks: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, Any]]:
    code = main(["detect", str(path), "--watermark", str(networks)])
    return code, json.loads(capsys.readouterr().out)


FORMS = [("wav", 1.0), ("flac", 1.0), ("mp3", 1.0), ("opus", 1.0), ("aac", 1.0), ("mp3", 1.15)]


@pytest.mark.parametrize("coded", FORMS, ids=lambda coded: f"{coded[0]} at {coded[1]}")
def test_the_mark_is_found_in_files_without_tags_and_not_where_there_is_none(
    networks: Path, speech: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str], coded: tuple[str, float]
) -> None:
    form, speed = coded
    marked = Watermark(networks).mark(speech, RATE)
    assert marked.shape == speech.shape
    assert marked.dtype == np.float32
    found = {}
    for name, samples in (("plain", speech), ("marked", marked)):
        path, encoder = tmp_path / f"{name}.{form}", open_encoder(form, RATE, speed=speed)
        path.write_bytes(encoder.feed(samples) + encoder.finish())
        found[name] = detect(path, networks, capsys)
    (plain_code, plain), (marked_code, marks) = found["plain"], found["marked"]
    assert (plain_code, plain["synthetic"], plain["watermark"] < MARKED) == (1, False, True)
    assert (marked_code, marks["synthetic"], marks["watermark"] > 0.8) == (0, True, True)


def test_the_mark_changes_little_and_silence_not_at_all(networks: Path, speech: np.ndarray) -> None:
    watermark = Watermark(networks)
    change = watermark.mark(speech, RATE) - speech
    assert 10 * np.log10(np.sum(speech**2) / np.sum(change**2)) > 12, "decibels below the speech"
    spectrum = np.abs(np.fft.rfft(change)) ** 2
    above = spectrum[np.fft.rfftfreq(change.size, 1 / RATE) > 2200].sum()
    assert above < 0.01 * spectrum.sum(), "it is below 2 kHz"
    silence = np.zeros(5000, dtype=np.float32)
    assert not watermark.mark(silence, RATE).any()
    for size in (1, 319, 2049):
        assert watermark.mark(speech[9000 : 9000 + size], RATE).size == size


def test_what_cannot_be_marked_is_refused(networks: Path, speech: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(SynthesisFailed, match="for 32000 Hz, and this base speaks at 24000 Hz"):
        Watermark(networks).mark(speech, 24_000)
    with pytest.raises(InvalidSettings, match=r"encoder.onnx cannot be loaded: .*make watermark"):
        Watermark(tmp_path)
