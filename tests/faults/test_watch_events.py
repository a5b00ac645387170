"""Watches that lose an event, say nothing, end, or fail: an event is only ever a hint."""

import threading
from typing import Any

import pytest
from tests.faults.lab import RESYNC_SECONDS, REVOCATION_SECONDS, SERVER, Lab
from tests.faults.life import Life, live_like
from tests.faults.rules import Answer, LostEvents, Rule, concerns
from tests.support.voices import make_server

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

NEVER = 0  # counts, and loses nothing
READY_SECONDS = RESYNC_SECONDS + 60
LIVENESS_SECONDS = 180  # a silent watch is noticed, the pod is restarted, and it starts
WATCHED = ("voicemodels", "voicerevisions", "voiceservers", "jobs", "deployments")


def test_any_single_event_of_a_voice_may_be_lost(scenario: Any) -> None:
    lab = scenario.lab()
    count = events_of_a_life(lab)
    assert count > 10
    voices = {f"lost{number:03}": number for number in range(1, count + 3, scenario.repetitions.every)}
    losses = {voice: LostEvents(where=concerns(voice), nth=number) for voice, number in voices.items()}
    with lab.proxy.faults(*losses.values()):
        for voice in voices:
            lab.apply(voice)
        for seconds in lab.seconds_until_each([*voices], lambda: lab.are_ready([*voices]), READY_SECONDS).values():
            scenario.took(seconds)
        for voice in voices:
            lab.revoke(voice)
        gone = lab.seconds_until_each([*voices], lambda: lab.unlisted([*voices]), REVOCATION_SECONDS)
    for seconds in gone.values():
        scenario.took(seconds)
    assert sum(loss.lost for loss in losses.values()) >= len(losses) / 2, "lives have about as many events as the first"


def events_of_a_life(lab: Lab) -> int:
    counter = LostEvents(where=concerns("first"), nth=NEVER)
    with lab.proxy.faults(counter):
        lab.apply("first")
        lab.until_ready("first")
        lab.revoke("first")
        lab.until_gone("first")
        lab.until_quiet()
    return counter.fitted


@pytest.mark.parametrize("number", range(1, 7))
def test_any_single_event_of_a_server_may_be_lost(scenario: Any, number: int) -> None:
    lab = scenario.lab(resyncSeconds=20)
    lab.inference.servers = [SERVER, "another"]

    def about_another(event: Any) -> bool:
        return bool(event["object"]["metadata"]["name"] == "another")

    with lab.proxy.faults(LostEvents(where=about_another, nth=number)):
        lab.client.apply(make_server("another", lab.namespace))
        lab.apply("guest", serving={"server": "another"})
        scenario.took(lab.until_ready("guest", seconds=120))
        lab.client.delete("voiceservers", "another")
        gone = lab.seconds_until("the voice to be not Ready", lambda: not lab.is_ready("guest"), 60)
    scenario.took(gone)


def test_a_deletion_that_no_event_tells_is_repaired_by_the_resync(scenario: Any) -> None:
    lab = scenario.lab(resyncSeconds=20)
    for voice in ("kept", "deleted"):
        lab.apply(voice)
    lab.seconds_until("both to be Ready", lambda: len(lab.are_ready(["kept", "deleted"])) == 2, 60)
    loss = LostEvents(where=concerns("deleted"))  # its children go too, and would tell
    with lab.proxy.faults(loss):
        lab.delete("deleted")
        scenario.took(lab.until_gone("deleted"))
    assert loss.lost
    assert lab.lists("kept")


@pytest.mark.parametrize("kind", [*WATCHED, "every kind"])
def test_a_watch_that_stays_open_and_says_nothing_is_noticed(scenario: Any, kind: str) -> None:
    lab = scenario.lab()
    lab.apply("served")
    lab.until_ready("served")
    with lab.proxy.silent_watches(None if kind == "every kind" else (kind,)):
        lab.revoke("served")
        scenario.took(lab.until_gone("served"))
        lab.apply("new")
        scenario.took(lab.until_ready("new", seconds=max(LIVENESS_SECONDS, READY_SECONDS)))


def test_every_watch_ends_again_and_again(scenario: Any, faultless: Life) -> None:
    live_with_broken_watches(scenario, faultless, status=0, reason="")


@pytest.mark.parametrize(("status", "reason"), [(410, "Expired"), (500, "InternalError"), (403, "Forbidden")])
def test_every_watch_fails_again_and_again(scenario: Any, faultless: Life, status: int, reason: str) -> None:
    live_with_broken_watches(scenario, faultless, status, reason)


def live_with_broken_watches(scenario: Any, faultless: Life, status: int, reason: str) -> None:
    lab = scenario.lab()
    broken = threading.Event()

    def break_watches() -> None:
        while not broken.wait(2):
            lab.proxy.end_watches(status, reason)

    breaker = threading.Thread(target=break_watches)
    breaker.start()
    try:
        scenario.took(live_like(faultless, lab, "brokenwatch"))
    finally:
        broken.set()
        breaker.join()


@pytest.mark.parametrize("status", [410, 429, 500])
def test_no_watch_can_be_opened_for_a_while(scenario: Any, status: int) -> None:
    lab = scenario.lab()
    lab.apply("served")
    lab.until_ready("served")
    refused = Rule(Answer(status, "Refused", retry_after=1 if status == 429 else None), verbs=("watch",))
    with lab.proxy.faults(refused):
        lab.proxy.end_watches()
        lab.revoke("served")
        scenario.took(lab.until_gone("served"))
    lab.apply("afterwards")
    scenario.took(lab.until_ready("afterwards", seconds=READY_SECONDS))
    assert refused.applied
    assert not lab.lists("served"), f"{SERVER} lists it again"
