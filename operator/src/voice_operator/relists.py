"""Lists our own kinds again and again, beside kopf's watches: a lost event costs seconds, never truth."""

import asyncio
import logging

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
    """List every ``seconds``, for ever; set ``has_synced`` once all kinds could be listed."""
    rounds = 0
    while True:
        try:
            for kind in OWN_KINDS:
                for namespace in namespaces or (None,):
                    await _relist(kube, enqueuer, watchdog, kind, namespace, seen_before=has_synced.is_set())
        except ClusterError as error:
            log.warning("the list of what exists is incomplete: %s", error)
            await asyncio.sleep(min(seconds, RETRY_SECONDS))
            continue
        has_synced.set()
        if rounds % FULL_RESYNC_ROUNDS == 0:
            enqueuer.everything()
        else:
            enqueuer.lists()
        rounds += 1
        await asyncio.sleep(seconds)


async def _relist(
    kube: Kube, enqueuer: Enqueuer, watchdog: Watchdog, kind: KindName, namespace: str | None, *, seen_before: bool
) -> None:
    def on_news(item: Object) -> None:
        if seen_before:  # the first list is always faster than the watch
            watchdog.listed(kind, item)

    await relist(kube, OWN_KINDS[kind], namespace, enqueuer.caches.own(kind), on_news=on_news)
