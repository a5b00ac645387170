"""Applies effects. All are idempotent: names are fixed, and an existing object is adopted if this voice owns it."""

from typing import Any, assert_never

from voice_operator.api.schema import API_VERSION
from voice_operator.cluster.cache import Cache
from voice_operator.cluster.kube import CONFIG_MAPS, JOBS, VOICE_REVISIONS, Object, Resource
from voice_operator.cluster.objects import is_deleting, is_owned_by
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import Conflict, NotFound, OwnershipConflict
from voice_operator.manifests.job_document import job_document_config_map
from voice_operator.manifests.labels import VOICE_MODEL, owner
from voice_operator.manifests.revision import voice_revision
from voice_operator.manifests.stage_job import stage_job
from voice_operator.reconcile.effects import (
    AdoptRevision,
    CreateRevision,
    DeleteJob,
    Effect,
    SetRevisionState,
    StartJob,
    SuspendJob,
)
from voice_operator.reconcile.observed import Observed, Voice


async def apply(effect: Effect, observed: Observed, cluster: Cluster) -> None:
    """Apply one effect to the cluster.

    Raises:
        OwnershipConflict: an object of that name has another owner.
        ClusterError: the API server failed.
    """
    voice, kube, settings = observed.voice, cluster.kube, cluster.settings
    match effect:
        case StartJob():
            digest = observed.input_hash or ""
            # The document first: a pod whose ConfigMap is missing would hang.
            await _apply_document(job_document_config_map(voice, effect, digest, settings), voice, cluster)
            await _create(JOBS, stage_job(voice, effect, digest, settings), voice, cluster)
        case DeleteJob():
            deleted = await kube.delete(JOBS, voice.namespace, effect.name)
            if deleted is not None:
                cluster.caches.jobs.update(deleted)
        case SuspendJob():
            await _merge(JOBS, voice.namespace, effect.name, {"spec": {"suspend": effect.suspend}}, cluster)
        case CreateRevision():
            if observed.dataset is not None and observed.input_hash is not None:
                body = voice_revision(voice, effect, observed.input_hash, observed.dataset, settings)
                await _create(VOICE_REVISIONS, body, voice, cluster)
        case AdoptRevision():
            metadata = {
                "labels": {VOICE_MODEL: voice.name},
                "ownerReferences": owner("VoiceModel", voice.name, voice.uid),
            }
            await _merge(VOICE_REVISIONS, voice.namespace, effect.name, {"metadata": metadata}, cluster)
        case SetRevisionState():
            status = {"state": effect.state, "legalHold": effect.legal_hold}
            metadata = {"name": effect.name, "namespace": voice.namespace}
            body = {"apiVersion": API_VERSION, "kind": "VoiceRevision", "metadata": metadata, "status": status}
            cluster.caches.revisions.update(await kube.apply(VOICE_REVISIONS, body, subresource="status"))
        case _:
            assert_never(effect)


async def _apply_document(body: Object, voice: Voice, cluster: Cluster) -> None:
    """Write the job document; one that was written for a voice of this name is overwritten, nothing else is."""
    name = body["metadata"]["name"]
    try:
        existing = await cluster.kube.get(CONFIG_MAPS, voice.namespace, name)
    except NotFound:
        existing = body
    if (existing["metadata"].get("labels") or {}).get(VOICE_MODEL) != voice.name:
        raise OwnershipConflict(
            f"ConfigMap {voice.namespace}/{name} has another owner; delete it or rename the VoiceModel"
        )
    await cluster.kube.apply(CONFIG_MAPS, body)


async def _create(resource: Resource, body: Object, voice: Voice, cluster: Cluster) -> None:
    """Create once; an existing object is adopted if this very voice owns it."""
    cache = _cache(resource, cluster)
    try:
        cache.update(await cluster.kube.create(resource, body))
    except Conflict:
        name = body["metadata"]["name"]
        existing = await cluster.kube.get(resource, voice.namespace, name)
        cache.update(existing)
        if not is_owned_by(existing, voice.uid) or is_deleting(existing):
            kind = body["kind"]
            raise OwnershipConflict(
                f"{kind} {voice.namespace}/{name} has another owner; delete it or rename the VoiceModel"
            ) from None


async def _merge(resource: Resource, namespace: str, name: str, patch: Object, cluster: Cluster) -> None:
    try:
        _cache(resource, cluster).update(await cluster.kube.merge(resource, namespace, name, patch))
    except NotFound:
        return  # it was deleted meanwhile; the watch tells


def _cache(resource: Resource, cluster: Cluster) -> Cache[Any]:
    """Return the cache that learns at once what this pass did: the next one must not wait for the watch."""
    return cluster.caches.jobs if resource == JOBS else cluster.caches.revisions
