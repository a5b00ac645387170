"""Recordings are decoded apart from the job, by their content, and never hold more than they may."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voice_trainer.errors import BadData, Transient
from voice_trainer.recordings import audio, decoding
from voice_trainer.recordings.decoding import Decoders, Undecodable, container_of

MIB = 1 << 20


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders() as decoders:
        yield decoders


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((16000 * 2, 2))


@pytest.mark.parametrize(
    ("written", "container"),
    [
        (("WAV", "PCM_16"), "wav"),
        (("WAV", "FLOAT"), "wav"),
        (("RF64", "PCM_24"), "wav"),
        (("FLAC", "PCM_24"), "flac"),
        (("OGG", "VORBIS"), "ogg"),
        (("OGG", "OPUS"), "ogg"),
        (("MP3", "MPEG_LAYER_III"), "mp3"),
    ],
)
def test_samples_are_those_that_libsndfile_reads_whatever_the_file_is_called(
    tmp_path: Path, decoders: Decoders, noise: np.ndarray, written: tuple[str, str], container: str
) -> None:
    path, (form, subtype) = tmp_path / "clip.wav", written
    soundfile.write(path, noise, 48000 if subtype == "OPUS" else 16000, format=form, subtype=subtype)
    with soundfile.SoundFile(path) as source:
        rate = source.samplerate
        expected = source.read(rate * 70, dtype="float32", always_2d=True)
    samples, decoded_rate = audio.decode(path, decoders)
    assert container_of(path) == container
    assert decoded_rate == rate
    assert samples.dtype == np.float32
    assert np.array_equal(samples, expected.mean(axis=1))


@pytest.mark.parametrize("form", ["AIFF", "AU", "CAF", "W64", "VOC", "PVF", "NIST", "PAF", "AVR", "IRCAM", "SVX"])
def test_other_formats_are_refused_by_their_content(
    tmp_path: Path, decoders: Decoders, noise: np.ndarray, form: str
) -> None:
    path = tmp_path / "clip.wav"
    try:
        soundfile.write(path, noise[:, 0], 16000, format=form)
    except (soundfile.LibsndfileError, ValueError, TypeError):
        pytest.skip(f"this libsndfile writes no {form}")
    with pytest.raises(Undecodable, match="none of WAV, FLAC, Ogg and MP3"):
        audio.decode(path, decoders)


def test_a_tag_before_the_sound_is_no_format(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "clip"
    soundfile.write(path, noise, 16000, format="MP3")
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + path.read_bytes())
    assert container_of(path) == "mp3"
    soundfile.write(path, noise, 16000, format="FLAC")
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + path.read_bytes())
    assert container_of(path) == "flac"


MEASURE = """
import json, resource, sys
from pathlib import Path
from voice_trainer.recordings import audio
from voice_trainer.recordings.decoding import Decoders

def peak():  # not ru_maxrss, which begins with that of the process that started this one
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

with Decoders() as decoders:
    audio.decode(Path(sys.argv[2]), decoders)
    before = peak()
    samples, rate = audio.decode(Path(sys.argv[1]), decoders)
    growth = peak() - before
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps([growth, child, len(samples) / rate]))
"""


def test_a_small_file_that_holds_hours_costs_little(tmp_path: Path) -> None:
    """234 KB of FLAC in eight channels used to become 851 MiB."""
    small, bomb = tmp_path / "small.flac", tmp_path / "bomb.flac"
    soundfile.write(small, np.zeros(16000), 16000)
    with soundfile.SoundFile(bomb, "w", 192_000, 8, format="FLAC") as file:
        for _ in range(120):
            file.write(np.zeros((192_000, 8), dtype=np.int16))
    assert bomb.stat().st_size < MIB
    done = subprocess.run([sys.executable, "-c", MEASURE, bomb, small], capture_output=True, text=True, check=True)
    growth, child, seconds = json.loads(done.stdout)
    assert seconds == decoding.DECODED_SECONDS, "more than a clip may have, so prepare refuses it"
    assert growth < 100 * MIB
    assert child < 200 * MIB


def test_a_decoder_that_dies_costs_one_recording(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise, 16000)
    with Decoders() as decoders:
        decoders.decode(path)
        (decoder,) = decoders._idle
        os.kill(decoder._process.pid, signal.SIGKILL)
        with pytest.raises(Undecodable, match="ended by SIGKILL"):
            decoders.decode(path)
        assert len(decoders.decode(path)[0]) == len(noise)


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise, 16000)
    with Decoders() as decoders:
        decoders.decode(path)
        (decoder,) = decoders._idle
        os.kill(decoder._process.pid, signal.SIGSTOP)
        monkeypatch.setattr(decoding, "BOUNDS", decoding.children.Bounds(wall_seconds=0.3))
        with pytest.raises(Undecodable, match="decoding took more than 0 s"):
            decoders.decode(path)
        assert not decoder.is_alive


def test_a_decoder_that_cannot_run_is_no_fault_of_the_recording(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise, 16000)
    monkeypatch.setattr(decoding.decoder_process, "__file__", "/nowhere/decoder_process.py")
    with Decoders() as decoders, pytest.raises(Transient, match=r"cannot run .*exit status 2"):
        decoders.decode(path)


def test_a_prepared_clip_is_bounded_too(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "clip.flac"
    soundfile.write(path, noise, 16000, format="FLAC")
    with pytest.raises(BadData, match="is no mono FLAC; remove"):
        audio.read_flac(path)
    audio.write_flac(path, noise[:, 0].astype(np.float32), 32000)
    assert len(audio.read_flac(path)) == len(noise)
