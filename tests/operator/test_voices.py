"""Passes over one voice: how soon the next one follows, and that no mistake becomes a hot loop."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import seal_of, signing

from voice_operator import voices as voices_module
from voice_operator.admission import Admission
from voice_operator.alerts import AlertDispatcher
from voice_operator.audit import AuditLog
from voice_operator.cluster import listings
from voice_operator.cluster.alert_client import AlertClient
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.objects import voice_record
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.revocations import Revocations
from voice_operator.cluster.session_keys import session_minter
from voice_operator.cluster.store import open_store
from voice_operator.erasures import ErasureReconciler
from voice_operator.errors import InvalidObject
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.names import Key
from voice_operator.settings import Settings
from voice_operator.voices import LISTING_POLL_SECONDS, VoiceReconciler
from voice_store import Entry, FolderStore

NOW = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
ALICE = Key("VoiceModel", "studio", "alice")
DIGEST = "sha256:" + "a" * 64
CONSENT = {"holder": "Alice A.", "statement": "I agree."}
LABEL = "voice.sovits.dev/voice-model"


@dataclass
class Scene:
    """A reconciler of voices, what it knows of the cluster, and the API server that it writes to."""

    server: ApiServer
    caches: Caches
    voices: VoiceReconciler
    revocations: Revocations

    def put(self, **about: Any) -> None:
        """Put the voice into the cluster, and into the cache, as a watch would."""
        spec = {
            "language": "en",
            "base": "tiny",
            "dataset": {"uri": "s3://d/alice", "digest": DIGEST},
            "consent": CONSENT,
        }
        metadata = {"generation": 1, "uid": "uid"} | about.pop("metadata", {})
        item = self.server.put("alice", plural="voicemodels", metadata=metadata, spec=spec | about)
        self.caches.voices.update(item)

    def put_revision(self, state: str = "", **metadata: Any) -> None:
        spec = {
            "voiceModel": "alice",
            "inputHash": "0" * 64,
            "workspace": "s3://voices/x",
            "language": "en",
            "dataset": {"uri": "s3://d/alice", "digest": DIGEST},
            "base": {"name": "tiny", "uri": "embedded:tiny"},
            "training": {},
            "consent": CONSENT,
            "artifacts": {"uri": "s3://voices/y", "digest": DIGEST},
            "evaluation": {"scores": {}},
        }
        owned = {"ownerReferences": [{"uid": "uid"}], "uid": "uid-alice-1"}
        owned |= {"annotations": seal_of("studio", "alice-1", spec)}
        status = {"state": state} if state else {}
        item = self.server.put("alice-1", plural="voicerevisions", metadata=owned | metadata, spec=spec, status=status)
        self.caches.revisions.update(item)

    async def passes(self, number: int) -> list[float | None]:
        """Reconcile so often, and return the seconds that each pass wanted to wait."""
        return [await self.voices.reconcile(ALICE) for _ in range(number)]


def run(
    scenario: Callable[[Scene], Awaitable[None]],
    folder: Path | None = None,
    *,
    storage: dict[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a scenario with a store in a folder, or with the one that storage and environment name."""
    settings = Settings.model_validate(
        {
            "images": {"trainer": "t", "inference": "i"},
            "bases": {"tiny": {"uri": "embedded:tiny"}},
            "storage": storage or {"uri": f"file://{folder}"},
        }
    )

    async def whole() -> None:
        async with an_api_server() as server:
            metrics, caches = Metrics(), Caches()
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), metrics)
            store = open_store(settings.storage.uri, environment or {})
            minter = session_minter(settings.storage.session_keys, lambda: datetime.now(UTC), environment or {})
            revocations, recorder = Revocations(caches, signing(caches), lambda: NOW), EventRecorder(kube)
            revocations.is_loaded.set()
            cluster = Cluster(kube, caches, store, Inference(caches), settings, signing(caches), minter, revocations)
            voices = VoiceReconciler(
                cluster=cluster,
                recorder=recorder,
                erasures=ErasureReconciler(cluster, recorder, WorkQueue(), lambda: NOW),
                admission=Admission(0, WorkQueue().add),
                alerts=AlertDispatcher(
                    settings.alerts,
                    AlertClient((), "").post,
                    enqueue=WorkQueue().add,
                    metrics=metrics,
                    clock=lambda: NOW,
                ),
                metrics=metrics,
                clock=lambda: NOW,
                audit=AuditLog(cluster, recorder, enqueue=WorkQueue().add, metrics=metrics, clock=lambda: NOW),
            )
            try:
                await scenario(Scene(server, caches, voices, revocations))
            finally:
                await kube.close()
                cluster.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def test_a_pass_ends_while_the_recordings_are_being_listed_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "TIMEOUT_SECONDS", 0.02)
    listed = threading.Event()

    def entries(_: FolderStore) -> Iterator[Entry]:
        listed.wait(5)
        yield Entry("1.wav", 1, "tag")

    monkeypatch.setattr(FolderStore, "entries", entries)

    async def scenario(scene: Scene) -> None:
        scene.put(dataset={"uri": f"file://{tmp_path}/datasets/studio/alice"})
        assert await scene.passes(2) == [LISTING_POLL_SECONDS] * 2
        assert "status" not in scene.server.objects["voicemodels", "studio", "alice"]
        listed.set()
        await asyncio.sleep(0.05)
        await scene.passes(1)
        assert ("jobs", "studio") in {(kind, namespace) for kind, namespace, _ in scene.server.objects}

    run(scenario, tmp_path)


def test_a_label_that_was_taken_away_is_restored_and_nothing_else_changes(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(suspend=True)
        scene.put_revision(labels={LABEL: "alice"})
        await scene.passes(1)
        status = scene.server.objects["voicemodels", "studio", "alice"]["status"]
        state = scene.server.objects["voicerevisions", "studio", "alice-1"]["status"]["state"]
        scene.put_revision(labels={}, state=state)
        scene.server.requests.clear()
        assert await scene.passes(2) == [None, None]
        revision = scene.server.objects["voicerevisions", "studio", "alice-1"]
        assert revision["metadata"]["labels"] == {LABEL: "alice"}
        assert scene.server.objects["voicemodels", "studio", "alice"]["status"] == status
        assert len(scene.server.requests) == 1

    run(scenario, tmp_path)


def test_a_webhook_that_takes_the_label_away_again_is_no_hot_loop(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.server.webhook = lambda item: item["metadata"].pop("labels", None)
        scene.put(suspend=True)
        scene.put_revision(labels={})
        await scene.passes(1)
        scene.server.requests.clear()
        assert await scene.passes(3) == [None] * 3
        assert len(scene.server.requests) == 3, "one attempt each time that somebody looks"

    run(scenario, tmp_path)


IDLE = (0.5, False)  # wants to be repeated at once, and changed nothing
BUSY = (0.5, True)
SLOW = (3.0, False)


@pytest.mark.parametrize(
    ("passes", "expected"),
    [
        pytest.param([IDLE], [0.5], id="once may happen"),
        pytest.param([BUSY] * 4, [0.5] * 4, id="whoever gets something done goes on"),
        pytest.param([SLOW] * 3, [3.0] * 3, id="a pause is no hot loop"),
        pytest.param([(None, False)] * 3, [None] * 3, id="nor is an end"),
        pytest.param([IDLE] * 9, [0.5, 8, 16, 32, 64, 128, 256, 300, 300], id="idle passes come ever more rarely"),
        pytest.param([IDLE, IDLE, BUSY, IDLE, IDLE], [0.5, 8, 0.5, 0.5, 8], id="until one changes something"),
        pytest.param([IDLE, IDLE, SLOW, IDLE, IDLE], [0.5, 8, 3.0, 0.5, 8], id="or pauses by itself"),
    ],
)
def test_the_pause_between_passes(
    passes: list[tuple[float | None, bool]], expected: list[float | None], tmp_path: Path
) -> None:
    async def scenario(scene: Scene) -> None:
        bounded = scene.voices._bounded
        assert [bounded(ALICE, requeue_after, changed=changed) for requeue_after, changed in passes] == expected
        assert bounded(Key("VoiceModel", "studio", "bob"), 0.5, changed=False) == 0.5, "each voice has its own"

    run(scenario, tmp_path)


def test_a_voice_at_rest_costs_no_request(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(suspend=True)
        await scene.passes(1)
        scene.server.requests.clear()
        assert await scene.passes(5) == [None] * 5
        assert scene.server.requests == []

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        pytest.param("2026-11-23", 3600, id="at the end of the last day"),
        pytest.param("2026-11-30", 6 * 3600, id="after six hours at most: a clock may be set"),
        pytest.param("2026-11-22", None, id="not for an end that has passed"),
    ],
)
def test_a_voice_is_looked_at_again(expires: str, seconds: float | None, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(suspend=True, consent=CONSENT | {"expires": expires})
        assert await scene.passes(1) == [seconds]

    run(scenario, tmp_path)


def test_what_was_observed_of_an_earlier_spec_is_not_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revocation that a pass does not know would else end the voice in that pass, and be recorded after its end."""

    async def scenario(scene: Scene) -> None:
        observe = voices_module.observe_voice

        async def revoked_meanwhile(*arguments: Any, **named: Any) -> Any:
            observed = await observe(*arguments, **named)
            scene.put(suspend=True, consent=CONSENT | {"revoked": True}, metadata={"generation": 2})
            return observed

        scene.put(suspend=True)
        monkeypatch.setattr(voices_module, "observe_voice", revoked_meanwhile)
        assert await scene.passes(1) == [None]
        assert scene.server.requests == []
        await scene.passes(1)
        status = scene.server.objects["voicemodels", "studio", "alice"]["status"]
        assert [act["act"] for act in status["audit"]["pending"]][-1] == "Revoked"
        assert status["revokedAt"]

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    "metadata",
    [pytest.param(None, id="is gone"), pytest.param({"deletionTimestamp": "2026-11-23T06:07:00Z"}, id="goes")],
)
def test_nothing_is_done_for_a_voice_that(metadata: dict[str, str] | None, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        if metadata is not None:
            scene.put(metadata=metadata)
        assert await scene.passes(1) == [None]
        assert scene.server.requests == []

    run(scenario, tmp_path)


def test_a_status_that_a_newer_operator_wrote_is_not_reset(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        newer = scene.server.objects["voicemodels", "studio", "alice"] | {"status": {"phase": "Polishing"}}
        newer["metadata"] |= {"resourceVersion": "1000"}
        scene.caches.voices.update(newer)
        with pytest.raises(InvalidObject, match=r"status\.phase"):
            await scene.passes(1)
        assert scene.server.requests == []

    run(scenario, tmp_path)


def test_recordings_of_a_revoked_consent_are_refused_in_the_pass_that_lists_them_and_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed: list[str] = []
    folder = tmp_path / "datasets" / "studio" / "alice"
    folder.mkdir(parents=True)
    (folder / "1.wav").write_bytes(b"RIFF")
    entries = FolderStore.entries

    def counted(store: FolderStore, prefix: str = "") -> Iterator[Entry]:
        listed.append(store.uri)
        return entries(store, prefix)

    monkeypatch.setattr(FolderStore, "entries", counted)
    recordings = {"uri": f"file://{folder}"}

    async def scenario(scene: Scene) -> None:
        scene.put(dataset=recordings)
        await scene.passes(2)
        before = scene.server.objects["voicemodels", "studio", "alice"]
        assert before["status"]["dataset"]["fingerprint"]
        revoked = before | {"metadata": before["metadata"] | {"name": "earlier", "uid": "uid-earlier"}}
        revoked["spec"] = before["spec"] | {"consent": CONSENT | {"holder": "Bob", "revoked": True}}
        scene.revocations.note(voice_record(revoked, None))
        listed.clear()
        scene.server.objects.clear()
        scene.caches.voices.delete(before | {"metadata": before["metadata"] | {"resourceVersion": "900"}})
        scene.server.version = 1000
        scene.put(dataset=recordings, metadata={"uid": "later", "creationTimestamp": "2026-11-30T00:00:00Z"})
        await scene.passes(2)
        status = scene.server.objects["voicemodels", "studio", "alice"]["status"]
        ready = next(one for one in status["conditions"] if one["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ConsentRevoked")
        assert "the consent for these recordings was revoked" in ready["message"]
        assert not [key for key in scene.server.objects if key[0] in {"jobs", "secrets", "configmaps"}]
        assert len(listed) == 1
        assert "audit" not in status, "a consent that is refused is no act"

    run(scenario, tmp_path)
