"""Which revisions go, and when a voice counts as unused: tables of what is observed and what follows."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from tests.operator.reconcile.scenes import DIGEST, HASH, a_voice

from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.reconcile.observed import (
    LoadedVoice,
    Observed,
    ObservedRevision,
    ObservedServer,
    PodVoices,
    RevisionRecord,
)
from voice_operator.reconcile.retention import surplus, use_of

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
TODAY = "2026-11-23"
SINCE = "2026-01-01T00:00:00Z"


def ago(days: int) -> str:
    return (NOW - timedelta(days=days)).date().isoformat()


def revisions(*about: dict[str, Any]) -> tuple[ObservedRevision, ...]:
    """Revisions r1, r2, …, each a day younger than the one before."""
    return tuple(
        replace(
            ObservedRevision(f"r{number}", f"{number:064d}", "tiny", "s3://voices/x", DIGEST, state="Superseded"),
            record=RevisionRecord(created=NOW - timedelta(days=100 - number)),
            **one,
        )
        for number, one in enumerate(about, 1)
    )


@pytest.mark.parametrize(
    ("about", "keep", "protected", "last_good", "gone"),
    [
        pytest.param([{}] * 5, 5, {"r5"}, "r5", set(), id="as many as are kept"),
        pytest.param([{}] * 7, 5, {"r7"}, "r7", {"r1", "r2"}, id="the oldest ones beyond that"),
        pytest.param([{}] * 7, 2, {"r7"}, "r7", {"r1", "r2", "r3", "r4", "r5"}, id="a rollback keeps its target"),
        pytest.param([{}] * 5, 2, {"r5", "r1"}, "r5", {"r2", "r3"}, id="a pinned one stays, however old"),
        pytest.param([{}] * 5, 2, {"r2"}, "r2", {"r1"}, id="what is newer than the served one stays"),
        pytest.param([{}] * 5, 2, {"r1"}, "r1", set(), id="all of it, where the oldest one is served"),
        pytest.param([{}] * 5, 2, set(), None, set(), id="all, where nothing was ever served"),
        pytest.param([{}] * 5, 2, set(), "gone", set(), id="or what was served is not known any more"),
        pytest.param(
            [{"reviewed": ("Waiting", "0/1")}, {}, {}, {}, {}],
            2,
            {"r5"},
            "r5",
            {"r2", "r3"},
            id="what is reviewed",
        ),
        pytest.param([{"reviewed": ("Rejected", "0/1")}, {}, {}], 2, {"r3"}, "r3", {"r1"}, id="not what was rejected"),
        pytest.param([{"legal_hold": True}, {}, {}, {}], 2, {"r4"}, "r4", {"r2"}, id="what is on legal hold"),
        pytest.param([{"deleting": True}, {}, {}, {}], 2, {"r4"}, "r4", {"r2"}, id="what goes already"),
    ],
)
def test_the_revisions_that_are_too_many(
    about: list[dict[str, Any]], keep: int, protected: set[str], last_good: str | None, gone: set[str]
) -> None:
    assert surplus(revisions(*about), keep, protected=protected, last_good=last_good) == gone


def a_pod(last_used: str = "", since: str = SINCE, *, ready: bool = True) -> PodVoices:
    loaded = LoadedVoice("alice-3fa9c2d1", DIGEST, "ready", last_used=last_used)
    return PodVoices("p", ready=ready, voices={"studio/alice": loaded}, since=since)


def observe(last_used: str | None, *pods: PodVoices, uncounted: str = "", request: str = "", **spec: Any) -> Observed:
    status = VoiceModelStatus(observed_generation=3, last_used=last_used, server="voice-system/default")
    server = ObservedServer("voice-system", "default", "tiny", 1, "http://x", pods, uncounted=uncounted)
    return Observed(a_voice(status, request, **spec), input_hash=HASH, server=server, serving_server=server)


@pytest.mark.parametrize(
    ("observed", "busy", "last"),
    [
        pytest.param(observe(None), False, TODAY, id="a voice from before this was recorded was used today"),
        pytest.param(observe(ago(50), a_pod()), False, ago(50), id="a pod that nobody asked tells nothing"),
        pytest.param(observe(ago(50), a_pod(ago(3)), a_pod(ago(9))), False, ago(3), id="the last request of all pods"),
        pytest.param(observe(ago(50), a_pod(ago(60))), False, ago(50), id="what is recorded is never taken back"),
        pytest.param(observe(ago(50), a_pod("2999-01-01")), False, TODAY, id="a pod's clock may be ahead"),
        pytest.param(observe(ago(50), a_pod("yesterday")), False, ago(50), id="what is no day says nothing"),
        pytest.param(observe(ago(50), a_pod(ago(9), ready=False)), False, ago(9), id="a pod that ends tells the last"),
        pytest.param(observe(ago(50), uncounted=ago(7)), False, ago(7), id="a pod that died untold"),
        pytest.param(observe(ago(50)), True, TODAY, id="what is trained or reviewed is in use"),
        pytest.param(observe(ago(50), request="1"), False, TODAY, id="so is what somebody asks to train again"),
    ],
)
def test_the_last_use(observed: Observed, busy: bool, last: str) -> None:
    assert use_of(observed, NOW, busy=busy).last == date.fromisoformat(last)


def test_an_edit_is_a_use() -> None:
    observed = observe(ago(50))
    edited = replace(observed, voice=replace(observed.voice, generation=4))
    assert use_of(edited, NOW, busy=False).last == NOW.date()


@pytest.mark.parametrize(
    ("observed", "unused", "soon"),
    [
        pytest.param(observe(ago(83), a_pod()), False, False, id="in use"),
        pytest.param(observe(ago(84), a_pod()), False, True, id="told seven days ahead"),
        pytest.param(observe(ago(90), a_pod()), False, True, id="kept for 90 whole days"),
        pytest.param(observe(ago(91), a_pod()), True, False, id="and then no longer"),
        pytest.param(observe(ago(91), a_pod(ago(1))), False, False, id="unless somebody asks for it"),
        pytest.param(observe(ago(91), a_pod(), request="1"), False, False, id="or for another training"),
        pytest.param(observe(ago(91), retention={"unusedDays": 200}), False, False, id="or wants it kept for longer"),
        pytest.param(observe(ago(900), retention={"legalHold": True}), False, False, id="a legal hold keeps it"),
        pytest.param(observe(ago(900), serving={"pin": "r1"}), False, False, id="so does a pin"),
        pytest.param(observe(ago(900), a_pod(since="")), False, True, id="and a pod that does not tell"),
        pytest.param(observe(ago(900), a_pod(since="", ready=False)), True, False, id="but not an unready one"),
        pytest.param(observe(ago(1), retention={"unusedDays": 1}), False, True, id="told a day ahead at least"),
        pytest.param(observe(ago(2), retention={"unusedDays": 1}), True, False, id="the shortest time"),
    ],
)
def test_when_a_voice_is_unused(observed: Observed, unused: bool, soon: bool) -> None:
    use = use_of(observed, NOW, busy=False)
    assert (use.unused, use.unused_soon) == (unused, soon)
