"""Looks at everything again from time to time: watches may stall, and time itself changes things (consents expire)."""

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
    """Queue every object for ever, every ``seconds``; set ``has_synced`` once all kinds could be listed."""
    scopes: tuple[str | None, ...] = tuple(namespaces) or (None,)  # None: all namespaces
    while True:
        try:
            for kind, resource in OWN_KINDS.items():
                for scope in scopes:
                    for item in await kube.list(resource, scope):
                        queue.add(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"]))
        except ClusterError as error:
            log.warning("not everything could be listed: %s", error)
            await asyncio.sleep(min(seconds, 5.0))
            continue
        has_synced.set()
        await asyncio.sleep(seconds)
