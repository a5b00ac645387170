"""Lists our own kinds again and again, beside kopf's watches: a lost event costs seconds, never truth."""

import asyncio
import itertools
import logging
import time

from voice_operator.cluster.kube import OWN_KINDS, Kube, Object
from voice_operator.cluster.reflector import relist
from voice_operator.cluster.watchdog import Watchdog
from voice_operator.errors import ClusterError
from voice_operator.handlers import Enqueuer
from voice_operator.reconcile.names import KindName

RETRY_SECONDS = 5.0
FULL_RESYNC_ROUNDS = 10  # everything is reconciled again every so many rounds

log = logging.getLogger(__name__)


async def relist_own_kinds(
    kube: Kube,
    enqueuer: Enqueuer,
    watchdog: Watchdog,
    namespaces: tuple[str, ...],
    *,
    seconds: float,
    has_synced: asyncio.Event,
) -> None:
    """List every ``seconds``, for ever; set ``has_synced`` once every kind could be listed in every namespace.

    A list that fails keeps none of the others waiting; it is asked for again every RETRY_SECONDS.
    """

    async def fails(kind: KindName, namespace: str | None) -> bool:
        try:
            await _relist(kube, enqueuer, watchdog, kind, namespace, seen_before=has_synced.is_set())
        except ClusterError as error:
            log.warning("the list of what exists is incomplete: %s", error)
            return True
        return False

    every = [(kind, namespace) for kind in OWN_KINDS for namespace in namespaces or (None,)]
    missing = [one for one in every if await fails(*one)]
    while missing:
        await asyncio.sleep(min(seconds, RETRY_SECONDS))
        missing = [one for one in missing if await fails(*one)]
    has_synced.set()
    for rounds in itertools.count():
        if rounds % FULL_RESYNC_ROUNDS == 0:
            enqueuer.everything()
        else:
            enqueuer.lists()
        end = time.monotonic() + seconds
        while missing and time.monotonic() + RETRY_SECONDS < end:
            await asyncio.sleep(RETRY_SECONDS)
            missing = [one for one in missing if await fails(*one)]
        await asyncio.sleep(end - time.monotonic())
        missing = [one for one in every if await fails(*one)]


async def _relist(
    kube: Kube, enqueuer: Enqueuer, watchdog: Watchdog, kind: KindName, namespace: str | None, *, seen_before: bool
) -> None:
    def on_news(item: Object) -> None:
        if seen_before:  # the first list is always faster than the watch
            watchdog.listed(kind, item)

    await relist(kube, OWN_KINDS[kind], namespace, enqueuer.caches.own(kind), on_news=on_news)
