"""From an event to keys on the queue; and how kopf's real watches fail, which is why lists stand beside them."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import kopf
import pytest
import yaml
from tests.support.api_server import ApiServer, an_api_server, eventually

from voice_operator.cluster.kube import Kube, Object
from voice_operator.cluster.watchdog import DELIVERY_TIMEOUT_SECONDS, Watchdog
from voice_operator.errors import WatchStalled
from voice_operator.handlers import CHUNK, EndlessBackoff, Enqueuer, watch
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.names import Key
from voice_operator.relists import relist_own_kinds

CONSENT = {"holder": "Alice A.", "statement": "I agree."}
ARTIFACTS = {"revision": "alice-1", "uri": "s3://voices/alice-1", "digest": "sha256:" + "a" * 64}
NEWER = ARTIFACTS | {"revision": "alice-2"}
SERVED = {"server": "studio/default", "artifacts": ARTIFACTS}
TRAINING = {"inputHash": "3fa9c2d1" * 8}
GOING = {"inputsOf": "alice", "inputs": [{"hash": "0" * 64, "erase": "InputChanged"}]}
LOADING = SERVED | {"loading": {"server": "studio/other", "artifacts": NEWER, "since": "2026-11-23T06:07:00Z"}}
VERSIONS = count(1)

VOICE = Key("VoiceModel", "studio", "alice")
FOLDER = Key("VoiceFolder", "studio", "alice")
LIST, OTHER_LIST = Key("VoiceList", "studio", "default"), Key("VoiceList", "studio", "other")
SERVER = Key("VoiceServer", "studio", "default")


def an_object(name: str, **about: Any) -> Object:
    """An object that is newer than all before it."""
    metadata = {
        "namespace": "studio",
        "name": name,
        "uid": name,
        "generation": 1,
        "resourceVersion": str(next(VERSIONS)),
    }
    return {"metadata": metadata | about.pop("metadata", {})} | about


def a_voice(status: Object | None = None, *, generation: int = 1, consent: Any = CONSENT, **metadata: Any) -> Object:
    spec = {"consent": consent, "serving": {"server": "default"}}
    about = metadata | {"generation": generation}
    return an_object("alice", metadata=about, spec=spec, status=SERVED if status is None else status)


def a_server(*, replicas: int = 1, generation: int = 1, **metadata: Any) -> Object:
    about = metadata | {"generation": generation}
    return an_object("default", metadata=about, spec={"base": "tiny"}, status={"replicas": replicas})


def an_enqueuer() -> tuple[Enqueuer, WorkQueue]:
    queue = WorkQueue()
    return Enqueuer(queue, Metrics()), queue


def taken(queue: WorkQueue) -> dict[Key, Priority]:
    """Take all that waits from the queue, with its priority."""
    found = {key: priority for key, (_, priority) in queue._dirty.items()}
    for key, priority in found.items():
        queue._ready[queue._lanes.pop(key)].remove(key, priority)
        del queue._dirty[key]
    return found


URGENT, NORMAL, LOW = Priority


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, a_voice({}), {VOICE: NORMAL}, id="a new voice"),
        pytest.param(None, a_voice(), {VOICE: NORMAL, LIST: NORMAL}, id="a served voice, at the start"),
        pytest.param(a_voice(), a_voice(SERVED | {"phase": "Ready"}), {VOICE: LOW}, id="a change of the status"),
        pytest.param(a_voice(), a_voice(generation=2), {VOICE: NORMAL}, id="an edit"),
        pytest.param(a_voice({}), a_voice(), {VOICE: LOW, LIST: NORMAL}, id="something to serve"),
        pytest.param(
            a_voice(),
            a_voice(LOADING),
            {VOICE: LOW, LIST: NORMAL, OTHER_LIST: NORMAL},
            id="something to load elsewhere",
        ),
        pytest.param(
            a_voice(),
            a_voice(SERVED | {"server": "studio/other"}),
            {VOICE: LOW, LIST: NORMAL, OTHER_LIST: NORMAL},
            id="a move to another server",
        ),
        pytest.param(
            a_voice(),
            a_voice(generation=2, consent=CONSENT | {"revoked": True}),
            {VOICE: URGENT, LIST: URGENT, FOLDER: NORMAL},
            id="a revocation",
        ),
        pytest.param(
            a_voice(),
            a_voice(generation=2, consent=CONSENT | {"expires": "2026-11-22"}),
            {VOICE: NORMAL, LIST: URGENT},
            id="another last day: nobody here knows which day it is, and the voice's own pass may wait for the store",
        ),
        pytest.param(
            a_voice(), a_voice(generation=2, consent="yes"), {VOICE: URGENT, LIST: URGENT}, id="an unreadable consent"
        ),
        pytest.param(
            a_voice(), a_voice(deletionTimestamp="2026-11-23T06:07:00Z"), {VOICE: URGENT, LIST: URGENT}, id="a deletion"
        ),
        pytest.param(a_voice(), None, {VOICE: URGENT, LIST: URGENT, FOLDER: NORMAL}, id="its end"),
        pytest.param(a_voice({}), None, {VOICE: URGENT, FOLDER: NORMAL}, id="the end of a voice that nobody serves"),
        pytest.param(
            None, a_voice(TRAINING), {VOICE: NORMAL, FOLDER: NORMAL}, id="a voice that has left something, at the start"
        ),
        pytest.param(
            a_voice(TRAINING), a_voice(TRAINING | GOING), {VOICE: LOW, FOLDER: NORMAL}, id="an input that nobody needs"
        ),
        pytest.param(
            a_voice(TRAINING | GOING),
            a_voice(TRAINING | GOING | {"phase": "Ready"}),
            {VOICE: LOW},
            id="which is told once",
        ),
        pytest.param(
            a_voice(TRAINING),
            a_voice(TRAINING, uid="another"),
            {VOICE: LOW, FOLDER: NORMAL},
            id="another voice of its name",
        ),
        pytest.param(
            a_voice(generation=2, consent=CONSENT | {"revoked": True}),
            a_voice(generation=3),
            {VOICE: NORMAL, LIST: URGENT},
            id="a permission that is given again",
        ),
    ],
)
def test_a_voice_enqueues(old: Object | None, new: Object | None, expected: dict[Key, Priority]) -> None:
    enqueuer, queue = an_enqueuer()
    if old is not None:
        enqueuer.caches.voices.update(old)
        taken(queue)
    if new is not None:
        enqueuer.caches.voices.update(new)
    else:
        enqueuer.caches.voices.delete(an_object("alice"))
    assert taken(queue) == expected


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param(None, a_server(), {SERVER: NORMAL, LIST: NORMAL, VOICE: NORMAL}, id="a new server"),
        pytest.param(a_server(), a_server(replicas=2), {SERVER: NORMAL}, id="a change of the status"),
        pytest.param(
            a_server(), a_server(generation=2), {SERVER: NORMAL, LIST: NORMAL, VOICE: NORMAL}, id="an edit of the spec"
        ),
        pytest.param(
            a_server(), a_server(uid="another"), {SERVER: NORMAL, LIST: NORMAL, VOICE: NORMAL}, id="another of its name"
        ),
        pytest.param(
            a_server(),
            a_server(deletionTimestamp="2026-11-23T06:07:00Z"),
            {SERVER: NORMAL, LIST: NORMAL, VOICE: NORMAL},
            id="a deletion",
        ),
        pytest.param(a_server(), None, {SERVER: NORMAL, LIST: NORMAL, VOICE: NORMAL}, id="its end"),
    ],
)
@pytest.mark.parametrize(
    "voice",
    [pytest.param({}, id="a voice that names it"), pytest.param(SERVED, id="a voice that it serves")],
)
def test_a_server_enqueues_itself_and(
    old: Object | None, new: Object | None, expected: dict[Key, Priority], voice: Object
) -> None:
    enqueuer, queue = an_enqueuer()
    enqueuer.caches.voices.update(a_voice(voice))
    stranger = an_object("bob", spec={"consent": CONSENT, "serving": {"server": "other"}})
    enqueuer.caches.voices.update(stranger)
    if old is not None:
        enqueuer.caches.servers.update(old)
    taken(queue)
    if new is not None:
        enqueuer.caches.servers.update(new)
    else:
        enqueuer.caches.servers.delete(an_object("default"))
    assert taken(queue) == expected


def test_children_enqueue_whom_they_belong_to() -> None:
    enqueuer, queue = an_enqueuer()
    caches = enqueuer.caches
    of_voice, of_server = ({"labels": {f"voice.sovits.dev/{name}": "x"}} for name in ("voice-model", "server"))
    caches.jobs.update(an_object("x-prepare-1", metadata=of_voice))
    assert taken(queue) == {Key("VoiceModel", "studio", "x"): LOW}
    caches.stage_pods.update(an_object("x-prepare-1-abcde", metadata=of_voice))
    assert taken(queue) == {Key("VoiceModel", "studio", "x"): LOW}
    caches.server_pods.update(an_object("x-1", metadata=of_server))
    assert taken(queue) == {Key("VoiceServer", "studio", "x"): LOW}
    caches.deployments.delete(an_object("x", metadata=of_server))
    assert taken(queue) == {}, "nobody knew it"
    caches.server_pods.delete(an_object("x-1", metadata=of_server))
    assert taken(queue) == {Key("VoiceServer", "studio", "x"): LOW}


def test_a_revision_enqueues_the_voice_of_its_spec_and_not_of_its_label() -> None:
    enqueuer, queue = an_enqueuer()
    stripped = an_object("alice-1", spec={"voiceModel": "alice"}, metadata={"labels": {}})
    enqueuer.caches.revisions.update(stripped)
    assert taken(queue) == {Key("VoiceRevision", "studio", "alice-1"): NORMAL, VOICE: LOW}


def test_a_decision_of_people_reaches_the_lists_at_once() -> None:
    enqueuer, queue = an_enqueuer()
    enqueuer.caches.voices.update(a_voice())
    spec = {
        "voiceModel": "alice",
        "inputHash": "0" * 64,
        "workspace": "s3://voices/x",
        "language": "en",
        "dataset": {"uri": "s3://data/alice"},
        "base": {"name": "tiny", "uri": "embedded:tiny"},
        "training": {},
        "consent": CONSENT,
        "artifacts": {"uri": ARTIFACTS["uri"], "digest": ARTIFACTS["digest"]},
        "evaluation": {"scores": {}},
    }
    enqueuer.caches.revisions.update(an_object("alice-1", spec=spec))
    assert taken(queue)[LIST] == NORMAL
    enqueuer.caches.revisions.update(an_object("alice-1", spec=spec, status={"state": "Active"}))
    assert LIST not in taken(queue), "what nobody decided about changes no list"
    rejected = {"by": "rita", "decision": "Rejected", "at": "2026-11-23T06:07:00Z", "digest": "", "reason": "no"}
    enqueuer.caches.revisions.update(an_object("alice-1", spec=spec, review={"decisions": [rejected]}))
    assert taken(queue)[LIST] == URGENT
    revoked = {"labels": {"voice.sovits.dev/revoked": "true"}}
    enqueuer.caches.revisions.update(an_object("alice-1", spec=spec, metadata=revoked))
    assert taken(queue)[LIST] == URGENT


def test_everything_goes_behind_whatever_else_waits() -> None:
    enqueuer, queue = an_enqueuer()
    enqueuer.caches.voices.update(a_voice())
    enqueuer.caches.servers.update(a_server())
    enqueuer.caches.revisions.update(an_object("alice-1", spec={"voiceModel": "alice"}))
    taken(queue)
    enqueuer.lists()
    assert taken(queue) == {LIST: LOW}
    enqueuer.everything()
    assert taken(queue) == dict.fromkeys((LIST, SERVER, Key("VoiceRevision", "studio", "alice-1"), VOICE), LOW)


def test_the_queue_knows_how_large_a_voice_is() -> None:
    enqueuer, queue = an_enqueuer()
    enqueuer.caches.voices.update(a_voice(annotations={"example.org/padding": "x" * 10_000}))
    assert 10_000 < queue.size_of(VOICE) < 11_000
    assert queue.size_of(SERVER) == 0


@dataclass
class Clock:
    """A monotonic clock that tests set."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True)
class Scene:
    """kopf's watches and our caches, and the API server that they look at."""

    server: ApiServer
    enqueuer: Enqueuer
    watchdog: Watchdog
    clock: Clock
    kube: Kube
    watches: asyncio.Task[None]

    def put(self, name: str, generation: int = 1) -> Object:
        metadata = {"generation": generation}
        return self.server.put(name, plural="voicemodels", metadata=metadata, spec={"consent": CONSENT})

    def voices(self) -> list[str]:
        return sorted(name for _, name in self.enqueuer.caches.voices)

    def lists(self) -> asyncio.Task[None]:
        """Begin to list again and again."""
        lists = relist_own_kinds(self.kube, self.enqueuer, self.watchdog, (), seconds=0.1, has_synced=asyncio.Event())
        return asyncio.create_task(lists)


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Scene], Awaitable[None]]], None]:
    """Run a scenario beside kopf's watches of an API server that a kubeconfig names."""
    path = tmp_path / "kubeconfig"
    monkeypatch.setenv("KUBECONFIG", str(path))

    async def whole(scenario: Callable[[Scene], Awaitable[None]]) -> None:
        async with an_api_server() as server:
            cluster = {"name": "c", "cluster": {"server": server.url}}
            context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
            users = [{"name": "u", "user": {}}]
            config = {"current-context": "c", "contexts": [context], "clusters": [cluster], "users": users}
            path.write_text(yaml.safe_dump(config))
            metrics, clock = Metrics(), Clock()
            enqueuer, watchdog = Enqueuer(WorkQueue(metrics), metrics), Watchdog(clock)
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), metrics)
            watches = asyncio.create_task(watch(enqueuer.caches, watchdog, ()))
            try:
                plurals = ("voicemodels", "voiceservers", "voicerevisions")
                urls = [f"{plural}?watch" for plural in plurals]
                await eventually("kopf", lambda: all(any(url in asked for asked in server.requests) for url in urls))
                await scenario(Scene(server, enqueuer, watchdog, clock, kube, watches))
            finally:
                watches.cancel()
                await asyncio.gather(watches, return_exceptions=True)
                await kube.close()

    return lambda scenario: asyncio.run(asyncio.wait_for(whole(scenario), timeout=30))


Watched = Callable[[Callable[[Scene], Awaitable[None]]], None]


def test_kopfs_events_feed_the_caches(watched: Watched) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("alice")
        scene.put("bob")
        await eventually("both", lambda: scene.voices() == ["alice", "bob"])
        scene.put("alice", generation=2)
        scene.server.delete("bob", plural="voicemodels")
        await eventually("the end of one", lambda: scene.voices() == ["alice"])
        record = scene.enqueuer.caches.voices.get("studio", "alice")
        assert record is not None
        assert record.generation == 2

    watched(scenario)


def test_kopfs_first_list_comes_in_small_parts_and_kopf_lets_go_of_what_it_read(watched: Watched) -> None:
    async def scenario(scene: Scene) -> None:
        for number in range(2 * CHUNK + 1):
            scene.put(f"voice{number}")
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        scene.server.requests.clear()
        scene.server.send({"type": "ERROR", "object": gone}, plural="voicemodels")
        parts = f"/voicemodels?limit={CHUNK}"
        await eventually("three parts", lambda: sum(parts in url for url in scene.server.requests) == 3)
        await eventually("all voices", lambda: len(scene.voices()) == 2 * CHUNK + 1)
        await eventually("no task with an event", lambda: not _workers(), seconds=2)

    watched(scenario)


def _workers() -> list[str]:
    """The tasks in which kopf keeps the last event of each object."""
    return [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("worker for")]


def test_kopf_ends_all_watches_when_one_meets_an_unexpected_error_event(watched: Watched) -> None:
    """WatchingError: until 1.45 the watch ended and nobody was told; since then kopf ends, and must be begun anew."""

    async def scenario(scene: Scene) -> None:
        error = {"kind": "Status", "code": 500, "reason": "InternalError", "message": "etcdserver: leader changed"}
        scene.server.send({"type": "ERROR", "object": error}, plural="voicemodels")
        with pytest.raises(WatchStalled, match=r"kopf has ended: Error in the watch-stream: .*leader changed"):
            await asyncio.wait_for(scene.watches, timeout=2)
        scene.put("alice")
        await asyncio.sleep(0.2)
        assert scene.voices() == [], "nothing watches any more"

    watched(scenario)


def test_kopf_reports_no_deletion_that_a_410_hides_and_our_list_finds_it(watched: Watched) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("alice")
        scene.put("bob")
        await eventually("both", lambda: scene.voices() == ["alice", "bob"])
        scene.server.loses = lambda event: event["type"] == "DELETED"
        scene.server.delete("bob", plural="voicemodels")
        gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
        list_of_voices = f"/voicemodels?limit={CHUNK}"
        before = sum(url.endswith(list_of_voices) for url in scene.server.requests)
        scene.server.send({"type": "ERROR", "object": gone}, plural="voicemodels")
        await eventually(
            "kopf's own list", lambda: sum(url.endswith(list_of_voices) for url in scene.server.requests) > before
        )
        scene.put("carol")
        await eventually("the watch after it", lambda: "carol" in scene.voices())
        assert scene.voices() == ["alice", "bob", "carol"], "kopf lists the living, and says nothing of the dead"
        lists = scene.lists()
        await eventually("our list", lambda: scene.voices() == ["alice", "carol"])
        lists.cancel()

    watched(scenario)


def test_a_watch_that_is_silent_is_noticed_by_what_lists_show(watched: Watched) -> None:
    async def scenario(scene: Scene) -> None:
        lists = scene.lists()
        scene.put("alice")
        await eventually("the voice", lambda: scene.voices() == ["alice"])
        await asyncio.sleep(0.3)
        scene.clock.now += 2 * DELIVERY_TIMEOUT_SECONDS
        scene.watchdog.check()
        scene.server.mute = True
        scene.put("bob")
        await eventually("the list to show it", lambda: scene.voices() == ["alice", "bob"])
        scene.watchdog.check()
        scene.clock.now += DELIVERY_TIMEOUT_SECONDS + 1
        with pytest.raises(WatchStalled, match="VoiceModel studio/bob"):
            scene.watchdog.check()
        lists.cancel()

    watched(scenario)


def test_a_signal_ends_the_watches_at_once_and_nothing_else(watched: Watched) -> None:
    async def scenario(scene: Scene) -> None:
        bystander = asyncio.create_task(asyncio.sleep(60))  # which kopf would take for its own
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(scene.watches, timeout=2)
        await asyncio.sleep(0.1)
        assert not bystander.done()
        bystander.cancel()

    watched(scenario)


def test_attempts_to_reach_the_api_server_never_end() -> None:
    pauses = [pause for pause, _ in zip(EndlessBackoff(), range(1000), strict=False)]
    assert 0.8 <= pauses[0] <= 1.2
    assert 24 <= min(pauses[10:]) <= max(pauses) <= 36
