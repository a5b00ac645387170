"""Leader election: one replica leads, another one takes over in time, and two never write at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import kopf
import pytest
from aiohttp import web
from tests.support.api_server import ApiServer, an_api_server, eventually, serving

from voice_operator.cluster import lease as lease_module
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.lease import LEASE_SECONDS, RENEW_SECONDS, LeaderElection
from voice_operator.errors import LeadershipLost
from voice_operator.metrics import Metrics

SYSTEM = "voice-system"


@dataclass
class Clock:
    """A monotonic clock that stands still."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Candidate:
    """One replica's election, on a connection of its own that may fail."""

    election: LeaderElection
    cut: bool = False  # requests fail at once
    hangs: bool = False  # requests are never answered
    killed: bool = False  # nothing more is asked
    task: asyncio.Task[None] = field(init=False)

    def leads(self) -> bool:
        """Whether a write would pass now."""
        try:
            self.election.fence()
        except LeadershipLost:
            return False
        return True

    async def stop(self) -> None:
        """End without a word, as a process that is killed."""
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@asynccontextmanager
async def a_candidate(server: ApiServer, identity: str, **timing: Any) -> AsyncIterator[Candidate]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if candidate.hangs or candidate.killed:
            await asyncio.sleep(60)
        if candidate.cut:
            raise web.HTTPServiceUnavailable
        return await server.answer(request)

    async with serving(answer) as url:
        kube = Kube(lambda: kopf.ConnectionInfo(server=url), Metrics())
        election = LeaderElection(
            kube, namespace=SYSTEM, name="voice-operator", identity=identity, namespaces=(), **timing
        )
        candidate = Candidate(election)
        candidate.task = asyncio.create_task(election.run())
        try:
            yield candidate
        finally:
            await candidate.stop()
            await kube.close()


def run(scenario: Callable[[ApiServer], Awaitable[None]], seconds: float = 20) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            await scenario(server)

    asyncio.run(asyncio.wait_for(whole(), timeout=seconds))


def lease(server: ApiServer) -> dict[str, Any]:
    spec: dict[str, Any] = server.objects["leases", SYSTEM, "voice-operator"]["spec"]
    return spec


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow one another at once; what passes is the time of a clock that tests set."""
    monkeypatch.setattr(lease_module, "RETRY_SECONDS", 0.01)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> float:
    """A tenth of all times, or the part that a test asks for, by the real clock; returns the factor."""
    factor = float(getattr(request, "param", 0.1))
    for name in ("LEASE_SECONDS", "RENEW_SECONDS", "RETRY_SECONDS", "ATTEMPT_SECONDS"):
        monkeypatch.setattr(lease_module, name, getattr(lease_module, name) * factor)
    return factor


def test_the_times_leave_a_gap_between_two_leaders() -> None:
    assert RENEW_SECONDS + lease_module.RETRY_SECONDS < LEASE_SECONDS, "who cannot renew ends before another begins"
    assert lease_module.ATTEMPT_SECONDS < RENEW_SECONDS, "one lost answer costs no lease"


@pytest.mark.usefixtures("eager")
def test_the_first_candidate_leads_and_says_so_in_the_lease() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
            found = server.objects["leases", SYSTEM, "voice-operator"]
            assert (found["spec"]["holderIdentity"], found["spec"]["leaseTransitions"]) == ("one", 0)
            assert found["spec"]["leaseDurationSeconds"] == 15
            assert found["metadata"]["annotations"] == {"voice.sovits.dev/watches": "*"}
            acquired, renewed = found["spec"]["acquireTime"], found["spec"]["renewTime"]
            await eventually("a renewal", lambda: lease(server)["renewTime"] > renewed)
            assert lease(server)["acquireTime"] == acquired

    run(scenario)


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    ("seconds", "may_write"),
    [
        pytest.param(0, True, id="at once"),
        pytest.param(9.9, True, id="before the deadline"),
        pytest.param(10, False, id="at the deadline"),
        pytest.param(3600, False, id="after the machine has slept"),
    ],
)
def test_after_the_last_renewal_a_write_passes(seconds: float, may_write: bool) -> None:
    async def scenario(server: ApiServer) -> None:
        clock = Clock()
        async with a_candidate(server, "one", monotonic=clock) as one:
            await eventually("the lead", one.leads)
            await one.stop()
            clock.now += seconds
            assert one.leads() is may_write

    run(scenario)


def test_nobody_writes_before_the_lease_is_theirs() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            one.cut = True
            assert not one.leads()

    run(scenario)


@pytest.mark.usefixtures("eager")
def test_an_api_server_that_does_not_tell_other_installations_is_asked_again() -> None:
    async def scenario(server: ApiServer) -> None:
        server.refuses = lambda request: request.path.endswith("/leases") and request.method == "GET"
        async with a_candidate(server, "one") as one:
            await eventually("some attempts", lambda: sum("/leases?limit" in url for url in server.requests) > 2)
            assert not one.leads()
            server.refuses = lambda _: False
            await eventually("the lead", one.leads)

    run(scenario)


@pytest.mark.usefixtures("eager")
def test_a_standby_takes_over_when_it_has_seen_no_renewal_for_the_whole_duration() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
        clock = Clock()
        async with a_candidate(server, "two", monotonic=clock) as two:
            await asyncio.sleep(0.1)
            clock.now += LEASE_SECONDS - 0.1
            await asyncio.sleep(0.1)
            assert not two.leads(), "whatever the clock of the holder's machine says"
            lease(server)["renewTime"] = "2026-01-01T00:00:00.000000Z"
            await asyncio.sleep(0.1)
            clock.now += LEASE_SECONDS - 0.1
            await asyncio.sleep(0.1)
            assert not two.leads(), "a renewal, even one with an older time, begins the wait anew"
            clock.now += 0.2
            await eventually("the lead", two.leads)
            assert (lease(server)["holderIdentity"], lease(server)["leaseTransitions"]) == ("two", 1)

    run(scenario)


@pytest.mark.usefixtures("eager")
def test_a_lease_that_is_given_back_is_taken_at_once() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one, a_candidate(server, "two") as two:
            await eventually("the lead", lambda: one.leads() or two.leads())
            leader, other = (one, two) if one.leads() else (two, one)
            await leader.stop()
            await leader.election.release()
            assert not leader.leads()
            await eventually("the lead", other.leads, seconds=1)

    run(scenario)


@pytest.mark.usefixtures("eager")
def test_a_lease_of_somebody_else_is_not_given_back() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
            await one.stop()
            lease(server)["holderIdentity"] = "two"
            await one.election.release()
            assert lease(server)["holderIdentity"] == "two"

    run(scenario)


@pytest.mark.usefixtures("eager")
def test_a_restarted_pod_takes_its_own_lease_up_again() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
        async with a_candidate(server, "one") as again:
            await eventually("the lead", again.leads, seconds=1)
            assert lease(server)["leaseTransitions"] == 0

    run(scenario)


@pytest.mark.usefixtures("eager")
def test_a_leader_whose_lease_somebody_took_ends() -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
            stolen = server.objects["leases", SYSTEM, "voice-operator"]
            server.put(
                "voice-operator", plural="leases", namespace=SYSTEM, spec=stolen["spec"] | {"holderIdentity": "x"}
            )
            with pytest.raises(LeadershipLost, match="is held by x"):
                await asyncio.wait_for(one.task, timeout=1)

    run(scenario)


def test_a_few_failures_cost_no_lease(quick: float) -> None:
    async def scenario(server: ApiServer) -> None:
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
            one.cut = True
            await asyncio.sleep(0.4 * RENEW_SECONDS * quick)
            one.cut = False
            await asyncio.sleep(LEASE_SECONDS * quick)
            assert one.leads()
            assert not one.task.done()

    run(scenario)


@pytest.mark.parametrize("quick", [pytest.param(0.2, id="")], indirect=True)
@pytest.mark.parametrize("silent", [pytest.param(False, id="refuses"), pytest.param(True, id="hangs")])
def test_a_leader_ends_before_another_one_may_begin_when_the_api_server(silent: bool, quick: float) -> None:
    async def scenario(server: ApiServer) -> None:
        loop = asyncio.get_running_loop()
        async with a_candidate(server, "one") as one:
            await eventually("the lead", one.leads)
            renewed, at = lease(server)["renewTime"], loop.time()
            while lease(server)["renewTime"] == renewed:
                at = loop.time()
                await asyncio.sleep(0.001)
            one.cut = True
            await asyncio.sleep(0.9 * RENEW_SECONDS * quick)  # an attempt that begins late must not end later
            one.hangs = silent
            with pytest.raises(LeadershipLost, match="could not be renewed"):
                await one.task
            assert RENEW_SECONDS * quick <= loop.time() - at < (LEASE_SECONDS - 1) * quick

    run(scenario)


@pytest.mark.usefixtures("quick")
def test_two_never_write_at_once_whatever_happens_to_the_leader() -> None:
    """Three replicas; whoever leads is cut off, left without answers, or killed, and each begins anew when it ends."""

    async def scenario(server: ApiServer) -> None:
        leading: list[frozenset[str]] = [frozenset()]
        candidates: dict[str, Candidate] = {}
        leader = ""

        async def replica(name: str) -> None:
            while True:
                async with a_candidate(server, name) as candidates[name]:
                    await asyncio.gather(candidates[name].task, return_exceptions=True)
                while name == leader:  # noqa: ASYNC110 -- until another one leads
                    await asyncio.sleep(0.01)

        async def note() -> None:
            while True:
                leading.append(frozenset(name for name, candidate in candidates.items() if candidate.leads()))
                await asyncio.sleep(0.002)

        helpers = [asyncio.create_task(replica(name)) for name in ("one", "two", "three")]
        helpers.append(asyncio.create_task(note()))
        for trouble in ("cut", "hangs", "killed", "hangs", "cut"):
            await eventually("another leader", lambda: leading[-1] - {leader})  # noqa: B023 -- the present one
            (leader,) = leading[-1]
            setattr(candidates[leader], trouble, True)
            if trouble == "killed":
                candidates[leader].task.cancel()
        await eventually("another leader", lambda: leading[-1] - {leader})
        for helper in helpers:
            helper.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        assert max(map(len, leading)) == 1
        assert lease(server)["leaseTransitions"] == 5

    run(scenario, seconds=30)
