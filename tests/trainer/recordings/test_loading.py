"""From datasets to mono clips: with their lists, and long recordings with their texts, on sound by the real ffmpeg."""

import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from voice_store import open_store
from voice_trainer.recordings.audio import read_mono
from voice_trainer.recordings.dataset import read_dataset
from voice_trainer.recordings.decoding import Decoders
from voice_trainer.recordings.fetching import DatasetDigest
from voice_trainer.recordings.findings import FindingList
from voice_trainer.recordings.loading import LoadedClip, Loader, Transcribe

Load = Callable[..., tuple[list[LoadedClip], list[tuple[str, str]]]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load the dataset in `tmp_path/dataset`; returns its clips, and what was found out."""

    def run(
        language: str = "en", transcribe: Transcribe | None = None
    ) -> tuple[list[LoadedClip], list[tuple[str, str]]]:
        store = open_store((tmp_path / "dataset").as_uri())
        digest, findings = DatasetDigest(), FindingList()
        dataset = read_dataset(store, digest, findings, language, transcribes=transcribe is not None)
        with Decoders() as decoders:
            loader = Loader(store, tmp_path / "raw", decoders, digest, findings, language, transcribe)
            clips = list(loader.clips(dataset))
        assert not list((tmp_path / "raw").rglob("*.sound")), "what was fetched is removed"
        return clips, [(one.reason, one.sentence) for one in findings.found]

    return run


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    (tmp_path / "dataset").mkdir()
    return tmp_path / "dataset"


@pytest.fixture(scope="module")
def speech(spoken_dataset: Path) -> tuple[np.ndarray, list[str], list[tuple[float, float]]]:
    """Four clips with pauses between them: samples at 16 kHz, texts, and the seconds of each."""
    parts, texts, times = [], [], []
    seconds = 0.0
    for line in (spoken_dataset / "metadata.csv").read_text().splitlines()[:4]:
        name, text = line.split("|")
        samples, _ = read_mono(spoken_dataset / "wavs" / f"{name}.wav")
        parts += [samples, np.zeros(9600, np.float32)]
        times.append((seconds, seconds + len(samples) / 16000))
        seconds += len(samples) / 16000 + 0.6
        texts.append(text)
    return np.concatenate(parts), texts, times


def encode(samples: np.ndarray, target: Path) -> None:
    given = ["ffmpeg", "-v", "error", "-f", "f32le", "-ar", "16000", "-ac", "1", "-i", "pipe:0", "-y", str(target)]
    subprocess.run(given, input=samples.astype("<f4").tobytes(), check=True)


def test_clips_of_a_list_come_in_its_order_whatever_their_format(load: Load, dataset: Path, speech: tuple) -> None:
    samples, texts, times = speech
    parts = [samples[int(begin * 16000) : int(end * 16000)] for begin, end in times]
    for number, (part, kind) in enumerate(zip(parts, ("m4a", "opus", "webm", "wma"), strict=True)):
        encode(part, dataset / f"take {number}.{kind}")
    rows = [f"take {number}|{text}\n" for number, text in reversed(list(enumerate(texts)))]
    (dataset / "metadata.csv").write_text("".join(rows))
    clips, found = load()
    assert found == []
    assert [clip.recording.id for clip in clips] == ["take_3", "take_2", "take_1", "take_0"]
    assert [clip.done for clip in clips] == [0.25, 0.5, 0.75, 1.0]
    for clip, (begin, end), text in zip(reversed(clips), times, texts, strict=True):
        decoded, rate = read_mono(clip.path)
        assert len(decoded) / rate == pytest.approx(end - begin, abs=0.15)
        assert clip.recording.text == text


def test_what_happened_to_a_clip_is_found_under_its_id(load: Load, dataset: Path, speech: tuple) -> None:
    samples, *_ = speech
    soundfile.write(dataset / "inverted.wav", np.stack([samples, -samples], axis=1)[:48000], 16000)
    soundfile.write(dataset / "silent.wav", np.stack([0 * samples, samples], axis=1)[:48000], 16000)
    (dataset / "picture.wav").write_bytes(b"\x89PNG\r\n\x1a\n")
    (dataset / "metadata.csv").write_text("inverted|x\nsilent|y\npicture|z\n")
    clips, found = load()
    assert [clip.recording.id for clip in clips] == ["inverted", "silent"]
    assert np.array_equal(read_mono(clips[0].path)[0], read_mono(clips[1].path)[0])
    assert found == [
        ("ChannelInverted", "inverted.wav has channels that cancel one another; only the louder one is used"),
        ("ChannelSilent", "silent.wav has a channel without sound; only the louder ones are used"),
        (
            "UnreadableClip",
            "picture.wav cannot be decoded: it is a PNG picture, not sound; export it again as WAV or FLAC",
        ),
    ]


def test_a_long_recording_is_sliced_and_gets_its_text(load: Load, dataset: Path, speech: tuple) -> None:
    samples, texts, _ = speech
    encode(samples, dataset / "My talk.m4a")
    (dataset / "transcript.txt").write_text("\n".join(texts), encoding="utf-16")
    clips, found = load()
    assert found == []
    assert [clip.recording.id for clip in clips] == [f"My_talk-{number:03}" for number in range(1, len(clips) + 1)]
    assert " ".join(clip.recording.text for clip in clips) == " ".join(" ".join(texts).split())
    for clip in clips:
        decoded, rate = read_mono(clip.path)
        assert 3 <= len(decoded) / rate <= 10.5
        assert clip.recording.key == "My talk.m4a"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_text_with_times_needs_no_aligner(load: Load, dataset: Path, speech: tuple, language: str) -> None:
    samples, texts, times = speech
    encode(samples, dataset / "talk.mp3")
    cues = [
        f"{n}\n{stamp(a)} --> {stamp(b)}\n{text}\n" for n, ((a, b), text) in enumerate(zip(times, texts, strict=True))
    ]
    (dataset / "talk.srt").write_text("\n".join(cues))
    clips, found = load(language)
    assert found == []
    assert [clip.recording.text for clip in clips] == texts
    for clip, (begin, end) in zip(clips, times, strict=True):
        decoded, rate = read_mono(clip.path)
        assert len(decoded) / rate == pytest.approx(end - begin + 0.3, abs=0.16)


def stamp(seconds: float) -> str:
    return f"00:00:{seconds:06.3f}".replace(".", ",")


def test_a_short_recording_with_a_text_is_one_clip_in_any_language(load: Load, dataset: Path, speech: tuple) -> None:
    samples, texts, times = speech
    for number, (begin, end) in enumerate(times):
        soundfile.write(dataset / f"{number}.wav", samples[int(begin * 16000) : int(end * 16000)], 16000)
        (dataset / f"{number}.txt").write_text(texts[number] + "\n")
    clips, found = load("ja")
    assert found == []
    assert [(clip.recording.id, clip.recording.text) for clip in clips] == [(str(n), t) for n, t in enumerate(texts)]


@pytest.mark.parametrize(
    ("files", "language", "reason", "said"),
    [
        ({"talk.txt": "你好"}, "zh", "NoAligner", "only English texts are aligned with recordings here"),
        ({"talk.txt": " \n"}, "en", "EmptyTranscript", "talk.txt has 0 words"),
        (
            {"talk.txt": "a " * 20000},
            "en",
            "TranscriptTooLong",
            "talk.txt has 20000 words of 40000 characters, 1 to 12000",
        ),
        ({"talk.txt": "This is an entirely different text. " * 5}, "en", "TextMismatch", "talk.txt fits 0 of the"),
        ({"talk.srt": "1\n00:10:00,000 --> 00:10:05,000\nHello.\n"}, "en", "TextMismatch", "text of another recording"),
        ({"talk.txt": "a" * 300_000}, "en", "TranscriptTooLong", "1 words of 300000 characters"),
        (
            {"talk.srt": "1\n00:00:00,000 --> 00:00:10,000\nHello.\n\n" * 9},
            "en",
            "TextMismatch",
            "talk.srt has 9 texts of 90 s together, but talk.wav has",
        ),
        (
            {"talk.srt": "1\n00:00:01,000 --> 00:00:01,001\nHello.\n\n" * 99},
            "en",
            "TextMismatch",
            "talk.srt has 99 texts of 0 s together, but talk.wav has",
        ),
        ({"talk.vtt": "WEBVTT\n"}, "en", "BadMetadataRow", "talk.vtt has no times as 00:00:01,000"),
    ],
)
def test_a_text_that_cannot_be_that_of_the_recording_is_refused(  # noqa: PLR0917
    load: Load, dataset: Path, speech: tuple, files: dict[str, str], language: str, reason: str, said: str
) -> None:
    soundfile.write(dataset / "talk.wav", speech[0], 16000)
    for name, content in files.items():
        (dataset / name).write_text(content)
    clips, found = load(language)
    assert clips == []
    ((found_reason, sentence),) = found
    assert found_reason == reason
    assert said in sentence


@pytest.mark.parametrize(
    ("text", "reason", "said"),
    [
        (" \n", "EmptyTranscript", "short.txt has 0 characters for a clip of short.wav, 1 to 1000 are taken"),
        ("a" * 1001, "TranscriptTooLong", "short.txt has 1001 characters for a clip of short.wav"),
    ],
)
def test_the_text_of_a_short_recording_is_that_of_a_clip(  # noqa: PLR0917
    load: Load, dataset: Path, speech: tuple, text: str, reason: str, said: str
) -> None:
    soundfile.write(dataset / "short.wav", speech[0][:48000], 16000)
    (dataset / "short.txt").write_text(text)
    clips, ((found_reason, sentence),) = load()
    assert clips == []
    assert found_reason == reason
    assert said in sentence


def test_what_is_not_in_the_text_and_not_in_the_recording_is_told(load: Load, dataset: Path, speech: tuple) -> None:
    samples, texts, _ = speech
    soundfile.write(dataset / "talk.wav", samples, 16000)
    extra = "Nobody ever spoke this long and strange sentence about purple elephants."
    (dataset / "talk.txt").write_text(" ".join([*texts, extra]))
    clips, found = load()
    assert " ".join(clip.recording.text for clip in clips) == " ".join(texts)
    assert found == [
        ("TextNotFound", "talk.txt has 'Nobody ever spoke this long and strange sentence …' (11 words), found nowhere")
    ]


def test_half_an_hour_is_too_much_in_one_piece(load: Load, dataset: Path) -> None:
    with soundfile.SoundFile(dataset / "talk.flac", "w", 8000, 1) as file:
        for _ in range(31):
            file.write(np.zeros(8000 * 60, np.int16))
    (dataset / "talk.txt").write_text("Hello.")
    clips, found = load()
    assert clips == []
    assert found == [("RecordingTooLong", "talk.flac has 30 min or more; cut it into parts, each with its text")]


def test_a_long_recording_is_never_held_in_memory(load: Load, dataset: Path, speech: tuple) -> None:
    minutes, samples = 10, speech[0]
    with soundfile.SoundFile(dataset / "talk.wav", "w", 16000, 1) as file:
        for _ in range(minutes * 60 * 16000 // len(samples)):
            file.write(samples)
    whole = (dataset / "talk.wav").stat().st_size // 2 * 4  # bytes as float32: 38 MB
    heard: list[int] = []
    tracemalloc.start()
    try:
        clips, found = load("ko", lambda part: heard.append(len(part)) or "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == []
    assert len(clips) == len(heard) > 50
    assert sum(heard) > 0.8 * whole / 4
    assert peak < 0.75 * whole, "a minute at a time, whatever the length"
