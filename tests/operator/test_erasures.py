"""Folders of voices on real files: what of them goes, when, and what is told; the API server is a double."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import KEY, sealed_revision, signing

from voice_operator import erasures as erasures_module
from voice_operator.api.voice_status import Act, AuditState, VoiceModelStatus
from voice_operator.audit import AuditLog
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.erasure_journals import ErasureJournal, Progress
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.folders import Marker
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.objects import voice_from
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import Removed, Store
from voice_operator.erasures import ErasureReconciler
from voice_operator.errors import StoreError
from voice_operator.handlers import Enqueuer
from voice_operator.manifests.labels import owner
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.names import Key
from voice_operator.settings import Settings
from voice_operator.signing import SigningKey, new_key
from voice_store import StoreFactory

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
HASH, OLD, OLDER = "3fa9c2d1" * 8, "0" * 64, "1" * 64
FOLDER = Key("VoiceFolder", "studio", "alice")
VOICE = Key("VoiceModel", "studio", "alice")
LABELS = {"voice.sovits.dev/voice-model": "alice", "voice.sovits.dev/input-hash": HASH[:63]}
CONSENT = {"holder": "Alice A.", "statement": "I agree."}


class Killed(BaseException):
    """The process is gone."""


class DyingStore(Store):
    """The real store of a process that is killed after its n-th effect on the store, whose answer it never sees."""

    kills_after = 0  # effects; 0: none
    effects = 0

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.meanwhile: dict[str, Callable[[], Any]] = {}  # what else happens, once, while a call is under way

    async def read(self, uri: str, namespace: str = "") -> bytes | None:
        found = await super().read(uri, namespace)
        if (wait := self.meanwhile.pop("read", lambda: None)()) is not None:
            await wait
        return found

    async def write(self, uri: str, data: bytes, namespace: str = "") -> None:
        self.meanwhile.pop("write", lambda: None)()
        await super().write(uri, data, namespace)
        self._count()

    async def create(self, uri: str, data: bytes, namespace: str = "") -> bool:
        created = await super().create(uri, data, namespace)
        self._count()
        return created

    async def erase_below(self, *arguments: Any, **named: Any) -> Removed:
        removed = await super().erase_below(*arguments, **named)
        self.meanwhile.pop("erase", lambda: None)()
        if removed.objects:
            self._count()
        return removed

    def _count(self) -> None:
        self.effects += 1
        if self.kills_after and self.effects >= self.kills_after:
            raise Killed  # and whatever it begins after that


@dataclass
class Scene:
    """An eraser, and the cluster and bucket that it works on."""

    server: ApiServer
    enqueuer: Enqueuer
    queue: WorkQueue
    folder: Path
    cluster: Cluster
    store: DyingStore
    metrics: Metrics = field(init=False)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    audit: AuditLog = field(init=False)
    erasures: ErasureReconciler = field(init=False)
    versions: Any = field(default_factory=lambda: itertools.count(1))

    def start(self) -> None:
        """Let a new process do the work; what an earlier one had in memory is gone."""
        for task in self.tasks:
            task.cancel()
        self.metrics, recorder = Metrics(), EventRecorder(self.cluster.kube)
        self.audit = AuditLog(self.cluster, recorder, enqueue=self.queue.add, metrics=self.metrics, clock=lambda: NOW)
        self.erasures = ErasureReconciler(self.cluster, recorder, self.queue, lambda: NOW, self.audit)
        self.enqueuer.on_deleted = self.erasures.on_deleted
        self.audit.before_served = self.erasures.note_served
        self.tasks = [asyncio.create_task(self.audit.run()), asyncio.create_task(self.erasures.sweep())]

    def acts(self) -> list[dict[str, Any]]:
        """What the audit log has."""
        return [json.loads(path.read_bytes())["act"] for path in sorted(self.folder.glob("audit/studio/*.json"))]

    def erased(self) -> list[str]:
        """Why and how much was erased, as the audit log has it."""
        return [act["reason"].partition(" below ")[0] for act in self.acts() if act["act"] == "Erased"]

    def journals(self) -> list[Path]:
        return sorted(self.folder.glob("_voices/studio/alice/*"))

    @property
    def caches(self) -> Caches:
        return self.enqueuer.caches

    def put(self, uid: str = "uid", *, known: bool = True, created: datetime = NOW, **about: Any) -> dict[str, Any]:
        """Let there be the VoiceModel studio/alice; ``known``: the caches have heard of it."""
        consent, hold = about.pop("consent", CONSENT), about.pop("hold", False)
        metadata = {"uid": uid, "generation": 3, "creationTimestamp": f"{created:%Y-%m-%dT%H:%M:%SZ}"}
        spec = {
            "language": "en",
            "dataset": {"uri": "s3://voices/datasets/studio/alice"},
            "consent": consent,
            "retention": {"legalHold": hold},
        }
        status = {"inputHash": HASH, "inputsOf": uid} | about
        item = self.server.put("alice", plural="voicemodels", metadata=metadata, spec=spec, status=status)
        if known:
            self.caches.voices.update(item)
        return item

    def delete(self, *, watched: bool = True) -> None:
        """Delete the VoiceModel; not ``watched``: while no operator runs, and a new one begins."""
        item = self.server.objects["voicemodels", "studio", "alice"]
        self.server.delete("alice", plural="voicemodels")
        item["metadata"]["resourceVersion"] = str(self.server.version)
        if not watched:
            self.enqueuer.on_deleted = lambda _: None
        self.caches.voices.delete(item)
        if not watched:
            self.start()

    def write(self, *keys: str) -> None:
        for key in keys or (f"{HASH}/prepare/clip.flac", f"{HASH}/train/checkpoint", "revisions/alice-3fa9c2d1/x"):
            path = self.folder / "studio" / "alice" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"12345")

    def files(self) -> list[str]:
        found = self.folder / "studio" / "alice"
        return sorted(path.relative_to(found).as_posix() for path in found.rglob("*") if path.is_file())

    def marker(self) -> dict[str, Any] | None:
        return self._document("_voices")

    def tombstone(self) -> dict[str, Any] | None:
        return self._document("_erased")

    def _document(self, folder: str) -> dict[str, Any] | None:
        path = self.folder / folder / "studio" / "alice.json"
        return json.loads(path.read_text()) if path.exists() else None

    def mark(self, uid: str, key: SigningKey = KEY, **about: Any) -> None:
        marker = Marker(namespace="studio", voice="alice", uid=uid, **about).sealed(key)
        path = self.folder / "_voices" / "studio" / "alice.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(marker.model_dump_json(by_alias=True))

    def reasons(self) -> list[str]:
        return [item["reason"] for (plural, _, _), item in self.server.objects.items() if plural == "events"]

    async def settle(self) -> None:
        """Look again and again, as the queue would, until nothing more is due and all is recorded."""
        quiet = 0
        while True:  # what is waited for happens in threads; `run` has a limit
            quiet = quiet + 1 if await self.erasures.reconcile(FOLDER) is None and not self.waiting_acts() else 0
            if quiet == 2:
                return
            if any(task.done() and task.exception() for task in self.tasks):
                raise Killed
            await asyncio.sleep(0.02)

    def waiting_acts(self) -> float | None:
        return self.metrics.registry.get_sample_value("voice_operator_audit_pending")

    async def record(self, **about: Any) -> None:
        """Let the status have what was erased, as a pass over the voice would; then the log has it too."""
        found = self.erasures.finished(VOICE, "uid")
        known = self.server.objects["voicemodels", "studio", "alice"]["status"].get("erased", ())
        self.put(**about, erased=[*known, *(stone.document() for stone in found.values())])
        self.erasures.acknowledge(VOICE, found)
        await self.settle()

    async def claim(self, uid: str = "uid") -> str:
        """Claim the folder, and return the reason why that must wait."""
        voice = voice_from(self.server.objects["voicemodels", "studio", "alice"])
        problem = await self.erasures.claim(voice)
        assert voice.uid == uid
        return "" if problem is None else problem.reason


def run(scenario: Callable[[Scene], Awaitable[None]], folder: Path, **about: Any) -> None:
    """Play a scenario; ``about``: further settings of the installation."""
    images = {"trainer": "t", "inference": "i"}
    bases = {"tiny": {"uri": "embedded:tiny"}}
    storage = {"uri": f"file://{folder}"}
    settings = Settings.model_validate({"images": images, "bases": bases, "storage": storage} | about)

    async def whole() -> None:
        async with an_api_server() as server:
            kube, queue = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics()), WorkQueue()
            enqueuer = Enqueuer(queue, Metrics())
            caches, store = enqueuer.caches, DyingStore(StoreFactory({}), frozenset({"file"}))
            cluster = Cluster(kube, caches, store, Inference(caches), settings, signing(caches))
            scene = Scene(server, enqueuer, queue, folder, cluster, store)
            scene.start()
            try:
                await scenario(scene)
            finally:
                for task in scene.tasks:
                    task.cancel()
                await kube.close()
                store.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=60))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures_module, "SETTLE_SECONDS", 0.05)


def test_a_deleted_voice_leaves_a_tombstone_and_nothing_else(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        assert (scene.marker() or {})["uid"] == "uid"
        scene.write()
        scene.delete()
        assert FOLDER in scene.queue._dirty
        await scene.settle()
        assert (scene.files(), scene.marker()) == ([], None)
        found = scene.tombstone() or {}
        assert (found["uid"], found["objects"], found["bytes"], found["why"]) == ("uid", 3, 15, "VoiceDeleted")
        uri = f"file://{tmp_path}/studio/alice/"
        (act,) = scene.acts()
        assert (act["act"], act["reason"]) == ("Erased", f"VoiceDeleted: 3 objects, 15 bytes below {uri}")
        assert scene.reasons() == ["Erased"]

    run(scenario, tmp_path)


def test_what_an_ending_pod_still_writes_goes_too(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        scene.write()
        pod = {"metadata": {"labels": LABELS}, "status": {"phase": "Running"}}
        scene.caches.stage_pods.update(scene.server.put("p", plural="pods", **pod))
        scene.delete()
        assert await scene.erasures.reconcile(FOLDER) == erasures_module.WRITERS_SECONDS
        assert scene.files() == [], "at once"
        for number in range(3):
            scene.write(f"{HASH}/train/{number}")
            assert await scene.erasures.reconcile(FOLDER) is not None
        gone = scene.server.objects["pods", "studio", "p"]
        scene.caches.stage_pods.delete(gone | {"metadata": gone["metadata"] | {"resourceVersion": "999"}})
        scene.write(f"{HASH}/train/last")
        await scene.settle()
        assert scene.files() == []
        assert (scene.tombstone() or {})["objects"] == 7

    run(scenario, tmp_path)


def test_a_voice_that_was_deleted_while_nobody_watched_is_found_by_its_marker(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.mark("uid")
        scene.write()
        scene.start()
        key = await asyncio.wait_for(scene.queue.get(), timeout=5)
        assert key == FOLDER
        await scene.settle()
        assert scene.files() == []

    run(scenario, tmp_path)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda scene: scene.put(known=False), id="exists, though no list has told of it yet"),
        pytest.param(lambda scene: scene.mark("uid", SigningKey(new_key(), NOW)), id="is another installation's"),
        pytest.param(lambda scene: scene.mark("uid", legal_hold=True), id="is on legal hold"),
        pytest.param(lambda scene: scene.folder.joinpath("_voices/studio/alice.json").unlink(), id="has no marker"),
    ],
)
def test_nothing_is_erased_of_a_voice_that(prepare: Callable[[Scene], Any], tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.mark("uid")
        scene.write()
        prepare(scene)
        await scene.settle()
        assert len(scene.files()) == 3

    run(scenario, tmp_path)


@pytest.mark.parametrize("name", ["..", "?", "Alice", "a/b", "%2e", "", "."])
@pytest.mark.parametrize("namespace", ["studio", "..", "", "_voices"])
def test_no_name_leads_to_another_folder(name: str, namespace: str, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.write()
        key = Key("VoiceFolder", namespace, name)
        record = VoiceRecord(f"{namespace}/{name}", "uid", 1, deleting=True, consent=None, has_trained=True)
        scene.erasures._folders[key].departed["uid"] = erasures_module._Departed(record)
        assert await scene.erasures.reconcile(key) is None
        assert len(scene.files()) == 3

    run(scenario, tmp_path)


def test_a_hold_of_which_only_the_last_state_told_counts(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        scene.write()
        scene.put(hold=True)
        scene.delete()
        await scene.settle()
        await scene.settle()
        assert len(scene.files()) == 3
        assert scene.reasons() == ["FilesHeld"]

    run(scenario, tmp_path)


def test_a_hold_is_written_where_it_outlives_the_voice(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        assert not (scene.marker() or {})["legalHold"]
        scene.put(hold=True)
        await scene.settle()
        assert (scene.marker() or {})["legalHold"]

    run(scenario, tmp_path)


def test_a_voice_made_anew_waits_and_then_has_a_folder_of_its_own(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("old")
        await scene.settle()
        scene.write()
        scene.delete()
        scene.put("new", inputHash=None)
        assert await scene.claim("new") == "FolderNotErased"
        assert len(scene.files()) == 3
        await scene.settle()
        assert scene.files() == []
        assert VOICE in scene.queue._dirty
        assert await scene.claim("new") == ""
        assert (scene.marker() or {})["uid"] == "new"
        scene.write()
        await scene.settle()
        assert len(scene.files()) == 3

    run(scenario, tmp_path)


def test_a_voice_made_anew_does_not_take_over_what_goes_with_the_old_ones_revisions(tmp_path: Path) -> None:
    """The garbage collector has not come yet, so so a revision is still there."""

    async def scenario(scene: Scene) -> None:
        scene.put("old")
        await scene.settle()
        scene.write()
        revision = sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64)
        revision["metadata"]["ownerReferences"] = owner("VoiceModel", "alice", "old")
        scene.caches.revisions.update(revision)
        scene.delete()
        scene.put("new", inputHash=None)
        assert await scene.claim("new") == "FolderNotErased"
        scene.caches.revisions.delete(revision | {"metadata": revision["metadata"] | {"resourceVersion": "999"}})
        await scene.settle()
        assert scene.files() == []
        assert await scene.claim("new") == ""

    run(scenario, tmp_path)


def test_a_restored_voice_keeps_what_its_revisions_stand_for(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.mark("old")
        scene.write()
        scene.put("new", inputHash=None, created=NOW - timedelta(seconds=30))
        wait = await scene.erasures.reconcile(FOLDER)
        assert wait == erasures_module.RESTORE_SECONDS - 30, "its revisions may come a little later"
        assert len(scene.files()) == 3
        scene.caches.revisions.update(sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64))
        assert await scene.claim("new") == ""
        await scene.settle()
        assert len(scene.files()) == 3

    run(scenario, tmp_path)


def test_a_revision_that_outlives_its_voice_keeps_its_bundle_until_it_goes(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        revision = sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64)
        scene.put()
        await scene.settle()
        scene.caches.revisions.update(revision)
        scene.write()
        scene.delete()
        await scene.settle()
        assert scene.files() == ["revisions/alice-3fa9c2d1/x"]
        scene.caches.revisions.delete(revision | {"metadata": revision["metadata"] | {"resourceVersion": "999"}})
        assert FOLDER in scene.queue._dirty
        await scene.settle()
        assert scene.files() == []

    run(scenario, tmp_path)


def test_a_folder_of_another_installation_is_not_written_to(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.mark("theirs", SigningKey(new_key(), NOW))
        scene.put(inputHash=None)
        assert await scene.claim() == "FolderTaken"

    run(scenario, tmp_path)


def test_inputs_that_nobody_needs_go_and_others_stay(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(inputs=[{"hash": OLD, "erase": "InputChanged"}, {"hash": HASH}])
        scene.write(f"{OLD}/prepare/clip", f"{HASH}/prepare/clip", "revisions/alice-00000000/x", "revisions/y/x")
        await scene.settle()
        assert scene.files() == [f"{HASH}/prepare/clip", "revisions/y/x"]
        found = scene.erasures.finished(VOICE, "uid")
        assert (found[OLD].objects, found[OLD].why, found[OLD].revision) == (2, "InputChanged", "")
        assert VOICE in scene.queue._dirty
        scene.erasures.acknowledge(VOICE, found)
        assert scene.erasures.finished(VOICE, "uid") == {}

    run(scenario, tmp_path)


def test_a_revision_that_exists_is_never_erased_whatever_a_status_says(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.caches.revisions.update(sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64))
        scene.put(inputs=[{"hash": HASH, "published": True, "erase": "Unused"}])
        scene.write()
        await scene.settle()
        assert len(scene.files()) == 3

    run(scenario, tmp_path)


def test_a_revocation_leaves_the_bundles_and_an_erasure_nothing(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.caches.revisions.update(sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64))
        scene.write()
        revoked = CONSENT | {"revoked": True}
        scene.put(consent=revoked)
        await scene.settle()
        assert scene.files() == ["revisions/alice-3fa9c2d1/x"]
        await scene.record(consent=revoked)
        scene.put(consent=revoked | {"erase": True})
        await scene.settle()
        assert scene.files() == []
        await scene.record(consent=revoked | {"erase": True})
        assert scene.journals() == []
        assert scene.erased() == ["ConsentRevoked: 2 objects, 10 bytes", "ErasureRequested: 1 objects, 5 bytes"]

    run(scenario, tmp_path)


def test_what_an_erasure_takes_over_from_a_revocation_is_recorded_as_far_as_it_went(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.caches.revisions.update(sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64))
        scene.write()
        revoked = CONSENT | {"revoked": True}
        scene.put(consent=revoked)
        assert await scene.erasures.reconcile(FOLDER), "it looks again before it is over"
        scene.put(consent=revoked | {"erase": True})
        await scene.settle()
        assert scene.files() == []
        await scene.record(consent=revoked | {"erase": True})
        await scene.settle()
        assert scene.journals() == []
        assert sorted(scene.erased()) == ["ConsentRevoked: 2 objects, 10 bytes", "ErasureRequested: 1 objects, 5 bytes"]

    run(scenario, tmp_path)


def test_what_the_status_records_already_is_not_told_again(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        stone = {"why": "ErasureRequested", "time": "2026-11-23T06:00:00Z", "objects": 3}
        scene.put(consent=CONSENT | {"revoked": True, "erase": True}, erased=[stone])
        await scene.settle()
        assert (scene.acts(), scene.erasures.finished(VOICE, "uid")) == ([], {})

    run(scenario, tmp_path)


def test_a_store_that_is_away_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        scene.write()
        scene.delete()
        store = scene.erasures._cluster.store
        with monkeypatch.context() as patch:

            async def fail(*_: Any, **__: Any) -> Any:
                raise StoreError("s3://voices: no answer")

            patch.setattr(store, "erase_below", fail)
            with pytest.raises(StoreError):
                await scene.erasures.reconcile(FOLDER)
        await scene.settle()
        assert scene.files() == []

    run(scenario, tmp_path)


SERVED = {
    "activeRevision": "alice-3fa9c2d1",
    "artifacts": {"uri": "s3://voices/y", "digest": "sha256:" + "a" * 64, "revision": "alice-3fa9c2d1"},
}


def killed_after_each_effect(life: Callable[[Scene], Awaitable[None]], folder: Path) -> int:
    """Kill a process after its n-th effect on the store, for each n; the next one goes on. Return how many."""
    number, lasted = 0, False

    async def scenario(scene: Scene) -> None:
        nonlocal lasted
        scene.put(**SERVED)
        await scene.settle()
        scene.write()
        scene.store.effects, scene.store.kills_after = 0, number
        with suppress(Killed):
            await life(scene)
        lasted, scene.store.kills_after = scene.store.effects < number, 0
        scene.start()
        await until(lambda: scene.queue._dirty or not scene.marker())
        await life(scene)

    while not lasted:
        number += 1
        run(scenario, folder / str(number))
    return number - 1


@pytest.mark.parametrize("watched", [True, False])
def test_the_end_of_a_voice_is_recorded_once_after_whatever_step_the_process_dies(
    watched: bool, tmp_path: Path
) -> None:
    async def life(scene: Scene) -> None:
        if scene.caches.voices:
            scene.delete(watched=watched)
        await scene.settle()
        await scene.settle()
        assert (scene.files(), scene.marker(), scene.journals()) == ([], None, [])
        stone = scene.tombstone() or {}
        assert sorted(act["act"] for act in scene.acts()) == ["Erased", "Unloaded"]
        (ended,) = (act for act in scene.acts() if act["act"] == "Unloaded")
        assert (ended["revision"], ended["digests"]) == ("alice-3fa9c2d1", {"bundle": "sha256:" + "a" * 64})
        assert ended["reason"].endswith("while no operator ran") is not watched
        (told,) = scene.erased()
        assert told.removeprefix("VoiceDeleted: ").removeprefix("at least ") in {
            "3 objects, 15 bytes",
            "0 objects, 0 bytes",  # it died before it could note what it had erased
        }
        assert f"{stone['objects']} objects" in told

    assert killed_after_each_effect(life, tmp_path) >= 8


def test_a_hold_that_comes_while_inputs_go_keeps_those_that_are_left(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        scene.write(f"{OLD}/prepare/clip", f"{OLDER}/prepare/clip")
        inputs = [{"hash": OLD, "erase": "InputChanged"}, {"hash": OLDER, "erase": "InputChanged"}]
        scene.put(inputs=inputs)
        scene.store.meanwhile = {"erase": lambda: scene.put(hold=True, inputs=inputs)}
        await scene.erasures.reconcile(FOLDER)
        await scene.settle()
        assert scene.files() == [f"{OLDER}/prepare/clip"]

    run(scenario, tmp_path)


def test_an_older_state_of_a_voice_is_not_written_over_a_newer_one(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        scene.put(**SERVED)
        both: list[asyncio.Task[str]] = []

        async def hold() -> None:
            scene.put(hold=True, **SERVED)
            both.append(asyncio.create_task(scene.claim()))
            await asyncio.wait(both, timeout=0.5)

        scene.store.meanwhile = {"read": hold}
        assert await scene.claim() == ""
        assert await both[0] == ""
        assert (scene.marker() or {})["legalHold"]

    run(scenario, tmp_path)


def test_an_input_that_left_nothing_once_goes_when_it_is_left_again(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(inputs=[{"hash": OLD, "erase": "InputChanged"}])
        await scene.settle()
        found = scene.erasures.finished(VOICE, "uid")
        scene.put()
        scene.queue._dirty.clear()
        scene.erasures.acknowledge(VOICE, found)
        assert FOLDER in scene.queue._dirty
        await scene.settle()
        scene.write(f"{OLD}/prepare/clip")
        scene.put(inputs=[{"hash": OLD, "erase": "InputChanged"}])
        await scene.settle()
        assert scene.files() == []

    run(scenario, tmp_path)


def test_documents_with_names_that_we_never_give_do_not_end_the_sweep(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        for name in (f"studio/alice/{'u' * 80}", f"studio/{'v' * 70}", "studio/a?b", "studio/alice/x%41", "Studio/x/y"):
            path = scene.folder / "_voices" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        scene.mark("uid-0")
        scene.start()
        await until(lambda: FOLDER in scene.queue._dirty)
        assert not scene.tasks[1].done()
        assert {key for key in scene.queue._dirty if key.kind == "VoiceFolder"} == {FOLDER}

    run(scenario, tmp_path)


def test_a_voice_that_goes_while_it_claims_its_folder_is_remembered(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(hold=True)
        await scene.settle()
        scene.put(hold=True, **SERVED)
        scene.store.meanwhile = {"read": scene.delete}
        assert await scene.claim() == ""
        await scene.settle()
        assert scene.reasons() == ["FilesHeld"]

    run(scenario, tmp_path)


def test_the_end_of_a_voice_that_goes_while_another_ones_is_noted_is_recorded_too(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**SERVED)
        await scene.settle()
        first = scene.caches.voices.get("studio", "alice")
        assert first is not None
        scene.delete()
        scene.put("uid-3")
        scene.store.meanwhile = {"write": lambda: scene.erasures.on_deleted(replace(first, uid="uid-2"))}
        await scene.settle()
        assert await scene.claim("uid-3") == ""
        await scene.settle()
        assert [act["act"] for act in scene.acts()].count("Unloaded") == 2

    run(scenario, tmp_path)


@pytest.mark.parametrize("kills_after", [1, 2, 0])
def test_what_the_log_calls_served_is_recorded_as_unloaded_wherever_the_process_dies(
    kills_after: int, tmp_path: Path
) -> None:
    """It dies after the promotion, before its folder's own pass; the VoiceModel goes while no operator runs."""

    async def scenario(scene: Scene) -> None:
        scene.put()
        await scene.settle()
        scene.put(**SERVED)
        scene.store.effects, scene.store.kills_after = 0, kills_after
        act = Act(id="1" * 32, act="Served", time="2026-11-23T06:07:00Z", revision="alice-3fa9c2d1")
        state = AuditState(pending=(act,), since="2026-11-23T06:07:00Z")
        scene.audit.offer(VOICE, "uid", VoiceModelStatus(audit=state))
        await until(lambda: scene.acts() or scene.tasks[0].done())
        scene.store.kills_after = 0
        scene.delete(watched=False)
        await until(lambda: scene.queue._dirty)
        await scene.settle()
        served = [] if kills_after == 1 else ["Served"]
        assert [act["act"] for act in scene.acts()] == [*served, "Unloaded"]

    run(scenario, tmp_path)


def test_a_marker_of_somebody_else_holds_up_no_log(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        path = scene.folder / "_voices" / "studio" / "alice.json"
        path.parent.mkdir(parents=True)
        path.write_text("no JSON")
        scene.put(**SERVED)
        await scene.erasures.note_served(VOICE, "uid")
        await scene.erasures.note_served(VOICE, "another")
        assert path.read_text() == "no JSON"

    run(scenario, tmp_path)


def test_an_erasure_that_was_asked_for_is_recorded_once_after_whatever_step_the_process_dies(tmp_path: Path) -> None:
    revoked = {"consent": CONSENT | {"revoked": True, "erase": True}}

    async def life(scene: Scene) -> None:
        scene.put(**revoked, erased=scene.server.objects["voicemodels", "studio", "alice"]["status"].get("erased", ()))
        await scene.settle()
        await scene.record(**revoked)
        assert (scene.files(), scene.journals()) == ([], [])
        (stone,) = scene.server.objects["voicemodels", "studio", "alice"]["status"]["erased"]
        (told,) = scene.erased()
        assert f"{stone.get('objects', 0)} objects" in told

    assert killed_after_each_effect(life, tmp_path) >= 5


def test_an_erasure_that_nobody_wants_any_more_is_recorded_as_far_as_it_went(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(inputs=[{"hash": OLD, "erase": "InputChanged"}])
        await scene.settle()
        scene.write(f"{OLD}/prepare/clip")
        scene.store.effects, scene.store.kills_after = 0, 2
        with suppress(Killed):
            scene.start()
            await scene.settle()
        scene.store.kills_after = 0
        scene.put(hold=True, inputs=[{"hash": OLD}])
        scene.start()
        await until(lambda: FOLDER in scene.queue._dirty)
        await scene.settle()
        await scene.settle()
        assert scene.erased() == ["InputChanged: at least 0 objects, 0 bytes"]
        assert scene.journals() == []

    run(scenario, tmp_path)


def test_an_erasure_waits_in_the_store_while_the_log_cannot_be_written(tmp_path: Path) -> None:
    """Meanwhile a new voice of the same name has the folder, and the process that erased ends."""

    async def scenario(scene: Scene) -> None:
        scene.put("old")
        await scene.settle()
        scene.write()
        (tmp_path / "audit").write_text("no folder")
        scene.delete()
        while scene.marker() is not None:
            await scene.erasures.reconcile(FOLDER)
            await asyncio.sleep(0.02)
        assert (scene.files(), len(scene.journals())) == ([], 1)
        scene.put("new", inputHash=None)
        assert await scene.claim("new") == ""
        scene.start()
        (tmp_path / "audit").unlink()
        await until(lambda: scene.queue._dirty)
        await scene.settle()
        assert scene.erased() == ["VoiceDeleted: 3 objects, 15 bytes"]
        assert (scene.marker() or {})["uid"] == "new"

    run(scenario, tmp_path)


@pytest.mark.parametrize("content", ["no JSON", "{}", "another installation's"])
def test_a_journal_of_somebody_else_is_not_recorded(content: str, tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        path = scene.folder / "_voices" / "studio" / "alice" / "uid.json"
        path.parent.mkdir(parents=True)
        entry = Progress(why="VoiceDeleted", objects=7, time="2026-11-23T06:00:00Z")
        theirs = ErasureJournal(namespace="studio", voice="alice", uid="uid", erasures=(entry,))
        theirs = theirs.sealed(SigningKey(new_key(), NOW))
        path.write_text(theirs.model_dump_json(by_alias=True) if content.startswith("another") else content)
        scene.start()
        await until(lambda: FOLDER in scene.queue._dirty)
        assert await scene.erasures.reconcile(FOLDER) is None
        assert scene.acts() == []

    run(scenario, tmp_path)


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 -- what is awaited happens in threads
        await asyncio.sleep(0.005)


def unloaded(scene: Scene) -> list[str]:
    return [act["id"] for act in scene.acts() if act["act"] == "Unloaded"]


def test_the_marker_tells_what_is_served_and_what_earlier_releases_signed_is_theirs_still(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.mark("uid")
        assert "served" not in json.loads(Marker(namespace="a", voice="b", uid="c")._statement())
        assert (scene.marker() or {}).pop("served") is None
        for served in (SERVED, {}):
            scene.put(**served)
            assert FOLDER in scene.queue._dirty
            await scene.settle()
            assert bool((scene.marker() or {})["served"]) is bool(served)
        scene.delete(watched=False)
        await until(lambda: scene.queue._dirty)
        await scene.settle()
        assert unloaded(scene) == [], "it had ended before, and that was recorded with the status"

    run(scenario, tmp_path)


def test_the_end_of_what_is_on_legal_hold_is_recorded_once_whoever_begins_later(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**SERVED, hold=True)
        await scene.settle()
        scene.write()
        scene.delete(watched=False)
        for _ in range(2):
            await until(lambda: scene.queue._dirty)
            await scene.settle()
            assert (len(unloaded(scene)), len(scene.files()), scene.journals()) == (1, 3, [])
            scene.start()

    run(scenario, tmp_path)


def test_a_restored_voice_has_its_folder_and_the_end_of_the_earlier_one_is_recorded(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put(**SERVED)
        await scene.settle()
        scene.write()
        scene.delete(watched=False)
        scene.caches.revisions.update(sealed_revision("alice", "alice-3fa9c2d1", "sha256:" + "a" * 64))
        scene.put("new", inputHash=None)
        assert await scene.claim("new") == ""
        await scene.settle()
        assert (len(unloaded(scene)), len(scene.files())) == (1, 3)

    run(scenario, tmp_path)


def test_a_marker_that_somebody_else_wrote_tells_of_no_end(tmp_path: Path) -> None:
    async def scenario(scene: Scene) -> None:
        served = {"revision": "alice-3fa9c2d1", "digest": "sha256:" + "a" * 64}
        scene.mark("uid", SigningKey(new_key(), NOW), served=served)
        scene.write()
        await scene.settle()
        assert (unloaded(scene), len(scene.files())) == ([], 3)

    run(scenario, tmp_path)
