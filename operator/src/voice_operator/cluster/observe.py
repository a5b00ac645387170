"""Observes everything that a decision about a voice needs; reads only."""

from dataclasses import dataclass, replace
from datetime import datetime

from voice_operator.api.voice_status import STAGES, ObservedDataset, ObservedEvidence, Progress, StageName
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.jobs import is_finished, observed_job
from voice_operator.cluster.kube import EVENTS, Kube, Object
from voice_operator.cluster.objects import is_deleting, is_owned_by, revision_from, server_from
from voice_operator.cluster.revocations import Revocations, claim_of
from voice_operator.cluster.session_keys import SessionMinter
from voice_operator.cluster.signing import Signing
from voice_operator.cluster.store import Store
from voice_operator.cluster.waiting import unexplained
from voice_operator.cluster.workspace import Results, Workspace
from voice_operator.errors import ClusterError, InvalidDocument, InvalidObject, StoreError
from voice_operator.manifests.server import endpoint
from voice_operator.manifests.stage_job import job_policy
from voice_operator.reconcile.access import access_problem
from voice_operator.reconcile.algorithm import versions_for
from voice_operator.reconcile.erasure import recorded_stages
from voice_operator.reconcile.hashing import base_identity, training_hash
from voice_operator.reconcile.identity import is_present, resolve
from voice_operator.reconcile.names import revision_uri, workspace_uri
from voice_operator.reconcile.observed import (
    Observed,
    ObservedJob,
    ObservedRevision,
    ObservedServer,
    Problem,
    Voice,
)
from voice_operator.reconcile.policy import voice_problem
from voice_operator.reconcile.proofs import Verifier
from voice_operator.reconcile.serving import base_of
from voice_operator.reconcile.times import render
from voice_operator.reconcile.view import is_due
from voice_operator.settings import Settings


@dataclass(frozen=True)
class Cluster:
    """The clients of all dependencies, and the settings."""

    kube: Kube
    caches: Caches
    store: Store
    inference: Inference
    settings: Settings
    signing: Signing
    minter: SessionMinter | None = None  # None: each namespace has keys of the store
    revocations: Revocations | None = None  # None: none is remembered

    def close(self) -> None:
        """Let the threads of what blocks end."""
        self.store.close()
        if self.minter is not None:
            self.minter.close()


async def observe_voice(cluster: Cluster, voice: Voice, *, now: datetime, consent_valid: bool) -> Observed:
    """Return the observed state of the voice. Without consent its recordings are not even listed.

    What the object store does not tell is left out and named in ``store_problem``: nothing served depends on it.

    Raises:
        ListingUnderWay: the recordings are being listed, and that takes long.
    """
    settings, status = cluster.settings, voice.status
    revisions, unsealed = _revisions(cluster, voice)
    voice = replace(
        voice,
        default_base=base_of(revisions) or settings.default_base,
        minimum_gates=settings.policy.minimum_gates,
        must_be_reviewed=settings.policy.review.required,
        may_be_copied=bool(settings.hub.token_secret),
        recogniser=recogniser.digest if (recogniser := settings.recogniser_of(voice.spec.language)) else "",
    )
    found = find_server(cluster, voice)
    server = await _observed_server(cluster, voice, found) if revisions else None
    serving = server
    if server is None or server.id != status.server:
        serving = await _observed_server(cluster, voice, _serving_server(cluster, voice))
    refusal = _refusal(cluster, voice, found)
    known = voice.base in settings.bases
    dataset: ObservedDataset | None = status.dataset
    problem: Problem | None = None
    remembered = _remembered(cluster, voice, revisions, status.dataset)
    if known and consent_valid and remembered is None:
        dataset, problem = await _dataset(cluster.store, voice, now, allowed=refusal is None)
        remembered = _remembered(cluster, voice, revisions, dataset)
    if not known or not consent_valid or dataset is None or remembered is not None:
        return Observed(
            voice=voice,
            complete=False,
            refusal=refusal,
            dataset_refused=known and consent_valid and dataset is None and problem is None,
            base_known=known,
            known_bases=tuple(sorted(settings.bases)),
            revoked_before=remembered,
            dataset=dataset or status.dataset,
            evidence=status.evidence,
            dataset_problem=problem,
            input_hash=status.input_hash,
            training_hash=status.training_hash,
            jobs=await _jobs(cluster, voice, status.input_hash, now),
            revisions=revisions,
            unsealed=unsealed,
            server=server,
            serving_server=serving,
        )
    base = settings.bases[voice.base]
    training = training_hash(
        language=voice.spec.language,
        recordings=dataset.identity,
        base=base_identity(voice.base, base.uri, base.digest),
        training=voice.spec.training,
        algorithm=versions_for(voice.spec.language),
        preparation=voice.spec.dataset,
        locale=voice.spec.locale,
    )
    digest = resolve(training, status=status, revisions=revisions, dataset=dataset)
    jobs = await _jobs(cluster, voice, digest, now)
    recorded = recorded_stages(voice, digest)
    verifier = Verifier(voice, digest, cluster.signing.key, jobs, recorded)
    parts = (settings.storage.uri, voice.namespace, voice.name, digest)
    memo = cluster.signing.proofs
    workspace = Workspace(cluster.store, workspace_uri(*parts), revision_uri(*parts), verifier, memo)
    unfinished = [job for job in jobs if job.state == "Running" and job.input_hash == digest]
    running: list[StageName] = [job.stage for job in unfinished]
    published = any(revision.input_hash == digest for revision in revisions)
    evidence, evidence_problem = status.evidence, None
    if not published:
        evidence, evidence_problem = await _evidence(cluster.store, voice)
    store_problem: Problem | None = None
    results = Results()
    if refusal is not None and not published:
        return Observed(
            voice=voice,
            complete=False,
            refusal=refusal,
            dataset=dataset,
            input_hash=digest,
            training_hash=training,
            jobs=jobs,
            revisions=revisions,
            unsealed=unsealed,
            server=server,
            serving_server=serving,
        )
    try:
        results = await workspace.results(
            done=[stage.name for stage in recorded if stage.state == "Succeeded"],
            running=running,
            published=published,
            is_present=lambda output: is_present(output, voice),
        )
    except (StoreError, InvalidDocument) as error:
        store_problem = Problem(type(error).__name__, str(error))
    return Observed(
        voice=voice,
        complete=store_problem is None,
        refusal=refusal,
        dataset=dataset,
        evidence=evidence,
        evidence_problem=evidence_problem,
        store_problem=store_problem,
        input_hash=digest,
        training_hash=training,
        jobs=jobs,
        job_policies={stage: job_policy(voice, stage, digest, settings) for stage in STAGES},
        outputs=results.outputs,
        proofs=results.proofs,
        unproved=results.unproved,
        progress=await _progress(workspace, unfinished) if store_problem is None else None,
        revisions=revisions,
        unsealed=unsealed,
        server=server,
        serving_server=serving,
    )


def _remembered(
    cluster: Cluster, voice: Voice, revisions: tuple[ObservedRevision, ...], dataset: ObservedDataset | None
) -> str | None:
    """Return which revocation that outlived its VoiceModel covers the voice, as a sentence, or None."""
    if cluster.revocations is None:
        return None
    found = [revision.record.recordings for revision in revisions]
    found += [voice.spec.dataset.digest, dataset.identity if dataset is not None else ""]
    created = "" if voice.created_at is None else render(voice.created_at)
    return cluster.revocations.why(claim_of(voice.id, voice.uid, created, voice.spec.consent, found))


def _refusal(cluster: Cluster, voice: Voice, server: Object | None) -> Problem | None:
    """Return why nothing may be trained for the voice: by its own spec, or because its server is closed to it."""
    settings, record = cluster.settings, cluster.caches.voices.get(voice.namespace, voice.name)
    counted = settings.policy.max.voices_per_namespace is not None and record is not None
    problem = voice_problem(
        voice.namespace,
        voice.spec,
        voice.base,
        tenant=settings.tenant(voice.namespace),
        policy=settings.policy,
        has_recogniser=bool(voice.recogniser),
        size=0 if record is None else record.size,
        place=cluster.caches.place_of(record) if counted and record is not None else 0,
    )
    return problem or (None if server is None else _access(cluster, voice, server))


def _access(cluster: Cluster, voice: Voice, item: Object) -> Problem | None:
    """Return why the voice may not use a server; None also where the server's spec cannot be read."""
    metadata = item["metadata"]
    server_id = f"{metadata['namespace']}/{metadata['name']}"
    record = cluster.caches.voices.get(voice.namespace, voice.name)
    own = record is not None and server_id in record.servers
    try:
        spec = server_from(item).spec
    except InvalidObject:
        return None  # its own pass reports that
    return access_problem(
        voice,
        metadata["namespace"],
        metadata["name"],
        spec,
        servers=cluster.settings.tenant(voice.namespace).servers,
        default=cluster.settings.default_server_id == server_id,
        listed=cluster.caches.voices.count(server_id) - own,
    )


async def _dataset(
    store: Store, voice: Voice, now: datetime, *, allowed: bool
) -> tuple[ObservedDataset | None, Problem | None]:
    """Return the recordings, listed once per generation or retry: their fingerprint cannot flap while a Job runs.

    What is not ``allowed`` is not listed at all: None without a problem, unless it is recorded.
    """
    spec, recorded = voice.spec.dataset, voice.status.dataset
    uri = spec.uri.rstrip("/")
    if spec.digest:
        return ObservedDataset(uri=uri, digest=spec.digest, generation=voice.generation), None
    retry = voice.retry_requested or is_due(voice.status.stages, now)
    known = recorded if recorded is not None and recorded.uri == uri else None
    if known is not None and (not allowed or (known.generation == voice.generation and not retry)):
        # Statuses of 0.1.0 have the fingerprint under the name of the digest.
        return known.model_copy(update={"digest": "", "fingerprint": known.identity}), None
    if not allowed:
        return None, None
    try:
        fingerprint = await store.listings.fingerprint(uri, (voice.namespace, voice.name))
    except StoreError as error:
        return None, Problem("DatasetUnreachable", str(error))
    if fingerprint is None:
        return None, Problem("DatasetNotFound", f"spec.dataset.uri: there is nothing below {uri}")
    return ObservedDataset(uri=uri, fingerprint=fingerprint, generation=voice.generation), None


async def _evidence(store: Store, voice: Voice) -> tuple[ObservedEvidence | None, Problem | None]:
    """Return the evidence of the consent, read once; only where the spec has its digest, and before a training."""
    consent, recorded = voice.spec.consent, voice.status.evidence
    if not consent.evidence_digest:
        return None, None
    wanted = ObservedEvidence(uri=consent.evidence, digest=consent.evidence_digest)
    if recorded == wanted:
        return recorded, None
    try:
        found = await store.digest(consent.evidence, voice.namespace)
    except StoreError as error:
        return None, Problem("EvidenceUnreachable", str(error))
    if found is None:
        return None, Problem("EvidenceNotFound", f"spec.consent.evidence: there is no object {consent.evidence}")
    if found != wanted.digest:
        message = (
            f"spec.consent.evidence: {consent.evidence} is {found}, spec.consent.evidenceDigest is {wanted.digest}"
        )
        return None, Problem("EvidenceMismatch", f"{message}; put the signed form there, or correct the digest")
    return wanted, None


async def _jobs(cluster: Cluster, voice: Voice, digest: str | None, now: datetime) -> tuple[ObservedJob, ...]:
    """Read the voice's Jobs; how long something lasts already is told by the clock that wrote when it began."""
    skew = cluster.kube.skew
    now -= skew
    observed = []
    for item in cluster.caches.jobs_of(voice.namespace, voice.name):
        if not is_owned_by(item, voice.uid):
            continue
        pods = cluster.caches.pods_of_job(voice.namespace, item["metadata"]["name"])
        silent = None if is_finished(item) else unexplained(item, pods, now)
        events = [] if silent is None else await _events(cluster.kube, silent)
        queue = cluster.caches.queue_of(item) if cluster.settings.kueue.enabled else None
        if (job := observed_job(item, pods, events, queue, input_hash=digest, now=now)) is not None:
            observed.append(job.ahead(skew))
    return tuple(observed)


async def _events(kube: Kube, about: Object) -> list[Object]:
    """Return the Events about one object; none where they cannot be read, for they only explain."""
    try:
        return await kube.list(
            EVENTS, about["metadata"]["namespace"], fields={"regarding.uid": about["metadata"]["uid"]}
        )
    except ClusterError:
        return []


async def _progress(workspace: Workspace, unfinished: list[ObservedJob]) -> Progress | None:
    """Return how far the newest Job is; one whose pod has not started has no progress."""
    return await workspace.progress(unfinished[-1].stage) if unfinished and unfinished[-1].started else None


def _revisions(cluster: Cluster, voice: Voice) -> tuple[tuple[ObservedRevision, ...], frozenset[str]]:
    """Return the voice's sealed revisions, and the names of the others. Addresses follow from names, not from specs."""
    observed, unsealed = [], set()
    for item in cluster.caches.revisions_of(voice.namespace, voice.name):
        name = item["metadata"]["name"]
        sealed = cluster.signing.sealed(voice.namespace, name)
        if sealed is None:
            unsealed.add(name)
            continue
        found = revision_from(item, voice)
        uri = revision_uri(cluster.settings.storage.uri, voice.namespace, voice.name, found.input_hash)
        observed.append(replace(found, uri=uri, missing_seal="" if sealed.annotated else sealed.seal))
    return tuple(observed), frozenset(unsealed)


def find_server(cluster: Cluster, voice: Voice) -> Object | None:
    """Return the VoiceServer that a voice names: its own namespace's, else the default one, else the operator's."""
    requested, default = voice.spec.serving.server, cluster.settings.default_server
    namespaces = [voice.namespace, cluster.settings.namespace]
    if default is not None and default.name == requested:
        namespaces.insert(1, default.namespace)
    found = (cluster.caches.servers.get(namespace, requested) for namespace in dict.fromkeys(namespaces))
    return next((server for server in found if server is not None and not is_deleting(server)), None)


def _serving_server(cluster: Cluster, voice: Voice) -> Object | None:
    """Return the VoiceServer that the voice's status names."""
    namespace, _, name = (voice.status.server or "").partition("/")
    server = cluster.caches.servers.get(namespace, name)
    return None if server is None or is_deleting(server) else server


async def _observed_server(cluster: Cluster, voice: Voice, item: Object | None) -> ObservedServer | None:
    if item is None:
        return None
    try:
        server = server_from(item)
    except InvalidObject:
        return None  # its own pass reports that
    base = cluster.settings.bases.get(server.spec.base)
    return ObservedServer(
        namespace=server.namespace,
        name=server.name,
        base=server.spec.base,
        base_digest=base.digest if base else "",
        replicas=server.spec.replicas,
        endpoint=endpoint(server.namespace, server.name, server.spec),
        pods=await cluster.inference.pods(server.namespace, server.name),
        access=_access(cluster, voice, item),
        uncounted=str((item.get("status") or {}).get("uncounted", "")),
    )
