"""So many compute at a time, steps in turn with everything else, and what is urgent first."""

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests.support.waiting import wait_for

from voice_inference.engine.lanes import Lanes, Rank

TIMEOUT_SECONDS = 60.0


class Crowd:
    """Threads that want a lane; who got one, in order."""

    def __init__(self, lanes: Lanes) -> None:
        self.lanes, self.order, self.threads = lanes, list[str](), list[threading.Thread]()

    def enter(self, name: str, turn: Callable[[], AbstractContextManager[None]], seconds: float = 0.0) -> None:
        """Let one more wait, and return once it does."""

        def compute() -> None:
            with turn():
                self.order.append(name)
                time.sleep(seconds)

        before = self.lanes.waiting
        self.threads.append(threading.Thread(target=compute, daemon=True))
        self.threads[-1].start()
        wait_for(f"{name} to wait", lambda: self.lanes.waiting > before, TIMEOUT_SECONDS)

    def join(self) -> list[str]:
        """Return the order once all have been inside."""
        for thread in self.threads:
            thread.join(TIMEOUT_SECONDS)
            assert not thread.is_alive()
        return self.order


def test_what_is_urgent_goes_first_and_the_rest_as_it_came() -> None:
    lanes = Lanes(1)
    crowd = Crowd(lanes)
    with lanes.run():
        for name in ("one", "two"):
            crowd.enter(name, lanes.run)
        crowd.enter("urgent", lambda: lanes.run(rank=Rank.SOUND))
    assert crowd.join() == ["urgent", "one", "two"]


def test_callers_get_the_same_time_however_much_they_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_inference.engine.lanes.QUANTUM", 0.04)
    lanes = Lanes(1)
    crowd = Crowd(lanes)
    with lanes.run("somebody"):
        for number in range(6):
            crowd.enter(f"flood {number}", lambda: lanes.run("flood", Rank.SOUND), seconds=0.05)
        for number in range(2):
            crowd.enter(f"other {number}", lambda: lanes.run("other"), seconds=0.05)
    places = [place for place, name in enumerate(crowd.join()) if name.startswith("other")]
    assert places[0] <= 1
    assert places[1] <= 4


def test_callers_who_have_had_about_the_same_come_in_their_order() -> None:
    lanes = Lanes(1)
    crowd = Crowd(lanes)
    with lanes.run("one"):
        time.sleep(0.1)
        crowd.enter("one again", lambda: lanes.run("one"))
        crowd.enter("two", lambda: lanes.run("two"))
        crowd.enter("two, urgent", lambda: lanes.run("two", Rank.SOUND))
    assert crowd.join() == ["two, urgent", "one again", "two"]


def steps(lanes: Lanes, order: list[str], count: int, seconds: float) -> threading.Thread:
    """Step so many times, with a moment after each."""

    def step() -> None:
        lane = lanes.steps()
        for number in range(count):
            with lane.step():
                order.append(f"step {number}")
                time.sleep(seconds)
            time.sleep(0.001)
        lane.close()

    thread = threading.Thread(target=step, daemon=True)
    thread.start()
    return thread


def test_steps_and_runs_get_the_same_time() -> None:
    lanes = Lanes(1)
    crowd = Crowd(lanes)
    with lanes.run():
        for number in range(2):
            crowd.enter(f"run {number}", lanes.run, seconds=0.2)
        crowd.threads.append(steps(lanes, crowd.order, 12, 0.02))
    order = crowd.join()
    # a run of 0.2 s is worth about ten steps of 0.02 s
    runs = [place for place, name in enumerate(order) if name.startswith("run")]
    assert 5 <= runs[1] - runs[0] - 1 <= 12


def test_nobody_saves_up_much_time_while_away() -> None:
    lanes = Lanes(1)
    with lanes.run():
        time.sleep(1.2)
    crowd = Crowd(lanes)
    with lanes.run():
        crowd.threads.append(steps(lanes, crowd.order, 60, 0.02))
        crowd.enter("run", lanes.run)
    assert "run" in crowd.join()[:40]


def test_what_is_missing_to_a_first_sound_goes_before_steps() -> None:
    lanes = Lanes(1)
    with lanes.run():
        time.sleep(0.3)  # so that steps may have as much
    crowd = Crowd(lanes)
    with lanes.run():
        crowd.threads.append(steps(lanes, crowd.order, 10, 0.01))
        crowd.enter("later", lanes.run)
        crowd.enter("start", lambda: lanes.run(rank=Rank.START))
        crowd.enter("sound", lambda: lanes.run(rank=Rank.SOUND))
    assert crowd.join()[:2] == ["sound", "start"]


def test_steps_give_their_lane_away_at_their_end() -> None:
    lanes, order = Lanes(1), list[str]()
    steps(lanes, order, 3, 0.0).join(TIMEOUT_SECONDS)
    with lanes.run():
        assert len(order) == 3


def test_as_many_compute_as_there_are_lanes() -> None:
    lanes, inside, most, lock = Lanes(3), 0, 0, threading.Lock()

    def compute(number: int) -> None:
        nonlocal inside, most
        lane = lanes.steps()
        with lane.step() if number % 2 else lanes.run():
            with lock:
                inside += 1
                most = max(most, inside)
            time.sleep(0.02)
            with lock:
                inside -= 1
        lane.close()

    threads = [threading.Thread(target=compute, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    assert most == 3


def test_an_error_frees_the_lane() -> None:
    lanes = Lanes(1)
    lane = lanes.steps()
    for turn in (lanes.run, lane.step, lane.step):
        with pytest.raises(ZeroDivisionError), turn():
            raise ZeroDivisionError
    lane.close()
    with lanes.run():
        pass


def test_steps_of_two_bases_take_turns() -> None:
    lanes, order, ready = Lanes(1), list[str](), threading.Barrier(2)

    def speak(base: str) -> None:
        lane = lanes.steps()
        ready.wait(TIMEOUT_SECONDS)
        for _ in range(20):
            with lane.step():
                order.append(base)
                time.sleep(0.005)
        lane.close()

    threads = [threading.Thread(target=speak, args=(base,), daemon=True) for base in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT_SECONDS)
    first = order[0]
    assert 20 - order[::-1].index(first) <= 1 or order.index("other" if first == "one" else "one") <= 5, order
    assert len(order) == 40
