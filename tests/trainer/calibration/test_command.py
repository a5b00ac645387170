"""Calibrate: speakers that can be measured make gates, in a copy of the base; nobody else's file changes."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sovits_core.bundle.base import Gate, open_base
from voice_trainer.__main__ import main
from voice_trainer.calibration.bounds import Reached
from voice_trainer.calibration.command import calibration_of, write_copy, write_gates
from voice_trainer.calibration.speakers import CalibratedVoice
from voice_trainer.calibration.table import table
from voice_trainer.evaluation.sentences import sentences_for

GATES = (Gate(metric="stoi", min="0.46"), Gate(metric="durationRatio", min="0.7", max="1.4"))


def a_voice(name: str, stoi: float) -> CalibratedVoice:
    scores = {"stoi": stoi, "durationRatio": 1.0}
    return CalibratedVoice(name, "sha256:" + "a" * 64, 30, Reached(scores, {}), Reached({"stoi": 0.4}, {}))


VOICES = [a_voice("ann", 0.7), a_voice("bob", 0.6), a_voice("cleo", 0.4)]


@pytest.fixture
def base(random_base: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(random_base, tmp_path / "base"))


def test_a_copy_gets_the_gates_with_their_provenance_and_the_base_stays(base: Path, tmp_path: Path) -> None:
    before = (base / "base.json").read_bytes()
    opened = open_base(str(base))
    copy = write_copy(opened, tmp_path / "copy", GATES, calibration_of(opened, VOICES, "en", (2, 1, 3)))
    assert (base / "base.json").read_bytes() == before
    assert copy.document.gates == GATES
    assert copy.digest != opened.digest
    assert "3 speakers (en)" in copy.document.gates_note
    assert copy.document.calibration is not None
    assert copy.document.calibration["base"] == opened.digest
    assert [one["scores"]["stoi"] for one in copy.document.calibration["speakers"]] == ["0.700", "0.600", "0.400"]
    unchanged = {"gates", "gatesNote", "calibration"}
    old, new = json.loads(before), json.loads((tmp_path / "copy/base.json").read_bytes())
    assert {name: old[name] for name in old if name not in unchanged} == {
        name: new[name] for name in new if name not in unchanged
    }
    for name in copy.document.files:
        copy.path(name)


def test_gates_are_replaced_in_place(base: Path) -> None:
    opened = open_base(str(base))
    found = write_gates(base, GATES, calibration_of(opened, VOICES, "en", (2, 1, 3)))
    assert found.document.gates == GATES
    assert not list(base.glob("*.partial"))


def test_the_table_has_what_was_measured_and_what_passes() -> None:
    lines = table(VOICES, GATES).splitlines()
    assert lines[1].split() == ["stoi", "0.567", "0.400", "0.700", "0.400", ">=", "0.46", "2", "of", "3"]
    assert lines[2].split()[-3:] == ["3", "of", "3"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recordings", "a", "b"], "--recordings names 2 speakers, at least 3 are needed"),
        (["--recordings", "a", "a", "./a"], "--recordings names 1 speakers, at least 3 are needed"),
        (["--recordings", "a", "b", "c", "--metrics", "beauty"], "--metrics: 'beauty' is not measured; known: pesq"),
        (["--recordings", "a", "b", "c", "--language", "ja"], "--language ja: the base speaks en"),
        (["--recordings", "a", "b", "c", "--in-place"], "--in-place cannot change the embedded base"),
    ],
)
def test_what_cannot_be_is_refused_with_the_option(
    arguments: list[str], sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert main(["calibrate", "--base", "embedded:tiny", *arguments]) == 64
    assert sentence in caplog.text


def test_a_base_that_is_not_there_is_told(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    assert main(["calibrate", "--base", str(tmp_path / "x"), "--recordings", "a", "b", "c"]) == 78
    assert "there is no base at" in caplog.text


def test_speakers_that_cannot_be_used_are_named_and_too_few_make_no_gates(
    base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    (folders[1] / "notes.txt").write_text("no recordings")
    out = tmp_path / "out"
    arguments = ["--base", str(base), "--recordings", *map(str, folders), "--out", str(out)]
    assert main(["calibrate", *arguments]) == 65
    assert "one is left out: --recordings" in caplog.text
    assert "two is left out: " in caplog.text
    assert "only 0 of 3 speakers could be measured" in caplog.text
    assert not out.exists()


@pytest.mark.slow
def test_three_speakers_make_gates_and_a_second_call_repeats_nothing(
    random_base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the embedded base and real speakers it takes half an hour; the way is the same."""
    from voice_trainer.calibration import command  # noqa: PLC0415

    few: Any = command.Limits(min_speech_seconds=5.0, sentences=1, more_sentences=1, most_sentences=1)
    monkeypatch.setattr(command, "Limits", lambda **_: few)
    for voice in ("slt", "rms", "awb"):
        wavs = tmp_path / voice / "wavs"
        wavs.mkdir(parents=True)
        sentences = sentences_for("en", (), 8)
        for number, text in enumerate(sentences):
            command_line = ["flite", "-voice", voice, "-t", text, "-o", str(wavs / f"c{number}.wav")]
            subprocess.run(command_line, check=True, capture_output=True)
        rows = (f"c{number}|{text}\n" for number, text in enumerate(sentences))
        (tmp_path / voice / "metadata.csv").write_text("".join(rows))
    folders = [str(tmp_path / voice) for voice in ("slt", "rms", "awb")]
    arguments = ["calibrate", "--base", str(random_base), "--recordings", *folders, "--work", str(tmp_path / "work")]
    assert main([*arguments, "--out", str(tmp_path / "calibrated")]) == 0
    document = open_base(str(tmp_path / "calibrated")).document
    assert {"stoi", "speakerSimilarity", "durationRatio"} <= {gate.metric for gate in document.gates}
    assert "of 3 voices pass these gates" in capsys.readouterr().out
    manifests = {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("manifest.json")}
    assert len(manifests) == 3 * 4
    assert main(arguments) == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "work").rglob("manifest.json")} == manifests
