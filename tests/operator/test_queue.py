"""The work queue keeps its promises: no key twice, no two workers on one key, nothing forgotten, urgent keys first."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Self

import pytest

from voice_operator.metrics import Metrics
from voice_operator.queue import Crew, Priority, WorkQueue, crews, run_worker
from voice_operator.reconcile.names import Key, KindName

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

        worker = asyncio.create_task(run_worker(queue, reconcile, Crew(lowest=URGENT)))
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
        workers.append(asyncio.create_task(run_worker(queue, hang, Crew(lowest=URGENT))))
        for key in (ALICE, BOB, CAROL):
            queue.add(key)
        await asyncio.sleep(0.01)
        queue.add(DAN, URGENT)
        await asyncio.wait_for(done.wait(), timeout=1)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)

    run(scenario())


def key(namespace: str, name: str, kind: KindName = "VoiceModel") -> Key:
    return Key(kind, namespace, name)


def test_namespaces_take_turns_each_with_its_most_urgent_key_first() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        for number in range(3):
            queue.add(key("team-a", f"{number}"), URGENT)
        queue.add(key("team-b", "4"), LOW)
        queue.add(key("team-b", "3"), NORMAL)
        queue.add(key("team-c", "5"), LOW)
        assert await order(queue) == "035142"

    run(scenario())


class Workers:
    """The crews of an operator, whose passes over one namespace never end."""

    def __init__(self, stuck: str) -> None:
        self.queue = WorkQueue()
        self.begun: list[Key] = []
        self._stuck = stuck

    async def _reconcile(self, key: Key) -> None:
        self.begun.append(key)
        if key.namespace == self._stuck:
            await asyncio.sleep(60)

    async def __aenter__(self) -> Self:
        found = [crew for crew in crews(8) for _ in range(crew.size)]
        self._tasks = [asyncio.create_task(run_worker(self.queue, self._reconcile, crew)) for crew in found]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def at_work(self, namespace: str) -> int:
        return sum(key.namespace == namespace for key in self.begun)


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("kind", ["VoiceModel", "VoiceList"])
def test_no_namespace_can_fill_the_workers_with_passes_that_hang(kind: KindName, priority: Priority) -> None:
    async def scenario() -> None:
        async with Workers(stuck="team-a") as workers:
            for number in range(500):
                workers.queue.add(key("team-a", f"{number}", kind), priority)
            await asyncio.sleep(0.05)
            assert workers.at_work("team-a") <= 6 + 1 + 1, "of 12"
            others = [key("team-b", "alice"), key("team-b", "default", "VoiceList"), key("team-c", "bob")]
            for other in others:
                workers.queue.add(other, LOW)
            await asyncio.sleep(0.05)
            assert {*others} <= {*workers.begun}

    run(scenario())


def test_nothing_but_lists_fills_the_workers_of_lists() -> None:
    async def scenario() -> None:
        async with Workers(stuck="team-a") as workers:
            for number in range(500):
                workers.queue.add(key("team-a", f"{number}"), URGENT)
            await asyncio.sleep(0.05)
            own = key("team-a", "default", "VoiceList")
            workers.queue.add(own, LOW)
            await asyncio.sleep(0.05)
            assert own in workers.begun, "a namespace keeps not even its own revocations waiting"

    run(scenario())


def test_a_namespace_that_is_alone_is_worked_for_by_most_workers() -> None:
    async def scenario() -> None:
        async with Workers(stuck="studio") as workers:
            for number in range(20):
                workers.queue.add(key("studio", f"{number}"))
            await asyncio.sleep(0.05)
            assert workers.at_work("studio") == 6

    run(scenario())


@pytest.mark.parametrize("priority", Priority)
def test_large_objects_are_worked_on_one_at_a_time_and_keep_no_other_key_waiting(priority: Priority) -> None:
    async def scenario() -> None:
        async with Workers(stuck="team-a") as workers:
            workers.queue.size_of = lambda key: 255 << 10 if key.name.isdecimal() else 2000
            for number in range(20):
                workers.queue.add(key("team-a", f"{number}"), priority)
            await asyncio.sleep(0.05)
            assert workers.at_work("team-a") == 1
            others = [key("team-a", "alice"), key("team-a", "default", "VoiceList"), key("team-b", "bob")]
            for other in others:
                workers.queue.add(other, LOW)
            await asyncio.sleep(0.05)
            assert {*others} <= {*workers.begun}

    run(scenario())


def test_a_worker_of_large_objects_rests_most_of_the_time() -> None:
    async def scenario() -> None:
        queue, begun = WorkQueue(), list[float]()

        async def reconcile(_: Key) -> None:
            begun.append(asyncio.get_running_loop().time())
            await asyncio.sleep(0.02)

        worker = asyncio.create_task(run_worker(queue, reconcile, crews(8)[-1]))
        queue.size_of = lambda _: 255 << 10
        queue.add(ALICE)
        queue.add(BOB)
        await asyncio.sleep(0.3)
        assert begun[1] - begun[0] >= 0.1
        worker.cancel()

    run(scenario())


def test_an_object_that_grows_while_it_waits_is_found_again() -> None:
    async def scenario() -> None:
        queue = WorkQueue()
        queue.add(ALICE, LOW)
        queue.size_of = lambda _: 255 << 10
        queue.add(ALICE, URGENT)
        assert await queue.get() == ALICE
        assert len(queue) == 0

    run(scenario())


def test_a_share_is_free_again_when_a_pass_has_ended() -> None:
    async def scenario() -> None:
        queue, crew = WorkQueue(), Crew("general", 4, share=1)
        queue.add(ALICE)
        queue.add(BOB)
        first = await queue.get(crew)
        waiting = asyncio.create_task(queue.get(crew))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        queue.done(first)
        queue.add(CAROL)  # whoever ends a pass takes the next key itself, or another one comes
        assert await asyncio.wait_for(waiting, timeout=1) == BOB

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
