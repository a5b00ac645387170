"""Two installations never work in the same namespaces: the later one refuses, however often it is tried."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server, eventually

from voice_operator.cluster import installations, lease
from voice_operator.cluster.installations import watched
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.lease import LeaderElection
from voice_operator.errors import InstallationConflict
from voice_operator.metrics import Metrics

EVERYWHERE = ()
Task = asyncio.Task[None]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RETRY_SECONDS", 0.02)
    monkeypatch.setattr(installations, "OBSERVATION_SECONDS", 0.2)


@asynccontextmanager
async def an_installation(
    server: ApiServer, namespace: str, *namespaces: str, pod: str = "pod"
) -> AsyncIterator[tuple[LeaderElection, Task]]:
    """One replica of the release in a namespace; it ends as the process does, and gives its lease back."""
    kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())
    election = LeaderElection(
        kube, namespace=namespace, name="voice-operator", identity=f"{namespace}-{pod}", namespaces=namespaces
    )
    task = asyncio.create_task(election.run())
    try:
        yield election, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await election.release()
        await kube.close()


def run(scenario: Callable[[ApiServer], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            await scenario(server)

    asyncio.run(asyncio.wait_for(whole(), timeout=15))


async def refusal(task: Task) -> str:
    """Wait until an installation refuses to work, and return what it says."""
    with pytest.raises(InstallationConflict) as caught:
        await asyncio.wait_for(task, timeout=5)
    return str(caught.value)


@pytest.mark.parametrize(
    ("first", "second", "where"),
    [
        pytest.param((), (), "all namespaces", id="both everywhere"),
        pytest.param(("studio", "voice-a"), (), "studio,voice-a", id="everywhere, where another has a namespace"),
        pytest.param(("studio", "voice-a"), ("studio", "voice-a", "voice-b"), "studio,voice-a", id="the same"),
    ],
)
def test_the_later_of_two_refuses(first: tuple[str, ...], second: tuple[str, ...], where: str) -> None:
    async def scenario(server: ApiServer) -> None:
        async with an_installation(server, "voice-a", *first) as (earlier, _):
            await eventually("the lead", earlier.is_leader.is_set)
            for _ in range(3):  # as the kubelet restarts it
                async with an_installation(server, "voice-b", *second) as (later, task):
                    assert await refusal(task) == (
                        f"the voice-operator of namespace voice-a (lease voice-operator) already works in {where}; "
                        "uninstall one of the two, or give each its own watchNamespaces"
                    )
                    assert not later.is_leader.is_set()
            earlier.fence()

    run(scenario)


def test_installations_of_separate_namespaces_work_side_by_side() -> None:
    async def scenario(server: ApiServer) -> None:
        first = an_installation(server, "voice-a", "studio", "voice-a")
        second = an_installation(server, "voice-b", "audiobooks", "voice-b")
        async with first as (one, _), second as (other, _):
            await eventually("both", lambda: one.is_leader.is_set() and other.is_leader.is_set())

    run(scenario)


def test_of_two_that_begin_together_one_works() -> None:
    async def scenario(server: ApiServer) -> None:
        async with an_installation(server, "voice-a") as (one, a), an_installation(server, "voice-b") as (other, b):
            await asyncio.wait({a, b}, return_when=asyncio.FIRST_COMPLETED)
            await eventually("the lead", lambda: one.is_leader.is_set() or other.is_leader.is_set())
            assert a.done() is not b.done()
            assert one.is_leader.is_set() is not other.is_leader.is_set()
            await refusal(a if a.done() else b)

    run(scenario)


def test_a_refused_installation_never_outlasts_the_restart_of_the_other() -> None:
    """Each restart of the first takes the lease anew; the refused one must not count as the earlier one by then."""

    async def scenario(server: ApiServer) -> None:
        async with an_installation(server, "voice-a", pod="first") as (before, _):
            await eventually("the lead", before.is_leader.is_set)
            async with an_installation(server, "voice-b") as (_, task):
                await refusal(task)
        async with an_installation(server, "voice-a", pod="second") as (after, _):
            await eventually("the lead", after.is_leader.is_set)
            async with an_installation(server, "voice-b") as (_, task):
                await refusal(task)
            after.fence()

    run(scenario)


@pytest.mark.parametrize("ends", ["is given back", "is not renewed"])
def test_an_installation_is_gone_when_its_lease(ends: str) -> None:
    async def scenario(server: ApiServer) -> None:
        async with an_installation(server, "voice-a") as (first, task):
            await eventually("the lead", first.is_leader.is_set)
            if ends == "is not renewed":
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                first._seen = lease._Seen("nobody", "", 0)  # killed: it gives nothing back
        async with an_installation(server, "voice-b") as (second, _):
            await eventually("the lead", second.is_leader.is_set)

    run(scenario)


def test_two_replicas_of_one_installation_are_no_conflict() -> None:
    async def scenario(server: ApiServer) -> None:
        first, second = (an_installation(server, "voice-a", pod=pod) for pod in ("one", "two"))
        async with first as (one, a), second as (two, b):
            await eventually("a leader", lambda: one.is_leader.is_set() or two.is_leader.is_set())
            await asyncio.sleep(0.5)
            assert not a.done()
            assert not b.done()
            assert one.is_leader.is_set() is not two.is_leader.is_set()

    run(scenario)


def test_a_lease_of_another_program_is_nobodys_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installations, "OBSERVATION_SECONDS", 60)  # of which none is needed

    async def scenario(server: ApiServer) -> None:
        labels = {"app.kubernetes.io/part-of": "voice-operator"}
        server.put("other", plural="leases", namespace="x", metadata={"labels": labels}, spec={"holderIdentity": "x"})
        async with an_installation(server, "voice-a") as (one, _):
            await eventually("the lead", one.is_leader.is_set)

    run(scenario)


def test_the_annotation_names_the_namespaces() -> None:
    assert watched(("studio", "audiobooks")) == "audiobooks,studio"
    assert watched(EVERYWHERE) == "*"
