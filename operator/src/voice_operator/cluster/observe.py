"""Observes everything that a decision about a voice needs; reads only."""

from dataclasses import dataclass, replace
from datetime import datetime

from voice_operator.api.voice_status import STAGES, ObservedDataset, StageName
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.jobs import JOB_NAME, is_finished, observed_job
from voice_operator.cluster.kube import EVENTS, JOBS, PODS, VOICE_REVISIONS, VOICE_SERVERS, Kube, Object
from voice_operator.cluster.objects import is_owned_by, revision_from, server_from
from voice_operator.cluster.pods import true_condition
from voice_operator.cluster.store import Store
from voice_operator.cluster.waiting import unexplained
from voice_operator.cluster.workspace import Workspace
from voice_operator.errors import ClusterError, NotFound, StoreError
from voice_operator.manifests.labels import VOICE_MODEL
from voice_operator.manifests.server import endpoint
from voice_operator.manifests.stage_job import job_policy
from voice_operator.reconcile.hashing import input_hash
from voice_operator.reconcile.names import revision_uri, workspace_uri
from voice_operator.reconcile.observed import (
    Observed,
    ObservedJob,
    ObservedRevision,
    ObservedServer,
    Problem,
    Voice,
    VoiceServer,
)
from voice_operator.reconcile.serving import base_of
from voice_operator.reconcile.view import is_due
from voice_operator.settings import Settings


@dataclass(frozen=True)
class Cluster:
    """The clients of all dependencies, and the settings."""

    kube: Kube
    store: Store
    inference: Inference
    settings: Settings


async def observe_voice(cluster: Cluster, voice: Voice, *, now: datetime, consent_valid: bool) -> Observed:
    """Return the observed state of the voice. Without consent its recordings are not even listed.

    Raises:
        ClusterError: the API server failed.
        StoreError, InvalidDocument: the object store failed, or holds an invalid document.
    """
    settings, status = cluster.settings, voice.status
    revisions = await _revisions(cluster, voice)
    voice = replace(voice, default_base=base_of(revisions) or settings.default_base)
    server = await _server(cluster, voice) if revisions else None
    known = voice.base in settings.bases
    dataset: ObservedDataset | None = status.dataset
    problem: Problem | None = None
    if known and consent_valid:
        dataset, problem = await _dataset(cluster.store, voice, now)
    if not known or not consent_valid or dataset is None:
        return Observed(
            voice=voice,
            complete=False,
            base_known=known,
            known_bases=tuple(sorted(settings.bases)),
            dataset=status.dataset,
            dataset_problem=problem,
            input_hash=status.input_hash,
            jobs=await _jobs(cluster.kube, voice, status.input_hash, now),
            revisions=revisions,
            server=server,
        )
    base = settings.bases[voice.base]
    digest = input_hash(
        voice.spec,
        dataset_digest=dataset.identity,
        base=voice.base,
        base_uri=base.uri,
        base_digest=base.digest,
        trainer_image=settings.images.trainer,
    )
    jobs = await _jobs(cluster.kube, voice, digest, now)
    parts = (settings.storage.uri, voice.namespace, voice.name, digest)
    workspace = Workspace(cluster.store, workspace_uri(*parts), digest, revision_uri(*parts))
    unfinished = [job for job in jobs if job.state == "Running" and job.input_hash == digest]
    running: list[StageName] = [job.stage for job in unfinished]
    recorded = status.stages if status.input_hash == digest else ()
    published = any(revision.input_hash == digest for revision in revisions)
    outputs = await workspace.outputs(
        done=[stage.name for stage in recorded if stage.state == "Succeeded"], running=running, published=published
    )
    return Observed(
        voice=voice,
        dataset=dataset,
        input_hash=digest,
        jobs=jobs,
        job_policies={stage: job_policy(voice, stage, digest, settings) for stage in STAGES},
        outputs=outputs,
        progress=await workspace.progress(running[-1]) if unfinished and unfinished[-1].started else None,
        revisions=revisions,
        server=server,
    )


async def _dataset(store: Store, voice: Voice, now: datetime) -> tuple[ObservedDataset | None, Problem | None]:
    """Return the recordings, listed once per generation or retry: their fingerprint cannot flap while a Job runs."""
    spec, recorded = voice.spec.dataset, voice.status.dataset
    uri = spec.uri.rstrip("/")
    if spec.digest:
        return ObservedDataset(uri=uri, digest=spec.digest, generation=voice.generation), None
    retry = voice.retry_requested or is_due(voice.status.stages, now)
    if recorded is not None and recorded.uri == uri and recorded.generation == voice.generation and not retry:
        # Statuses of 0.1.0 have the fingerprint under the name of the digest.
        return recorded.model_copy(update={"digest": "", "fingerprint": recorded.identity}), None
    try:
        fingerprint = await store.fingerprint(uri)
    except StoreError as error:
        return None, Problem("DatasetUnreachable", str(error))
    if fingerprint is None:
        return None, Problem("DatasetNotFound", f"spec.dataset.uri: there is nothing below {uri}")
    return ObservedDataset(uri=uri, fingerprint=fingerprint, generation=voice.generation), None


async def _jobs(kube: Kube, voice: Voice, digest: str | None, now: datetime) -> tuple[ObservedJob, ...]:
    items = await kube.list(JOBS, voice.namespace, {VOICE_MODEL: voice.name})
    observed = []
    for item in items:
        if not is_owned_by(item, voice.uid):
            continue
        done = true_condition(item, "Complete")
        pods = [] if done else await kube.list(PODS, voice.namespace, {JOB_NAME: item["metadata"]["name"]})
        silent = None if is_finished(item) else unexplained(item, pods, now)
        events = [] if silent is None else await _events(kube, silent)
        if (job := observed_job(item, pods, events, input_hash=digest, now=now)) is not None:
            observed.append(job)
    return tuple(observed)


async def _events(kube: Kube, about: Object) -> list[Object]:
    """Return the Events about one object; none where they cannot be read, for they only explain."""
    try:
        return await kube.list(
            EVENTS, about["metadata"]["namespace"], fields={"regarding.uid": about["metadata"]["uid"]}
        )
    except ClusterError:
        return []


async def _revisions(cluster: Cluster, voice: Voice) -> tuple[ObservedRevision, ...]:
    items = await cluster.kube.list(VOICE_REVISIONS, voice.namespace, {VOICE_MODEL: voice.name})
    return tuple(revision_from(item, voice.uid) for item in items)


async def _server(cluster: Cluster, voice: Voice) -> ObservedServer | None:
    server = await find_server(cluster, voice)
    if server is None:
        return None
    return ObservedServer(
        namespace=server.namespace,
        name=server.name,
        base=server.spec.base,
        replicas=server.spec.replicas,
        endpoint=endpoint(server.namespace, server.name),
        pods=await cluster.inference.pods(server.namespace, server.name),
    )


async def find_server(cluster: Cluster, voice: Voice) -> VoiceServer | None:
    """Return the VoiceServer that a voice names: its own namespace's, else the default one, else the operator's."""
    requested, default = voice.spec.serving.server, cluster.settings.default_server
    namespaces = [voice.namespace, cluster.settings.namespace]
    if default is not None and default.name == requested:
        namespaces.insert(1, default.namespace)
    for namespace in dict.fromkeys(namespaces):
        try:
            return server_from(await cluster.kube.get(VOICE_SERVERS, namespace, requested))
        except NotFound:
            continue
    return None
