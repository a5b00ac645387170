"""The line for the slots: who asks, who is called, and that nobody who vanishes holds it up."""

from datetime import UTC, datetime, timedelta

import pytest

from voice_operator.admission import Admission
from voice_operator.reconcile.admission import Place
from voice_operator.reconcile.names import Key

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
A1, A2, A3, B1 = (Key("VoiceModel", name[0], name[1]) for name in ("a1", "a2", "a3", "b1"))


class Line(Admission):
    """An admission that remembers whom it called."""

    def __init__(self, limit: int) -> None:
        self.called: list[Key] = []
        super().__init__(limit, self.called.append)

    def ask(self, key: Key, *running: Key, minute: int = 0) -> Place | None:
        return self.request(key, NOON + timedelta(minutes=minute), running)


@pytest.fixture
def one() -> Line:
    return Line(1)


def test_a_voice_waits_with_its_place_in_the_line(one: Line) -> None:
    assert one.ask(A1) is None
    assert one.ask(A2, A1) == Place(1, running=1, limit=1)
    assert one.ask(A3, A1, minute=1) == Place(2, running=1, limit=1)
    assert one.ask(B1, A1, minute=2) == Place(1, running=1, limit=1), "its namespace has none"
    assert one.called == []


def test_a_job_that_is_not_yet_listed_counts(one: Line) -> None:
    assert one.ask(A1) is None
    assert one.ask(A2) == Place(1, running=1, limit=1)


def test_asking_again_keeps_the_place(one: Line) -> None:
    one.ask(A1)
    one.ask(A2, A1, minute=1)
    one.ask(A3, A1, minute=2)
    assert one.ask(A2, A1, minute=3) == Place(1, running=1, limit=1)


def test_a_free_slot_calls_the_next_at_once(one: Line) -> None:
    one.ask(A1)
    one.ask(A2, A1, minute=1)
    one.ask(A3, A1, minute=2)
    one.settle(A1, running=True)
    assert one.called == []
    one.settle(A1, running=False)
    assert one.called == [A2]
    assert one.ask(A2) is None


def test_who_asks_out_of_turn_waits_and_calls_who_is_next(one: Line) -> None:
    one.ask(A1)
    one.ask(A2, A1, minute=1)
    assert one.ask(A3, minute=2) == Place(2, running=1, limit=1), "A1 is not listed, but has not been seen to end"
    one.settle(A1, running=False)
    one.called.clear()
    assert one.ask(A3, minute=2) == Place(2, running=0, limit=1)
    assert one.called == [A2]


@pytest.mark.parametrize("admitted", [False, True], ids=["before its turn", "after it was admitted"])
def test_a_voice_that_vanishes_passes_its_turn_on(one: Line, admitted: bool) -> None:
    one.ask(A1)
    one.ask(A2, A1, minute=1)
    one.ask(A3, A1, minute=2)
    one.settle(A1, running=False)
    if admitted:
        assert one.ask(A2) is None
    one.called.clear()
    one.settle(A2, running=False)
    assert one.called == [A3]
    assert one.ask(A3) is None


def test_a_voice_that_never_waited_calls_nobody(one: Line) -> None:
    one.ask(A1)
    one.ask(A2, A1)
    one.settle(B1, running=False)
    assert one.called == []


def test_a_training_that_started_without_asking_counts(one: Line) -> None:
    one.settle(B1, running=True)
    assert one.ask(A1, B1) == Place(1, running=1, limit=1)


def test_several_slots_that_become_free_call_several_voices() -> None:
    two = Line(2)
    assert two.ask(A1) is None
    assert two.ask(A2, A1) is None
    two.ask(A3, A1, A2)
    two.ask(B1, A1, A2, minute=1)
    two.settle(A1, running=False)
    two.settle(A2, running=False)
    assert set(two.called) == {A3, B1}
    assert two.ask(A3) is None
    assert two.ask(B1, A3) is None
