"""Reconciles VoiceServers: Deployment and Service, and the status: pods, and the voices that they report."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from pydantic import ValidationError

from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_server import VoiceServerStatus
from voice_operator.cluster.kube import (
    AUTOSCALERS,
    DEPLOYMENTS,
    DISRUPTION_BUDGETS,
    PODS,
    SERVICES,
    VOICE_SERVERS,
    Object,
    Resource,
)
from voice_operator.cluster.objects import is_deleting, is_owned_by, server_from, server_ref
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import ClusterError, InvalidObject, ListTooLong, NotFound, OwnershipConflict
from voice_operator.manifests.applied import unapplied, with_digest
from voice_operator.manifests.labels import LIST_GENERATION
from voice_operator.manifests.scaling import REPLICAS_MANAGER, autoscaler, disruption_budget, kept_replicas
from voice_operator.manifests.server import deployment, endpoint, selector, service
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.late_pods import Lack, lacks_of, seconds_left
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import DesiredVoice, PodVoices, Problem, ServerRef, VoiceServer
from voice_operator.reconcile.policy import server_problem
from voice_operator.reconcile.server_status import ObservedDeployment, server_status, stalled_status
from voice_operator.reconcile.serving import has_loaded
from voice_operator.voice_lists import VoiceListReconciler

LOADING_POLL_SECONDS = 1.0  # between questions to pods that are still loading a voice

log = logging.getLogger(__name__)

Reports = tuple[tuple[str, bool, object], ...]  # pod, ready, report of the voice
Loaded = dict[str, Reports]  # by voice id


class ServerReconciler:
    """Reconciles VoiceServers."""

    def __init__(
        self,
        cluster: Cluster,
        lists: VoiceListReconciler,
        queue: WorkQueue,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._lists = lists
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._loaded: dict[Key, Loaded] = {}
        self._lacks: dict[Key, dict[str, Lack]] = {}  # by pod
        self._may_mark = True  # False: the API server said that it is not allowed

    async def reconcile(self, key: Key) -> float | None:
        """Bring one server to its desired state; idempotent. Return the seconds after which to requeue, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        item = self._cluster.caches.servers.get(key.namespace, key.name)
        if item is None or is_deleting(item):
            self._loaded.pop(key, None)
            self._lacks.pop(key, None)
            self._cluster.inference.evict(key.namespace, key.name)
            return None
        old = _status_from(item)
        try:
            server = server_from(item)
            return await self._reconcile(key, server, old)
        except (InvalidObject, OwnershipConflict) as error:
            problem = Problem(type(error).__name__, str(error))
            await self._write(
                server_ref(item), old, stalled_status(item["metadata"]["generation"], old, problem, self._clock())
            )
            raise

    async def _reconcile(self, key: Key, server: VoiceServer, old: VoiceServerStatus | None) -> float | None:
        settings = self._cluster.settings
        problem = self._lists.problem(server.namespace, server.name)
        running = self._cluster.caches.deployments.get(server.namespace, server.name) or {}
        refusal = server_problem(
            server.namespace,
            server.name,
            server.spec,
            tenant=settings.tenant(server.namespace),
            policy=settings.policy,
        )
        if refusal is not None:
            problem = refusal  # what runs already goes on as it is
        elif server.spec.base in settings.bases:
            running = await self._write_children(server, running)
        else:
            known = ", ".join(sorted(settings.bases))
            message = f"spec.base is {server.spec.base}, but the operator's configuration has: {known}"
            problem = Problem("BaseNotFound", message)
        voices = self._lists.voices(server.namespace, server.name)
        pods = await self._cluster.inference.pods(server.namespace, server.name)
        status = server_status(
            server,
            old=old,
            voices=voices,
            pods=pods,
            deployment=ObservedDeployment.of(running),
            problem=problem,
            generation=self._lists.generation(server.namespace, server.name) or (old.generation if old else 0),
            endpoint=endpoint(server.namespace, server.name, server.spec),
            selector=selector(server.name),
            now=self._clock(),
        )
        await self._write(server, old, status)
        self._enqueue_voices(key, voices, pods)
        wait = await self._mark_late_pods(key, pods)
        return LOADING_POLL_SECONDS if _is_loading(voices, pods) else wait

    async def _mark_late_pods(self, key: Key, pods: tuple[PodVoices, ...]) -> float | None:
        """Let kubelets look at the mounted list of pods that took no newer one, which else takes a minute or more.

        Return the seconds until that is due, or None.
        """
        generation = self._lists.generation(key.namespace, key.name) if self._may_mark else 0
        now = time.monotonic()
        lacks = self._lacks[key] = lacks_of(pods, generation, self._lacks.get(key, {}), now)
        for name, lack in lacks.items():
            if seconds_left(lack, now) <= 0:
                await self._mark(key.namespace, name, generation)
        return min((left for lack in lacks.values() if (left := seconds_left(lack, now)) > 0), default=None)

    async def _mark(self, namespace: str, pod: str, generation: int) -> None:
        patch = {"metadata": {"annotations": {LIST_GENERATION: str(generation)}}}
        try:
            marked = await self._cluster.kube.merge(PODS, namespace, pod, patch)
        except NotFound:
            return
        except ClusterError as error:
            if error.reason != "Forbidden":
                raise
            self._may_mark = False  # as with rights that somebody else manages; kubelets look by themselves
            log.warning("pods that the operator does not reach hear of changes within minutes: %s", error)
            return
        self._cluster.caches.server_pods.update(marked)
        log.info("pod %s/%s: its kubelet is asked to look at the list of generation %d", namespace, pod, generation)

    async def _write_children(self, server: VoiceServer, running: Object) -> Object:
        """Write what the server consists of; return its Deployment."""
        settings = self._cluster.settings
        running = running or await self._get(DEPLOYMENTS, server)  # the cache knows none of somebody else
        await self._ensure(SERVICES, service(server), server, await self._get(SERVICES, server))
        await self._write_list_first(server)
        budget = disruption_budget(server, settings) if settings.pod_disruption_budget.enabled else None
        await self._ensure_or_delete(DISRUPTION_BUDGETS, budget, server, yields=True)
        scaling = server.spec.autoscaling
        await self._ensure_or_delete(AUTOSCALERS, autoscaler(server, scaling) if scaling else None, server)
        has_voices = bool(self._lists.voices(server.namespace, server.name)) or not self._knows_voices(server)
        public_key = self._cluster.signing.key.public.text
        body = deployment(server, settings, public_key, has_voices=has_voices)
        if "replicas" not in body["spec"] and running:
            await self._keep_replicas(server, body, running)
        running = await self._ensure(DEPLOYMENTS, body, server, running)
        self._cluster.caches.deployments.update(running)
        return running

    def _knows_voices(self, server: VoiceServer) -> bool:
        """Return whether the list of voices was made by this process: an unknown one is not an empty one."""
        where = server.namespace, server.name
        return bool(self._lists.generation(*where)) and self._lists.problem(*where) is None

    async def _keep_replicas(self, server: VoiceServer, body: Object, running: Object) -> None:
        """Leave replicas to the autoscaler, as they are, before a manifest without them is applied."""
        replicas = int(running["spec"].get("replicas", 1))
        owned = is_owned_by(running, server.uid)
        if owned and (replicas == 0 or unapplied(with_digest(body), running) is not None):
            kept = kept_replicas(server, running["metadata"]["uid"], replicas)
            await self._cluster.kube.apply(DEPLOYMENTS, kept, manager=REPLICAS_MANAGER)

    async def _ensure_or_delete(
        self, resource: Resource, body: Object | None, server: VoiceServer, *, yields: bool = False
    ) -> None:
        """Apply a child, or delete the one that is no longer wanted.

        Somebody else's of that name stays, and where the operator does not yield to it, it is a conflict.
        """
        existing = await self._get(resource, server)
        foreign = bool(existing) and not is_owned_by(existing, server.uid)
        if body is not None:
            if not (foreign and yields):
                await self._ensure(resource, body, server, existing)
        elif existing and not foreign and not is_deleting(existing):
            log.info("%s %s: deleted, because nothing asks for it any more", resource.plural, server.id)
            await self._cluster.kube.delete(resource, server.namespace, server.name)

    async def _write_list_first(self, server: ServerRef) -> None:
        """Write the list before the Deployment: pods of a new template must find seals in it, or they load nothing."""
        where = server.namespace, server.name
        if self._lists.generation(*where) or self._lists.problem(*where):
            return
        try:
            await self._lists.reconcile(Key("VoiceList", server.namespace, server.name))
        except (OwnershipConflict, ListTooLong) as error:
            log.warning("VoiceServer %s: %s", server.id, error)  # the list's own pass reports it

    async def _get(self, resource: Resource, server: VoiceServer) -> Object:
        """Return the object of the server's name; empty: there is none."""
        try:
            return await self._cluster.kube.get(resource, server.namespace, server.name)
        except NotFound:
            return {}

    async def _ensure(self, resource: Resource, body: Object, server: VoiceServer, existing: Object) -> Object:
        """Apply a child unless it is as it was applied last and nobody changed it since; return its state.

        Raises:
            OwnershipConflict: an object of that name has another owner.
        """
        body = with_digest(body)
        if existing and not is_owned_by(existing, server.uid):
            raise OwnershipConflict(
                f"{resource.plural} {server.id} has another owner; delete it or rename the VoiceServer"
            )
        field = unapplied(body, existing)
        if field is None:
            return existing
        log.info("%s %s: applied, because of %s", resource.plural, server.id, field if existing else "its absence")
        return await self._cluster.kube.apply(resource, body)

    async def _write(self, server: ServerRef, old: VoiceServerStatus | None, new: VoiceServerStatus) -> None:
        if new == old:
            return
        metadata = {"name": server.name, "namespace": server.namespace, "uid": server.uid}
        body = {"apiVersion": API_VERSION, "kind": "VoiceServer", "metadata": metadata, "status": new.document()}
        self._cluster.caches.servers.update(await self._cluster.kube.apply(VOICE_SERVERS, body, subresource="status"))
        self._metrics.status_writes.labels("VoiceServer").inc()

    def _enqueue_voices(self, key: Key, voices: tuple[DesiredVoice, ...], pods: tuple[PodVoices, ...]) -> None:
        """Enqueue the voices whose state changed on some pod."""
        loaded = {voice.id: _reports(voice.id, pods) for voice in voices}
        previous = self._loaded.get(key, {})
        self._loaded[key] = loaded
        for voice_id, reports in loaded.items():
            if previous.get(voice_id) != reports:
                namespace, _, name = voice_id.partition("/")
                self._queue.add(Key("VoiceModel", namespace, name), Priority.LOW)


def _reports(voice_id: str, pods: tuple[PodVoices, ...]) -> Reports:
    return tuple((pod.name, pod.ready, pod.voices.get(voice_id)) for pod in sorted(pods, key=lambda pod: pod.name))


def _is_loading(voices: tuple[DesiredVoice, ...], pods: tuple[PodVoices, ...]) -> bool:
    """Return whether some ready pod has not loaded everything that it must."""
    wanted = [(voice.id, digest) for voice in voices for digest in _digests(voice)]
    return any(not has_loaded(pod, voice_id, digest) for pod in pods if pod.ready for voice_id, digest in wanted)


def _digests(voice: DesiredVoice) -> tuple[str, ...]:
    return (voice.digest,) if voice.next is None else (voice.digest, voice.next.digest)


def _status_from(item: Object) -> VoiceServerStatus | None:
    try:
        return VoiceServerStatus.model_validate(item["status"]) if item.get("status") else None
    except ValidationError:
        return None  # everything in it is observed again
