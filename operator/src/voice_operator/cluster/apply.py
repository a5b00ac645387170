"""Applies effects. All are idempotent: names are fixed, and an existing object is adopted if this voice owns it."""

from typing import assert_never

from voice_operator.api.schema import API_VERSION
from voice_operator.cluster.kube import CONFIG_MAPS, JOBS, VOICE_REVISIONS, Object, Resource
from voice_operator.cluster.objects import is_deleting, is_owned_by
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import Conflict, NotFound, OwnershipConflict
from voice_operator.manifests.job_document import job_document_config_map
from voice_operator.manifests.revision import voice_revision
from voice_operator.manifests.stage_job import stage_job
from voice_operator.reconcile.effects import CreateRevision, DeleteJob, Effect, SetRevisionState, StartJob, SuspendJob
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
            await kube.apply(CONFIG_MAPS, job_document_config_map(voice, effect, digest, settings))
            await _create(JOBS, stage_job(voice, effect, digest, settings), voice, cluster)
        case DeleteJob():
            await kube.delete(JOBS, voice.namespace, effect.name)
        case SuspendJob():
            await _merge(JOBS, voice.namespace, effect.name, {"spec": {"suspend": effect.suspend}}, cluster)
        case CreateRevision():
            if observed.dataset is not None and observed.input_hash is not None:
                body = voice_revision(voice, effect, observed.input_hash, observed.dataset, settings)
                await _create(VOICE_REVISIONS, body, voice, cluster)
        case SetRevisionState():
            status = {"state": effect.state, "legalHold": effect.legal_hold}
            metadata = {"name": effect.name, "namespace": voice.namespace}
            body = {"apiVersion": API_VERSION, "kind": "VoiceRevision", "metadata": metadata, "status": status}
            await kube.apply(VOICE_REVISIONS, body, subresource="status")
        case _:
            assert_never(effect)


async def _create(resource: Resource, body: Object, voice: Voice, cluster: Cluster) -> None:
    """Create once; an existing object is adopted if this very voice owns it."""
    try:
        await cluster.kube.create(resource, body)
    except Conflict:
        name = body["metadata"]["name"]
        existing = await cluster.kube.get(resource, voice.namespace, name)
        if not is_owned_by(existing, voice.uid) or is_deleting(existing):
            kind = body["kind"]
            raise OwnershipConflict(
                f"{kind} {voice.namespace}/{name} has another owner; delete it or rename the VoiceModel"
            ) from None


async def _merge(resource: Resource, namespace: str, name: str, patch: Object, cluster: Cluster) -> None:
    try:
        await cluster.kube.merge(resource, namespace, name, patch)
    except NotFound:
        return  # it was deleted meanwhile; the next pass observes that
