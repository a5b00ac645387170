"""Notices watches that no longer deliver, so that the process can end and begin anew with fresh ones.

A watch of kopf that meets an unexpected ERROR event ends for good, and only its log says so; the same task also ends
with its namespace or its CRD. A connection may be silent without being closed. Lists find both.
"""

import asyncio
import time
from collections.abc import Callable

from voice_operator.cluster.cache import ObjectKey, key_of, version_of
from voice_operator.cluster.kube import OWN_KINDS, Object
from voice_operator.errors import WatchStalled
from voice_operator.reconcile.names import KindName

PATIENCE_SECONDS = 60.0  # between a list that shows a change and the watch that must have delivered it by then
CHECK_SECONDS = 5.0

# How kopf names its tasks: "watcher for voicemodels.v1alpha1…@namespace", and the one that waits for a signal.
_TASK = "watcher for "
_SIGNALS = "stop-flag checker"


class Watchdog:
    """Compares what the watches of our own kinds deliver with what lists show."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._missing: dict[tuple[KindName, ObjectKey], tuple[int, float]] = {}  # resource version, time of the list
        self._tasks: set[str] = set()

    def listed(self, kind: KindName, item: Object) -> None:
        """Note an object whose present state a list showed before the watch did."""
        self._missing[kind, key_of(item)] = version_of(item), self._monotonic()

    def delivered(self, kind: KindName, item: Object) -> None:
        """Note an event."""
        missing = self._missing.get((kind, key_of(item)))
        if missing is not None and version_of(item) >= missing[0]:
            del self._missing[kind, key_of(item)]

    def check(self) -> None:
        """Return while all watches are well.

        Raises:
            WatchStalled: one ended, or is silent.
        """
        tasks = {task.get_name() for task in asyncio.all_tasks()}
        if _SIGNALS not in tasks:
            return  # kopf has not started yet, or ends because it was told to
        plurals = tuple(f"{_TASK}{resource.plural}." for resource in OWN_KINDS.values())
        running = {name for name in tasks if name.startswith(plurals)}
        if ended := self._tasks - running:
            raise WatchStalled(f"kopf's {min(ended)} has ended")
        self._tasks |= running
        for (kind, (namespace, name)), (version, since) in self._missing.items():
            if self._monotonic() - since > PATIENCE_SECONDS:
                raise WatchStalled(f"the watch has not delivered version {version} of {kind} {namespace}/{name}")

    async def run(self) -> None:
        """Check for ever.

        Raises:
            WatchStalled: see ``check``.
        """
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            self.check()
