"""Answers of the API server that are refusals, are lost, come late, or are not true any more."""

import time
from itertools import groupby, pairwise
from typing import Any

import pytest
from tests.faults.api_proxy import Entry
from tests.faults.lab import RESYNC_SECONDS, REVOCATION_SECONDS
from tests.faults.life import Life, live_like
from tests.faults.node import Hold
from tests.faults.rules import LEASES, READS, WRITES, Answer, Cut, Delay, Fault, Request, Rule, Stale

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

CONFLICT = Answer(409, "Conflict")
TOO_MANY = Answer(429, "TooManyRequests", retry_after=2)
BROKEN = Answer(500, "InternalError")
STALE_READS = 40  # of a voice; a life has more, but later ones repeat earlier ones
OUTAGE_SECONDS = 20.0
LAG_SECONDS = 10.0


def about_objects(request: Request) -> bool:
    return bool(request.resource) and request.resource != LEASES


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(CONFLICT, id="answered with 409"),
        pytest.param(TOO_MANY, id="answered with 429"),
        pytest.param(BROKEN, id="answered with 500"),
        pytest.param(Cut(after=False), id="cut before its effect"),
        pytest.param(Cut(after=True), id="cut after its effect"),
    ],
)
def test_every_write_fails_once(scenario: Any, faultless: Life, fault: Fault) -> None:
    lab = scenario.lab()
    rule = Rule(fault, verbs=WRITES, where=about_objects, once_per_target=True)
    with lab.proxy.faults(rule):
        scenario.took(live_like(faultless, lab, "refusedvoice"))
    assert rule.applied > len(faultless)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(TOO_MANY, id="answered with 429"),
        pytest.param(BROKEN, id="answered with 500"),
        pytest.param(Cut(after=True), id="cut"),
    ],
)
def test_every_read_fails_once(scenario: Any, faultless: Life, fault: Fault) -> None:
    lab = scenario.lab()
    rule = Rule(fault, verbs=READS, where=about_objects, once_per_target=True)
    with lab.proxy.faults(rule):
        scenario.took(live_like(faultless, lab, "unreadvoice"))
    assert rule.applied > len(faultless)


def test_nothing_is_asked_again_before_retry_after_is_over(scenario: Any) -> None:
    lab, pause = scenario.lab(), 3
    rule = Rule(Answer(429, "TooManyRequests", retry_after=pause), where=about_objects)
    lab.apply("before")
    lab.until_ready("before")
    with lab.proxy.faults(rule):
        lab.apply("throttled")
        lab.revoke("before")
        lab.seconds_until("requests", lambda: rule.applied >= 6, 60)
    scenario.took(lab.until_gone("before"))
    scenario.took(lab.until_ready("throttled"))
    assert too_early(lab.proxy.entries(), pause) == []


def too_early(entries: list[Entry], pause: float) -> list[str]:
    """Return the requests that came before the pause that the same request was told to make."""
    found = []
    by_target = sorted(entries, key=lambda entry: (entry.request.target, entry.at))
    for target, same in groupby(by_target, key=lambda entry: entry.request.target):
        series = list(same)
        for earlier, later in pairwise(series):
            if earlier.status == 429 and not earlier.reached and later.at - earlier.at < pause:
                found.append(f"{' '.join(target)} after {later.at - earlier.at:.2f} s")
    return found


def test_the_api_server_is_too_sick_to_answer_for_a_while(scenario: Any) -> None:
    lab = scenario.lab()
    lab.apply("served")
    lab.until_ready("served")
    with lab.proxy.faults(Rule(BROKEN)):
        lab.proxy.end_watches()
        lab.revoke("served")
        lab.apply("new")
        time.sleep(OUTAGE_SECONDS)
    scenario.took(OUTAGE_SECONDS + lab.until_gone("served", seconds=REVOCATION_SECONDS - OUTAGE_SECONDS))
    scenario.took(lab.until_ready("new", seconds=RESYNC_SECONDS + 60))


def test_every_answer_comes_late(scenario: Any, faultless: Life) -> None:
    lab = scenario.lab()
    with lab.proxy.faults(Rule(Delay(1.0), where=lambda request: request.verb != "watch")):
        scenario.took(live_like(faultless, lab, "latecomer"))


def test_any_single_read_of_a_voice_may_be_stale(scenario: Any) -> None:
    lab = scenario.lab()
    voices = {f"stale{number:03}": number for number in range(1, STALE_READS, scenario.repetitions.every)}

    def stale(voice: str, number: int) -> Rule:
        return Rule(Stale(back=1), verbs=READS, where=lambda request: request.concerns(voice), nth=number)

    rules = [stale(voice, number) for voice, number in voices.items()]
    with lab.proxy.faults(*rules):
        for voice in voices:
            lab.apply(voice)
        ready = lab.seconds_until_each([*voices], lambda: lab.are_ready([*voices]), RESYNC_SECONDS + 60)
        for voice in voices:
            lab.revoke(voice)
        gone = lab.seconds_until_each([*voices], lambda: lab.unlisted([*voices]), REVOCATION_SECONDS)
    for seconds in (*ready.values(), *gone.values()):
        scenario.took(seconds)


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate"])
def test_an_operator_that_restarts_reads_an_earlier_state_for_a_while(scenario: Any, stage: str) -> None:
    """Time travel, as from an API server that lags behind the one that was asked before."""
    lab, hold = scenario.lab(), Hold(stage)
    lab.node.plan = hold
    lab.apply("traveller")
    lab.until_running("traveller", stage)
    lab.until_quiet(quiet=1)
    frozen = Rule(Stale(), verbs=READS, where=about_objects)
    with lab.proxy.faults(frozen):
        hold.release()
        lab.seconds_until("the end of the Job", lambda: lab.has_finished("traveller", stage), 30)
        lab.operator.kill()
        time.sleep(LAG_SECONDS)
        lab.operator.kill()
    lab.operator.wait_until_ready()
    scenario.took(lab.until_ready("traveller"))
    assert frozen.applied
