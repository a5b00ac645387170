"""What deleted voices have left on the Hub: withdrawn by a Job that nobody owns; the API server is a double."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.operator.test_erasures import FOLDER, NOW, Scene, until
from tests.operator.test_erasures import run as run_scene

from voice_operator import erasures as erasures_module
from voice_operator import withdrawals as withdrawals_module
from voice_operator.manifests.labels import COPY, VOICE_MODEL, owner

DIGEST = "sha256:" + "a" * 64
COPIED = {
    "hubCopy": {"repository": "studio/alice", "revision": "alice-3fa9c2d1", "digest": DIGEST, "state": "Copied"},
}
JOB = "alice-withdraw-"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures_module, "SETTLE_SECONDS", 0.05)
    monkeypatch.setattr(withdrawals_module, "POLL_SECONDS", 0.05)


def run(scenario: Callable[[Scene], Awaitable[None]], folder: Path, *, allowed: bool = True) -> None:
    run_scene(scenario, folder, hub={"tokenSecret": "hub" if allowed else ""})


def jobs(scene: Scene) -> list[dict[str, Any]]:
    return [item for (plural, _, name), item in scene.server.objects.items() if plural == "jobs" and JOB in name]


async def job_of(scene: Scene) -> dict[str, Any]:
    """Let the operator look until it has made the Job."""
    await until_after_passes(scene, lambda: jobs(scene))
    (job,) = jobs(scene)
    return job


async def until_after_passes(scene: Scene, condition: Callable[[], Any]) -> None:
    while not condition():
        await scene.erasures.reconcile(FOLDER)


def end(scene: Scene, job: dict[str, Any], kind: str = "Complete", message: str = "") -> None:
    """Let a Job end, as the caches would hear of it."""
    condition = {"type": kind, "status": "True", "reason": "BackoffLimitExceeded", "message": message}
    metadata = job["metadata"] | {"resourceVersion": "100000"}
    scene.caches.jobs.update(job | {"metadata": metadata, "status": {"conditions": [condition]}})


def told(scene: Scene) -> list[str]:
    return [act["act"] for act in scene.acts() if act["act"].startswith("Withdraw")]


@pytest.mark.parametrize("watched", [True, False])
def test_the_copy_of_a_deleted_voice_is_withdrawn_and_recorded_once(watched: bool, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        assert (scene.marker() or {})["copied"]["repository"] == "studio/alice", "before anything is copied"
        scene.write()
        scene.delete(watched=watched)
        if not watched:
            await until(lambda: scene.queue._dirty)
        job = await job_of(scene)
        assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [
            "withdraw",
            "hf://studio/alice",
            "--cause",
            "deleted",
        ]
        assert "ownerReferences" not in job["metadata"], "its VoiceModel is gone, and would take it along"
        files = scene.server.objects["configmaps", "studio", job["metadata"]["name"]]
        assert files["metadata"]["ownerReferences"][0]["name"] == job["metadata"]["name"], "they go with the Job"
        scene.start()  # another process goes on
        await until(lambda: scene.queue._dirty)
        end(scene, job)
        await scene.settle()
        await scene.settle()
        assert (told(scene), scene.journals(), scene.files()) == (["Withdrawn"], [], [])
        (act,) = (act for act in scene.acts() if act["act"] == "Withdrawn")
        assert (act["revision"], act["digests"]) == ("alice-3fa9c2d1", {"bundle": DIGEST})
        assert act["reason"] == "hf://studio/alice holds no copy any more: the VoiceModel was deleted"
        assert len(jobs(scene)) == 1

    run(scenario, tmp_path)


def test_files_and_names_wait_for_no_withdrawal(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        scene.write()
        scene.delete()
        await until_after_passes(scene, lambda: scene.marker() is None)
        assert (scene.files(), len(jobs(scene)), told(scene)) == ([], 1, [])
        assert scene.erasures.withdrawing == {"studio/alice"}, "a new voice copies nothing there meanwhile"
        scene.put("new", inputHash=None)
        assert await scene.claim("new") == ""
        end(scene, jobs(scene)[0])
        await scene.settle()
        assert (told(scene), scene.erasures.withdrawing) == (["Withdrawn"], set())

    run(scenario, tmp_path)


def test_a_legal_hold_keeps_the_copy_too(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED, hold=True)
        await scene.settle()
        scene.write()
        scene.delete()
        await scene.settle()
        assert (jobs(scene), told(scene), len(scene.files())) == ([], [], 3)
        assert (scene.marker() or {})["copied"]["repository"] == "studio/alice"

    run(scenario, tmp_path)


@pytest.mark.parametrize("state", ["Withdrawn", "Refused"])
def test_where_nothing_is_nothing_is_withdrawn(state: str, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(hubCopy=COPIED["hubCopy"] | {"state": state})
        await scene.settle()
        scene.delete()
        await scene.settle()
        assert (jobs(scene), told(scene)) == ([], [])

    run(scenario, tmp_path)


def reason(scene: Scene) -> str:
    (act,) = (act for act in scene.acts() if act["act"].startswith("Withdraw"))
    assert act["act"] == "WithdrawalFailed"
    return str(act["reason"])


def test_what_cannot_be_withdrawn_is_told_and_recorded_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        scene.delete()
        job = await job_of(scene)
        end(scene, job, "Failed", "the Hub answers 403")
        await until_after_passes(scene, lambda: "WithdrawalFailed" in scene.reasons())
        assert told(scene) == [], "it is tried again"
        monkeypatch.setattr(withdrawals_module, "GIVEN_UP_AFTER", timedelta(0))
        await scene.settle()
        assert "hf://studio/alice is not withdrawn: " in reason(scene)
        assert (scene.journals(), scene.erasures.withdrawing) == ([], set())

    run(scenario, tmp_path)


def test_without_a_token_a_person_is_told_at_once(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        scene.delete()
        await scene.settle()
        assert "hub.tokenSecret" in reason(scene)
        assert jobs(scene) == []

    run(scenario, tmp_path, allowed=False)


def test_a_namespace_that_is_gone_holds_nothing_up(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        scene.write()
        scene.delete()
        ending = "unable to create new content in namespace studio because it is being terminated"
        scene.server.forbids = lambda request: ending if request.method == "POST" and "/jobs" in request.path else ""
        await scene.settle()
        assert "its namespace is gone" in reason(scene)
        assert scene.files() == []

    run(scenario, tmp_path)


def test_an_api_server_that_takes_no_job_is_asked_again_and_holds_up_no_erasure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(withdrawals_module, "RETRY_SECONDS", 0.05)

    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        scene.write()
        scene.delete()
        scene.server.forbids = lambda request: "exceeded quota" if "/jobs" in request.path else ""
        await until_after_passes(scene, lambda: scene.erased() == ["VoiceDeleted: 3 objects, 15 bytes"])
        assert (jobs(scene), "WithdrawalFailed" in scene.reasons()) == ([], True)
        scene.server.forbids = lambda _: ""
        end(scene, await job_of(scene))
        await scene.settle()
        assert told(scene) == ["Withdrawn"]

    run(scenario, tmp_path)


def test_the_copy_of_a_living_voice_is_left_alone(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**COPIED)
        await scene.settle()
        scene.delete()
        metadata = {"uid": "other", "generation": 1, "creationTimestamp": f"{NOW:%Y-%m-%dT%H:%M:%SZ}"}
        scene.caches.voices.update(
            scene.server.put("bob", plural="voicemodels", metadata=metadata, spec={}, status=dict(COPIED))
        )
        await scene.settle()
        assert "studio/bob has its own copy there" in reason(scene)
        assert jobs(scene) == []

    run(scenario, tmp_path)


def test_nothing_is_withdrawn_while_the_copy_may_still_be_written(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(hubCopy=COPIED["hubCopy"] | {"state": "Copying"})
        await scene.settle()
        labels = {VOICE_MODEL: "alice", COPY: "hub"}
        owners = owner("VoiceModel", "alice", "uid")
        copying = scene.server.put("alice-3fa9c2d1-copy-1", metadata={"labels": labels, "ownerReferences": owners})
        scene.caches.jobs.update(copying)
        scene.delete()
        await until_after_passes(scene, lambda: scene.marker() is None)
        assert jobs(scene) == []
        end(scene, copying)
        await job_of(scene)

    run(scenario, tmp_path)
