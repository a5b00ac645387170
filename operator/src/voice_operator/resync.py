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
    kube: Kube, queue: WorkQueue, namespaces: Iterable[str], seconds: float, listed: asyncio.Event
) -> None:
    """Queue every object for ever, every ``seconds``; set ``listed`` once all kinds could be listed."""
    places = tuple(namespaces) or (None,)
    while True:
        try:
            for kind, resource in OWN_KINDS.items():
                for place in places:
                    for item in await kube.list(resource, place):
                        queue.add(Key(kind, item["metadata"]["namespace"], item["metadata"]["name"]))
        except ClusterError as error:
            log.warning("not everything could be listed: %s", error)
            await asyncio.sleep(min(seconds, 5.0))
            continue
        listed.set()
        await asyncio.sleep(seconds)
