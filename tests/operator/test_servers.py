"""A VoiceServer that the installation's policy forbids, and pods that took no newer list."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import kopf
import pytest
from tests.support.api_server import an_api_server
from tests.support.signing import signing

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.errors import ClusterError
from voice_operator.manifests.labels import LIST_GENERATION
from voice_operator.manifests.labels import SERVER as SERVER_LABEL
from voice_operator.manifests.server import CONTAINER
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile import late_pods
from voice_operator.reconcile.names import Key
from voice_operator.servers import ServerReconciler
from voice_operator.settings import Settings
from voice_operator.voice_lists import VoiceListReconciler

NOW = datetime(2026, 11, 23, tzinfo=UTC)
SERVER = Key("VoiceServer", "studio", "default")


def pass_over(replicas: int, policy: dict[str, Any]) -> dict[str, Any]:
    """Return what one pass over a server writes, by kind."""
    settings = Settings.model_validate(
        {
            "images": {"trainer": "t", "inference": "i"},
            "bases": {"tiny": {"uri": "embedded:tiny"}},
            "storage": {"uri": "file:///nowhere"},
            "policy": policy,
        }
    )

    async def whole() -> dict[str, Any]:
        async with an_api_server() as server:
            metrics, caches, queue = Metrics(), Caches(), WorkQueue()
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), metrics)
            cluster = Cluster(kube, caches, open_store("file:///"), Inference(caches), settings, signing(caches))
            lists = VoiceListReconciler(cluster, queue, lambda: NOW)
            metadata = {"name": "default", "namespace": "studio", "uid": "u", "generation": 1, "resourceVersion": "1"}
            caches.servers.update({"metadata": metadata, "spec": {"base": "tiny", "replicas": replicas}})
            try:
                await ServerReconciler(cluster, lists, queue, metrics, lambda: NOW).reconcile(SERVER)
            finally:
                await kube.close()
            return {plural: item for (plural, _, _), item in server.objects.items()}

    return asyncio.run(asyncio.wait_for(whole(), timeout=20))


def test_a_server_that_is_allowed_gets_its_children() -> None:
    assert {"services", "deployments"} <= pass_over(3, {"max": {"replicas": 3}}).keys()


def test_nothing_is_made_for_a_server_that_is_not() -> None:
    written = pass_over(1000, {"max": {"replicas": 3}, "serverNamePattern": "voice-.*"})
    assert not {"services", "deployments"} & written.keys()
    conditions = {one["type"]: one for one in written["voiceservers"]["status"]["conditions"]}
    assert (conditions["Stalled"]["status"], conditions["Ready"]["reason"]) == ("True", "PolicyViolated")
    assert conditions["Stalled"]["message"] == (
        "spec.replicas is 1000, but at most 3 is allowed (chart value policy.max.replicas); metadata.name is default, "
        "but names of VoiceServers must match voice-.* (chart value policy.serverNamePattern)"
    )


class KubeThatCounts(Kube):
    """Counts what is patched; ``forbids``: as an API server whose RBAC knows nothing of pods."""

    forbids = False
    patched = 0

    async def merge(self, *arguments: Any, **named: Any) -> Any:
        self.patched += 1
        if self.forbids:
            raise ClusterError("patch pods", reason="Forbidden", message="as the test wants")
        return await super().merge(*arguments, **named)


def marks_after(written: str | None, *, forbids: bool = False) -> tuple[str | None, int]:
    """Pass twice over a server with a ready pod that does not answer; return its mark, and how often it was patched."""
    settings = Settings.model_validate(
        {
            "images": {"trainer": "t", "inference": "i"},
            "bases": {"tiny": {"uri": "embedded:tiny"}},
            "storage": {"uri": "file:///nowhere"},
        }
    )

    async def whole() -> tuple[str | None, int]:
        async with an_api_server() as server:
            metrics, caches, queue = Metrics(), Caches(), WorkQueue()
            kube = KubeThatCounts(lambda: kopf.ConnectionInfo(server=server.url), metrics)
            kube.forbids = forbids
            cluster = Cluster(kube, caches, open_store("file:///"), Inference(caches), settings, signing(caches))
            lists = VoiceListReconciler(cluster, queue, lambda: NOW)
            spec = {"base": "tiny", "replicas": 1}
            caches.servers.update(server.put("default", plural="voiceservers", metadata={"generation": 1}, spec=spec))
            about = {"labels": {SERVER_LABEL: "default"}, "annotations": {LIST_GENERATION: written} if written else {}}
            status = {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "127.0.0.1"}
            container = {"name": CONTAINER, "ports": [{"name": "http", "containerPort": 1}]}  # nobody listens there
            pod = server.put("p1", plural="pods", metadata=about, spec={"containers": [container]}, status=status)
            caches.server_pods.update(pod)
            servers = ServerReconciler(cluster, lists, queue, metrics, lambda: NOW)
            try:
                for _ in range(3):
                    await servers.reconcile(SERVER)
                    cluster.inference.evict("studio", "default")  # else the last answer counts for half a second
            finally:
                await cluster.inference.close()
                await kube.close()
            found = server.objects["pods", "studio", "p1"]["metadata"]["annotations"].get(LIST_GENERATION)
            return found, kube.patched

    return asyncio.run(asyncio.wait_for(whole(), timeout=20))


@pytest.mark.parametrize("written", [None, "0", "-1", "1e9", "\uff11", "9" * 30, "7"])
def test_a_late_pod_is_marked_once_whatever_was_written_on_it(monkeypatch: Any, written: str | None) -> None:
    monkeypatch.setattr(late_pods, "GRACE_SECONDS", 0.0)
    assert marks_after(written) == ("1", 1)


def test_a_pod_has_some_seconds_to_take_the_list_itself() -> None:
    assert marks_after(None) == (None, 0)


def test_who_may_not_mark_pods_goes_on_without(monkeypatch: Any) -> None:
    monkeypatch.setattr(late_pods, "GRACE_SECONDS", 0.0)
    assert marks_after(None, forbids=True) == (None, 1), "and does not ask again"
