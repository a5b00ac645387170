"""Watch handlers, called by kopf: an event says that an object changed and enqueues its key, nothing else."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import kopf

from voice_operator.api.schema import GROUP, VERSION
from voice_operator.cluster.credentials import load_credentials
from voice_operator.manifests.labels import SERVER, VOICE_MODEL
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.names import Key
from voice_operator.servers import ServerReconciler

MAX_BACKOFF_SECONDS = 30.0


class EndlessBackoff:
    """Endless pauses between attempts to reach the API server; after a last one, kopf would end the watch for good."""

    def __iter__(self) -> Iterator[float]:
        for attempt in itertools.count():
            yield min(2.0 ** min(attempt, 10), MAX_BACKOFF_SECONDS) * (0.8 + 0.4 * random.random())  # noqa: S311 -- no secret


def register(
    registry: kopf.OperatorRegistry, queue: WorkQueue, servers: ServerReconciler, metrics: Metrics, *, namespaced: bool
) -> None:
    """Connect the events of our kinds, and of the children that carry our labels, to the queue."""

    def enqueue_voice(namespace: str | None, name: str) -> None:
        key = Key("VoiceModel", namespace or "", name)
        metrics.event_received(key)
        queue.add(key)

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.networking.error_backoffs = EndlessBackoff()
        settings.networking.request_timeout = 30
        settings.watching.server_timeout = 300
        settings.scanning.disabled = namespaced

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return load_credentials()

    @kopf.on.event(GROUP, VERSION, "voicemodels", registry=registry)
    async def voice_model_changed(name: str, namespace: str | None, **_: Any) -> None:
        enqueue_voice(namespace, name)

    @kopf.on.event(GROUP, VERSION, "voicerevisions", registry=registry)
    async def voice_revision_changed(name: str, namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        queue.add(Key("VoiceRevision", namespace or "", name))
        if voice := labels.get(VOICE_MODEL):
            enqueue_voice(namespace, voice)

    @kopf.on.event(GROUP, VERSION, "voiceservers", registry=registry)
    async def voice_server_changed(name: str, namespace: str | None, **_: Any) -> None:
        servers.enqueue(Key("VoiceServer", namespace or "", name))

    @kopf.on.event("batch", "v1", "jobs", labels={VOICE_MODEL: kopf.PRESENT}, registry=registry)
    async def job_changed(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        enqueue_voice(namespace, labels[VOICE_MODEL])

    @kopf.on.event("apps", "v1", "deployments", labels={SERVER: kopf.PRESENT}, registry=registry)
    async def deployment_changed(namespace: str | None, labels: kopf.Labels, **_: Any) -> None:
        queue.add(Key("VoiceServer", namespace or "", labels[SERVER]))
