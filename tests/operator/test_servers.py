"""A VoiceServer that the installation's policy forbids: nothing is made for it, and what runs goes on."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import kopf
from tests.support.api_server import an_api_server
from tests.support.signing import signing

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
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
