"""The lists of voices in ConfigMaps: written when they differ, repaired when somebody edits them, never held up."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import sealed_revision, signing

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube, Object
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.errors import ClusterError, ListTooLong, OwnershipConflict
from voice_operator.manifests import voice_list
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.names import Key
from voice_operator.settings import Settings
from voice_operator.voice_lists import VoiceListReconciler

NOW = datetime(2026, 11, 23, 23, 59, 50, tzinfo=UTC)
LIST = Key("VoiceList", "studio", "default")
SETTINGS = Settings.model_validate(
    {
        "images": {"trainer": "t", "inference": "i"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": "file:///nowhere"},
    }
)
VERSIONS = count(10_000)


@dataclass
class Scene:
    """A reconciler of lists, what it knows of the cluster, and the API server that it writes to."""

    server: ApiServer
    caches: Caches
    lists: VoiceListReconciler
    queue: WorkQueue = field(default_factory=WorkQueue)

    def voice(self, name: str, **consent: Any) -> None:
        digest = "sha256:" + "a" * 64
        artifacts = {"revision": f"{name}-1", "uri": f"s3://voices/{name}", "digest": digest}
        agreed = {"holder": "Alice A.", "statement": "I agree."} | consent
        spec = {"consent": agreed, "serving": {"server": "default"}}
        status = {"server": "studio/default", "artifacts": artifacts}
        self.caches.revisions.update(sealed_revision(name, f"{name}-1", digest, next(VERSIONS)))
        self.caches.voices.update(an_object(name) | {"spec": spec, "status": status})

    def revoke(self, *names: str) -> None:
        for name in names:
            self.voice(name, revoked=True)

    def parts(self) -> dict[str, Object]:
        """The documents in the ConfigMaps, by ConfigMap."""
        return {
            name: json.loads(next(iter(item["data"].values())))
            for (plural, _, name), item in sorted(self.server.objects.items())
            if plural == "configmaps"
        }

    def listed(self) -> list[str]:
        return sorted(voice["id"].removeprefix("studio/") for part in self.parts().values() for voice in part["voices"])

    async def shown(self) -> list[str]:
        """The voices that pods are told of when they ask."""
        found = await self.lists.rendered("studio", "default")
        return (
            [] if found is None else [voice["id"].removeprefix("studio/") for voice in json.loads(found.body)["voices"]]
        )

    def asked(self, name: str = "") -> int:
        """How many requests there were for a ConfigMap."""
        return sum(f"configmaps/{name}" in url for url in self.server.requests)


Scenario = Callable[[Scene], Awaitable[None]]


def an_object(name: str) -> Object:
    metadata = {"namespace": "studio", "name": name, "uid": f"uid-{name}", "generation": 1}
    return {"metadata": metadata | {"resourceVersion": str(next(VERSIONS))}}


def with_lists(server: ApiServer, caches: Caches, kube: Kube) -> Scene:
    cluster = Cluster(kube, caches, open_store("file:///"), Inference(caches), SETTINGS, signing(caches))
    queue = WorkQueue()
    return Scene(server, caches, VoiceListReconciler(cluster, queue, lambda: NOW), queue)


def run(scenario: Scenario, *, base: str = "tiny", status: Object | None = None) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())
            caches = Caches()
            caches.servers.update(an_object("default") | {"spec": {"base": base}, "status": status or {}})
            try:
                await scenario(with_lists(server, caches, kube))
            finally:
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """ConfigMaps that hold about five voices."""
    monkeypatch.setattr(voice_list, "MAX_SHARD_BYTES", 2500)


def test_a_list_is_written_once_and_then_only_when_it_differs() -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice")
        assert await scene.lists.reconcile(LIST) is None
        assert scene.listed() == ["alice"]
        assert scene.parts()["default-voices"]["generation"] == 1
        assert scene.lists.generation("studio", "default") == 1
        version = scene.server.version
        await scene.lists.reconcile(LIST)
        assert scene.server.version == version
        assert scene.asked() == 3, "one look, one write, one look"
        scene.voice("bob")
        await scene.lists.reconcile(LIST)
        assert scene.listed() == ["alice", "bob"]
        assert scene.parts()["default-voices"]["generation"] == 2

    run(scenario)


@pytest.mark.parametrize(
    "base", [pytest.param("renamed", id="a base that nobody configured"), pytest.param(7, id="no name of a base")]
)
def test_a_voice_leaves_the_list_of_a_server_of(base: Any) -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice")
        scene.voice("bob")
        await scene.lists.reconcile(LIST)
        scene.revoke("alice")
        await scene.lists.reconcile(LIST)
        assert scene.listed() == await scene.shown() == ["bob"]

    run(scenario, base=base)


def test_pods_that_ask_are_told_of_a_revocation_while_the_api_server_takes_no_write() -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice")
        await scene.lists.reconcile(LIST)
        scene.revoke("alice")
        scene.server.refuses = lambda request: request.method == "PATCH"
        with pytest.raises(ClusterError):
            await scene.lists.reconcile(LIST)
        assert scene.listed() == ["alice"]
        assert await scene.shown() == []
        scene.server.refuses = lambda _: False
        await scene.lists.reconcile(LIST)
        assert scene.listed() == []

    run(scenario)


@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda item: item["data"].clear(), id="everything is removed"),
        pytest.param(lambda item: item["data"].update({"voices.json": "{}"}), id="another document"),
        pytest.param(lambda item: item["data"].update({"voices.json": "not JSON"}), id="no document"),
        pytest.param(lambda item: item["data"].update({"extra.json": "{}"}), id="another file"),
        pytest.param(lambda item: item["metadata"].update(ownerReferences=[]), id="the owner is removed"),
        pytest.param(
            lambda item: item["data"].update({"voices.json": item["data"]["voices.json"].replace("alice", "mallory")}),
            id="another voice",
        ),
    ],
)
def test_a_config_map_is_repaired_when_by_hand(edit: Callable[[Object], None]) -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice")
        await scene.lists.reconcile(LIST)
        written = json.loads(json.dumps(scene.server.objects["configmaps", "studio", "default-voices"]))
        edit(scene.server.objects["configmaps", "studio", "default-voices"])
        await scene.lists.reconcile(LIST)
        repaired = scene.server.objects["configmaps", "studio", "default-voices"]
        assert repaired["metadata"]["ownerReferences"] == written["metadata"]["ownerReferences"]
        assert list(repaired["data"]) == ["voices.json"]
        assert scene.listed() == ["alice"]
        assert scene.parts()["default-voices"]["generation"] == 2

    run(scenario)


def test_a_config_map_of_somebody_else_is_left_alone_and_told() -> None:
    async def scenario(scene: Scene) -> None:
        scene.server.put("default-voices", plural="configmaps", data={"mine": "yes"})
        with pytest.raises(OwnershipConflict, match="ConfigMap studio/default-voices has another owner"):
            await scene.lists.reconcile(LIST)
        problem = scene.lists.problem("studio", "default")
        assert problem is not None
        assert problem.reason == "OwnershipConflict"
        assert len(scene.queue) == 1, "its server reports it"
        scene.server.delete("default-voices", plural="configmaps")
        await scene.lists.reconcile(LIST)
        assert scene.lists.problem("studio", "default") is None

    run(scenario)


@pytest.mark.usefixtures("short_parts")
def test_a_list_grows_into_parts_and_one_that_is_edited_is_written_alone() -> None:
    async def scenario(scene: Scene) -> None:
        for number in range(20):
            scene.voice(f"voice-{number}")
        await scene.lists.reconcile(LIST)
        parts = scene.parts()
        assert len(parts) > 3
        assert len(scene.listed()) == len(await scene.shown()) == 20
        *_, missing, edited = sorted(parts)
        del scene.server.objects["configmaps", "studio", missing]
        scene.server.objects["configmaps", "studio", edited]["data"] = {}
        scene.server.requests.clear()
        await scene.lists.reconcile(LIST)
        assert scene.parts().keys() == parts.keys()
        assert {key: part["voices"] for key, part in scene.parts().items()} == {
            key: part["voices"] for key, part in parts.items()
        }
        assert len(scene.server.requests) == len(parts) + 2

    run(scenario)


@pytest.mark.usefixtures("short_parts")
def test_a_list_that_is_too_long_takes_nobody_in_and_still_lets_voices_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_list, "MAX_SHARDS", 2)

    async def scenario(scene: Scene) -> None:
        for number in range(4):
            scene.voice(f"voice-{number}")
        await scene.lists.reconcile(LIST)
        for number in range(4, 20):
            scene.voice(f"voice-{number}")
        scene.revoke("voice-1", "voice-9")
        with pytest.raises(ListTooLong, match="its 18 voices need more than 2 ConfigMaps"):
            await scene.lists.reconcile(LIST)
        assert scene.listed() == await scene.shown() == ["voice-0", "voice-2", "voice-3"]
        problem = scene.lists.problem("studio", "default")
        assert problem is not None
        assert "divide them" in problem.message
        for number in range(4, 20):
            scene.revoke(f"voice-{number}")
        await scene.lists.reconcile(LIST)
        assert scene.lists.problem("studio", "default") is None

    run(scenario)


@pytest.mark.usefixtures("short_parts")
def test_a_first_list_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voice_list, "MAX_SHARDS", 2)

    async def scenario(scene: Scene) -> None:
        for number in range(20):
            scene.voice(f"voice-{number}")
        with pytest.raises(ListTooLong):
            await scene.lists.reconcile(LIST)
        assert scene.parts() == {}

    run(scenario)


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [
        pytest.param(None, None, id="without a last day"),
        pytest.param("2026-11-23", 10, id="ten seconds before midnight"),
        pytest.param("2027-11-23", 3600, id="a year before: a clock may be set meanwhile"),
    ],
)
def test_a_list_is_looked_at_again_when_a_consent_in_it_ends(expires: str | None, seconds: float | None) -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice", expires=expires)
        assert await scene.lists.reconcile(LIST) == seconds
        entry = scene.parts()["default-voices"]["voices"][0]
        assert entry.get("expires") == expires, "pods obey the day by themselves"

    run(scenario)


def test_a_generation_never_falls_though_the_config_map_was_deleted() -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice")
        await scene.lists.reconcile(LIST)
        assert scene.parts()["default-voices"]["generation"] == 42

    run(scenario, status={"generation": 41})


def test_the_list_of_a_deleted_server_is_left_to_the_garbage_collector() -> None:
    async def scenario(scene: Scene) -> None:
        scene.voice("alice")
        await scene.lists.reconcile(LIST)
        scene.caches.servers.delete(an_object("default"))
        scene.server.requests.clear()
        assert await scene.lists.reconcile(LIST) is None
        assert scene.server.requests == []
        assert await scene.lists.rendered("studio", "default") is None

    run(scenario)


def test_a_standby_shows_what_the_leader_wrote() -> None:
    async def scenario(leader: Scene) -> None:
        leader.voice("alice")
        await leader.lists.reconcile(LIST)
        standby = with_lists(leader.server, leader.caches, leader.lists._cluster.kube)
        leader.server.requests.clear()
        for shown in await asyncio.gather(*(standby.shown() for _ in range(20))):
            assert shown == ["alice"]
        assert leader.asked() == 1, "one look for all pods that ask at the time"
        leader.revoke("alice")
        await leader.lists.reconcile(LIST)
        await asyncio.sleep(1.1)
        assert await standby.shown() == []

    run(scenario)


def test_a_standby_shows_no_half_of_a_list() -> None:
    async def scenario(scene: Scene) -> None:
        assert await scene.lists.rendered("studio", "default") is None
        assert await scene.lists.rendered("studio", "nobody") is None
        scene.server.put("default-voices", plural="configmaps", data={"mine": "yes"})
        with pytest.raises(OwnershipConflict):
            await scene.lists.rendered("studio", "default")

    run(scenario)
