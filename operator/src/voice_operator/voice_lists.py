"""Reconciles the lists of voices: what each server must serve, derived from all voices, written where pods read it.

Beside the voices only their revisions count: their seals, and what they record of consent and review. Nothing else is
asked: no base, no object store, no pod and no readable spec of the server, so that nothing can keep a voice served
whose permission is gone.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from voice_operator.cluster.kube import CONFIG_MAPS, Object
from voice_operator.cluster.objects import is_deleting, is_owned_by, server_ref
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import ListTooLong, NotFound, OwnershipConflict
from voice_operator.manifests.labels import SERVER
from voice_operator.manifests.voice_list import (
    MAX_SHARDS,
    Document,
    configured_base,
    differ,
    file_name,
    list_config_map,
    list_document,
    list_name,
    merged,
    rendered,
    shards_of,
    without_removed,
)
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.desired import desired_voices, seconds_until_expiry
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import DesiredVoice, Problem, ServerRef

MAX_WAIT_SECONDS = 3600.0  # for the end of a consent: a clock may be set meanwhile
FRESH_SECONDS = 1.0  # of what a standby read
NEVER_STALE = float("inf")


@dataclass(frozen=True)
class RenderedList:
    """A list as pods get it."""

    body: bytes
    etag: str
    token: str  # that whoever asks for it must show; empty: nobody may
    generation: int
    read_at: float = NEVER_STALE  # of the monotonic clock; NEVER_STALE where this process wrote it


class VoiceListReconciler:
    """Reconciles the lists of all servers, and answers what each contains."""

    def __init__(self, cluster: Cluster, queue: WorkQueue, clock: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._queue = queue
        self._clock = clock
        self._problems: dict[tuple[str, str], Problem] = {}
        self._written: dict[tuple[str, str], RenderedList] = {}
        self._lock = asyncio.Lock()
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    def voices(self, namespace: str, server: str) -> tuple[DesiredVoice, ...]:
        """Return the voices that a server must serve now."""
        server_id = f"{namespace}/{server}"
        caches, revocations = self._cluster.caches, self._cluster.revocations
        return desired_voices(
            caches.voices.group(server_id),
            server_id,
            self._clock(),
            storage=self._cluster.settings.storage.uri,
            sealed=self._cluster.signing.sealed_artifacts,
            recorded=caches.record_of,
            must_be_reviewed=self._cluster.settings.policy.review.required,
            revoked=(lambda _: False) if revocations is None else revocations.covers,
        )

    def generation(self, namespace: str, server: str) -> int:
        """Return the generation of the list that this process wrote last; 0: it wrote none, or has only read one."""
        written = self._written.get((namespace, server))
        return written.generation if written is not None and written.read_at == NEVER_STALE else 0

    def problem(self, namespace: str, server: str) -> Problem | None:
        """Return why the list could not be written, where only a person can help."""
        return self._problems.get((namespace, server))

    async def reconcile(self, key: Key) -> float | None:
        """Write one server's list where it differs. Return the seconds until a consent in it ends, or None.

        Raises:
            OwnershipConflict: a ConfigMap of its name has another owner.
            ListTooLong: there are more voices than the ConfigMaps hold.
            ClusterError: the API server failed; the caller requeues the key.
        """
        where = key.namespace, key.name
        async with self._turns.setdefault(where, asyncio.Lock()):  # its own pass, and one over the server
            item = self._cluster.caches.servers.get(*where)
            if item is None or is_deleting(item):
                self._written.pop(where, None)
                self._problems.pop(where, None)
                return None
            try:
                wait = await self._reconcile(key, item)
            except (OwnershipConflict, ListTooLong) as error:
                problem = Problem(type(error).__name__, str(error))
                if problem != self._problems.get(where):
                    self._problems[where] = problem
                    self._queue.add(key.about)
                raise
            if self._problems.pop(where, None) is not None:
                self._queue.add(key.about)
            return wait

    async def _reconcile(self, key: Key, item: Object) -> float | None:
        server, voices, settings = server_ref(item), self.voices(key.namespace, key.name), self._cluster.settings
        present = await self._present(server)
        known = (_status_generation(item), self.generation(key.namespace, key.name))
        generation = max(*known, *(part["generation"] for part in present if part is not None)) + 1
        base = configured_base(str((item.get("spec") or {}).get("base", "")), settings)
        token = self._cluster.signing.key.key_for(f"voices of {server.namespace}/{server.name}").hex()
        document = list_document(server, voices, base, generation, settings, token=token)
        too_long: ListTooLong | None = None
        try:
            parts = shards_of(document, max(len(present), 1), len(settings.storage.ca))
        except ListTooLong as error:
            too_long, parts = error, without_removed(_complete(present), document)
            if not parts:
                raise
        known_parts = present if len(present) == len(parts) else [None] * len(parts)
        changed = [part for part, old in zip(parts, known_parts, strict=True) if old is None or differ(part, old)]
        try:
            # The first part last: pods take a new number of parts only when they find all of them.
            for part in sorted(changed, key=lambda part: -part.get("shard", 0)):
                await self._write(list_config_map(server, part, settings))
        finally:  # pods that ask the operator need no ConfigMap
            self._publish(server, merged(parts if changed else _complete(present)))
        if changed:
            self._queue.add(key.about)  # its pods have something to load or to leave
        if too_long is not None:
            raise too_long
        until = seconds_until_expiry(voices, self._clock())
        return None if until is None else min(until, MAX_WAIT_SECONDS)

    async def _write(self, config_map: Object) -> None:
        """Apply a part, and remove the keys that somebody else put beside it: pods would read those as well."""
        kube, metadata = self._cluster.kube, config_map["metadata"]
        written = await kube.apply(CONFIG_MAPS, config_map)
        others = written["data"].keys() - config_map["data"].keys()
        if others:
            await kube.merge(CONFIG_MAPS, metadata["namespace"], metadata["name"], {"data": dict.fromkeys(others)})

    async def rendered(self, namespace: str, server: str) -> RenderedList | None:
        """Return a server's list as the pods get it, also on a replica that does not lead; None: there is none.

        Raises:
            OwnershipConflict: a ConfigMap of its name has another owner.
            ClusterError: the API server failed.
        """
        found = self._fresh(namespace, server)
        if found is None:
            async with self._lock:  # whoever waited finds what the one before has read
                found = self._fresh(namespace, server) or await self._read(namespace, server)
        return found

    def _fresh(self, namespace: str, server: str) -> RenderedList | None:
        """Return the list that this process wrote, or read a moment ago."""
        found = self._written.get((namespace, server))
        return None if found is None or time.monotonic() - found.read_at > FRESH_SECONDS else found

    async def _read(self, namespace: str, server: str) -> RenderedList | None:
        item = self._cluster.caches.servers.get(namespace, server)
        parts = [] if item is None else _complete(await self._present(server_ref(item)))
        if item is None or not parts:
            return None
        newer = self._fresh(namespace, server)  # written by this process meanwhile
        return newer or self._publish(server_ref(item), merged(parts), read_at=time.monotonic())

    def _publish(self, server: ServerRef, document: Document, read_at: float = NEVER_STALE) -> RenderedList:
        body = rendered(document).encode()
        etag, token = hashlib.sha256(body).hexdigest()[:32], str(document.get("token", ""))
        found = RenderedList(body, etag, token, int(document["generation"]), read_at)
        self._written[(server.namespace, server.name)] = found
        return found

    async def _present(self, server: ServerRef) -> list[Document | None]:
        """Return the parts as the ConfigMaps have them, None for each that is missing; empty: there is no first one."""
        first = await self._part(server, 0)
        if first is None:
            return []
        return [first, *[await self._part(server, number) for number in range(1, _count(first))]]

    async def _part(self, server: ServerRef, shard: int) -> Document | None:
        """Return one part; None where the ConfigMap is not there or was edited by hand, and must be written anew.

        Raises:
            OwnershipConflict: it has another owner.
        """
        name = list_name(server.name, shard)
        try:
            config_map = await self._cluster.kube.get(CONFIG_MAPS, server.namespace, name)
        except NotFound:
            return None
        metadata = config_map["metadata"]
        if not is_owned_by(config_map, server.uid):
            if metadata.get("ownerReferences") or (metadata.get("labels") or {}).get(SERVER) != server.name:
                raise OwnershipConflict(
                    f"ConfigMap {server.namespace}/{name} has another owner; delete it or rename the VoiceServer"
                )
            return None
        data = config_map.get("data") or {}
        part = _document(data.get(file_name(shard), ""))
        if part is None or data != list_config_map(server, part, self._cluster.settings)["data"]:
            return None
        return part


def _complete(parts: list[Document | None]) -> list[Document]:
    """Return all parts; empty where one is missing."""
    return [part for part in parts if part is not None] if None not in parts else []


def _document(text: str) -> Document | None:
    """Return a part as this operator writes it, or None."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict) or not isinstance(document.get("generation"), int):
        return None
    voices = document.get("voices")
    return (
        document if isinstance(voices, list) and all(isinstance(one, dict) and "id" in one for one in voices) else None
    )


def _count(first: Document) -> int:
    count = first.get("shards", 1)
    return count if isinstance(count, int) and 1 <= count <= MAX_SHARDS else 1


def _status_generation(item: Object) -> int:
    generation = (item.get("status") or {}).get("generation", 0)
    return generation if isinstance(generation, int) else 0
