"""Receipts: a result counts only where an attempt of its own stage, or the operator, vouches for these very bytes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from voice_trainer.errors import BadData, UsageError
from voice_trainer.job.display import LogDisplay
from voice_trainer.job.document import read_job
from voice_trainer.job.receipts import digest_of_bytes
from voice_trainer.job.signals import TerminationSignal
from voice_trainer.job.workspace import Workspace

KEYS = {"1": "11" * 32, "2": "22" * 32}
NAME = "alice-3fa9c2d1-train-"

Open = Callable[..., Workspace]


@pytest.fixture
def pod(write_job: Callable[[], Path], job_document: dict[str, Any], tmp_path: Path) -> Open:
    """Open the workspace as the pod of an attempt; ``inputs`` are the results that the operator has verified."""
    keys = tmp_path / "keys.json"

    def open_workspace(attempt: int = 1, inputs: dict[str, str] | None = None, **changed: str) -> Workspace:
        known = {number: key for number, key in KEYS.items() if int(number) <= attempt} | changed
        keys.write_text(json.dumps({"schema": "voice.sovits.dev/attempt-keys/v1", "keys": known}))
        receipts = {"job": f"{NAME}{attempt}", "keys": str(keys), "inputs": inputs or {}}
        job_document.update({"attempt": {"number": attempt, "batchSizeDivisor": 1}, "receipts": receipts})
        return Workspace(read_job(write_job()), tmp_path / f"{attempt}", TerminationSignal(), LogDisplay(30))

    return open_workspace


def commit(workspace: Workspace, stage: str, *reads: str) -> str:
    """Finish a stage that reads the results of others; return the digest of its manifest."""
    folder = workspace.begin(stage)
    for other in reads:
        workspace.results(other)
    (folder / "file").write_text(stage)
    workspace.commit(stage, {}, started_at="2026-11-23T06:00:00Z")
    return digest_of_bytes(workspace.store.read(f"{stage}/manifest.json"))


def test_a_receipt_names_attempt_and_digests(pod: Open) -> None:
    workspace = pod()
    prepared = commit(workspace, "prepare")
    made = commit(workspace, "features", "prepare")
    receipt = json.loads(workspace.store.read("features/receipt.json"))
    assert receipt.pop("tag") != json.loads(workspace.store.read("prepare/receipt.json"))["tag"]
    assert receipt == {
        "schema": "voice.sovits.dev/receipt/v1",
        "job": f"{NAME}1",
        "attempt": 1,
        "stage": "features",
        "inputHash": workspace._input_hash,
        "manifest": made,
        "inputs": {"prepare": prepared},
    }
    result = json.loads(workspace.result(["features"]) or b"")
    assert (result["manifests"], result["attempt"]) == ({"features": made}, 1)


def test_a_later_attempt_trusts_what_an_earlier_one_committed(pod: Open) -> None:
    commit(pod(), "features")
    assert pod(2).manifest("features")


def test_without_keys_everything_is_as_before(
    pod: Open, write_job: Callable[[], Path], job_document: dict[str, Any], tmp_path: Path
) -> None:
    commit(pod(), "features")
    del job_document["receipts"]
    plain = Workspace(read_job(write_job()), tmp_path / "plain", TerminationSignal(), LogDisplay(30))
    plain.store.delete("features/receipt.json")
    assert plain.manifest("features")
    commit(plain, "train")
    assert not plain.store.exists("train/receipt.json")
    assert plain.result(["train"]) is None


def spoil(workspace: Workspace, name: str, **changes: Any) -> None:
    document = json.loads(workspace.store.read(f"features/{name}.json"))
    workspace.store.write(f"features/{name}.json", json.dumps(document | changes).encode())


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda one: one.store.delete("features/receipt.json"), id="no receipt"),
        pytest.param(lambda one: one.store.write("features/receipt.json", b"{"), id="a receipt that is no JSON"),
        pytest.param(lambda one: one.store.write("features/receipt.json", b"[1]"), id="a receipt that is no object"),
        pytest.param(lambda one: spoil(one, "manifest", summary={"passed": True}), id="another manifest"),
        pytest.param(lambda one: spoil(one, "receipt", attempt=2), id="another attempt"),
        pytest.param(lambda one: spoil(one, "receipt", attempt="1"), id="an attempt that is no number"),
        pytest.param(lambda one: spoil(one, "receipt", tag="0" * 64), id="another tag"),
        pytest.param(
            lambda one: [
                one.store.write(f"features/{name}.json", one.store.read(f"prepare/{name}.json"))
                for name in ("manifest", "receipt")
            ],
            id="those of another stage",
        ),
    ],
)
def test_a_result_that_is_not_proved_is_made_again(pod: Open, forge: Callable[[Workspace], Any]) -> None:
    workspace = pod()
    commit(workspace, "prepare")
    commit(workspace, "features", "prepare")
    forge(workspace)
    assert pod(2).manifest("features") is None


def test_a_receipt_by_another_key_is_none(pod: Open) -> None:
    commit(pod(), "features")
    assert pod(2, **{"1": "33" * 32}).manifest("features") is None


def test_a_result_of_another_input_is_made_again(pod: Open) -> None:
    first = pod()
    commit(first, "prepare")
    commit(first, "features", "prepare")
    assert pod(2, inputs={"prepare": "sha256:" + "0" * 64}).manifest("features") is None


def test_an_earlier_jobs_result_must_be_the_one_that_the_operator_verified(pod: Open) -> None:
    digest = commit(pod(), "prepare")
    assert pod(2, {"prepare": digest}).manifest("prepare")
    second = pod(2, {"prepare": digest})
    second.store.write("prepare/manifest.json", second.store.read("prepare/manifest.json") + b" ")
    for read in (second.manifest, second.results):
        with pytest.raises(BadData, match="is not the result that the operator has verified") as found:
            read("prepare")
        assert found.value.reason == "UnprovedResult"
    second.store.delete("prepare/manifest.json")
    with pytest.raises(BadData, match="verified"):
        second.manifest("prepare")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        pytest.param(None, "No such file", id="no file"),
        pytest.param('{"schema": "voice.sovits.dev/attempt-keys/v1", "keys": {}}', "keys", id="no keys"),
        pytest.param('{"schema": "voice.sovits.dev/attempt-keys/v1", "keys": {"1": "x"}}', "hex", id="no hex digits"),
        pytest.param('{"schema": "voice.sovits.dev/attempt-keys/v1", "keys": {"2": "aa"}}', "attempt 1", id="another"),
    ],
)
def test_keys_that_cannot_be_read_end_the_run_with_a_sentence(
    pod: Open, write_job: Callable[[], Path], tmp_path: Path, content: str | None, sentence: str
) -> None:
    pod()
    keys = tmp_path / "keys.json"
    keys.unlink()
    if content is not None:
        keys.write_text(content)
    with pytest.raises(UsageError, match=f"receipts.keys.*{sentence}"):
        Workspace(read_job(write_job()), tmp_path / "other", TerminationSignal(), LogDisplay(30))


def test_a_checkpoint_is_known_by_its_tag(pod: Open) -> None:
    tag = pod().tag("content")
    second = pod(2)
    assert second.is_own("content", tag)
    forged = ("", "1:", "x:1", tag.replace("1:", "2:", 1), tag.replace("1:", "3:", 1), second.tag("other"))
    assert not any(second.is_own("content", wrong) for wrong in forged)
