"""The work queue keeps its promises: no key twice, no two workers on one key, nothing forgotten."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from voice_operator.queue import WorkQueue, run_worker
from voice_operator.reconcile.names import Key

ALICE, BOB = Key("VoiceModel", "studio", "alice"), Key("VoiceModel", "studio", "bob")


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
