"""Threads are shared fairly: whoever blocks many of them blocks only his own calls."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

from voice_operator.cluster.threads import FairThreads


def run(scenario: Callable[[FairThreads, threading.Event], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario with four threads, two of them for one namespace, and what ends the calls that hang."""

    async def whole() -> None:
        threads, end = FairThreads("test", 4, share=2), threading.Event()
        try:
            await asyncio.wait_for(scenario(threads, end), timeout=5)
        finally:
            end.set()
            threads.close()

    asyncio.run(whole())


def test_calls_that_hang_take_no_thread_from_another_namespace() -> None:
    async def scenario(threads: FairThreads, end: threading.Event) -> None:
        hanging = [asyncio.create_task(threads.run("team-a", lambda: end.wait(5))) for _ in range(100)]
        await asyncio.sleep(0.05)
        assert [await threads.run("team-b", lambda: "done") for _ in range(3)] == ["done"] * 3
        end.set()
        await asyncio.gather(*hanging)

    run(scenario)


def test_a_call_counts_until_it_has_ended_and_not_until_nobody_waits_for_it() -> None:
    async def scenario(threads: FairThreads, end: threading.Event) -> None:
        for _ in range(3):
            try:
                async with asyncio.timeout(0.05):
                    await threads.run("team-a", lambda: end.wait(5))
            except TimeoutError:
                continue
        late = asyncio.create_task(threads.run("team-a", lambda: "done"))
        await asyncio.sleep(0.05)
        assert not late.done(), "both threads of the namespace still hang"
        assert await threads.run("team-b", lambda: "done") == "done"
        end.set()
        assert await late == "done"

    run(scenario)


def test_namespaces_take_turns() -> None:
    async def scenario(threads: FairThreads, _: threading.Event) -> None:
        order: list[str] = []

        def call(namespace: str) -> Callable[[], None]:
            def work() -> None:
                order.append(namespace)
                time.sleep(0.01)

            return work

        many = [threads.run(one, call(one)) for one in ("a", "b", "c") for _ in range(10)]
        await asyncio.gather(*many, threads.run("d", call("d")))
        assert "d" in order[:8], "not behind the 30 that came before"

    run(scenario)


def test_a_call_that_fails_frees_its_thread() -> None:
    async def scenario(threads: FairThreads, _: threading.Event) -> None:
        def fail() -> None:
            raise ValueError("no")

        found = await asyncio.gather(*(threads.run("team-a", fail) for _ in range(10)), return_exceptions=True)
        assert all(isinstance(one, ValueError) for one in found)

    run(scenario)
