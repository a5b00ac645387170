"""The end of a revision: its artifacts are purged, and nothing else is; before that it costs no request."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import seal_of, signing

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.errors import StoreError
from voice_operator.metrics import Metrics
from voice_operator.reconcile.names import Key
from voice_operator.revisions import PURGE_TIMEOUT, RevisionReconciler
from voice_operator.settings import Settings

DELETED = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
HASH = "3fa9c2d1" * 8
REVISION = Key("VoiceRevision", "studio", "alice-3fa9c2d1")
DIGEST = "sha256:" + "a" * 64


@dataclass
class Scene:
    """A reconciler of revisions, and the cluster and bucket that it works on."""

    server: ApiServer
    caches: Caches
    folder: Path
    revisions: RevisionReconciler
    now: datetime = DELETED

    def put(self, *, deleting: bool = True, artifacts: str = "", spec: Any = None, **status: Any) -> None:
        """Put the revision and its files where they belong, and a bystander beside them."""
        voice = self.folder / "studio" / "alice"
        bundle = voice / "revisions" / REVISION.name
        for file in (bundle / "manifest.json", voice / HASH / "train" / "manifest.json", self.bystander):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("{}")
        written = {
            "voiceModel": "alice",
            "inputHash": HASH,
            "workspace": f"file://{voice}/{HASH}",
            "language": "en",
            "dataset": {"uri": "s3://d/alice", "digest": DIGEST},
            "base": {"name": "tiny", "uri": "embedded:tiny"},
            "training": {},
            "consent": {"holder": "Alice A.", "statement": "I agree."},
            "artifacts": {"uri": artifacts or f"file://{bundle}", "digest": DIGEST},
            "evaluation": {"scores": {}},
        }
        metadata: dict[str, Any] = {"finalizers": ["voice.sovits.dev/artifacts", "example.com/other"]}
        metadata |= {"annotations": seal_of("studio", REVISION.name, written | (spec or {}))}
        metadata |= {"deletionTimestamp": "2026-11-23T06:07:00Z"} if deleting else {}
        item = self.server.put(
            REVISION.name, plural="voicerevisions", metadata=metadata, spec=written | (spec or {}), status=status
        )
        self.caches.revisions.update(item)

    @property
    def bystander(self) -> Path:
        return self.folder / "studio" / "alice" / "revisions" / "alice-00000000" / "manifest.json"

    def files(self) -> int:
        """How many files there are beside the bystander."""
        assert self.bystander.exists()
        return sum(path.is_file() for path in self.folder.rglob("*")) - 1

    def finalizers(self) -> list[str]:
        found: list[str] = self.server.objects["voicerevisions", "studio", REVISION.name]["metadata"]["finalizers"]
        return found

    def reasons(self) -> list[str]:
        return [item["reason"] for (plural, _, _), item in self.server.objects.items() if plural == "events"]


def run(scenario: Callable[[Scene], Awaitable[None]], folder: Path) -> None:
    bases = {"tiny": {"uri": "embedded:tiny"}}
    images = {"trainer": "t", "inference": "i"}
    settings = Settings.model_validate({"images": images, "bases": bases, "storage": {"uri": f"file://{folder}"}})

    async def whole() -> None:
        async with an_api_server() as server:
            kube, caches = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics()), Caches()
            store = open_store(settings.storage.uri, {})
            cluster = Cluster(kube, caches, store, Inference(caches), settings, signing(caches))
            revisions = RevisionReconciler(cluster, EventRecorder(kube), lambda: scene.now)
            scene = Scene(server, caches, folder, revisions)
            try:
                await scenario(scene)
            finally:
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def test_a_revision_that_stays_costs_no_request(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(deleting=False)
        await scene.revisions.reconcile(REVISION)
        await scene.revisions.reconcile(Key("VoiceRevision", "studio", "nobody"))
        assert scene.server.requests == []

    run(scenario, tmp_path)


def test_a_revision_that_goes_takes_its_files_along_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.revisions.reconcile(REVISION)
        assert scene.files() == 0
        assert scene.finalizers() == ["example.com/other"]
        assert scene.reasons() == ["ArtifactsDeleted"]

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    ("about", "reason"),
    [
        pytest.param({"legalHold": True}, "ArtifactsHeld", id="a legal hold"),
        pytest.param({"artifacts": "file:///etc"}, "ArtifactsKept", id="a folder that is not the revision's own"),
    ],
)
def test_the_files_stay_for(about: dict[str, Any], reason: str, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**about)
        await scene.revisions.reconcile(REVISION)
        assert scene.files() == 2
        assert scene.finalizers() == ["example.com/other"]
        assert scene.reasons() == [reason]

    run(scenario, tmp_path)


def test_a_hold_of_which_no_watch_has_told_yet_counts(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        scene.server.objects["voicerevisions", "studio", REVISION.name]["status"] = {"legalHold": True}
        await scene.revisions.reconcile(REVISION)
        assert scene.files() == 2

    run(scenario, tmp_path)


def test_a_store_that_is_away_holds_the_deletion_up_for_five_minutes_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(scene: Scene) -> None:
        async def fail(*_: Any, **__: Any) -> int:
            raise StoreError("s3://voices: no answer")

        scene.put()
        monkeypatch.setattr(scene.revisions._cluster.store, "remove_below", fail)
        with pytest.raises(StoreError):
            await scene.revisions.reconcile(REVISION)
        assert len(scene.finalizers()) == 2
        scene.now += PURGE_TIMEOUT + timedelta(seconds=1)
        await scene.revisions.reconcile(REVISION)
        assert scene.finalizers() == ["example.com/other"]
        assert scene.reasons() == ["ArtifactsLeft"]

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    "voice", ["?", "#", "", ".", "..", "alice?", "alice#", "alice/..", "a/b", "%2e%2e", "Alice", " "]
)
def test_no_name_in_a_revision_leads_to_the_purge_of_another_folder(tmp_path: Path, voice: str) -> None:
    """Everything that the names lead to is written as the purge compares it."""

    async def scenario(scene: Scene) -> None:
        folder = f"file://{scene.folder}/studio/{voice}"
        artifacts = {"uri": f"{folder}/revisions/{voice}-{HASH[:8]}", "digest": DIGEST}
        scene.put(spec={"voiceModel": voice, "workspace": f"{folder}/{HASH}", "artifacts": artifacts})
        await scene.revisions.reconcile(REVISION)
        assert scene.files() == 2
        assert scene.reasons() == ["ArtifactsKept"]

    run(scenario, tmp_path)


@pytest.mark.parametrize("digits", ["?" * 64, "." * 64, "a/" * 32, "F" * 64])
def test_no_hash_in_a_revision_leads_to_the_purge_of_another_folder(tmp_path: Path, digits: str) -> None:
    async def scenario(scene: Scene) -> None:
        folder = f"file://{scene.folder}/studio/alice"
        artifacts = {"uri": f"{folder}/revisions/alice-{digits[:8]}", "digest": DIGEST}
        scene.put(spec={"inputHash": digits, "workspace": f"{folder}/{digits}", "artifacts": artifacts})
        await scene.revisions.reconcile(REVISION)
        assert scene.files() == 2
        assert scene.reasons() == ["ArtifactsKept"]

    run(scenario, tmp_path)
