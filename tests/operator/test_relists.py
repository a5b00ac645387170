"""Our own kinds are listed again and again: what a watch lost comes late, and is not lost."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server, eventually

from voice_operator import relists
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.watchdog import Watchdog
from voice_operator.handlers import Enqueuer
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.names import Key
from voice_operator.relists import FULL_RESYNC_ROUNDS, relist_own_kinds

ALICE, SERVER = Key("VoiceModel", "studio", "alice"), Key("VoiceServer", "studio", "default")
LIST = Key("VoiceList", "studio", "default")


class Noted(WorkQueue):
    """A queue that is never worked on, and remembers what was added."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[Key] = []

    def add(self, key: Key, priority: Priority = Priority.NORMAL) -> None:
        self.added.append(key)
        super().add(key, priority)


@dataclass(frozen=True)
class Scene:
    """The lists at work."""

    server: ApiServer
    enqueuer: Enqueuer
    queue: Noted
    has_synced: asyncio.Event

    def voices(self) -> list[str]:
        return sorted(name for _, name in self.enqueuer.caches.voices)

    def asked(self, plural: str) -> int:
        return sum(f"/{plural}?" in url for url in self.server.requests)


def run(
    scenario: Callable[[Scene], Awaitable[None]],
    prepare: Callable[[ApiServer], Any] = lambda _: None,
    namespaces: tuple[str, ...] = (),
) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            put(server, "alice")
            server.put("default", plural="voiceservers", metadata={"generation": 1}, spec={"base": "tiny"})
            prepare(server)
            kube, queue = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics()), Noted()
            enqueuer, has_synced = Enqueuer(queue, Metrics()), asyncio.Event()
            lists = relist_own_kinds(kube, enqueuer, Watchdog(), namespaces, seconds=0.02, has_synced=has_synced)
            task = asyncio.create_task(lists)
            try:
                await scenario(Scene(server, enqueuer, queue, has_synced))
                assert not task.done(), "it never ends"
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def put(server: ApiServer, name: str, namespace: str = "studio") -> None:
    server.put(name, plural="voicemodels", namespace=namespace, metadata={"generation": 1}, spec={})


def test_what_no_watch_told_is_found() -> None:
    async def scenario(scene: Scene) -> None:
        await eventually("the first list", scene.has_synced.is_set)
        assert scene.voices() == ["alice"]
        put(scene.server, "bob")
        scene.server.delete("alice", plural="voicemodels")
        await eventually("the next one", lambda: scene.voices() == ["bob"])

    run(scenario)


def test_nothing_is_known_for_sure_before_every_kind_was_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relists, "RETRY_SECONDS", 0.02)

    def prepare(server: ApiServer) -> None:
        server.refuses = lambda request: "voicerevisions" in request.path

    async def scenario(scene: Scene) -> None:
        await eventually("some attempts", lambda: scene.asked("voicerevisions") > 2)
        assert not scene.has_synced.is_set()
        scene.server.refuses = lambda _: False
        await eventually("the list", scene.has_synced.is_set)

    run(scenario, prepare)


def test_what_could_not_be_listed_again_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relists, "RETRY_SECONDS", 0.02)

    async def scenario(scene: Scene) -> None:
        await eventually("the first list", scene.has_synced.is_set)
        scene.server.refuses = lambda _: True
        await asyncio.sleep(0.1)
        assert scene.voices() == ["alice"]
        scene.server.refuses = lambda _: False
        put(scene.server, "bob")
        await eventually("the next list", lambda: scene.voices() == ["alice", "bob"])

    run(scenario)


def test_each_round_looks_at_the_lists_and_every_tenth_at_everything() -> None:
    async def scenario(scene: Scene) -> None:
        await eventually("three full rounds", lambda: scene.queue.added.count(ALICE) >= 4)
        rounds = [number for number, key in enumerate(scene.queue.added) if key == ALICE][1:]  # the first is news
        for earlier, later in pairwise(rounds):
            assert scene.queue.added[earlier:later].count(LIST) == FULL_RESYNC_ROUNDS
            assert scene.queue.added[earlier:later].count(SERVER) == 1

    run(scenario)


def test_in_watched_namespaces_only_these_are_listed() -> None:
    def prepare(server: ApiServer) -> None:
        put(server, "bob", "audiobooks")
        put(server, "mallory", "elsewhere")

    async def scenario(scene: Scene) -> None:
        await eventually("the first list", scene.has_synced.is_set)
        assert scene.voices() == ["alice", "bob"]
        scene.server.delete("bob", plural="voicemodels", namespace="audiobooks")
        await eventually("the end of one", lambda: scene.voices() == ["alice"])
        assert not any("voicemodels?" in url and "/namespaces/" not in url for url in scene.server.requests)

    run(scenario, prepare, ("audiobooks", "studio"))


def test_a_namespace_that_cannot_be_listed_hides_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its RoleBinding may be gone while it is being deleted; `studio` comes after it."""
    monkeypatch.setattr(relists, "RETRY_SECONDS", 0.01)

    def prepare(server: ApiServer) -> None:
        put(server, "bob", "audiobooks")
        server.refuses = lambda request: "/namespaces/audiobooks/" in request.path

    async def scenario(scene: Scene) -> None:
        await eventually("the list of the other one", lambda: scene.voices() == ["alice"])
        await eventually("some more attempts", lambda: scene.asked("audiobooks/voicemodels") > 2)
        assert not scene.has_synced.is_set()
        scene.server.refuses = lambda _: False
        await eventually("both", lambda: scene.voices() == ["alice", "bob"] and scene.has_synced.is_set())
        scene.server.refuses = lambda request: "/namespaces/audiobooks/" in request.path
        scene.server.delete("alice", plural="voicemodels")
        put(scene.server, "carol")
        await eventually("what is new in the other one", lambda: scene.voices() == ["bob", "carol"])
        carol = Key("VoiceModel", "studio", "carol")
        known = scene.queue.added.count(carol)
        await eventually("a full round", lambda: scene.queue.added.count(carol) > known)

    run(scenario, prepare, ("audiobooks", "studio"))
