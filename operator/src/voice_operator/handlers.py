"""What a change leads to: kopf's watch events feed the caches, and a cache that changed enqueues keys. Nothing else."""

import asyncio
import itertools
import random
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from voice_operator.api.schema import GROUP, VERSION
from voice_operator.cluster.cache import Cache, ObjectKey
from voice_operator.cluster.caches import Caches, Revision
from voice_operator.cluster.credentials import load_credentials
from voice_operator.cluster.kube import OWN_KINDS, Object
from voice_operator.cluster.watchdog import Watchdog
from voice_operator.errors import WatchStalled
from voice_operator.manifests.labels import SERVER, VOICE_MODEL
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority, WorkQueue
from voice_operator.reconcile.desired import VoiceRecord, concerns_folder, concerns_lists, forbids, withdraws
from voice_operator.reconcile.names import Key, KindName

MAX_BACKOFF_SECONDS = 30.0
CHUNK = 20  # objects in each answer of kopf's first list; each may have 1.5 MiB, and kopf holds an answer three times
IDLE_SECONDS = 0.1  # after which kopf lets go of the last event of an object


class EndlessBackoff:
    """Endless pauses between attempts to reach the API server; after a last one, kopf would end the watch for good."""

    def __iter__(self) -> Iterator[float]:
        for attempt in itertools.count():
            yield min(2.0 ** min(attempt, 10), MAX_BACKOFF_SECONDS) * (0.8 + 0.4 * random.random())  # noqa: S311 -- no secret


class Enqueuer:
    """Enqueues what a change concerns; permissions that are taken away go first."""

    def __init__(self, queue: WorkQueue, metrics: Metrics) -> None:
        self._queue = queue
        self._metrics = metrics
        self.on_deleted: Callable[[VoiceRecord], None] = lambda _: None  # a VoiceModel that is there no longer
        self.on_permission: Callable[[VoiceRecord], None] = lambda _: None  # a voice is there, or was until now
        self.caches = Caches(
            on_voice=self._on_voice,
            on_revision=self._on_revision,
            on_server=self._on_server,
            on_child=self._on_child,
        )
        queue.size_of = self._size_of

    def everything(self) -> None:
        """Enqueue all objects, after whatever else waits."""
        caches: tuple[tuple[KindName, Cache[Any]], ...] = (
            ("VoiceList", self.caches.servers),
            ("VoiceServer", self.caches.servers),
            ("VoiceRevision", self.caches.revisions),
            ("VoiceModel", self.caches.voices),
        )
        for kind, cache in caches:
            for namespace, name in cache:
                self._queue.add(Key(kind, namespace, name), Priority.LOW)

    def lists(self) -> None:
        """Enqueue the lists of all servers: somebody may have edited what pods read."""
        for namespace, name in self.caches.servers:
            self._queue.add(Key("VoiceList", namespace, name), Priority.LOW)

    def _size_of(self, key: Key) -> int:
        voice = self.caches.voices.get(key.namespace, key.name) if key.kind == "VoiceModel" else None
        return 0 if voice is None else voice.size

    def _on_voice(self, key: ObjectKey, old: VoiceRecord | None, new: VoiceRecord | None) -> None:
        for record in (old, new):
            if record is not None:
                self.on_permission(record)
        if concerns_lists(old, new):
            priority = Priority.URGENT if withdraws(old, new) else Priority.NORMAL
            for server in {server for record in (old, new) if record is not None for server in record.servers}:
                self._add_list(server, priority)
        if old is not None and (new is None or new.uid != old.uid):
            self.on_deleted(old)
        if concerns_folder(old, new):
            self._queue.add(Key("VoiceFolder", *key), Priority.NORMAL)
        edited = old is None or new is None or old.generation != new.generation
        # A pass over a permitted voice may wait for the object store; an urgent worker must not.
        self._add_voice(*key, Priority.URGENT if forbids(new) else Priority.NORMAL if edited else Priority.LOW)

    def _on_revision(self, key: ObjectKey, old: Revision | None, new: Revision | None) -> None:
        self._queue.add(Key("VoiceRevision", *key))
        for revision in (old, new):
            if revision is not None:
                self._add_voice(*revision.voice, Priority.LOW)
        if old is not None and new is None:
            self._queue.add(Key("VoiceFolder", *old.voice), Priority.LOW)
        if old is None or new is None or old.record != new.record:  # somebody may have rejected it
            for revision in (old, new):
                if revision is not None:
                    self._add_lists_of(revision.voice, Priority.NORMAL if old is None else Priority.URGENT)

    def _on_server(self, key: ObjectKey, old: Object | None, new: Object | None) -> None:
        self._queue.add(Key("VoiceServer", *key))
        if old is not None and new is not None and _identity(old) == _identity(new):
            return  # only its status changed
        server = f"{key[0]}/{key[1]}"
        self._add_list(server, Priority.NORMAL)
        for record in self.caches.voices.values():
            if server in record.servers or record.requested_server == key[1]:
                namespace, _, name = record.id.partition("/")
                self._add_voice(namespace, name, Priority.NORMAL)

    def _on_child(self, item: Object) -> None:
        metadata = item["metadata"]
        labels = metadata.get("labels") or {}
        if VOICE_MODEL in labels:
            self._add_voice(metadata["namespace"], labels[VOICE_MODEL], Priority.LOW)
        if SERVER in labels:
            self._queue.add(Key("VoiceServer", metadata["namespace"], labels[SERVER]), Priority.LOW)

    def _add_voice(self, namespace: str, name: str, priority: Priority) -> None:
        key = Key("VoiceModel", namespace, name)
        self._metrics.event_received(key)
        self._queue.add(key, priority)

    def _add_lists_of(self, voice: ObjectKey, priority: Priority) -> None:
        record = self.caches.voices.get(*voice)
        for server in record.servers if record is not None else ():
            self._add_list(server, priority)

    def _add_list(self, server: str, priority: Priority) -> None:
        namespace, _, name = server.partition("/")
        self._queue.add(Key("VoiceList", namespace, name), priority)


async def watch(caches: Caches, watchdog: Watchdog, namespaces: tuple[str, ...]) -> None:
    """Let kopf's watches of our own kinds feed the caches, in these namespaces or (none named) in all, until a signal.

    kopf's own ``operator()`` would take every task of the process for its own and cancel it in the end.

    Raises:
        WatchStalled: kopf has ended; it does so when one watch meets an unexpected ERROR event.
    """
    tasks = await kopf.spawn_tasks(
        registry=_registry(caches, watchdog, namespaced=bool(namespaces)),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
    )
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        failures = [error for task in ended if (error := task.exception()) is not None]
        if failures:
            raise WatchStalled(f"kopf has ended: {failures[0]}") from failures[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _registry(caches: Caches, watchdog: Watchdog, *, namespaced: bool) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry)
    async def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.networking.error_backoffs = EndlessBackoff()
        settings.networking.request_timeout = 30
        settings.watching.server_timeout = 300
        settings.watching.chunk_size = CHUNK
        settings.queueing.idle_timeout = IDLE_SECONDS
        settings.scanning.disabled = namespaced

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return load_credentials()

    for kind, resource in OWN_KINDS.items():
        kopf.on.event(GROUP, VERSION, resource.plural, registry=registry, id=f"{kind}-changed")(
            _feed(caches.own(kind), kind, watchdog)
        )
    return registry


def _feed(cache: Cache[Any], kind: KindName, watchdog: Watchdog) -> Any:
    async def changed(event: Any, **_: Any) -> None:
        item: Object = event["object"]
        watchdog.delivered(kind, item)
        if event["type"] == "DELETED":
            cache.delete(item)
        else:
            cache.update(item)

    return changed


def _identity(server: Object) -> tuple[str, int, bool]:
    metadata = server["metadata"]
    return metadata["uid"], metadata["generation"], "deletionTimestamp" in metadata
