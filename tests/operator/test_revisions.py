"""A VoiceRevision costs no request, unless an earlier release left its finalizer on it or somebody else made it."""

import asyncio
from typing import Any

import kopf
from tests.support.api_server import an_api_server
from tests.support.signing import YOUNGER, sealed_revision, signing

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.metrics import Metrics
from voice_operator.reconcile.names import Key
from voice_operator.revisions import RevisionReconciler
from voice_operator.settings import Settings

REVISION = Key("VoiceRevision", "studio", "alice-3fa9c2d1")
SETTINGS = Settings.model_validate(
    {
        "images": {"trainer": "t", "inference": "i"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": "file:///nowhere"},
    }
)


def reconcile(*passes: dict[str, Any]) -> tuple[list[str], dict[str, Any], list[str]]:
    """Reconcile the revision as it is in each pass; return requests, the object and the reasons of Events."""

    async def whole() -> tuple[list[str], dict[str, Any], list[str]]:
        async with an_api_server() as server:
            kube, caches = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics()), Caches()
            store = open_store(SETTINGS.storage.uri, {})
            cluster = Cluster(kube, caches, store, Inference(caches), SETTINGS, signing(caches))
            revisions = RevisionReconciler(cluster, EventRecorder(kube))
            for metadata in passes:
                made = sealed_revision("alice", REVISION.name, "sha256:" + "a" * 64)
                put = server.put(
                    REVISION.name, plural="voicerevisions", metadata=made["metadata"] | metadata, spec=made["spec"]
                )
                caches.revisions.update(put)
                await revisions.reconcile(REVISION)
            await revisions.reconcile(Key("VoiceRevision", "studio", "nobody"))
            await kube.close()
            store.close()
            reasons = [item["reason"] for (plural, _, _), item in server.objects.items() if plural == "events"]
            requests = [f"{one.method} {one.path}" if hasattr(one, "method") else str(one) for one in server.requests]
            return requests, server.objects["voicerevisions", "studio", REVISION.name], reasons

    return asyncio.run(asyncio.wait_for(whole(), timeout=20))


def test_a_revision_costs_no_request() -> None:
    assert reconcile({})[0] == []


def test_the_finalizer_of_an_earlier_release_is_taken_off() -> None:
    _, item, _ = reconcile({"finalizers": ["voice.sovits.dev/artifacts", "example.com/other"]})
    assert item["metadata"]["finalizers"] == ["example.com/other"]


def test_also_from_one_that_is_being_deleted() -> None:
    going = {"deletionTimestamp": "2026-11-23T06:07:00Z", "finalizers": ["voice.sovits.dev/artifacts"]}
    _, item, _ = reconcile(going)
    assert item["metadata"]["finalizers"] == []


def test_a_revision_without_a_seal_is_told_of_once() -> None:
    forged = {"annotations": {}, "creationTimestamp": YOUNGER}
    assert reconcile(forged, forged)[2] == ["NotSealed"]
