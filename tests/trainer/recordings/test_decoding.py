"""Recordings are decoded apart from the job, by their content, and never hold more than they may."""

import json
import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voice_trainer.errors import BadData, Transient
from voice_trainer.recordings import audio, decoding
from voice_trainer.recordings.containers import container_of, mend_wav
from voice_trainer.recordings.decoding import Decoders, Undecodable

MIB = 1 << 20


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders() as decoders:
        yield decoders


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((16000 * 2, 2))


@pytest.mark.parametrize(
    ("form", "subtype"),
    [
        ("WAV", "PCM_16"),
        ("WAV", "FLOAT"),
        ("RF64", "PCM_24"),
        ("FLAC", "PCM_24"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
def test_samples_are_those_that_libsndfile_reads_whatever_the_file_is_called(
    tmp_path: Path, decoders: Decoders, noise: np.ndarray, form: str, subtype: str
) -> None:
    path = tmp_path / "clip.txt"
    soundfile.write(path, noise, 48000 if subtype == "OPUS" else 16000, format=form, subtype=subtype)
    with soundfile.SoundFile(path) as source:
        rate = source.samplerate
        expected = source.read(rate * 70, dtype="float32", always_2d=True)
    decoded = decoders.to_mono(path, tmp_path / "mono.wav")
    samples, written_rate = audio.read_mono(decoded.path)
    assert decoded.rate == written_rate == rate
    assert decoded.mix == ""
    assert decoded.seconds == len(samples) / rate
    assert samples.dtype == np.float32
    assert np.array_equal(samples, expected.mean(axis=1))


def tone(left: float, right: float, noise: float = 0.0) -> np.ndarray:
    """Two seconds of one sound in two channels of different level, and noise of its own in each."""
    sound = np.sin(np.arange(32000) * 0.1) * np.hanning(32000)
    return np.stack([left * sound, right * sound], axis=1) + noise * np.random.default_rng(1).standard_normal(
        (32000, 2)
    )


@pytest.mark.parametrize(
    ("samples", "mix", "taken"),
    [
        pytest.param(tone(0.5, -0.5), "inverted", [0], id="inverted"),
        pytest.param(tone(-0.2, 0.5, 0.01), "inverted", [1], id="inverted and louder on the right"),
        pytest.param(tone(0.5, 0.0), "silent", [0], id="right silent"),
        pytest.param(tone(0.01, 0.5, 0.001), "silent", [1], id="left nearly silent"),
        pytest.param(tone(0.5, 0.3, 0.01), "", [0, 1], id="ordinary stereo"),
        pytest.param(tone(0.5, 0.1, 0.01), "noisy", [0], id="noise on the right"),
        pytest.param(tone(0.1, 0.5, 0.01), "noisy", [1], id="noise on the left"),
        pytest.param(tone(0.0, 0.0, 0.1), "", [0, 1], id="unrelated channels"),
        pytest.param(tone(0.0, 0.0), "", [0, 1], id="silence"),
        pytest.param(np.concatenate([tone(0.5, 0.4), tone(0.3, 0.0)], axis=1), "silent", [0, 1, 2], id="one of four"),
    ],
)  # fmt: skip
def test_channels_that_would_cancel_or_halve_the_voice_are_left_out(
    tmp_path: Path, decoders: Decoders, samples: np.ndarray, mix: str, taken: list[int]
) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    decoded = decoders.to_mono(path, tmp_path / "mono.wav")
    assert decoded.mix == mix
    expected = samples.astype(np.float32)[:, taken].mean(axis=1)
    assert np.array_equal(audio.read_mono(decoded.path)[0], expected)


ENCODERS = {
    "m4a": ["-c:a", "aac"],
    "aac": ["-c:a", "aac"],
    "mp4": ["-c:a", "aac", "-movflags", "+faststart"],
    "mov": ["-c:a", "pcm_s16le"],
    "opus": ["-c:a", "libopus"],
    "webm": ["-c:a", "libopus"],
    "mka": ["-c:a", "flac"],
    "wma": ["-c:a", "wmav2"],
    "aiff": [],
    "caf": ["-c:a", "pcm_s16le"],
    "au": ["-c:a", "pcm_s16be"],
    "w64": [],
    "wv": [],
    "ac3": [],
    "mp3": ["-c:a", "libmp3lame"],
}


@pytest.mark.parametrize("extension", ENCODERS)
def test_what_ffmpeg_decodes_is_taken_by_its_content(
    tmp_path: Path, decoders: Decoders, extension: str, speech: np.ndarray
) -> None:
    encoded, named = tmp_path / f"clip.{extension}", tmp_path / "clip.wav"
    encode(speech, encoded, *ENCODERS[extension])
    encoded.rename(named)
    decoded = decoders.to_mono(named, tmp_path / "mono.wav")
    samples, rate = audio.read_mono(decoded.path)
    assert decoded.seconds == pytest.approx(len(speech) / 16000, abs=0.15)
    level = 20 * np.log10(np.sqrt(np.mean(samples**2) / np.mean(speech**2)))
    assert level == pytest.approx(0, abs=1.5), "neither louder nor quieter"
    assert rate in {16000, 32000, 44100, 48000}


@pytest.fixture(scope="module")
def speech(spoken_dataset: Path) -> np.ndarray:
    samples, rate = soundfile.read(min((spoken_dataset / "wavs").iterdir()), dtype="float32")
    assert rate == 16000
    return samples


def encode(samples: np.ndarray, target: Path, *options: str) -> None:
    """Encode samples at 16 kHz with the real ffmpeg."""
    given = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "f32le",
        "-ar",
        "16000",
        "-ac",
        "1",
        "-i",
        "pipe:0",
        *options,
        "-y",
        str(target),
    ]
    subprocess.run(given, input=samples.astype("<f4").tobytes(), check=True)


def test_aac_inside_of_a_wav_is_decoded_where_its_frames_are_marked(
    tmp_path: Path, decoders: Decoders, speech: np.ndarray
) -> None:
    loose, marked, bare = tmp_path / "loose.wav", tmp_path / "marked.wav", tmp_path / "bare.aac"
    encode(speech, loose, "-c:a", "aac", "-f", "wav")
    with pytest.raises(Undecodable, match="it is a WAV with AAC inside"):  # ffmpeg finds half a second of it
        decoders.to_mono(loose, tmp_path / "mono.wav")
    encode(speech, bare, "-c:a", "aac")
    data = bare.read_bytes()
    header = struct.pack("<4sI4s4sIHHIIHH", b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 0xFF, 1, 16000, 8000, 1, 16)
    marked.write_bytes(header + struct.pack("<4sI", b"data", len(data)) + data)
    decoded = decoders.to_mono(marked, tmp_path / "mono.wav")
    assert decoded.seconds == pytest.approx(len(speech) / 16000, abs=0.15)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF])
def test_a_wav_from_a_pipe_is_read_to_its_end(
    tmp_path: Path, decoders: Decoders, speech: np.ndarray, size: int
) -> None:
    path, whole = tmp_path / "clip.wav", tmp_path / "whole.wav"
    soundfile.write(whole, speech, 16000)
    data = whole.read_bytes()
    place = data.index(b"data") + 4
    path.write_bytes(data[:place] + size.to_bytes(4, "little") + data[place + 4 :])
    decoded = decoders.to_mono(path, tmp_path / "mono.wav")
    assert np.array_equal(audio.read_mono(decoded.path)[0], soundfile.read(whole, dtype="float32")[0])


def test_ffmpegs_own_wav_from_a_pipe_is_read_to_its_end(tmp_path: Path, decoders: Decoders, speech: np.ndarray) -> None:
    path = tmp_path / "clip.wav"
    given = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", "16000", "-ac", "1", "-i", "pipe:0", "-f", "wav", "pipe:1"]
    path.write_bytes(subprocess.run(given, input=speech.tobytes(), stdout=subprocess.PIPE, check=True).stdout)
    assert decoders.to_mono(path, tmp_path / "mono.wav").seconds == len(speech) / 16000


def test_a_wav_that_is_really_empty_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, np.zeros(0), 16000)
    data = path.read_bytes()
    path.write_bytes(data + b"LIST" + (4).to_bytes(4, "little") + b"INFO")
    assert mend_wav(path) is False


@pytest.mark.parametrize("form", ["FLAC", "MP3"])
def test_a_tag_before_the_sound_is_no_format(tmp_path: Path, noise: np.ndarray, form: str) -> None:
    path = tmp_path / "clip"
    soundfile.write(path, noise, 16000, format=form)
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128) + path.read_bytes())
    assert container_of(path).name == form


MEASURE = """
import json, resource, sys
from pathlib import Path
from voice_trainer.recordings.decoding import Decoders

def peak():  # not ru_maxrss, which begins with that of the process that started this one
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

with Decoders() as decoders:
    decoders.to_mono(Path(sys.argv[2]), Path(sys.argv[3]))
    before = peak()
    decoded = decoders.to_mono(Path(sys.argv[1]), Path(sys.argv[3]))
    growth = peak() - before
child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
print(json.dumps([growth, child, decoded.seconds]))
"""


def test_a_small_file_that_holds_hours_costs_little(tmp_path: Path) -> None:
    """234 KB of FLAC in eight channels used to become 851 MiB."""
    small, bomb = tmp_path / "small.flac", tmp_path / "bomb.flac"
    soundfile.write(small, np.zeros(16000), 16000)
    with soundfile.SoundFile(bomb, "w", 192_000, 8, format="FLAC") as file:
        for _ in range(120):
            file.write(np.zeros((192_000, 8), dtype=np.int16))
    assert bomb.stat().st_size < MIB
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, bomb, small, tmp_path / "mono.wav"], capture_output=True, text=True, check=True
    )
    growth, child, seconds = json.loads(done.stdout)
    assert seconds == decoding.DECODED_SECONDS, "more than a clip may have, so prepare refuses it"
    assert growth < 100 * MIB
    assert child < 300 * MIB


def test_a_decoder_that_dies_costs_one_recording(tmp_path: Path, noise: np.ndarray) -> None:
    path, target = tmp_path / "clip.wav", tmp_path / "mono.wav"
    soundfile.write(path, noise, 16000)
    with Decoders() as decoders:
        decoders.to_mono(path, target)
        (decoder,) = decoders._idle
        os.kill(decoder._process.pid, signal.SIGKILL)
        with pytest.raises(Undecodable, match="ended by SIGKILL"):
            decoders.to_mono(path, target)
        assert decoders.to_mono(path, target).seconds == len(noise) / 16000


def test_a_decoder_that_dies_before_it_is_asked_is_closed_all_the_same() -> None:
    decoder = decoding._Decoder(30.0, decoding.children.Bounds(wall_seconds=30.0))
    decoder._process.kill()
    decoder._process.wait()
    assert decoder._process.stdin is not None
    decoder._process.stdin.write(b"a question that stays in the buffer")
    decoder.close()
    assert decoder._process.stdin.closed


def test_a_decoder_that_hangs_is_ended(tmp_path: Path, noise: np.ndarray) -> None:
    path, target = tmp_path / "clip.wav", tmp_path / "mono.wav"
    soundfile.write(path, noise, 16000)
    with Decoders() as decoders:
        decoders.to_mono(path, target)
        (decoder,) = decoders._idle
        os.kill(decoder._process.pid, signal.SIGSTOP)
        decoder._bounds = decoding.children.Bounds(wall_seconds=0.3)
        with pytest.raises(Undecodable, match="decoding took more than 0 s"):
            decoders.to_mono(path, target)
        assert not decoder.is_alive


def test_a_decoder_that_cannot_run_is_no_fault_of_the_recording(
    tmp_path: Path, noise: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, noise, 16000)
    monkeypatch.setattr(decoding.decoder_process, "__file__", "/nowhere/decoder_process.py")
    with Decoders() as decoders, pytest.raises(Transient, match=r"cannot run .*exit status 2"):
        decoders.to_mono(path, tmp_path / "mono.wav")


def test_a_prepared_clip_is_bounded_too(tmp_path: Path, noise: np.ndarray) -> None:
    path = tmp_path / "clip.flac"
    soundfile.write(path, noise, 16000, format="FLAC")
    with pytest.raises(BadData, match="is no mono FLAC; remove"):
        audio.read_flac(path)
    audio.write_flac(path, noise[:, 0].astype(np.float32), 32000)
    assert len(audio.read_flac(path)) == len(noise)
