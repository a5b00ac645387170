"""The command line: helpful to people, and never without an exit code the operator knows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voice_trainer.__main__ import main
from voice_trainer.settings import read_settings


@pytest.fixture(autouse=True)
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICE_TERMINATION_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


def test_stages_are_listed_in_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stages"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["prepare", "features", "train", "evaluate", "publish"]


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"]])
def test_help_explains_exit_codes_and_environment(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("143", "VOICE_SCRATCH", "VOICE_LOG_LEVEL", "AWS_ENDPOINT_URL_S3"))


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("voice-trainer 0.")


@pytest.mark.parametrize("arguments", [[], ["run"], ["dance"], ["run", "--job"], ["run", "--job", "x", "--fast"]])
def test_a_wrong_command_line_ends_with_64(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 64
    assert "usage: voice-trainer" in capsys.readouterr().err


@pytest.mark.parametrize(("stages", "named"), [("dance", "'dance' is no stage"), ("", "--stages is empty")])
def test_an_unknown_stage_is_named_beside_the_known_ones(
    write_job: Callable[[], Path], termination_log: Path, stages: str, named: str
) -> None:
    assert main(["run", "--job", str(write_job()), "--stages", stages]) == 64
    failure = json.loads(termination_log.read_bytes())
    assert failure["reason"] == "UnknownStage"
    assert named in failure["message"]
    assert "prepare, features, train, evaluate, publish" in failure["message"]


def test_a_job_that_is_no_document_ends_with_64(tmp_path: Path, termination_log: Path) -> None:
    (tmp_path / "job.json").write_text("{}")
    assert main(["run", "--job", str(tmp_path / "job.json")]) == 64
    assert json.loads(termination_log.read_bytes())["reason"] == "InvalidJob"


def test_a_store_that_is_no_store_is_a_matter_of_configuration(
    write_job: Callable[[], Path], job_document: dict[str, Any], termination_log: Path
) -> None:
    job_document["store"]["workspace"] = "ftp://somewhere"
    assert main(["run", "--job", str(write_job()), "--stages", "prepare"]) == 78
    assert json.loads(termination_log.read_bytes())["reason"] == "InvalidUri"


@pytest.mark.parametrize(
    ("name", "value"), [("VOICE_LOG_LEVEL", "loud"), ("VOICE_PROGRESS_SECONDS", "0"), ("VOICE_PROGRESS_SECONDS", "x")]
)
def test_a_setting_that_is_wrong_is_named_with_its_value(
    write_job: Callable[[], Path], monkeypatch: pytest.MonkeyPatch, termination_log: Path, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert main(["run", "--job", str(write_job()), "--stages", "prepare"]) == 64
    failure = json.loads(termination_log.read_bytes())
    assert failure["reason"] == "InvalidSettings"
    assert failure["message"].startswith(f"{name}: ")
    assert f"(found '{value}')" in failure["message"]


def test_a_setting_that_is_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICE_SCRATCH", "")
    monkeypatch.setenv("VOICE_LOG_LEVEL", "")
    assert (read_settings().scratch, read_settings().log_level) == (None, "info")


def test_scratch_that_cannot_be_made_is_told(
    write_job: Callable[[], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, termination_log: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("VOICE_SCRATCH", str(tmp_path / "file" / "below"))
    assert main(["run", "--job", str(write_job()), "--stages", "prepare"]) == 64
    assert "VOICE_SCRATCH=" in json.loads(termination_log.read_bytes())["message"]
