"""The operator dies after any single effect, with the effect's answer lost, and is started again."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.faults.lab import Lab
from tests.faults.life import Life, live_like
from tests.faults.rules import LEASES, WRITES, Call, Request, Rule

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

LABS = 2  # each has an operator of its own; the machine has as many cores
MAX_WRITES = 400  # in a life; far more than there are


def is_effect(request: Request) -> bool:
    return request.resource != LEASES


def test_a_crash_after_any_single_effect_changes_nothing(scenario: Any, faultless: Life) -> None:
    numbers = iter(range(1, MAX_WRITES, scenario.repetitions.every))
    lock, finished = threading.Lock(), threading.Event()

    def live(lab: Lab) -> None:
        while not finished.is_set():
            with lock:
                number = next(numbers)
            crash = Rule(Call(lab.operator.kill), verbs=WRITES, where=is_effect, nth=number)
            with lab.proxy.faults(crash):
                seconds = live_like(faultless, lab, f"crash{number:03}")
            if crash.applied:
                scenario.took(seconds)
            else:
                finished.set()  # a life has fewer effects

    labs = [scenario.lab() for _ in range(LABS)]
    with ThreadPoolExecutor(LABS) as pool:
        for outcome in [pool.submit(live, lab) for lab in labs]:
            outcome.result()
    assert finished.is_set()


def test_a_crash_at_the_first_write_of_every_object_changes_nothing(scenario: Any, faultless: Life) -> None:
    lab = scenario.lab()
    crash = Rule(Call(lab.operator.kill), verbs=WRITES, where=is_effect, once_per_target=True)
    with lab.proxy.faults(crash):
        scenario.took(live_like(faultless, lab, "oftendead"))
    assert crash.applied > len(faultless)
    assert lab.operator.starts > len(faultless)


@pytest.mark.parametrize("moment", ["while it trains", "after a revocation"])
def test_a_crash_loop_ends_well(scenario: Any, moment: str) -> None:
    """The operator is killed again and again, each time a little later after its start."""
    lab = scenario.lab()
    if moment == "after a revocation":
        lab.apply("looping")
        lab.until_ready("looping")
        lab.operator.kill()
        lab.revoke("looping")
    else:
        lab.apply("looping")
    started = time.monotonic()
    for kills in range(8):
        time.sleep(0.5 * kills)
        lab.operator.kill()
    if moment == "after a revocation":
        lab.until_gone("looping")
    else:
        lab.until_ready("looping")
    scenario.took(time.monotonic() - started)
