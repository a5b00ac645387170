"""Threads for calls that block, shared fairly between namespaces: none of them can occupy all threads."""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

Result = TypeVar("Result")


class FairThreads:
    """So many threads; of one namespace's calls at most ``share`` run at a time, and namespaces take turns."""

    def __init__(self, name: str, threads: int, share: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._free = threads
        self._share = share
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}  # by namespace, whose turn is next first
        self._calls: set[Future[Any]] = set()  # that run

    async def run(
        self, namespace: str, call: Callable[[], Result], on_turn: Callable[[], None] = lambda: None
    ) -> Result:
        """Run a call in a thread; ``on_turn`` is called when one is free for it, and may raise to do without.

        Whoever stops waiting leaves the call running, and it counts until it has ended.
        """
        await self._turn(namespace)
        try:
            on_turn()
        except BaseException:
            self._leave(namespace)
            raise
        loop = asyncio.get_running_loop()

        def ended(_: Future[Result]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(self._leave, namespace)

        work = self._pool.submit(call)
        work.add_done_callback(ended)
        self._calls.add(work)
        work.add_done_callback(self._calls.discard)
        return await asyncio.wrap_future(work)

    async def finish(self, seconds: float) -> None:
        """Wait until no call runs, for so many seconds at most."""
        await asyncio.to_thread(wait, tuple(self._calls), seconds)

    def close(self) -> None:
        """Let the threads end."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, namespace: str) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(namespace, deque()).append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # its turn came at the same moment
                self._leave(namespace)
            raise

    def _leave(self, namespace: str) -> None:
        self._free += 1
        self._running -= Counter({namespace: 1})  # without what has become 0
        self._admit()

    def _admit(self) -> None:
        """Give free threads to those that wait."""
        while self._free:
            admitted = next((one for one in self._waiting if self._running[one] < self._share), None)
            if admitted is None:
                return
            waiting = self._waiting.pop(admitted)
            turn = waiting.popleft()
            if waiting:
                self._waiting[admitted] = waiting  # behind the others
            if not turn.cancelled():
                self._free -= 1
                self._running[admitted] += 1
                turn.set_result(None)
