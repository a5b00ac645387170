"""Leader election by a Lease, as client-go does it: one replica works, the others watch and wait."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from voice_operator.cluster.installations import PART_OF, WATCHES, refuse_overlap, watched
from voice_operator.cluster.kube import LEASES, Kube, Object, Resource
from voice_operator.errors import ClusterError, Conflict, LeadershipLost, NotFound

LEASE_SECONDS = 15.0  # client-go's defaults
RENEW_SECONDS = 10.0  # without a renewal for this long the leader gives up, before others may take over
RETRY_SECONDS = 2.0
ATTEMPT_SECONDS = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Seen:
    """A state of the Lease and when this process first saw it: the clocks of two machines are never compared."""

    holder: str
    renewed: str
    at: float


class LeaderElection:
    """Holds one Lease, or waits for it."""

    def __init__(
        self,
        kube: Kube,
        *,
        namespace: str,
        name: str,
        identity: str,
        namespaces: tuple[str, ...],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kube = kube
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._namespaces = namespaces
        self._monotonic = monotonic
        self._seen = _Seen("", "", float("-inf"))
        self._renewed_at = float("-inf")  # start of the last request that renewed it
        self.is_leader = asyncio.Event()

    def fence(self) -> None:
        """Let a write pass only while the lease is held.

        Raises:
            LeadershipLost: it is not, or could not be renewed in time.
        """
        if not self.is_leader.is_set() or self._seconds_left() <= 0:
            raise LeadershipLost(f"the lease {self._namespace}/{self._name} was not renewed for {RENEW_SECONDS:.0f} s")

    async def run(self) -> None:
        """Acquire the lease, then renew it until cancelled; lead once no other installation is found.

        Raises:
            LeadershipLost: it could not be renewed in time, or somebody else has it.
            InstallationConflict: another installation works in the same namespaces.
        """
        while not await self._try(ATTEMPT_SECONDS):  # noqa: ASYNC110 -- what is awaited happens in another process
            await asyncio.sleep(RETRY_SECONDS)
        renewal = asyncio.create_task(self._renew(), name="lease renewal")
        try:
            while not renewal.done() and not await self._is_alone():  # noqa: ASYNC110 -- as above
                await asyncio.sleep(RETRY_SECONDS)
            if not renewal.done():
                log.info("leading: %s holds the lease %s/%s", self._identity, self._namespace, self._name)
                self.is_leader.set()
            await renewal
        finally:
            renewal.cancel()

    async def _is_alone(self) -> bool:
        """Return whether there is no other installation; False where the API server does not tell."""
        try:
            await refuse_overlap(self._kube, (self._namespace, self._name), self._namespaces)
        except ClusterError as error:
            log.warning("other installations are unknown: %s", error)
            return False
        return True

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            left = self._seconds_left()
            if left > 0 and not await self._try(min(left, ATTEMPT_SECONDS)) and self._seen.holder != self._identity:
                raise LeadershipLost(f"the lease {self._namespace}/{self._name} is held by {self._seen.holder}")
            if self._seconds_left() <= 0:
                raise LeadershipLost(f"the lease {self._namespace}/{self._name} could not be renewed")

    def _seconds_left(self) -> float:
        """Return how long this process may still write without another renewal."""
        return self._renewed_at + RENEW_SECONDS - self._monotonic()

    async def release(self) -> None:
        """Give the lease back, if this process holds it, so that another replica need not wait until it is over."""
        self.is_leader.clear()
        if self._seen.holder != self._identity:
            return
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                lease = await self._kube.get(LEASES, self._namespace, self._name)
                if lease["spec"].get("holderIdentity") == self._identity:
                    lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                    await self._kube.replace(LEASES, lease)
        except (ClusterError, TimeoutError) as error:
            log.warning("the lease could not be given back: %s", str(error) or "no answer")

    async def _try(self, seconds: float) -> bool:
        """Acquire or renew the lease; return whether this process holds it. An attempt takes ``seconds`` at most."""
        started = self._monotonic()
        try:
            async with asyncio.timeout(seconds):
                held = await self._acquire_or_renew()
        except (ClusterError, TimeoutError) as error:
            log.warning("the lease %s/%s: %s", self._namespace, self._name, str(error) or "no answer")
            return False
        if held:
            self._renewed_at = started
        return held

    async def _acquire_or_renew(self) -> bool:
        try:
            lease = await self._kube.get(LEASES, self._namespace, self._name)
        except NotFound:
            return await self._take(self._kube.create, {"metadata": {}, "spec": {}})
        spec = lease.get("spec") or {}
        holder, renewed = str(spec.get("holderIdentity") or ""), str(spec.get("renewTime") or "")
        if (holder, renewed) != (self._seen.holder, self._seen.renewed):
            self._seen = _Seen(holder, renewed, self._monotonic())
        duration = float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        if holder not in {"", self._identity} and self._monotonic() - self._seen.at < duration:
            return False
        return await self._take(self._kube.replace, lease)  # with its resourceVersion: only one can win

    async def _take(self, write: Callable[[Resource, Object], Awaitable[Object]], lease: Object) -> bool:
        try:
            await write(LEASES, self._lease(lease))
        except Conflict:
            return False
        self._seen = _Seen(self._identity, "", self._monotonic())
        return True

    def _lease(self, lease: Object) -> Object:
        """Return the Lease as held by this process from now on."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec: dict[str, Any] = dict(lease.get("spec") or {})
        changes = spec.get("holderIdentity") != self._identity
        transitions = int(spec.get("leaseTransitions") or 0) + (1 if changes and spec else 0)
        metadata = lease["metadata"] | {"namespace": self._namespace, "name": self._name}
        return {
            "apiVersion": LEASES.api_version,
            "kind": "Lease",
            "metadata": metadata
            | {"labels": (metadata.get("labels") or {}) | PART_OF}
            | {"annotations": (metadata.get("annotations") or {}) | {WATCHES: watched(self._namespaces)}},
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(LEASE_SECONDS),
                "acquireTime": now if changes else spec.get("acquireTime", now),
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }
