"""The Event recorder: an Event's name follows from its content, so that a repetition increments its series."""

import hashlib
import logging
import socket
from datetime import UTC, datetime
from typing import Any

from voice_operator.api.schema import API_VERSION, GROUP
from voice_operator.cluster.kube import EVENTS, OWN_KINDS, Kube
from voice_operator.errors import ClusterError, Conflict, OperatorError
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key
from voice_store.printable import printable

REPORTER = f"{GROUP}/voice-operator"
MAX_NOTE_BYTES = 1024  # the API server's own limit

log = logging.getLogger(__name__)


class EventRecorder:
    """Records Events. A lost one is logged and never fails a reconcile."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._instance = socket.gethostname()[:128]

    async def record(self, key: Key, uid: str, event: Event) -> None:
        """Write one Event about the object ``key``."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        body = event_object(key, uid, event, now, self._instance)
        try:
            try:
                await self._kube.create(EVENTS, body)
            except Conflict:
                await self._increment_series(body, now)
        except ClusterError as error:
            log.warning("event %s on %s was not written: %s", event.reason, key, error)

    async def record_error(self, key: Key, error: OperatorError) -> None:
        """Record an Event for an error that concerns the object; errors of the API server are only logged."""
        if isinstance(error, ClusterError):
            return
        about = key.about
        try:
            item = await self._kube.get(OWN_KINDS[about.kind], about.namespace, about.name)
        except ClusterError:
            return
        await self.record(about, item["metadata"]["uid"], Event("Warning", type(error).__name__, str(error)))

    async def _increment_series(self, body: dict[str, Any], now: str) -> None:
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        existing = await self._kube.get(EVENTS, namespace, name)
        count = int((existing.get("series") or {}).get("count", 1)) + 1
        await self._kube.merge(EVENTS, namespace, name, {"series": {"count": count, "lastObservedTime": now}})


def event_object(key: Key, uid: str, event: Event, now: str, instance: str) -> dict[str, Any]:
    """Return the Event; the same object, reason and sentence give the same name."""
    text = printable(event.message).encode()[:MAX_NOTE_BYTES].decode(errors="ignore")
    digest = hashlib.sha256(f"{uid}|{event.type}|{event.reason}|{event.message}".encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{key.name}.{digest}", "namespace": key.namespace},
        "type": event.type,
        "reason": event.reason,
        "note": text,
        "action": event.action,
        "eventTime": now,
        "reportingController": REPORTER,
        "reportingInstance": instance,
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": uid,
        },
    }
