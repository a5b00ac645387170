"""Periodic resync: enqueues every object, because watches may stall and consents expire."""

import asyncio
import logging
from collections.abc import Iterable

from voice_operator.cluster.kube import OWN_KINDS, Kube
from voice_operator.errors import ClusterError
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.names import Key

log = logging.getLogger(__name__)


async def resync(
    kube: Kube, queue: WorkQueue, namespaces: Iterable[str], seconds: float, has_synced: asyncio.Event
) -> None:
    """Enqueue every object, every ``seconds``, for ever; set ``has_synced`` once all kinds could be listed."""
    scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)  # None: all namespaces
    while True:
        try:
            for kind, resource in OWN_KINDS.items():
                for scope in scopes:
                    for item in await kube.list(resource, scope):
                        queue.add(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"]))
        except ClusterError as error:
            log.warning("resync incomplete: %s", error)
            await asyncio.sleep(min(seconds, 5.0))
            continue
        has_synced.set()
        await asyncio.sleep(seconds)
