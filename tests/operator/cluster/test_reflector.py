"""A reflector keeps its cache equal to the cluster, whatever happens to lists, watches and connections."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server, eventually

from voice_operator.cluster import kube as kube_module
from voice_operator.cluster import reflector as reflector_module
from voice_operator.cluster.cache import Cache
from voice_operator.cluster.kube import JOBS, Kube
from voice_operator.cluster.reflector import Reflector, relist
from voice_operator.errors import ClusterError, Expired
from voice_operator.metrics import Metrics

LABEL = "voice.sovits.dev/voice-model"
OURS = {"labels": {LABEL: "alice"}}
NEVER = 60.0  # longer than any test


@dataclass(frozen=True)
class Scene:
    """A reflector at work, and the API server that it looks at."""

    server: ApiServer
    kube: Kube
    cache: Cache[str]
    reflector: Reflector

    def put(self, name: str, state: str = "new", **about: Any) -> None:
        self.server.put(name, metadata=OURS, state=state, **about)

    def known(self) -> dict[str, str]:
        return {name: kept for namespace, name in self.cache if (kept := self.cache.get(namespace, name)) is not None}

    async def until(self, expected: dict[str, str]) -> None:
        try:
            await eventually(f"the cache to hold {expected}", lambda: self.known() == expected)
        except AssertionError:
            assert self.known() == expected  # shows the difference
            raise


Scenario = Callable[[Scene], Awaitable[None]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector_module, "INITIAL_BACKOFF_SECONDS", 0.02)
    monkeypatch.setattr(kube_module, "PAGE", 2)


def run(scenario: Scenario, *, relist_seconds: float = NEVER, namespace: str | None = None) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())
            cache: Cache[str] = Cache(lambda item, _: str(item["state"]))
            reflector = Reflector(kube, JOBS, {LABEL: None}, cache, namespace)
            scene = Scene(server, kube, cache, reflector)
            scene.put("alice")
            task = asyncio.create_task(reflector.run(relist_seconds))
            try:
                await eventually("the first list", reflector.has_synced.is_set)
                await eventually("the watch", server.watched)
                await scenario(scene)
                assert not task.done(), "a reflector never ends"
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=30))


def test_the_cache_follows_the_watch() -> None:
    async def scenario(scene: Scene) -> None:
        assert scene.known() == {"alice": "new"}
        scene.put("bob")
        scene.server.put("somebody-elses", state="new")
        scene.put("alice", "done")
        await scene.until({"alice": "done", "bob": "new"})
        scene.server.delete("alice")
        await scene.until({"bob": "new"})
        assert scene.server.listed() == 1
        assert all("labelSelector=voice.sovits.dev%2Fvoice-model" in url for url in scene.server.requests)

    run(scenario)


def test_one_namespace_is_asked_for_alone() -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("carol", namespace="audiobooks")
        scene.put("bob")
        await scene.until({"alice": "new", "bob": "new"})
        assert all("/namespaces/studio/jobs" in url for url in scene.server.requests)

    run(scenario, namespace="studio")


def test_what_happens_between_the_pages_of_a_list_is_not_missed() -> None:
    async def scenario(scene: Scene) -> None:
        server = scene.server
        for number in range(6):
            scene.put(f"job-{number}")

        def meanwhile() -> None:
            server.between_pages = lambda: None
            server.delete("job-5")  # on a later page
            scene.put("job-0", "done")  # on a page that was read already
            scene.put("job-6")

        server.between_pages = meanwhile
        server.expire()
        server.disconnect()
        rest = {f"job-{number}": "new" for number in (1, 2, 3, 4, 6)}
        await scene.until({"alice": "new", "job-0": "done"} | rest)
        assert server.listed() == 2

    run(scenario)


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        pytest.param("ADDED", {"alice": "done", "carol": "new"}, id="a creation"),
        pytest.param("MODIFIED", {"alice": "done", "carol": "new"}, id="a change"),
        pytest.param("DELETED", {"alice": "done", "carol": "new"}, id="a deletion"),
    ],
)
def test_the_next_list_repairs_the_loss_of(lost: str, expected: dict[str, str]) -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("bob")
        await scene.until({"alice": "new", "bob": "new"})
        scene.server.loses = lambda event: event["type"] == lost
        scene.put("carol")
        scene.put("alice", "done")
        scene.server.delete("bob")
        await scene.until(expected)

    run(scenario, relist_seconds=0.2)


def test_a_watch_that_ends_goes_on_from_the_last_bookmark_without_a_list() -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("bob")
        await scene.until({"alice": "new", "bob": "new"})
        bookmarked = scene.server.bookmark()
        await asyncio.sleep(0.3)
        scene.server.expire()  # nothing older than the bookmark would do
        scene.server.end_watches()
        scene.put("carol")
        await scene.until({"alice": "new", "bob": "new", "carol": "new"})
        assert scene.server.watched()[-1] == str(bookmarked)
        assert scene.server.listed() == 1

    run(scenario)


def test_a_connection_that_breaks_loses_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        for number in range(20):
            scene.put("alice", f"state {number}")
            scene.put(f"job-{number}")
            scene.server.disconnect()
            await asyncio.sleep(0.01)
        scene.server.delete("job-0")
        expected = {f"job-{number}": "new" for number in range(1, 20)}
        await scene.until({"alice": "state 19"} | expected)

    run(scenario)


def test_a_version_that_expired_costs_a_list_and_nothing_else() -> None:
    async def scenario(scene: Scene) -> None:
        scene.put("bob")
        await scene.until({"alice": "new", "bob": "new"})
        scene.server.loses = lambda _: True
        scene.server.delete("alice")
        scene.put("bob", "done")
        scene.put("carol")
        scene.server.loses = lambda _: False
        scene.server.expire()
        scene.server.end_watches()
        await scene.until({"bob": "done", "carol": "new"})

    run(scenario)


def test_versions_that_expire_again_and_again_are_no_hot_loop() -> None:
    async def scenario(scene: Scene) -> None:
        scene.server.compacted = 10**9
        scene.server.end_watches()
        await asyncio.sleep(0.5)
        assert scene.server.listed() <= 7, "the pause between lists doubles"

    run(scenario)


def test_an_error_event_that_nobody_expects_ends_nothing() -> None:
    async def scenario(scene: Scene) -> None:
        scene.server.send({"type": "ERROR", "object": {"code": 500, "reason": "InternalError", "message": "etcd"}})
        scene.put("bob")
        await scene.until({"alice": "new", "bob": "new"})

    run(scenario)


def test_a_silent_connection_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "WATCH_TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.5))

    async def scenario(scene: Scene) -> None:
        scene.server.mute = True
        scene.put("bob")
        await asyncio.sleep(0.1)
        assert scene.known() == {"alice": "new"}
        await scene.until({"alice": "new", "bob": "new"})

    run(scenario)


def test_an_api_server_that_fails_makes_nothing_forgotten() -> None:
    async def scenario(scene: Scene) -> None:
        scene.server.answers = [500, 503, 500]
        scene.server.expire()
        scene.server.end_watches()
        await eventually("the failures", lambda: not scene.server.answers)
        assert scene.known() == {"alice": "new"}
        scene.put("bob")
        await scene.until({"alice": "new", "bob": "new"})

    run(scenario)


def relist_with(scenario: Callable[[ApiServer, Kube, Cache[str]], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())
            try:
                await scenario(server, kube, Cache(lambda item, _: str(item["state"])))
            finally:
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=10))


def test_a_list_that_breaks_off_forgets_nothing() -> None:
    async def scenario(server: ApiServer, kube: Kube, cache: Cache[str]) -> None:
        for number in range(5):
            server.put(f"job-{number}", state="new")
        await relist(kube, JOBS, None, cache)
        server.delete("job-0")
        server.put("job-1", state="done")
        server.between_pages = server._snapshots.clear
        with pytest.raises(Expired):
            await relist(kube, JOBS, None, cache)
        assert cache.get("studio", "job-0") == "new", "who knows what the rest of the list would have had"
        assert cache.get("studio", "job-1") == "done"
        server.between_pages = lambda: None
        await relist(kube, JOBS, None, cache)
        assert cache.get("studio", "job-0") is None

    relist_with(scenario)


def test_a_list_tells_what_nobody_knew() -> None:
    async def scenario(server: ApiServer, kube: Kube, cache: Cache[str]) -> None:
        news: list[str] = []
        known, _ = server.put("known", state="new"), server.put("unknown", state="new")
        cache.update(known)
        await relist(kube, JOBS, None, cache, on_news=lambda item: news.append(item["metadata"]["name"]))
        assert news == ["unknown"]

    relist_with(scenario)


def test_a_cluster_that_went_back_in_time_is_believed() -> None:
    async def scenario(server: ApiServer, kube: Kube, cache: Cache[str]) -> None:
        backup = server.version
        old = server.put("alice", state="old")
        server.version = 500
        server.put("alice", state="new")
        server.put("carol", state="new")
        await relist(kube, JOBS, None, cache)
        cache.delete(server.objects["jobs", "studio", "carol"])
        server.objects = {("jobs", "studio", "alice"): old}
        server.version = backup + 1
        server.put("carol", state="old")
        await relist(kube, JOBS, None, cache)
        assert {name: cache.get(namespace, name) for namespace, name in cache} == {"alice": "old", "carol": "old"}

    relist_with(scenario)


def test_a_refused_list_is_an_error() -> None:
    async def scenario(server: ApiServer, kube: Kube, cache: Cache[str]) -> None:
        server.answers = [403]
        with pytest.raises(ClusterError, match="as the test wants"):
            await relist(kube, JOBS, None, cache)

    relist_with(scenario)


def test_a_kind_that_is_not_there_is_awaited_by_nobody_and_discovered(caplog: pytest.LogCaptureFixture) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            server.put("alice", metadata=OURS, state="new")
            server.answers = [404, 404, 404]
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())
            cache: Cache[str] = Cache(lambda item, _: str(item["state"]))
            reflector = Reflector(kube, JOBS, {LABEL: None}, cache, None, optional=True)
            task = asyncio.create_task(reflector.run(NEVER))
            try:
                await eventually("the first question", lambda: len(server.requests) > 0)
                assert reflector.has_synced.is_set()
                await eventually("the kind to be known", lambda: cache.get("studio", "alice") == "new")
                server.answers = [404]
                server.expire()
                server.disconnect()
                await eventually("what was kept of a kind that went to go", lambda: not len(cache))
                await eventually("the kind to be there again", lambda: cache.get("studio", "alice") == "new")
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await kube.close()

    with caplog.at_level("WARNING"):
        asyncio.run(asyncio.wait_for(whole(), timeout=30))
    assert not caplog.records
