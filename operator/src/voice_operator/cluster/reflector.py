"""Keeps a cache equal to the cluster: a list in pages, then a watch; or lists alone, beside somebody else's watch."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from voice_operator.cluster.cache import Cache, ObjectKey, key_of, version_of
from voice_operator.cluster.kube import Kube, Object, Resource
from voice_operator.errors import ClusterError, Expired, NotFound

INITIAL_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 30.0
OPTIONAL_RELIST_SECONDS = 300.0  # they are everybody's, and large

log = logging.getLogger(__name__)

OnNews = Callable[[Object], None]


async def relist(
    kube: Kube,
    resource: Resource,
    namespace: str | None,
    cache: Cache[Any],
    *,
    labels: Mapping[str, str | None] | None = None,
    on_news: OnNews = lambda _: None,
) -> int:
    """Bring the cache up to the state of a LIST and return its resource version; ``on_news`` gets what was unknown.

    Raises:
        ClusterError: the list failed; what it had read by then is in the cache, and nothing was forgotten.
    """
    listed: list[ObjectKey] = []
    version, newest = 0, cache.newest
    async for page in kube.pages(resource, namespace, labels):
        if not version and page.version < newest:
            cache.rewind()  # a consistent list cannot be older than what was seen before it began
        version = page.version
        for item in page.items:
            listed.append(key_of(item))
            if cache.update(item):
                on_news(item)
    cache.retain(listed, version, namespace)
    return version


class Reflector:
    """Lists and watches the objects of one kind that have a label, in one namespace or (None) in all.

    client-go's Reflector; kopf's watches have no selectors, and would hold every Job and pod of the cluster.
    """

    def __init__(
        self,
        kube: Kube,
        resource: Resource,
        labels: Mapping[str, str | None],
        cache: Cache[Any],
        namespace: str | None,
        *,
        optional: bool = False,
    ) -> None:
        """``optional``: the kind may not be there, and nobody waits for its first list."""
        self._kube = kube
        self._resource = resource
        self._labels = labels
        self._cache = cache
        self._namespace = namespace
        self._optional = optional
        self.has_synced = asyncio.Event()

    async def run(self, relist_seconds: float) -> None:
        """List and watch until cancelled; list again every ``relist_seconds``, because a watch may lose an event."""
        backoff = INITIAL_BACKOFF_SECONDS
        if self._optional:
            relist_seconds = max(relist_seconds, OPTIONAL_RELIST_SECONDS)
            self.has_synced.set()
        while True:
            try:
                version = await relist(self._kube, self._resource, self._namespace, self._cache, labels=self._labels)
                self.has_synced.set()
                await self._watch(str(version), relist_seconds)
                backoff = INITIAL_BACKOFF_SECONDS
            except ClusterError as error:
                absent = self._optional and isinstance(error, NotFound)
                if absent:
                    self._cache.rewind()
                    self._cache.retain((), 0, self._namespace)  # the kind may have been removed
                # Versions expire every day, and what is optional may never come.
                level = logging.DEBUG if absent or isinstance(error, Expired) else logging.WARNING
                log.log(level, "%s; again after %.0f s", error, backoff)
                await asyncio.sleep(backoff)
                backoff = min(backoff * 2, MAX_BACKOFF_SECONDS)

    async def _watch(self, version: str, seconds: float) -> None:
        """Follow the watch for ``seconds``; a watch that the API server ends goes on from the last version."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    async for event in self._kube.watch(self._resource, self._namespace, self._labels, version):
                        item = event["object"]
                        version = str(version_of(item)) if version_of(item) else version
                        if event["type"] == "DELETED":
                            self._cache.delete(item)
                        elif event["type"] in {"ADDED", "MODIFIED"}:
                            self._cache.update(item)
                    await asyncio.sleep(INITIAL_BACKOFF_SECONDS)
        except TimeoutError:
            return
