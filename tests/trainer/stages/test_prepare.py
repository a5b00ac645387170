"""Prepare: what recordings must be, the reason for each refusal, and what goes on to training."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tests.support.s3_server import environment_of, s3_server

from sovits_core.text import phonemize
from voice_store import open_store
from voice_trainer.__main__ import main
from voice_trainer.job.base import JobBase
from voice_trainer.job.limits import Limits
from voice_trainer.job.workers import ItemFailed, Workers
from voice_trainer.recognition.folder import read_folder
from voice_trainer.recordings.clips import held_out_ids, read_clips
from voice_trainer.recordings.polyphones import load_polyphones

Spoil = Callable[[Path], object]


@pytest.fixture
def prepare(
    write_job: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], tuple[int, dict[str, Any]]]:
    """Run the stage; returns the exit code and the termination message, or the manifest of a success."""
    log = tmp_path / "termination-log"
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(log))
    monkeypatch.setenv("VOICE_SCRATCH", str(tmp_path / "scratch"))

    def run() -> tuple[int, dict[str, Any]]:
        job = write_job()
        code = main(["run", "--job", str(job), "--stages", "prepare"])
        store = open_store(json.loads(job.read_text())["store"]["workspace"])
        return code, json.loads(log.read_bytes() if code else store.read("prepare/manifest.json"))

    return run


def lines(dataset: Path) -> list[str]:
    return (dataset / "metadata.csv").read_text().splitlines()


def write_lines(dataset: Path, changed: list[str]) -> None:
    (dataset / "metadata.csv").write_text("\n".join(changed) + "\n")


def first(dataset: Path) -> Path:
    return dataset / "wavs" / (lines(dataset)[0].split("|")[0] + ".wav")


def with_first_line(text: str) -> Spoil:
    return lambda dataset: write_lines(dataset, [text, *lines(dataset)[1:]])


def with_first_text(text: str) -> Spoil:
    return lambda dataset: write_lines(dataset, [f"{first(dataset).stem}|{text}", *lines(dataset)[1:]])


def with_first_clip(data: bytes) -> Spoil:
    return lambda dataset: first(dataset).write_bytes(data)


def with_first_samples(samples: np.ndarray, rate: int = 16000) -> Spoil:
    return lambda dataset: soundfile.write(first(dataset), samples, rate)


NOISE = 0.1 * np.random.default_rng(0).standard_normal(16000 * 5)


@pytest.mark.parametrize(
    ("spoil", "reason", "named"),
    [
        pytest.param(lambda _: None, "TooLittleSpeech", "at least 60 s are needed", id="four clips only"),
        pytest.param(
            lambda d: first(d).unlink(), "TranscriptWithoutClip", "add the clip or delete", id="a clip is gone"
        ),
        pytest.param(
            lambda d: write_lines(d, lines(d)[1:]),
            "ClipWithoutTranscript",
            "has no line in metadata.csv",
            id="a line is gone",
        ),
        pytest.param(with_first_clip(b"RIFFnothing"), "UnreadableClip", "cannot be decoded", id="a damaged WAV"),
        pytest.param(with_first_clip(b""), "UnreadableClip", "cannot be decoded", id="an empty file"),
        pytest.param(
            with_first_clip(b"#EXTM3U\n#EXTINF:1\nfile:///etc/passwd\n"),
            "UnreadableClip",
            "cannot be decoded",
            id="a playlist",
        ),
        pytest.param(
            lambda d: (d / "wavs/notes.txt").write_text("x"),
            "UnreadableClip",
            "'wavs/notes.txt'",
            id="a file of another kind",
        ),
        pytest.param(with_first_samples(np.zeros(16000 * 3)), "SilentClip", "no speech in 3.0 s", id="silence"),
        pytest.param(with_first_samples(NOISE[:4000]), "ClipTooShort", "has 0.25 s", id="a quarter of a second"),
        pytest.param(with_first_samples(np.tile(NOISE, 12)), "ClipTooLong", "has 60.00 s", id="a minute in one piece"),
        pytest.param(
            with_first_samples(np.tile(NOISE, 40)), "ClipTooLong", "at least 70 s", id="a lecture in one piece"
        ),
        pytest.param(with_first_samples(NOISE, rate=4000), "UnreadableClip", "4000 Hz", id="an absurd rate"),
        pytest.param(
            with_first_line("no separator"), "BadMetadataRow", "line 1 is 'no separator'", id="a row without |"
        ),
        pytest.param(with_first_line("a|b|c"), "BadMetadataRow", "exactly one |", id="a row of three fields"),
        pytest.param(
            with_first_line("../../etc/passwd|Hello."), "InvalidClipId", "'../../etc/passwd'", id="a path as id"
        ),
        pytest.param(
            with_first_line("/etc/passwd|Hello."), "InvalidClipId", "'/etc/passwd'", id="an absolute path as id"
        ),
        pytest.param(
            lambda d: write_lines(d, [*lines(d), lines(d)[0]]), "DuplicateId", "of line 1; delete one", id="an id twice"
        ),
        pytest.param(
            lambda d: shutil.copy(first(d), first(d).with_suffix(".flac")),
            "DuplicateId",
            "have the same id",
            id="a clip twice",
        ),
        pytest.param(with_first_text(""), "EmptyTranscript", "write what is said", id="no text"),
        pytest.param(with_first_text("a" * 1001), "TranscriptTooLong", "1001 characters", id="a novel as transcript"),
        pytest.param(with_first_text("Hello 你好"), "UnknownSymbols", "'你好'", id="another script in the text"),
        pytest.param(with_first_text("?!"), "UnspeakableText", "nothing to speak", id="punctuation only"),
        pytest.param(lambda d: (d / "metadata.csv").unlink(), "MetadataMissing", "id|text", id="no metadata"),
        pytest.param(
            lambda d: (d / "metadata.csv").write_bytes(b"ok|x\n\xff\xfe|y\n"),
            "MetadataNotUtf8",
            "line 2",
            id="no UTF-8",
        ),
    ],
)
def test_bad_recordings_end_in_65_with_reason_value_and_remedy(  # noqa: PLR0917
    prepare: Callable[[], tuple[int, dict[str, Any]]],
    job_document: dict[str, Any],
    few_clips: Path,
    spoil: Spoil,
    reason: str,
    named: str,
) -> None:
    spoil(few_clips)
    code, failure = prepare()
    assert (code, failure["exitCode"], failure["stage"]) == (65, 65, "prepare")
    assert failure["reason"] == reason, failure["message"]
    assert named in failure["message"]
    store = open_store(job_document["store"]["workspace"])
    assert json.loads(store.read("prepare/failure.json")) == failure
    assert not store.exists("prepare/manifest.json")


def test_a_caller_may_ask_for_less_speech_and_the_message_says_how_much(
    write_job: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_clips: Path
) -> None:
    log = tmp_path / "termination-log"
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(log))
    run = ["run", "--job", str(write_job()), "--stages", "prepare"]
    assert main(run, limits=Limits(min_speech_seconds=45)) == 65
    assert "at least 45 s are needed" in json.loads(log.read_bytes())["message"]
    assert main(run, limits=Limits(min_speech_seconds=1)) == 65
    assert "at least 6 are needed" in json.loads(log.read_bytes())["message"]
    assert main(run, limits=Limits(min_speech_seconds=1, min_clips=4)) == 0


def test_all_problems_are_told_at_once(prepare: Callable[[], tuple[int, dict[str, Any]]], few_clips: Path) -> None:
    dataset = few_clips
    kept = lines(dataset)
    names = [line.split("|")[0] for line in kept]
    (dataset / "wavs" / f"{names[0]}.wav").unlink()
    (dataset / "wavs" / f"{names[1]}.wav").write_bytes(b"x")
    write_lines(dataset, [*kept[:2], f"{names[2]}|", *kept[3:]])
    code, failure = prepare()
    assert code == 65
    assert failure["message"].startswith("3 problems in the dataset: ")
    assert all(name in failure["message"] for name in names[:3])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"revoked": True}, "ConsentRevoked", id="revoked"),
        pytest.param({"expires": "2020-01-01"}, "ConsentExpired", id="expired"),
        pytest.param({"statement": ""}, "ConsentMissing", id="without a statement"),
        pytest.param(None, "ConsentMissing", id="none"),
    ],
)
def test_without_consent_nothing_is_even_read(
    prepare: Callable[[], tuple[int, dict[str, Any]]],
    job_document: dict[str, Any],
    change: dict[str, Any] | None,
    reason: str,
) -> None:
    # There is no dataset at all: had it been looked at first, the reason would be another one.
    job_document["consent"] = None if change is None else job_document["consent"] | change
    code, failure = prepare()
    assert (code, failure["reason"]) == (78, reason)


def test_a_language_that_the_base_does_not_speak_is_refused(
    prepare: Callable[[], tuple[int, dict[str, Any]]], job_document: dict[str, Any]
) -> None:
    job_document["language"] = "ja"
    code, failure = prepare()
    assert (code, failure["reason"]) == (65, "UnsupportedLanguage")
    assert "it speaks: en" in failure["message"]


def test_a_gate_on_an_unknown_metric_is_refused_before_any_work(
    prepare: Callable[[], tuple[int, dict[str, Any]]], job_document: dict[str, Any]
) -> None:
    job_document["evaluation"]["gates"] = [{"metric": "mos", "min": "4"}]
    code, failure = prepare()
    assert (code, failure["reason"]) == (78, "UnknownMetric")
    assert "pesq, stoi" in failure["message"]


def test_a_base_that_does_not_exist_is_a_matter_of_configuration(
    prepare: Callable[[], tuple[int, dict[str, Any]]], job_document: dict[str, Any]
) -> None:
    job_document["base"]["uri"] = "embedded:nonsense"
    code, failure = prepare()
    assert (code, failure["reason"]) == (78, "BaseRejected")


def test_good_recordings_become_two_normalised_copies_each(
    prepare: Callable[[], tuple[int, dict[str, Any]]], tmp_path: Path, job_document: dict[str, Any], dataset: Path
) -> None:
    quiet = 0.02 * soundfile.read(first(dataset))[0]
    soundfile.write(first(dataset), np.stack([quiet, -quiet], axis=1), 16000)
    rows = [line.split("|") for line in lines(dataset)]
    write_lines(dataset, [f"{name}|as it was written|{text}" for name, text in rows])
    (dataset / "wavs/.DS_Store").write_bytes(b"x")
    code, manifest = prepare()
    assert code == 0
    summary = manifest["summary"]
    count = len(lines(dataset))
    assert (summary["clips"], summary["rejected"]) == (count, 0)
    assert summary["heldOut"] == max(3, round(count / 10))
    assert float(summary["speechSeconds"]) >= 60
    form = "id|raw|normalised; the third column, the normalised text, is the text"
    assert summary["shape"] == f"metadata.csv has lines of {form}"
    warnings = json.loads(open_store(job_document["store"]["workspace"]).read("prepare/findings.json"))
    assert summary["warnings"] == len(warnings)
    assert {one["severity"] for one in warnings} == {"warning"}
    # flite's voice is even enough for some clips to sound a little like music.
    assert {one["reason"] for one in warnings} == {"ChannelInverted", "MusicInClip"}
    assert [one["clip"] for one in warnings if one["reason"] == "ChannelInverted"] == [rows[0][0]]
    folder = tmp_path / "scratch" / job_document["inputHash"] / "prepare"
    clips = read_clips(folder)
    assert [[clip.id, clip.text] for clip in clips] == rows
    assert sum(clip.held_out for clip in clips) == summary["heldOut"]
    for clip in clips:
        training, rate = soundfile.read(folder / "clips" / f"{clip.id}.flac")
        analysis, low_rate = soundfile.read(folder / "analysis" / f"{clip.id}.flac")
        assert (rate, low_rate) == (32000, 16000)
        assert len(training) / rate == pytest.approx(len(analysis) / low_rate, abs=0.001)
        assert 20 * np.log10(np.sqrt(np.mean(training**2))) == pytest.approx(-16, abs=0.5), clip.id
        assert np.abs(training).max() < 0.99
        assert f"clips/{clip.id}.flac" in manifest["files"]
        assert clip.phones


def test_a_pinned_dataset_must_be_the_one_that_was_pinned(
    prepare: Callable[[], tuple[int, dict[str, Any]]], job_document: dict[str, Any], few_clips: Path
) -> None:
    files = sorted(["metadata.csv", *(f"wavs/{clip.name}" for clip in (few_clips / "wavs").iterdir())])
    rows = "".join(f"{hashlib.sha256((few_clips / file).read_bytes()).hexdigest()}  {file}\n" for file in files)
    job_document["dataset"]["digest"] = "sha256:" + hashlib.sha256(rows.encode()).hexdigest()
    assert prepare()[1]["reason"] == "TooLittleSpeech"  # the digest is right, so the next check speaks
    job_document["dataset"]["digest"] = "sha256:" + "0" * 64
    code, failure = prepare()
    assert (code, failure["reason"]) == (65, "DatasetDigestMismatch")
    assert hashlib.sha256(rows.encode()).hexdigest() in failure["message"]


def test_the_same_seed_holds_out_the_same_clips_whatever_their_order() -> None:
    clips = [(f"clip{n:02}", 5.0) for n in range(40)]
    chosen = held_out_ids(clips, seed=7)
    assert len(chosen) == 4
    assert held_out_ids(clips[::-1], seed=7) == chosen
    assert held_out_ids(clips, seed=8) != chosen


def test_clips_that_cannot_be_scored_are_not_held_out() -> None:
    clips = [("short" + str(n), 0.4) for n in range(20)] + [("a", 3.0), ("b", 3.0), ("c", 3.0)]
    assert held_out_ids(clips, seed=1) == {"a", "b", "c"}


def test_prepare_starts_without_torch() -> None:
    program = "import sys, voice_trainer.__main__, voice_trainer.stages.prepare as p; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_mandarin_transcripts_are_read_with_the_polyphones_of_the_base(
    write_job: Callable[[], Path],
    job_document: dict[str, Any],
    few_clips: Path,
    random_pro_base: Path,
    tmp_path: Path,
) -> None:
    write_lines(few_clips, [f"{line.split('|')[0]}|第三行很好。" for line in lines(few_clips)])
    job_document["language"] = "zh"
    job_document["base"]["uri"] = random_pro_base.as_uri()
    job_document["evaluation"]["texts"] = []
    limits = Limits(min_speech_seconds=1, min_clips=4)
    assert main(["run", "--job", str(write_job()), "--stages", "prepare"], limits=limits) == 0
    (stored,) = (tmp_path / "store").rglob("prepare/manifest.json")
    (clip, *_) = read_clips(stored.parent)
    assert " ".join(clip.phones) == "d i4 s an1 h ang2 h en2 h ao3 ."


def test_transcripts_are_read_with_the_lexicon_of_the_base(
    write_job: Callable[[], Path], few_clips: Path, random_base: Path, tmp_path: Path, job_document: dict[str, Any]
) -> None:
    own = shutil.copytree(random_base, tmp_path / "own-base")
    document = json.loads((own / "base.json").read_text())
    document["lexicon"] = [{"word": "zorbly", "reading": "HH AY1", "alphabet": "cmu"}]
    (own / "base.json").write_text(json.dumps(document))
    job_document["base"]["uri"] = own.as_uri()
    write_lines(few_clips, [f"{line.split('|')[0]}|Zorbly zorbly zorbly zorbly zorbly." for line in lines(few_clips)])
    assert (
        main(
            ["run", "--job", str(write_job()), "--stages", "prepare"], limits=Limits(min_speech_seconds=1, min_clips=4)
        )
        == 0
    )
    (stored,) = (tmp_path / "store").rglob("prepare/manifest.json")
    assert read_clips(stored.parent)[0].phones == (*("HH", "AY1") * 5, ".")


def test_transcripts_are_read_as_the_locale_of_the_voice_writes_dates(
    write_job: Callable[[], Path], few_clips: Path, tmp_path: Path, job_document: dict[str, Any]
) -> None:
    job_document["locale"] = "en-GB"
    write_lines(few_clips, [f"{line.split('|')[0]}|We met on 12/3/2024." for line in lines(few_clips)])
    limits = Limits(min_speech_seconds=1, min_clips=4)
    assert main(["run", "--job", str(write_job()), "--stages", "prepare"], limits=limits) == 0
    (stored,) = (tmp_path / "store").rglob("prepare/manifest.json")
    assert read_clips(stored.parent)[0].phones == phonemize("We met on 2024-03-12.", "en").phones


def test_recordings_without_a_text_are_transcribed_and_the_other_texts_checked(  # noqa: PLR0917 -- fixtures
    tool: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    write_job: Callable[[], Path],
    job_document: dict[str, Any],
    dataset: Path,
    random_pro_base: Path,
    whisper_folder: Path,
    whisper_sentence: str,
    tmp_path: Path,
) -> None:
    (dataset / "metadata.csv").unlink()
    sounds = sorted((dataset / "wavs").iterdir())
    for sound in sounds[6:]:
        sound.unlink()
    (dataset / "wavs" / f"{sounds[0].stem}.txt").write_text("我们去吃饭吧。", encoding="utf-8")
    (dataset / "wavs" / f"{sounds[1].stem}.txt").write_text("今天天氣很好", encoding="utf-8")
    digest = read_folder(whisper_folder.as_uri(), tmp_path).digest
    buckets = tmp_path / "s3"
    shutil.copytree(whisper_folder, buckets / "models" / "whisper")
    shutil.copytree(dataset, buckets / "recordings" / "alice")
    job_document |= {"language": "zh", "recogniser": {"uri": "s3://models/whisper", "digest": digest}}
    job_document["dataset"]["uri"] = "s3://recordings/alice"
    job_document["base"]["uri"] = random_pro_base.as_uri()
    job_document["evaluation"] |= {"texts": [], "gates": [{"metric": "cer", "max": "0.3"}]}
    limits = Limits(min_speech_seconds=1, min_clips=4)
    with s3_server(tool("versitygw"), buckets) as port:
        for name, value in environment_of(port).items():
            monkeypatch.setenv(name, value)
        assert main(["run", "--job", str(write_job()), "--stages", "prepare"], limits=limits) == 0

    (stored,) = (tmp_path / "store").rglob("prepare/manifest.json")
    summary = json.loads(stored.read_text())["summary"]
    assert summary["shape"] == "no list of clips; 6 recordings, 4 without a text"
    assert summary["recogniser"].startswith("Whisper ")
    assert (summary["clips"], summary["rejected"], summary["transcribed"]) == (5, 1, 4)
    clips = read_clips(stored.parent)
    assert {clip.text for clip in clips if clip.transcribed} == {whisper_sentence}
    assert {clip.text for clip in clips if not clip.transcribed} == {"今天天氣很好"}
    (wrong,) = (one for one in summary["findings"] if one["rejected"])
    assert wrong["reason"] == "WrongText"
    assert "a recogniser writes" in wrong["message"]
    report = json.loads((stored.parent / "recordings.json").read_text())
    recognised = {one["id"]: one["recognised"] for one in report["clips"]}
    assert recognised[sounds[0].stem] == whisper_sentence
    assert recognised[sounds[2].stem] == "", "its own words say nothing about it"


def test_without_a_recogniser_recordings_without_a_text_are_refused(
    prepare: Callable[[], tuple[int, dict[str, Any]]], dataset: Path
) -> None:
    (dataset / "metadata.csv").unlink()
    for sound in sorted((dataset / "wavs").iterdir())[1:]:
        sound.unlink()
    code, failure = prepare()
    assert (code, failure["reason"]) == (65, "MetadataMissing")
    assert "or give the installation a recogniser (chart value recogniser)" in failure["message"]


def test_only_mandarin_on_a_base_that_has_a_reader_of_polyphones_opens_it(
    random_base: Path, random_pro_base: Path, tmp_path: Path
) -> None:
    with_reader = JobBase(random_pro_base.as_uri(), "", tmp_path)
    assert load_polyphones(with_reader, "zh") is not None
    (random_pro_base / "g2pw" / "g2pW.onnx").unlink()
    assert load_polyphones(JobBase(random_pro_base.as_uri(), "", tmp_path), "en") is None
    assert load_polyphones(JobBase(random_base.as_uri(), "", tmp_path), "zh") is None


def overdrive(path: Path) -> None:
    samples, rate = soundfile.read(path)
    soundfile.write(path, 0.9 * np.clip(100 * samples, -1, 1), rate)


def bury_in_noise(path: Path, level_db: float) -> None:
    """Add pink noise, whose power falls by 3 dB an octave, that many dB below the speech."""
    samples, rate = soundfile.read(path)
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(len(samples)))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(1, np.arange(len(spectrum)))), len(samples))
    noise *= samples.std() / noise.std() * 10 ** (-level_db / 20)
    soundfile.write(path, 0.5 * (samples + noise), rate)


def swap_first_texts(dataset: Path) -> tuple[str, str]:
    (one, first_text), (other, second_text) = (line.split("|", 1) for line in lines(dataset)[:2])
    write_lines(dataset, [f"{one}|{second_text}", f"{other}|{first_text}", *lines(dataset)[2:]])
    return one, other


def test_bad_clips_are_left_out_and_told_with_their_reasons(
    prepare: Callable[[], tuple[int, dict[str, Any]]], job_document: dict[str, Any], tmp_path: Path, dataset: Path
) -> None:
    names = [line.split("|")[0] for line in lines(dataset)]
    swapped = swap_first_texts(dataset)
    overdrive(dataset / "wavs" / f"{names[2]}.wav")
    shutil.copy(dataset / "wavs" / f"{names[3]}.wav", dataset / "wavs" / "again.wav")
    listed = lines(dataset)
    write_lines(dataset, [*listed[:4], f"again|{listed[3].split('|')[1]}", *listed[4:]])  # examined at the same time
    code, manifest = prepare()
    assert code == 0
    summary = manifest["summary"]
    assert (summary["rejected"], summary["clips"]) == (3, len(names) - 2)
    rejected: dict[str, str] = {}
    for one in summary["findings"]:
        if one["rejected"]:
            rejected.setdefault(one["clip"], one["reason"])
    assert rejected == {swapped[0]: "WrongText", swapped[1]: "WrongText", names[2]: "ClippedClip"}
    told = {one["clip"]: one for one in summary["findings"] if not one["rejected"]}
    assert told["again"]["reason"] == "SameSound"
    assert f"the other one is {names[3]}" in told["again"]["message"]
    folder = tmp_path / "scratch" / job_document["inputHash"] / "prepare"
    assert {clip.id for clip in read_clips(folder)} == {*names, "again"} - rejected.keys()
    for name in rejected:
        assert f"rejected/{name}.flac" in manifest["files"], "people can hear why"
        assert f"clips/{name}.flac" not in manifest["files"]
    page = (folder / "recordings.html").read_text(encoding="utf-8")
    assert "metadata.csv has lines of id|text" in page
    assert f"rejected/{names[2]}.flac" in page
    report = json.loads((folder / "recordings.json").read_text(encoding="utf-8"))
    of_first = next(clip for clip in report["clips"] if clip["id"] == swapped[0])
    assert f"the text of {swapped[1]} is nearer to it" in of_first["findings"][0]["message"]


def test_texts_that_are_shifted_by_five_clips_refuse_the_dataset(
    prepare: Callable[[], tuple[int, dict[str, Any]]], dataset: Path
) -> None:
    names, texts = zip(*(line.split("|", 1) for line in lines(dataset)), strict=True)
    write_lines(dataset, [f"{name}|{text}" for name, text in zip(names, texts[5:] + texts[:5], strict=True)])
    code, failure = prepare()
    assert (code, failure["reason"]) == (65, "WrongText")
    assert f"{len(names)} of {len(names)} clips are unusable" in failure["message"]
    assert "dataset.maxRejected allows 20 %" in failure["message"]
    assert "write what is said in it" in failure["message"]


def test_files_that_are_no_sound_are_left_out_as_well(
    prepare: Callable[[], tuple[int, dict[str, Any]]], dataset: Path
) -> None:
    first(dataset).write_bytes(b"RIFFnothing")
    code, manifest = prepare()
    assert (code, manifest["summary"]["rejected"]) == (0, 1)
    assert manifest["summary"]["findings"][0]["reason"] == "UnreadableClip"


@pytest.mark.parametrize(
    ("denoise", "used", "beside"),
    [
        pytest.param("auto", "denoised", "original", id="where it is better"),
        pytest.param("never", "recorded", "", id="never"),
    ],
)
def test_noise_is_removed_and_both_copies_are_kept(  # noqa: PLR0917
    write_job: Callable[[], Path],
    job_document: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    few_clips: Path,
    denoise: str,
    used: str,
    beside: str,
) -> None:
    monkeypatch.setenv("VOICE_SCRATCH", str(tmp_path / "scratch"))
    noisy, buried = (few_clips / "wavs" / (line.split("|")[0] + ".wav") for line in lines(few_clips)[:2])
    bury_in_noise(noisy, 2)
    bury_in_noise(buried, -6)
    job_document["dataset"] |= {"denoise": denoise, "maxRejected": 100}
    limits = Limits(min_speech_seconds=1, min_clips=2)
    assert main(["run", "--job", str(write_job()), "--stages", "prepare"], limits=limits) == 0
    folder = tmp_path / "scratch" / job_document["inputHash"] / "prepare"
    report = json.loads((folder / "recordings.json").read_text(encoding="utf-8"))
    found = {clip["id"]: clip for clip in report["clips"]}
    (refused,) = (one for one in found[buried.stem]["findings"] if one["reason"] == "NoisyClip")
    assert refused["rejected"]
    assert "(at least 1.0 dB)" in refused["message"]
    assert found[noisy.stem]["denoised"] is (used == "denoised")
    assert {clip["id"] for clip in report["clips"] if clip["denoised"]} - {buried.stem} == (
        {noisy.stem} if used == "denoised" else set()
    )
    if beside:
        clean, _ = soundfile.read(folder / found[noisy.stem]["file"])
        noise, _ = soundfile.read(folder / beside / f"{noisy.stem}.flac")
        assert len(clean) == pytest.approx(len(noise), abs=32)
        quiet = [np.percentile(np.abs(one), 10) for one in (clean, noise)]
        assert quiet[0] < 0.2 * quiet[1]
    else:
        assert not (folder / "original").exists()


def test_an_attempt_that_follows_a_killed_one_repeats_no_finished_clip(
    prepare: Callable[[], tuple[int, dict[str, Any]]],
    job_document: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    dataset: Path,
) -> None:
    code, before = prepare()
    assert code == 0
    store = open_store(job_document["store"]["workspace"])
    store.delete("prepare/manifest.json")
    monkeypatch.setattr("voice_trainer.job.workers.Workers.ask", lambda *_: pytest.fail("a clip is worked on again"))
    code, after = prepare()
    assert code == 0
    assert {name: digest for name, digest in after["files"].items() if "recordings" not in name} == {
        name: digest for name, digest in before["files"].items() if "recordings" not in name
    }


def test_a_clip_that_ends_its_process_is_told_and_the_others_are_used(
    prepare: Callable[[], tuple[int, dict[str, Any]]],
    job_document: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    dataset: Path,
) -> None:
    assert prepare()[0] == 0
    open_store(job_document["store"]["workspace"]).delete("prepare/manifest.json")
    bury_in_noise(first(dataset), 40)  # another content than the finished clips have

    def end(*_: object) -> None:
        raise ItemFailed("it was ended by SIGSEGV")

    monkeypatch.setattr(Workers, "ask", end)
    code, manifest = prepare()
    assert (code, manifest["summary"]["rejected"]) == (0, 1)
    (finding,) = [one for one in manifest["summary"]["findings"] if one["rejected"]]
    assert (finding["clip"], finding["reason"]) == (first(dataset).stem, "UnreadableClip")
    assert "SIGSEGV" in finding["message"]
