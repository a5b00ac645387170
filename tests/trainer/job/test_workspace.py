"""The workspace: what pods exchange is checked, and a manifest counts only for its own input."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from voice_store import InvalidKey
from voice_trainer.errors import Transient, UsageError
from voice_trainer.job.display import LogDisplay
from voice_trainer.job.document import read_job
from voice_trainer.job.results import Failure
from voice_trainer.job.signals import TerminationSignal
from voice_trainer.job.workspace import Workspace

Open = Callable[[str], Workspace]
ONE, OTHER = "1" * 64, "2" * 64  # hashes of evaluations


@pytest.fixture
def pod(write_job: Callable[[], Path], tmp_path: Path) -> Open:
    """Open the job's workspace as another pod would: same store, scratch of its own."""
    return lambda name: Workspace(read_job(write_job()), tmp_path / name, TerminationSignal(), LogDisplay(30))


def committed(pod: Open) -> Workspace:
    workspace = pod("first")
    folder = workspace.begin("prepare")
    (folder / "clips").mkdir()
    (folder / "clips/a.flac").write_bytes(b"sound")
    workspace.commit("prepare", {"clips": 1}, started_at="2026-11-23T06:00:00Z")
    return workspace


def test_another_pod_sees_what_was_committed(pod: Open) -> None:
    committed(pod)
    second = pod("second")
    manifest = second.manifest("prepare")
    assert manifest
    assert manifest.summary == {"clips": 1}
    assert (second.results("prepare") / "clips/a.flac").read_bytes() == b"sound"


def test_a_stage_without_manifest_has_no_results(pod: Open) -> None:
    workspace = pod("first")
    workspace.store.write("prepare/clips/a.flac", b"sound")
    assert workspace.manifest("prepare") is None
    with pytest.raises(UsageError, match="stage prepare has not finished"):
        workspace.results("prepare")


def test_a_file_that_changed_in_the_store_is_not_used(pod: Open) -> None:
    committed(pod).store.write("prepare/clips/a.flac", b"noise")
    with pytest.raises(Transient, match="is not the file of the manifest"):
        pod("second").results("prepare")


@pytest.mark.parametrize(
    "change",
    [{"inputHash": "0" * 64}, {"stage": "train"}, {"schema": "voice.sovits.dev/stage/v9"}, {"files": None}],
    ids=["another input", "another stage", "a newer schema", "damaged"],
)
def test_a_manifest_of_something_else_does_not_count(pod: Open, change: dict[str, object]) -> None:
    workspace = committed(pod)
    document = json.loads(workspace.store.read("prepare/manifest.json")) | change
    workspace.store.write("prepare/manifest.json", json.dumps(document).encode())
    assert workspace.manifest("prepare") is None


@pytest.mark.parametrize(
    ("stage", "manifest", "job", "counts"),
    [
        pytest.param("evaluate", ONE, ONE, True, id="an evaluation with the same gates and sentences"),
        pytest.param("evaluate", ONE, OTHER, False, id="an evaluation with others"),
        pytest.param("publish", ONE, OTHER, False, id="a voice that others let pass"),
        pytest.param("evaluate", "", OTHER, False, id="an evaluation that names none"),
        pytest.param("evaluate", ONE, "", True, id="any evaluation where the job names none"),
        pytest.param("train", ONE, OTHER, True, id="a training whatever is evaluated"),
    ],
)
def test_a_manifest_counts(  # noqa: PLR0917
    job_document: dict[str, object], pod: Open, stage: str, manifest: str, job: str, counts: bool
) -> None:
    job_document["evaluationHash"] = manifest
    pod("first").commit(stage, {}, started_at="2026-11-23T06:00:00Z")
    job_document["evaluationHash"] = job
    assert (pod("second").manifest(stage) is not None) is counts


def test_a_stage_that_runs_again_is_uncommitted_while_its_files_are_replaced(pod: Open) -> None:
    committed(pod).begin("prepare")
    assert pod("second").manifest("prepare") is None


def test_a_manifest_cannot_name_a_file_outside_the_workspace(pod: Open, tmp_path: Path) -> None:
    workspace = committed(pod)
    document = json.loads(workspace.store.read("prepare/manifest.json"))
    document["files"] = {"../../../escaped": document["files"]["clips/a.flac"]}
    workspace.store.write("prepare/manifest.json", json.dumps(document).encode())
    with pytest.raises(InvalidKey, match="is no key of an object"):
        pod("second").results("prepare")
    assert not (tmp_path / "escaped").exists()


def test_a_new_attempt_begins_with_an_empty_folder_and_no_failure(pod: Open) -> None:
    workspace = pod("first")
    (workspace.folder("train") / "left").mkdir()
    (workspace.folder("train") / "left/over").write_bytes(b"x")
    workspace.record_failure(Failure(stage="train", exit_code=75, reason="Transient", message="x"))
    assert workspace.store.exists("train/failure.json")
    assert list(workspace.begin("train").iterdir()) == []
    assert not workspace.store.exists("train/failure.json")
