"""Applies effects. All are idempotent: names are fixed, and an existing object is adopted if this voice owns it."""

from collections.abc import Iterable
from typing import Any, assert_never

from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_status import StageName
from voice_operator.cluster.cache import Cache
from voice_operator.cluster.kube import CONFIG_MAPS, JOBS, SECRETS, VOICE_REVISIONS, WORKLOADS, Object, Resource
from voice_operator.cluster.objects import is_deleting, is_owned_by
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import Conflict, NotFound, OwnershipConflict, UnprovedResult
from voice_operator.manifests.attempt_keys import attempt_secret
from voice_operator.manifests.copy_job import copy_config_map, copy_job, copy_secret
from voice_operator.manifests.job_document import job_document_config_map
from voice_operator.manifests.labels import REVOKED, SEAL, SUSPENDED, VOICE_MODEL, owner
from voice_operator.manifests.revision import sealed, voice_revision
from voice_operator.manifests.session_policy import session_policy
from voice_operator.manifests.stage_job import stage_job
from voice_operator.reconcile.effects import (
    ActivateWorkload,
    AdoptRevision,
    CopyToHub,
    CreateRevision,
    DeleteJob,
    DeleteRevision,
    Effect,
    MarkRevoked,
    SealRevision,
    SetRevisionState,
    StartJob,
    SuspendJob,
    WithdrawFromHub,
)
from voice_operator.reconcile.names import document_name
from voice_operator.reconcile.observed import Observed, ObservedJob, Voice
from voice_operator.reconcile.proofs import is_whole


async def apply(effect: Effect, observed: Observed, cluster: Cluster) -> None:
    """Apply one effect to the cluster.

    Raises:
        OwnershipConflict: an object of that name has another owner.
        UnprovedResult: a voice is to be published, and no attempts of ours are known to have made it.
        StoreError: the token service gave no keys for a Job.
        ClusterError: the API server failed.
    """
    voice, kube = observed.voice, cluster.kube
    match effect:
        case StartJob():
            await _start_job(effect, observed, cluster)
        case DeleteJob():
            deleted = await kube.delete(JOBS, voice.namespace, effect.name)
            if deleted is not None:
                cluster.caches.jobs.update(deleted)
        case CopyToHub() | WithdrawFromHub():
            await _start_copy(effect, voice, cluster)
        case SuspendJob() | ActivateWorkload():
            resource, patch = _stop(effect)
            await _merge(resource, voice.namespace, effect.name, patch, cluster)
        case CreateRevision():
            await _create_revision(effect, observed, cluster)
        case AdoptRevision() | SealRevision() | MarkRevoked():
            metadata = _marks(effect, voice)
            await _merge(VOICE_REVISIONS, voice.namespace, effect.name, {"metadata": metadata}, cluster)
        case SetRevisionState():
            status = {"state": effect.state, "legalHold": effect.legal_hold}
            status |= {"pinned": True} if effect.pinned else {}
            review = {"review": effect.review, "approvals": effect.approvals}
            status |= {name: value for name, value in review.items() if value is not None}
            metadata = {"name": effect.name, "namespace": voice.namespace}
            body = {"apiVersion": API_VERSION, "kind": "VoiceRevision", "metadata": metadata, "status": status}
            cluster.caches.revisions.update(await kube.apply(VOICE_REVISIONS, body, subresource="status"))
        case DeleteRevision():
            await kube.delete(VOICE_REVISIONS, voice.namespace, effect.name)
        case _:
            assert_never(effect)


def _stop(effect: SuspendJob | ActivateWorkload) -> tuple[Resource, Object]:
    """Return what stops a Job or resumes it, with the mark by which the operator knows what it may resume."""
    match effect:
        case SuspendJob():
            resource, stops, spec = JOBS, effect.suspend, {"suspend": effect.suspend}
        case ActivateWorkload():
            resource, stops, spec = WORKLOADS, not effect.active, {"active": effect.active}
    return resource, {"metadata": {"annotations": {SUSPENDED: "true" if stops else None}}, "spec": spec}


def _marks(effect: AdoptRevision | SealRevision | MarkRevoked, voice: Voice) -> Object:
    """Return the metadata that an effect writes on a VoiceRevision."""
    match effect:
        case AdoptRevision():
            owners = owner("VoiceModel", voice.name, voice.uid)
            return {"labels": {VOICE_MODEL: voice.name}, "ownerReferences": owners}
        case SealRevision():
            return {"annotations": {SEAL: effect.seal}}
        case MarkRevoked():
            return {"labels": {REVOKED: "true"}}


async def _start_job(effect: StartJob, observed: Observed, cluster: Cluster) -> None:
    voice, settings, digest = observed.voice, cluster.settings, observed.input_hash or ""
    # Document and keys first: a pod whose ConfigMap or Secret is missing would hang.
    await _apply_document(job_document_config_map(voice, effect, digest, settings), voice, cluster)
    await _apply_keys(voice, effect.stage, effect.attempt, digest, cluster)
    if _is_there(voice, cluster):
        await _create(JOBS, stage_job(voice, effect, digest, settings), voice, cluster)


def _is_there(voice: Voice, cluster: Cluster) -> bool:
    """Return whether the voice exists still: keys and API server take their time, and an erased folder is nobody's."""
    record = cluster.caches.voices.get(voice.namespace, voice.name)
    return record is not None and record.uid == voice.uid


async def _start_copy(effect: CopyToHub | WithdrawFromHub, voice: Voice, cluster: Cluster) -> None:
    settings = cluster.settings
    await _apply_document(copy_config_map(voice, effect, settings), voice, cluster)
    if (minter := cluster.minter) is not None and isinstance(effect, CopyToHub):
        keys = await minter.files(voice.namespace, effect.name, session_policy(voice, None, settings, minter.region))
        await cluster.kube.apply(SECRETS, copy_secret(voice, effect, keys))
    if _is_there(voice, cluster):
        await _create(JOBS, copy_job(voice, effect, settings), voice, cluster)


async def renew_keys(voice: Voice, jobs: Iterable[ObservedJob], cluster: Cluster) -> float | None:
    """Give Jobs new keys of the store once half of the time of theirs is over; return the seconds until the next.

    Raises:
        StoreError: the token service gave none; those that the Jobs have last for a while.
        ClusterError: the API server failed.
    """
    if cluster.minter is None:
        return None
    waits = []
    for job in jobs:
        secret = document_name(voice.name, job.input_hash, job.stage)
        if cluster.minter.seconds_left(voice.namespace, secret) <= 0:
            await _apply_keys(voice, job.stage, job.attempt, job.input_hash, cluster)
        waits.append(cluster.minter.seconds_left(voice.namespace, secret))
    return min(waits, default=None)


async def _apply_keys(voice: Voice, stage: StageName, attempt: int, input_hash: str, cluster: Cluster) -> None:
    """Write the Secret of a Job's pod."""
    files: dict[str, str] = {}
    if (minter := cluster.minter) is not None:
        policy = session_policy(voice, stage, cluster.settings, minter.region)
        files = await minter.files(voice.namespace, document_name(voice.name, input_hash, stage), policy)
    secret = attempt_secret(voice, stage, attempt, input_hash, cluster.signing.key, store_keys=files)
    await cluster.kube.apply(SECRETS, secret)


async def _create_revision(effect: CreateRevision, observed: Observed, cluster: Cluster) -> None:
    """Record a published voice; raise UnprovedResult unless all of its stages are proved."""
    if not is_whole(effect.provenance):
        raise UnprovedResult(f"{effect.name}: not all results of its stages are proved, so nothing is published")
    if observed.dataset is None or observed.input_hash is None:
        return
    body = sealed(
        voice_revision(observed.voice, effect, observed.input_hash, observed.dataset, cluster.settings),
        cluster.signing.key,
    )
    await _create(VOICE_REVISIONS, body, observed.voice, cluster)


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
    caches = cluster.caches
    return {JOBS: caches.jobs, WORKLOADS: caches.workloads}.get(resource, caches.revisions)
