"""Who may start: running trainings by namespace and the waiting ones on the left, those that start on the right."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import StageStatus, VoiceModelStatus
from voice_operator.reconcile.admission import Place, Waiting, grant, hold, holds_slot, line, needs_slot, waits_since
from voice_operator.reconcile.decide import Action, Decision
from voice_operator.reconcile.effects import SetRevisionState, StartJob
from voice_operator.reconcile.observed import Observed, ObservedJob, Voice
from voice_operator.reconcile.view import View, view_of

HASH = "3fa9c2d1" * 8
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def waiting(*voices: str) -> list[Waiting]:
    """Voices by namespace/name; each began to wait a minute after the one before."""
    return [Waiting(NOON + timedelta(minutes=minute), *voice.split("/", 1)) for minute, voice in enumerate(voices)]


@pytest.mark.parametrize(
    ("running", "in_line", "limit", "started"),
    [
        pytest.param({}, ["a/1"], 1, ["a/1"], id="a free slot"),
        pytest.param({"a": 1}, ["a/1"], 1, [], id="no free slot"),
        pytest.param({"a": 3}, ["a/1"], 2, [], id="fewer slots than before"),
        pytest.param({}, [], 2, [], id="nobody waits"),
        pytest.param({}, ["a/1", "a/2", "a/3"], 2, ["a/1", "a/2"], id="in the order in which they came"),
        pytest.param({"a": 1}, ["a/1", "b/1"], 2, ["b/1"], id="a namespace that has none goes first"),
        pytest.param(
            {}, ["a/1", "a/2", "a/3", "b/1"], 2, ["a/1", "b/1"], id="what starts now counts for its namespace at once"
        ),
        pytest.param({"a": 1, "b": 1}, ["b/1", "a/1"], 3, ["b/1"], id="among equals, who waits longest"),
        pytest.param(
            {"a": 2},
            ["a/1", "b/1", "b/2", "b/3", "c/1"],
            6,
            ["b/1", "c/1", "b/2", "a/1"],
            id="namespaces catch up before those with more go on",
        ),
    ],
)
def test_grant(running: dict[str, int], in_line: list[str], limit: int, started: list[str]) -> None:
    granted = grant(running, waiting(*in_line), limit)
    assert [f"{voice.namespace}/{voice.name}" for voice in granted] == started


def a_view(*jobs: ObservedJob, started_at: str | None = None) -> View:
    spec = {
        "language": "en",
        "dataset": {"uri": "s3://voices/alice"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    stages = (StageStatus(name="prepare", state="Succeeded"), StageStatus(name="train", started_at=started_at))
    status = VoiceModelStatus(input_hash=HASH, stages=stages)
    voice = Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(spec), status)
    return view_of(Observed(voice, input_hash=HASH, jobs=jobs), NOON)


@pytest.mark.parametrize(
    ("job", "holds"),
    [
        pytest.param(ObservedJob("j", "train", 1, HASH), True, id="a training"),
        pytest.param(ObservedJob("j", "evaluate", 1, HASH), True, id="an evaluation"),
        pytest.param(ObservedJob("j", "train", 1, "0" * 64), True, id="one of an earlier input until it is gone"),
        pytest.param(ObservedJob("j", "train", 1, HASH, suspended=True), False, id="not a suspended one"),
        pytest.param(ObservedJob("j", "prepare", 1, HASH), False, id="not a preparation"),
        pytest.param(ObservedJob("j", "train", 1, HASH, state="Failed"), False, id="nothing that has ended"),
    ],
)
def test_what_holds_a_slot(job: ObservedJob, holds: bool) -> None:
    assert holds_slot(a_view(job)) is holds


def test_a_training_that_has_begun_keeps_its_place() -> None:
    assert waits_since(a_view()) == NOON
    assert waits_since(a_view(started_at="2026-11-23T06:00:00Z")) == NOON.replace(hour=6)


def test_only_trainings_need_a_slot_and_only_their_start_is_held_back() -> None:
    hold_state = SetRevisionState("alice-1", "Superseded", legal_hold=False)
    start = StartJob("train", 1)
    action = Action("Training", "Training", "train starts", (start, hold_state), requeue_after=3)
    assert needs_slot(Decision(a_view(), action)) is start
    assert needs_slot(Decision(a_view(), replace(action, effects=(StartJob("prepare", 1), hold_state)))) is None
    held = hold(action, start, Place(number=2, running=4, limit=4))
    assert (held.phase, held.reason, held.effects, held.requeue_after) == (
        "Training",
        "WaitingForSlot",
        (hold_state,),
        None,
    )
    assert held.message == (
        "train is number 2 in line for a slot: 4 of 4 are taken (chart value operator.maxConcurrentTrainings)"
    )


def test_the_line_does_not_depend_on_the_order_in_which_it_is_given() -> None:
    voices = waiting("a/1", "b/1", "a/2", "c/1", "b/2", "a/3")
    assert line({"b": 1}, voices) == line({"b": 1}, voices[::-1])


def test_nobody_waits_for_ever_while_slots_become_free() -> None:
    """One namespace asks all the time; the other's voice starts with the next free slot."""
    crowd = waiting(*(f"a/{number}" for number in range(50)), "b/1")
    assert line({"a": 1}, crowd)[0].namespace == "b"
