"""Jobs run in threads, in bounded number, and stop when nobody waits for them."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from voice_inference.engine.workers import AHEAD, IsCancelled, Workers
from voice_inference.errors import Busy, Cancelled, ShuttingDown
from voice_inference.metrics import Metrics

pytestmark = pytest.mark.anyio
TIMEOUT_SECONDS = 30.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def workers(*, threads: int = 1, queue: int = 0) -> Workers:
    return Workers(threads=threads, queue=queue, metrics=Metrics())


def counting(is_cancelled: IsCancelled) -> Iterator[int]:
    del is_cancelled
    yield from range(3)


class Endless:
    """Work that goes on until it is told to stop."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.goes_on = threading.Event()
        self.stopped = threading.Event()

    def __call__(self, is_cancelled: IsCancelled) -> Iterator[int]:
        self.started.set()
        yield 0
        self.goes_on.set()
        while not is_cancelled():
            time.sleep(0.001)
        self.stopped.set()
        raise Cancelled("stopped")


async def test_chunks_arrive_in_order() -> None:
    pool = workers()
    assert [chunk async for chunk in pool.stream(counting)] == [0, 1, 2]
    await pool.close()


async def test_an_error_in_the_thread_is_raised_at_the_reader() -> None:
    def failing(_: IsCancelled) -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    pool = workers()
    stream = pool.stream(failing)
    assert await anext(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        await anext(stream)
    await pool.close()


async def test_a_full_queue_is_told_when_to_come_back_and_drains_again() -> None:
    pool = workers(threads=1, queue=1)
    work = Endless()
    running = pool.stream(work)
    assert await anext(running) == 0
    waiting = asyncio.create_task(anext(pool.stream(counting)))
    await asyncio.sleep(0)
    with pytest.raises(Busy) as refused:
        await anext(pool.stream(counting))
    assert refused.value.retry_after >= 1
    await running.aclose()
    assert await asyncio.wait_for(waiting, TIMEOUT_SECONDS) == 0
    await pool.close()


async def test_closing_the_stream_stops_the_thread_at_its_next_step() -> None:
    pool = workers()
    work = Endless()
    stream = pool.stream(work)
    await anext(stream)
    assert await asyncio.to_thread(work.goes_on.wait, TIMEOUT_SECONDS)
    await stream.aclose()
    assert await asyncio.to_thread(work.stopped.wait, TIMEOUT_SECONDS)
    await pool.close()


async def test_a_job_that_is_closed_between_two_chunks_frees_its_place() -> None:
    pool = workers(threads=1, queue=0)
    work = Endless()
    stream = pool.stream(work)
    await anext(stream)
    await stream.aclose()
    while pool.busy:  # noqa: ASYNC110 -- a thread ends
        await asyncio.sleep(0.001)
    assert [chunk async for chunk in pool.stream(counting)] == [0, 1, 2]
    await pool.close()


async def test_work_that_nobody_waits_for_never_starts() -> None:
    pool = workers(threads=1, queue=1)
    first, second = Endless(), Endless()
    running = pool.stream(first)
    await anext(running)
    waiting = asyncio.create_task(anext(pool.stream(second)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await running.aclose()
    await pool.close()
    assert not second.started.is_set()


async def test_closing_the_workers_ends_running_and_waiting_requests() -> None:
    pool = workers(threads=1, queue=1)
    running = pool.stream(Endless())
    await anext(running)
    waiting = asyncio.create_task(anext(pool.stream(counting)))
    rest = asyncio.create_task(anext(running))
    await asyncio.sleep(0)
    await pool.close()
    for task in (rest, waiting):
        with pytest.raises(Cancelled):
            await asyncio.wait_for(task, TIMEOUT_SECONDS)
    with pytest.raises(ShuttingDown):
        await anext(pool.stream(counting))


async def test_callers_take_turns() -> None:
    pool = workers(threads=1, queue=15)
    order: list[str] = []

    def noting(name: str) -> Callable[[IsCancelled], Iterator[int]]:
        def produce(_: IsCancelled) -> Iterator[int]:
            order.append(name)
            yield 0

        return produce

    async def ask(name: str) -> None:
        async for _ in pool.stream(noting(name), caller=name[0]):
            pass

    endless = Endless()
    running = pool.stream(endless, caller="a")
    assert await anext(running) == 0
    await asyncio.to_thread(endless.goes_on.wait, TIMEOUT_SECONDS)  # it has the thread again, and no turn to come
    asked = [asyncio.create_task(ask(name)) for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1")]
    await asyncio.sleep(0.05)
    await running.aclose()
    await asyncio.wait_for(asyncio.gather(*asked), TIMEOUT_SECONDS)
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]
    await pool.close()


async def test_one_caller_leaves_places_for_others() -> None:
    pool = workers(threads=1, queue=7)
    running = pool.stream(Endless(), caller="a")
    assert await anext(running) == 0
    waiting = [asyncio.create_task(anext(pool.stream(counting, caller="a"))) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Busy, match="6 requests of yours are running or waiting"):
        await anext(pool.stream(counting, caller="a"))
    other = asyncio.create_task(anext(pool.stream(counting, caller="b")))
    await running.aclose()
    assert await asyncio.wait_for(other, TIMEOUT_SECONDS) == 0
    for task in waiting:
        assert await asyncio.wait_for(task, TIMEOUT_SECONDS) == 0
    await pool.close()


async def test_one_caller_leaves_threads_for_others() -> None:
    pool, floods = workers(threads=4, queue=12), [Endless() for _ in range(5)]
    running = [asyncio.create_task(anext(pool.stream(flood, caller="flood"))) for flood in floods]
    await asyncio.wait_for(asyncio.gather(*running[:3]), TIMEOUT_SECONDS)
    assert [chunk async for chunk in pool.stream(counting, caller="other")] == [0, 1, 2]
    assert sum(flood.started.is_set() for flood in floods) == 3
    await pool.close()
    await asyncio.gather(*running, return_exceptions=True)


async def test_a_long_job_lets_others_go_first_after_each_chunk() -> None:
    pool = workers(threads=1, queue=3)
    order: list[str] = []

    def noting(name: str, chunks: int) -> Callable[[IsCancelled], Iterator[int]]:
        def produce(_: IsCancelled) -> Iterator[int]:
            for number in range(chunks):
                order.append(f"{name}{number}")
                yield number

        return produce

    async def ask(name: str, chunks: int) -> list[int]:
        return [chunk async for chunk in pool.stream(noting(name, chunks), caller=name)]

    answers = await asyncio.wait_for(asyncio.gather(ask("long", 4), ask("short", 2)), TIMEOUT_SECONDS)
    assert answers == [[0, 1, 2, 3], [0, 1]]
    assert order == ["long0", "short0", "long1", "short1", "long2", "long3"]
    await pool.close()


async def test_what_is_not_read_is_not_made() -> None:
    pool = workers(threads=1, queue=4)
    made: list[int] = []

    def counting_up(_: IsCancelled) -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    slow = pool.stream(counting_up, caller="slow")
    assert await anext(slow) == 0
    assert [chunk async for chunk in pool.stream(counting, caller="quick")] == [0, 1, 2]  # the thread is free
    await asyncio.sleep(0.1)
    assert len(made) <= 1 + AHEAD
    rest = [chunk async for chunk in slow]
    assert rest == list(range(1, 100))
    await pool.close()


async def test_a_reader_that_leaves_while_its_job_rests_frees_its_place() -> None:
    pool = workers(threads=1, queue=0)
    stream = pool.stream(lambda _: iter(range(100)))
    assert await anext(stream) == 0
    await asyncio.sleep(0.1)
    assert pool.busy
    await stream.aclose()
    assert not pool.busy
    assert [chunk async for chunk in pool.stream(counting)] == [0, 1, 2]
    await pool.close()


async def test_closing_tells_readers_whose_jobs_rest() -> None:
    pool = workers(threads=1, queue=0)
    stream = pool.stream(lambda _: iter(range(100)))
    assert await anext(stream) == 0
    await asyncio.sleep(0.1)
    await pool.close()
    with pytest.raises(Cancelled):
        _ = [chunk async for chunk in stream]
