"""The watchdog: what a list shows, a watch must have delivered within a minute."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from voice_operator.cluster import watchdog as watchdog_module
from voice_operator.cluster.watchdog import DELIVERY_TIMEOUT_SECONDS, Watchdog
from voice_operator.errors import WatchStalled

Step = Callable[[Watchdog], object]


class Clock:
    """A monotonic clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def an_object(version: int, name: str) -> dict[str, Any]:
    return {"metadata": {"namespace": "studio", "name": name, "resourceVersion": str(version)}}


def listed(version: int, name: str = "alice") -> Step:
    return lambda watchdog: watchdog.listed("VoiceModel", an_object(version, name))


def delivered(version: int, name: str = "alice", kind: Any = "VoiceModel") -> Step:
    return lambda watchdog: watchdog.delivered(kind, an_object(version, name))


@pytest.mark.parametrize(
    ("steps", "silent"),
    [
        pytest.param([], False, id="nothing happened"),
        pytest.param([delivered(5)], False, id="the watch was first"),
        pytest.param([listed(5), delivered(5)], False, id="the watch came later"),
        pytest.param([listed(5), delivered(7)], False, id="the watch delivered a newer state: the deletion, perhaps"),
        pytest.param([listed(5)], True, id="the watch never delivers it"),
        pytest.param([listed(5), delivered(4)], True, id="the watch delivers an older state"),
        pytest.param([listed(5), delivered(9, name="bob")], True, id="the watch delivers another object"),
        pytest.param([listed(5), delivered(9, kind="VoiceServer")], True, id="the watch of another kind delivers"),
        pytest.param([listed(5), listed(6), delivered(5)], False, id="a watch that is behind, and moves"),
    ],
)
def test_a_watch_is_silent_where(steps: list[Step], silent: bool) -> None:
    clock = Clock()
    watchdog = Watchdog(clock)
    for step in steps:
        step(watchdog)
    watchdog.check()
    clock.now += DELIVERY_TIMEOUT_SECONDS
    watchdog.check()
    clock.now += 0.1
    if not silent:
        watchdog.check()
        return
    with pytest.raises(WatchStalled, match="the watch has not delivered version 5 of VoiceModel studio/alice"):
        watchdog.check()


def test_an_object_that_changes_all_the_time_does_not_begin_the_wait_anew() -> None:
    clock = Clock()
    watchdog = Watchdog(clock)
    for version in range(5, 8):
        listed(version)(watchdog)
        clock.now += DELIVERY_TIMEOUT_SECONDS / 2
    with pytest.raises(WatchStalled):
        watchdog.check()


def test_it_looks_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog_module, "CHECK_SECONDS", 0.01)
    clock = Clock()
    watchdog = Watchdog(clock)

    async def scenario() -> None:
        task = asyncio.create_task(watchdog.run())
        await asyncio.sleep(0.05)
        assert not task.done()
        listed(5)(watchdog)
        clock.now += 61
        with pytest.raises(WatchStalled):
            await asyncio.wait_for(task, timeout=1)

    asyncio.run(scenario())
