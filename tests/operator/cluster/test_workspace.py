"""What is read of a workspace: only proved results count, and what is at rest costs no more than its last manifest."""

import asyncio
import json
from collections.abc import Collection
from typing import Any

import pytest
from tests.support.signing import KEY

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import LastFailure, StageStatus, VoiceModelStatus
from voice_operator.cluster.workspace import Memo, Results, Workspace
from voice_operator.reconcile.observed import StageFolder, Voice
from voice_operator.reconcile.proofs import CHAIN, STAGE_OF, Verifier, digest_of_bytes
from voice_operator.signing import tag_of

HASH = "3fa9c2d1" * 8
URI, BUNDLE = f"s3://voices/studio/alice/{HASH}", "s3://voices/studio/alice/revisions/alice-3fa9c2d1"
SPEC = {
    "language": "en",
    "dataset": {"uri": "s3://voices/datasets/alice"},
    "consent": {"holder": "Alice A.", "statement": "I agree."},
}
ALICE = Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(SPEC), VoiceModelStatus())


class Bucket:
    """A store that remembers what was asked for."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.asked: list[str] = []

    async def read(self, uri: str, namespace: str) -> bytes | None:
        assert namespace == ALICE.namespace, "whose share of the threads it takes"
        self.asked.append(uri.removeprefix(f"{URI}/"))
        return self.objects.get(uri)

    def put(self, folder: StageFolder, *, passed: bool = True, attempt: int = 1, note: str = "") -> None:
        """Leave what a stage writes: its manifest, and a receipt by the attempt's key."""
        summary: dict[str, Any] = {"note": note}
        if folder == "prepare":
            finding = {"clip": "a1", "reason": "WrongText", "message": "a1: \x1b[2J", "rejected": True}
            summary |= {"clips": 9, "rejected": 1, "denoised": 2, "speechSeconds": "61.5", "findings": [finding]}
        if folder == "evaluate":
            summary |= {"passed": passed}
        if folder == "publish":
            summary |= {"uri": BUNDLE, "digest": "sha256:" + "b" * 64}
        times = {"startedAt": "2026-11-23T06:00:00Z", "completedAt": "2026-11-23T06:01:00Z"}
        document = {"schema": "voice.sovits.dev/stage/v1", "stage": folder, "inputHash": HASH, "summary": summary}
        manifest = json.dumps(document | times).encode()
        self.objects[f"{URI}/{folder}/manifest.json"] = manifest
        receipt = {
            "schema": "voice.sovits.dev/receipt/v1",
            "job": f"alice-3fa9c2d1-{STAGE_OF[folder]}-{attempt}",
            "attempt": attempt,
            "stage": folder,
            "inputHash": HASH,
            "manifest": digest_of_bytes(manifest),
            "inputs": {one: self.digest(one) for one in CHAIN[: CHAIN.index(folder)]},
        }
        key = KEY.attempt_key("uid", HASH, STAGE_OF[folder], attempt)
        self.objects[f"{URI}/{folder}/receipt.json"] = json.dumps(receipt | {"tag": tag_of(receipt, key)}).encode()

    def digest(self, folder: StageFolder) -> str:
        return digest_of_bytes(self.objects[f"{URI}/{folder}/manifest.json"])


class Scene:
    """Passes over one voice; what is remembered outlives them."""

    def __init__(self) -> None:
        self.bucket, self.memo = Bucket(), Memo()

    def look(
        self,
        done: Collection[Any] = (),
        *,
        running: Collection[Any] = (),
        published: bool = False,
        failure: LastFailure | None = None,
    ) -> Results:
        """Return what one pass finds; every stage has had one attempt that succeeded and is gone."""
        self.bucket.asked = []
        recorded = tuple(
            StageStatus(name=name, state="Succeeded" if name in done else "Running", attempt=1, last_failure=failure)
            for name in ("prepare", "train", "evaluate")
        )
        verifier = Verifier(ALICE, HASH, KEY, (), recorded)
        store: Any = self.bucket
        workspace = Workspace(store, URI, BUNDLE, verifier, self.memo)
        return asyncio.run(
            workspace.results(done=done, running=running, published=published, is_present=lambda _: True)
        )


@pytest.fixture
def scene() -> Scene:
    found = Scene()
    for folder in CHAIN:
        found.bucket.put(folder)
    return found


def test_a_whole_chain_is_proved(scene: Scene) -> None:
    found = scene.look()
    assert tuple(found.proofs) == CHAIN
    assert set(found.outputs) == set(CHAIN)
    assert found.unproved == {}


def test_what_prepare_found_is_read_as_one_printable_line(scene: Scene) -> None:
    recordings = scene.look().outputs["prepare"].recordings
    assert recordings is not None
    assert (recordings.clips, recordings.rejected, recordings.denoised, recordings.speech_seconds) == (9, 1, 2, "61.5")
    (finding,) = recordings.findings
    assert (finding.clip, finding.reason, finding.rejected) == ("a1", "WrongText", True)
    assert finding.message.isprintable()


def test_a_published_voice_and_a_running_job_cost_no_read(scene: Scene) -> None:
    scene.look(("prepare", "train", "evaluate"), published=True)
    assert scene.bucket.asked == []
    scene.look(("prepare",), running=("train",))
    assert scene.bucket.asked == []


def test_a_voice_that_missed_its_gates_costs_one_read_and_needs_no_proof(scene: Scene) -> None:
    scene.bucket.put("evaluate", passed=False)
    del scene.bucket.objects[f"{URI}/evaluate/receipt.json"]
    assert scene.look(("prepare", "train", "evaluate")).outputs["evaluate"].passed is False
    assert scene.bucket.asked == ["evaluate/manifest.json"]


def test_what_is_done_is_read_once(scene: Scene) -> None:
    for folder in ("evaluate", "publish"):
        del scene.bucket.objects[f"{URI}/{folder}/manifest.json"]
    first, again = scene.look(("prepare", "train")), scene.look(("prepare", "train"))
    assert scene.bucket.asked == ["evaluate/manifest.json"]
    assert first.proofs == again.proofs
    assert tuple(again.proofs) == ("prepare", "features", "train")


@pytest.mark.parametrize("folder", CHAIN)
def test_a_voice_is_not_published_from_what_is_remembered(scene: Scene, folder: StageFolder) -> None:
    assert tuple(scene.look(("prepare", "train")).proofs) == CHAIN
    scene.bucket.objects[f"{URI}/{folder}/manifest.json"] += b" "
    found = scene.look(("prepare", "train"))
    assert tuple(found.proofs) != CHAIN
    assert "somebody changed it" in found.unproved[folder]


def test_after_a_stage_that_refused_a_result_it_is_read_again(scene: Scene) -> None:
    scene.look(("prepare", "train"))
    scene.bucket.objects[f"{URI}/prepare/manifest.json"] += b" "
    del scene.bucket.objects[f"{URI}/evaluate/manifest.json"]
    assert scene.look(("prepare", "train")).unproved == {}
    failure = LastFailure(attempt=1, failure_class="Permanent", reason="UnprovedResult", time="2026-11-23T06:00:00Z")
    assert set(scene.look(("prepare", "train"), failure=failure).unproved) == {"prepare"}


def test_what_was_made_from_another_result_does_not_count(scene: Scene) -> None:
    scene.bucket.put("prepare", note="made again")
    found = scene.look()
    assert tuple(found.proofs) == ("prepare",)
    assert "was made from another result of stage prepare" in found.unproved["features"]
    assert set(found.unproved) == set(CHAIN[1:])
