"""Reconciles VoiceServers: Deployment, Service, the list of desired voices, and the voices that the pods report."""

import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_server import VoiceServerStatus
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster.kube import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    SERVICES,
    VOICE_MODELS,
    VOICE_SERVERS,
    Object,
    Resource,
)
from voice_operator.cluster.objects import is_deleting, is_owned_by, server_from
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import NotFound, OwnershipConflict
from voice_operator.manifests.server import (
    FILE,
    deployment,
    desired_document,
    endpoint,
    selector,
    service,
    voices_config_map,
    voices_name,
)
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.diff import is_subset
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import DesiredVoice, PodVoices, VoiceServer
from voice_operator.reconcile.server_status import blocked_status, server_status

LOADING_POLL_SECONDS = 1.0  # between questions to pods that are still loading a voice

log = logging.getLogger(__name__)

Loaded = dict[str, tuple[tuple[str, str, str], ...]]  # voice id -> (pod, digest, state) of each ready pod


class ServerReconciler:
    """Reconciles VoiceServers, and answers which voices each must serve."""

    def __init__(self, cluster: Cluster, queue: WorkQueue, metrics: Metrics, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._queue = queue
        self._metrics = metrics
        self._clock = clock
        self._desired: dict[
            Key, tuple[DesiredVoice, ...]
        ] = {}  # from the last LIST of the voices, until one of them changes
        self._loaded: dict[Key, Loaded] = {}
        self.documents: dict[tuple[str, str], bytes] = {}  # body of GET /servers/<namespace>/<name>/voices.json

    def on_voice_updated(self, old: VoiceModelStatus, new: VoiceModelStatus) -> None:
        """Enqueue the servers that must load, swap or unload a voice."""
        if (old.server, old.artifacts) != (new.server, new.artifacts):
            for server in {old.server, new.server} - {None}:
                namespace, _, name = str(server).partition("/")
                self.enqueue(Key("VoiceServer", namespace, name))

    def on_voice_deleted(self, key: Key) -> None:
        """Enqueue the servers that may still serve a deleted voice."""
        voice_id = f"{key.namespace}/{key.name}"
        for server, voices in list(self._desired.items()):
            if any(voice.id == voice_id for voice in voices):
                self.enqueue(server)

    def enqueue(self, key: Key) -> None:
        """Enqueue a server; its next pass lists the voices anew."""
        self._desired.pop(key, None)
        self._queue.add(key)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one server to its desired state; idempotent. Return the seconds after which to requeue, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        kube, settings = self._cluster.kube, self._cluster.settings
        try:
            item = await kube.get(VOICE_SERVERS, key.namespace, key.name)
        except NotFound:
            self._remove(key)
            return None
        if is_deleting(item):
            return None
        server = server_from(item)
        old = _status_from(item)
        if server.spec.base not in settings.bases:
            await self._write(server, old, blocked_status(server, old, tuple(sorted(settings.bases)), self._clock()))
            return None
        voices = self._desired.get(key) or await self._list_voices(key)
        self._desired[key] = voices
        generation = await self._apply_document(server, voices)
        await self._ensure(SERVICES, service(server), server)
        running = await self._ensure(DEPLOYMENTS, deployment(server, settings), server)
        pods = await self._cluster.inference.pods(server.namespace, server.name)
        status = server_status(
            server,
            old=old,
            voices=voices,
            pods=pods,
            deployment=running.get("status") or {},
            generation=generation,
            endpoint=endpoint(server.namespace, server.name),
            selector=selector(server.name),
            now=self._clock(),
        )
        await self._write(server, old, status)
        self._enqueue_voices(key, voices, pods)
        if any(voice.state != "Ready" for voice in status.voices) and any(pod.ready for pod in pods):
            return LOADING_POLL_SECONDS
        return None

    async def _list_voices(self, key: Key) -> tuple[DesiredVoice, ...]:
        """Return the voices whose status names this server; enqueue those that wait for a server of this name."""
        found = []
        for item in await self._voice_items():
            metadata, status = item["metadata"], item.get("status") or {}
            artifacts = status.get("artifacts")
            if not artifacts or is_deleting(item):
                continue
            if status.get("server") == f"{key.namespace}/{key.name}":
                voice_id = f"{metadata['namespace']}/{metadata['name']}"
                found.append(
                    DesiredVoice(voice_id, artifacts.get("revision", ""), artifacts["uri"], artifacts["digest"])
                )
            elif ((item.get("spec") or {}).get("serving") or {}).get("server") == key.name:
                self._queue.add(Key("VoiceModel", metadata["namespace"], metadata["name"]))
        return tuple(sorted(found))

    async def _voice_items(self) -> list[Object]:
        namespaces: Iterable[str | None] = self._cluster.settings.namespaces or (None,)
        return [item for namespace in namespaces for item in await self._cluster.kube.list(VOICE_MODELS, namespace)]

    async def _apply_document(self, server: VoiceServer, voices: tuple[DesiredVoice, ...]) -> int:
        """Write the desired-voices document if it changed; return its generation."""
        existing = await self._existing(CONFIG_MAPS, server, voices_name(server.name))
        written = _document_from(existing)
        generation = int(written.get("generation", 0))
        document = desired_document(server, voices, generation, self._cluster.settings)
        if document != written:
            generation += 1
            document = desired_document(server, voices, generation, self._cluster.settings)
        config_map = voices_config_map(server, document)
        if not is_subset(config_map, existing):
            await self._cluster.kube.apply(CONFIG_MAPS, config_map)
        self.documents[(server.namespace, server.name)] = config_map["data"][FILE].encode()
        return generation

    async def _ensure(self, resource: Resource, body: Object, server: VoiceServer) -> Object:
        """Apply a child only where it differs; return its present state."""
        existing = await self._existing(resource, server, server.name)
        return existing if is_subset(body, existing) else await self._cluster.kube.apply(resource, body)

    async def _existing(self, resource: Resource, server: VoiceServer, name: str) -> Object:
        """Return the child, or an empty object where there is none.

        Raises:
            OwnershipConflict: an object of that name has another owner.
        """
        try:
            existing = await self._cluster.kube.get(resource, server.namespace, name)
        except NotFound:
            return {}
        if not is_owned_by(existing, server.uid):
            raise OwnershipConflict(
                f"{resource.plural} {server.namespace}/{name} has another owner; delete it or rename the VoiceServer"
            )
        return existing

    async def _write(self, server: VoiceServer, old: VoiceServerStatus | None, new: VoiceServerStatus) -> None:
        if new == old:
            return
        metadata = {"name": server.name, "namespace": server.namespace}
        body = {"apiVersion": API_VERSION, "kind": "VoiceServer", "metadata": metadata, "status": new.document()}
        await self._cluster.kube.apply(VOICE_SERVERS, body, subresource="status")
        self._metrics.status_writes.labels("VoiceServer").inc()

    def _enqueue_voices(self, key: Key, voices: tuple[DesiredVoice, ...], pods: tuple[PodVoices, ...]) -> None:
        """Enqueue the voices whose state changed on some pod."""
        loaded = {voice.id: _reports(voice.id, pods) for voice in voices}
        previous = self._loaded.get(key, {})
        self._loaded[key] = loaded
        for voice_id, reports in loaded.items():
            if previous.get(voice_id) != reports:
                namespace, _, name = voice_id.partition("/")
                self._queue.add(Key("VoiceModel", namespace, name))

    def _remove(self, key: Key) -> None:
        """Drop the caches of a deleted server; its voices need a new status."""
        for voice in self._desired.pop(key, ()):
            namespace, _, name = voice.id.partition("/")
            self._queue.add(Key("VoiceModel", namespace, name))
        self._loaded.pop(key, None)
        self.documents.pop((key.namespace, key.name), None)
        self._cluster.inference.evict(key.namespace, key.name)


def _reports(voice_id: str, pods: tuple[PodVoices, ...]) -> tuple[tuple[str, str, str], ...]:
    found = []
    for pod in pods:
        report = pod.voices.get(voice_id)
        if pod.ready:
            found.append((pod.name, report.digest if report else "", report.state if report else ""))
    return tuple(sorted(found))


def _document_from(config_map: Object) -> dict[str, Any]:
    try:
        document = json.loads((config_map.get("data") or {}).get(FILE, "{}"))
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _status_from(item: Object) -> VoiceServerStatus | None:
    try:
        return VoiceServerStatus.model_validate(item["status"]) if item.get("status") else None
    except ValidationError:
        return None  # everything in it is observed again
