"""Leader election and the fence with a real API server: its validation, its conflicts, its way to write times."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.api_server import eventually

from voice_operator.cluster import installations, lease
from voice_operator.cluster.credentials import load_credentials
from voice_operator.cluster.kube import CONFIG_MAPS, Kube, Object
from voice_operator.cluster.lease import LeaderElection
from voice_operator.errors import InstallationConflict, LeadershipLost
from voice_operator.metrics import Metrics

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "lease-tests"  # where no operator works
LEASE_SECONDS = 2.0


@pytest.fixture(scope="module", autouse=True)
def _namespace(user: Any) -> None:
    user.run("create", "namespace", NAMESPACE)


@pytest.fixture(autouse=True)
def _short_leases(control_plane: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(control_plane))
    for name, seconds in (("LEASE", LEASE_SECONDS), ("RENEW", 1.4), ("RETRY", 0.2), ("ATTEMPT", 0.7)):
        monkeypatch.setattr(lease, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(installations, "OBSERVATION_SECONDS", 1.0)


@dataclass
class Replica:
    """A process of the operator, as far as the lease concerns it."""

    kube: Kube
    election: LeaderElection
    task: asyncio.Task[None]

    def leads(self) -> bool:
        try:
            self.election.fence()
        except LeadershipLost:
            return False
        return True

    async def kill(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def a_replica(name: str, identity: str = "one") -> AsyncIterator[Replica]:
    kube = Kube(load_credentials, Metrics())
    election = LeaderElection(kube, namespace=NAMESPACE, name=name, identity=identity, namespaces=(name,))
    kube.fence = election.fence
    replica = Replica(kube, election, asyncio.create_task(election.run()))
    try:
        yield replica
    finally:
        await replica.kill()
        await kube.close()


@asynccontextmanager
async def two_replicas(name: str) -> AsyncIterator[tuple[Replica, Replica, list[int]]]:
    """The leader, the other one, and how many of them could write, noted all the time."""
    leaders: list[int] = []

    async def note() -> None:
        while True:
            leaders.append(one.leads() + two.leads())
            await asyncio.sleep(0.002)

    async with a_replica(name, "one") as one, a_replica(name, "two") as two:
        notes = asyncio.create_task(note())
        await eventually("a leader that was noted", lambda: 1 in leaders, 10)
        yield (one, two, leaders) if one.leads() else (two, one, leaders)
        notes.cancel()


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), timeout=60))


def test_a_standby_waits_for_the_end_of_the_lease(user: Any) -> None:
    async def scenario() -> None:
        async with two_replicas("failover") as (leader, other, leaders):
            await asyncio.sleep(2 * LEASE_SECONDS)
            assert leader.leads(), "as long as it renews the lease"
            await leader.kill()
            await eventually("the other one", other.leads, 3 * LEASE_SECONDS)
            assert max(leaders) == 1
            assert leaders[-100:].count(0), "there is a time in which nobody writes"

    run(scenario)
    assert user.get("lease", "failover", NAMESPACE)["spec"]["leaseTransitions"] == 1


def test_a_lease_that_is_given_back_is_taken_at_once(user: Any) -> None:
    async def scenario() -> None:
        async with two_replicas("handover") as (leader, other, leaders):
            await leader.kill()
            await leader.election.release()
            await eventually("the other one", other.leads, 0.5 * LEASE_SECONDS)
            assert max(leaders) == 1

    run(scenario)
    assert user.get("lease", "handover", NAMESPACE)["spec"]["leaseTransitions"] == 1


def a_note(name: str) -> Object:
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"written": "yes"}}


def test_nothing_is_written_before_the_lease_is_held_and_after_it_has_run_out(user: Any) -> None:
    async def scenario() -> None:
        async with a_replica("fence") as replica:
            with pytest.raises(LeadershipLost):
                await replica.kube.create(CONFIG_MAPS, a_note("too-early"))
            await eventually("the lead", replica.leads, 10)
            await replica.kube.create(CONFIG_MAPS, a_note("in-time"))
            await replica.kill()
            await asyncio.sleep(LEASE_SECONDS)
            with pytest.raises(LeadershipLost):
                await replica.kube.apply(CONFIG_MAPS, a_note("in-time") | {"data": {"written": "again"}})
            with pytest.raises(LeadershipLost):
                await replica.kube.create(CONFIG_MAPS, a_note("too-late"))

    run(scenario)
    assert user.get("configmap", "in-time", NAMESPACE)["data"] == {"written": "yes"}
    assert not user.exists("configmap", "too-early", NAMESPACE)
    assert not user.exists("configmap", "too-late", NAMESPACE)


def test_a_second_installation_in_the_same_namespace_refuses() -> None:
    async def scenario() -> None:
        async with a_replica(NAMESPACE) as first:
            await eventually("the lead", first.leads, 10)
            async with a_replica(f"another-in.{NAMESPACE}") as elsewhere:
                await eventually("the lead of another namespace", elsewhere.leads, 10)
            kube = Kube(load_credentials, Metrics())
            second = LeaderElection(
                kube, namespace=NAMESPACE, name="second", identity="two", namespaces=(NAMESPACE, "studio")
            )
            with pytest.raises(InstallationConflict, match=rf"lease {NAMESPACE}\) already works in {NAMESPACE}"):
                await second.run()
            await second.release()
            await kube.close()
            assert first.leads()

    run(scenario)
