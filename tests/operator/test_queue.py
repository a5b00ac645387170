"""The work queue keeps its promises: no key twice, no two workers on one key, nothing forgotten, urgent keys first."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from voice_operator.metrics import Metrics
from voice_operator.queue import Priority, WorkQueue, run_worker
from voice_operator.reconcile.names import Key

ALICE, BOB, CAROL, DAN = (Key("VoiceModel", "studio", name) for name in ("alice", "bob", "carol", "dan"))
URGENT, NORMAL, LOW = Priority


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, timeout=5))


def test_many_events_are_one_pass() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for _ in range(100):
            queue.add(ALICE)
        assert len(queue) == 1

    run(scenario())


def test_an_event_during_a_pass_leads_to_another_pass_but_not_at_the_same_time() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add(ALICE)
        key = await queue.get()
        queue.add(ALICE)
        assert len(queue) == 0
        queue.done(key)
        assert await queue.get() == ALICE

    run(scenario())


def test_workers_never_share_a_key() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        at_work: set[Key] = set()
        passes = 0

        async def reconcile(key: Key) -> None:
            nonlocal passes
            assert key not in at_work
            at_work.add(key)
            await asyncio.sleep(0.001)
            at_work.discard(key)
            passes += 1

        workers = [asyncio.create_task(run_worker(queue, reconcile)) for _ in range(4)]
        for _ in range(50):
            queue.add(ALICE)
            queue.add(BOB)
            await asyncio.sleep(0.0005)
        await asyncio.sleep(0.05)
        for worker in workers:
            assert not worker.done(), "a worker ended"
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        assert 4 <= passes <= 100

    run(scenario())


async def order(queue: WorkQueue) -> str:
    """Process everything that waits, and return the initials of the keys."""
    found = ""
    while len(queue):
        key = await queue.get()
        queue.done(key)
        found += key.name[0]
    return found


@pytest.mark.parametrize(
    ("added", "expected"),
    [
        pytest.param([(ALICE, NORMAL), (BOB, NORMAL)], "ab", id="first come, first served"),
        pytest.param([(ALICE, LOW), (BOB, NORMAL), (CAROL, URGENT)], "cba", id="the most urgent first"),
        pytest.param([(ALICE, URGENT), (BOB, LOW), (CAROL, URGENT)], "acb", id="and in order among equals"),
        pytest.param([(ALICE, LOW), (BOB, LOW), (BOB, URGENT)], "ba", id="a key that waits moves up"),
        pytest.param([(ALICE, URGENT), (BOB, URGENT), (BOB, LOW)], "ab", id="and never down"),
        pytest.param([(ALICE, NORMAL), (BOB, NORMAL), (ALICE, NORMAL)], "ab", id="nor behind others"),
    ],
)
def test_keys_are_processed(added: list[tuple[Key, Priority]], expected: str) -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for key, priority in added:
            queue.add(key, priority)
        assert await order(queue) == expected

    run(scenario())


def test_a_key_that_is_added_during_its_pass_keeps_the_higher_priority() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add(ALICE)
        key = await queue.get()
        queue.add(ALICE, LOW)
        queue.add(ALICE, URGENT)
        queue.add(ALICE, LOW)
        queue.add(BOB)
        queue.done(key)
        assert await order(queue) == "ab"

    run(scenario())


def test_what_a_delay_or_a_failure_brings_back_goes_last() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after(ALICE, 0)
        queue.add(BOB)
        assert await order(queue) == "ba"

    run(scenario())


def test_an_urgent_worker_leaves_everything_else_to_others() -> None:
    async def scenario() -> None:
        queue, processed = WorkQueue(), []

        async def reconcile(key: Key) -> None:
            processed.append(key)

        worker = asyncio.create_task(run_worker(queue, reconcile, URGENT))
        queue.add(ALICE)
        queue.add(BOB, LOW)
        await asyncio.sleep(0.01)
        assert processed == []
        queue.add(CAROL, URGENT)
        await asyncio.sleep(0.01)
        queue.add(BOB, URGENT)
        await asyncio.sleep(0.01)
        assert processed == [CAROL, BOB]
        assert len(queue) == 1
        worker.cancel()

    run(scenario())


def test_an_urgent_key_waits_for_no_busy_worker() -> None:
    async def scenario() -> None:
        queue, done = WorkQueue(), asyncio.Event()

        async def hang(key: Key) -> None:
            if key == DAN:
                done.set()
            else:
                await asyncio.sleep(60)  # on an object store that does not answer

        workers = [asyncio.create_task(run_worker(queue, hang)) for _ in range(3)]
        workers.append(asyncio.create_task(run_worker(queue, hang, URGENT)))
        for key in (ALICE, BOB, CAROL):
            queue.add(key)
        await asyncio.sleep(0.01)
        queue.add(DAN, URGENT)
        await asyncio.wait_for(done.wait(), timeout=1)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    run(scenario())


def test_the_depth_counts_each_key_once_however_often_it_moves_up() -> None:
    async def scenario() -> None:
        metrics = Metrics()
        queue = WorkQueue(metrics)
        for priority in (LOW, NORMAL, URGENT, LOW):
            queue.add(ALICE, priority)
        assert metrics.registry.get_sample_value("workqueue_depth", {"name": "voicemodel"}) == len(queue) == 1
        await order(queue)
        assert metrics.registry.get_sample_value("workqueue_depth", {"name": "voicemodel"}) == 0
        assert metrics.registry.get_sample_value("workqueue_adds_total", {"name": "voicemodel"}) == 1

    run(scenario())


def test_of_several_delays_the_earliest_counts() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after(ALICE, 60)
        queue.add_after(ALICE, 0.02)
        queue.add_after(ALICE, 60)
        started = asyncio.get_running_loop().time()
        assert await queue.get() == ALICE
        assert asyncio.get_running_loop().time() - started < 1
        queue.shut_down()

    run(scenario())


def test_a_pass_cancels_the_delay_before_it() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_after(ALICE, 0.03)
        queue.add(ALICE)
        queue.done(await queue.get())
        await asyncio.sleep(0.06)
        assert len(queue) == 0

    run(scenario())


def test_failures_wait_longer_each_time_and_forget_resets_them() -> None:
    async def scenario() -> None:
        queue = WorkQueue(jitter=lambda: 0.0)
        assert [queue.add_rate_limited(ALICE) for _ in range(3)] == [1.0, 2.0, 4.0]
        assert [queue.add_rate_limited(BOB) for _ in range(12)][-1] == 300.0
        queue.forget(ALICE)
        assert queue.add_rate_limited(ALICE) == 1.0
        queue.shut_down()

    run(scenario())


def test_keys_that_failed_together_do_not_come_back_together() -> None:
    async def scenario() -> None:
        chances = iter([0.0, 0.5, 1.0])
        queue = WorkQueue(jitter=lambda: next(chances))
        assert [queue.add_rate_limited(key) for key in (ALICE, BOB, CAROL)] == [1.0, 1.1, 1.2]
        queue.shut_down()

    run(scenario())


def test_an_event_does_not_wait_for_the_back_off() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add_rate_limited(ALICE)
        queue.add(ALICE)
        assert await order(queue) == "a"
        queue.shut_down()

    run(scenario())
