"""Who may start: running trainings by namespace and the waiting ones on the left, those that start on the right."""

from datetime import UTC, datetime, timedelta

import pytest

from voice_operator.reconcile.admission import Waiting, grant, line

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


def test_the_line_does_not_depend_on_the_order_in_which_it_is_given() -> None:
    voices = waiting("a/1", "b/1", "a/2", "c/1", "b/2", "a/3")
    assert line({"b": 1}, voices) == line({"b": 1}, voices[::-1])


def test_nobody_waits_for_ever_while_slots_become_free() -> None:
    """One namespace asks all the time; the other's voice starts with the next free slot."""
    crowd = waiting(*(f"a/{number}" for number in range(50)), "b/1")
    assert line({"a": 1}, crowd)[0].namespace == "b"
