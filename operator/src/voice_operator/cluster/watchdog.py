"""Notices watches that no longer deliver, so that the process can end and begin anew with fresh ones.

A connection may be silent without being closed, and a watch may wait where nobody looks. Lists find both.
"""

import asyncio
import time
from collections.abc import Callable

from voice_operator.cluster.cache import ObjectKey, key_of, version_of
from voice_operator.cluster.kube import Object
from voice_operator.errors import WatchStalled
from voice_operator.reconcile.names import KindName

DELIVERY_TIMEOUT_SECONDS = 60.0  # between a list that shows a change and the watch that must have delivered it by then
CHECK_SECONDS = 5.0


class Watchdog:
    """Compares what the watches of our own kinds deliver with what lists show."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._missing: dict[tuple[KindName, ObjectKey], tuple[int, float]] = {}  # resource version, time of the list

    def listed(self, kind: KindName, item: Object) -> None:
        """Note an object whose present state a list showed before the watch did; of several states the first counts."""
        self._missing.setdefault((kind, key_of(item)), (version_of(item), self._monotonic()))

    def delivered(self, kind: KindName, item: Object) -> None:
        """Note an event."""
        missing = self._missing.get((kind, key_of(item)))
        if missing is not None and version_of(item) >= missing[0]:
            del self._missing[kind, key_of(item)]

    def check(self) -> None:
        """Return while all watches are well.

        Raises:
            WatchStalled: one is silent.
        """
        for (kind, (namespace, name)), (version, since) in self._missing.items():
            if self._monotonic() - since > DELIVERY_TIMEOUT_SECONDS:
                raise WatchStalled(f"the watch has not delivered version {version} of {kind} {namespace}/{name}")

    async def run(self) -> None:
        """Check for ever.

        Raises:
            WatchStalled: see ``check``.
        """
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.check()
