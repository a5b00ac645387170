"""The object store, on a local folder: what is read, what is fingerprinted, and that nothing else is ever removed."""

import asyncio
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, cast

import pytest
from tests.support.signing import KEY

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import STAGES, StageStatus, VoiceModelStatus
from voice_operator.cluster.store import MAX_DOCUMENT_BYTES, open_store
from voice_operator.cluster.workspace import Memo, Results, Workspace
from voice_operator.errors import InvalidDocument, StoreError
from voice_operator.reconcile.observed import StageFolder, Voice
from voice_operator.reconcile.proofs import CHAIN, STAGE_OF, Verifier, digest_of_bytes
from voice_operator.signing import tag_of
from voice_store import FolderStore

HASH = "3fa9c2d1" * 8
SPEC = {
    "language": "en",
    "dataset": {"uri": "s3://voices/datasets/alice"},
    "consent": {"holder": "Alice A.", "statement": "I agree."},
}
ALICE = Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(SPEC), VoiceModelStatus())


def run(call: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(call)


def test_a_missing_document_is_none(tmp_path: Path) -> None:
    assert run(open_store("file:///").read(f"file://{tmp_path}/none.json")) is None


def test_a_huge_document_is_refused(tmp_path: Path) -> None:
    (tmp_path / "huge").write_bytes(b"x" * (MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(StoreError, match="larger than"):
        run(open_store("file:///").read(f"file://{tmp_path}/huge"))


def test_an_address_without_access_is_named() -> None:
    with pytest.raises(StoreError, match="gs://bucket/x"):
        run(open_store("file:///").read("gs://bucket/x"))


def test_a_fingerprint_changes_with_content_and_not_with_time(tmp_path: Path) -> None:
    store, uri = open_store("file:///"), f"file://{tmp_path}"
    assert run(store.fingerprint(uri)) is None
    (tmp_path / "wavs").mkdir()
    (tmp_path / "wavs" / "1.wav").write_bytes(b"a")
    first = run(store.fingerprint(uri))
    assert run(store.fingerprint(uri)) == first
    (tmp_path / "wavs" / "2.wav").write_bytes(b"b")
    assert run(store.fingerprint(uri)) != first


def test_the_order_of_a_listing_changes_no_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).write_text(name)
    store, uri = open_store("file:///"), f"file://{tmp_path}"
    sorted_ = run(store.fingerprint(uri))
    entries = FolderStore.entries
    monkeypatch.setattr(FolderStore, "entries", lambda self: reversed(list(entries(self))))
    assert run(store.fingerprint(uri)) == sorted_


def test_removing_a_folder_leaves_its_neighbours(tmp_path: Path) -> None:
    for name in ("alice/1/manifest.json", "alice/1/deep/file", "alice/10/file", "bob/file"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert run(open_store("file:///").erase_below(f"file://{tmp_path}/alice", ("1/",))).objects == 2
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"alice/10/file", "bob/file"}


def a_workspace(tmp_path: Path, **documents: str) -> Workspace:
    """A workspace with these manifests and those of the stages before them; all are proved, whatever they say."""
    last = max((CHAIN.index(cast("StageFolder", folder)) for folder in documents), default=-1)
    digests: dict[str, str] = {}
    for folder in CHAIN[: last + 1]:
        stage = STAGE_OF[folder]
        content = documents.get(folder, manifest(folder)).encode()
        receipt = {
            "schema": "voice.sovits.dev/receipt/v1",
            "job": f"alice-3fa9c2d1-{stage}-1",
            "attempt": 1,
            "stage": folder,
            "inputHash": HASH,
            "manifest": digest_of_bytes(content),
            "inputs": dict(digests),
        }
        receipt["tag"] = tag_of(receipt, KEY.attempt_key("uid", HASH, stage, 1))
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "manifest.json").write_bytes(content)
        (tmp_path / folder / "receipt.json").write_text(json.dumps(receipt))
        digests[folder] = digest_of_bytes(content)
    recorded = tuple(StageStatus(name=name, state="Running", attempt=1) for name in STAGES)
    verifier = Verifier(ALICE, HASH, KEY, (), recorded)
    bundle = "s3://voices/studio/alice/revisions/alice-1"
    return Workspace(open_store("file:///"), f"file://{tmp_path}", bundle, verifier, Memo())


def results_of(workspace: Workspace) -> Results:
    found: Results = run(workspace.results(done=(), running=(), published=False, is_present=lambda _: True))
    return found


def manifest(stage: str, summary: str = "{}", digest: str = HASH) -> str:
    about = f'"schema": "voice.sovits.dev/stage/v1", "stage": "{stage}", "inputHash": "{digest}"'
    times = '"startedAt": "2026-11-23T06:00:00Z", "completedAt": "2026-11-23T06:01:00Z"'
    return f'{{{about}, {times}, "summary": {summary}}}'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("{", "Invalid JSON", id="half a file"),
        pytest.param("[]", "the document", id="another kind of document"),
        pytest.param(manifest("prepare").replace("stage/v1", "stage/v2"), "schema", id="another version"),
        pytest.param(manifest("prepare", digest="0" * 64), "for input 000", id="the manifest of another input"),
        pytest.param(manifest("train"), "manifest of stage train", id="the manifest of another stage"),
        pytest.param(manifest("prepare", '{"scores": {"pesq": "high"}}'), "summary.scores.pesq", id="a score in words"),
    ],
)
def test_a_wrong_manifest_is_refused_with_its_address(tmp_path: Path, text: str, sentence: str) -> None:
    workspace = a_workspace(tmp_path, prepare=text)
    with pytest.raises(InvalidDocument, match=r"prepare/manifest\.json") as caught:
        results_of(workspace)
    assert sentence in str(caught.value)


def test_a_stage_may_publish_only_where_it_was_told_to(tmp_path: Path) -> None:
    elsewhere = '{"uri": "s3://voices/studio/bob/revisions/bob-1", "digest": "sha256:' + "a" * 64 + '"}'
    workspace = a_workspace(
        tmp_path, evaluate=manifest("evaluate", '{"passed": true}'), publish=manifest("publish", elsewhere)
    )
    with pytest.raises(InvalidDocument, match=r"summary\.uri must be s3://voices/studio/alice"):
        results_of(workspace)


@pytest.mark.parametrize(
    ("summary", "passed"),
    [
        pytest.param('{"passed": true}', True, id="passed"),
        pytest.param('{"passed": false}', False, id="not passed"),
        pytest.param("{}", False, id="no verdict is no success"),
        pytest.param(
            '{"passed": false, "gates": [{"metric": "cer", "max": "0.1", "value": "", "passed": false}]}',
            False,
            id="a gate that nothing measured",
        ),
    ],
)
def test_the_verdict_of_an_evaluation(tmp_path: Path, summary: str, passed: bool) -> None:
    workspace = a_workspace(tmp_path, evaluate=manifest("evaluate", summary))
    assert results_of(workspace).outputs["evaluate"].passed is passed


def test_progress_that_cannot_be_read_is_no_progress(tmp_path: Path) -> None:
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "progress.json").write_text('{"percent": 900}')
    assert run(a_workspace(tmp_path).progress("train")) is None
