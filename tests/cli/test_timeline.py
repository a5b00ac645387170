"""Statuses become timelines, outcomes, rows, differences and summaries; as tables, without a cluster."""

from datetime import UTC, datetime
from typing import Any

import pytest

from voice_cli.dataset import Uploaded
from voice_cli.differences import differences_of
from voice_cli.git import Origin
from voice_cli.listing import rows_of
from voice_cli.outcomes import outcome_of
from voice_cli.push import Pushed
from voice_cli.reasons import all_reasons, remedy_for
from voice_cli.summary import Result, lines_of, markdown_of
from voice_cli.timeline import report_of
from voice_cli.times import age, duration

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
DONE = {"state": "Succeeded", "startedAt": "2026-11-30T11:00:00Z", "completedAt": "2026-11-30T11:02:05Z"}
RUNNING = {"state": "Running", "attempt": 2, "startedAt": "2026-11-30T11:58:00Z"}
FAILED = {"state": "Failed", "attempt": 1, "startedAt": "2026-11-30T11:00:00Z"}


def a_voice(phase: str, *conditions: tuple[str, str, str, str], generation: int = 1, **status: Any) -> dict[str, Any]:
    found = [
        {"type": kind, "status": value, "reason": reason, "message": text} for kind, value, reason, text in conditions
    ]
    metadata = {"name": "alice", "namespace": "studio", "generation": 1, "creationTimestamp": "2026-11-30T10:00:00Z"}
    known = {"phase": phase, "observedGeneration": generation, "conditions": found}
    spec = {"language": "en", "consent": {"holder": "Alice A."}}
    return {"kind": "VoiceModel", "metadata": metadata, "spec": spec, "status": known | status}


READY = ("Ready", "True", "Serving", "alice-1 is served")
NOT_READY = ("Ready", "False", "TooLittleSpeech", "41.2 s of speech found")
STALLED = ("Stalled", "True", "TooLittleSpeech", "41.2 s of speech found")
WAITING = ("Ready", "False", "AwaitingReview", "0 of 1 approvals")


@pytest.mark.parametrize(
    ("condition", "stage", "expected"),
    [
        (("Prepared", "True", "Succeeded", "done at 11:02"), DONE, ("done", "", 125.0, "")),
        (("Trained", "False", "Running", "alice-1-train-2 is running"), RUNNING, ("running", "", 120.0, "")),
        (
            ("Trained", "False", "WaitingForNode", "no node"),
            RUNNING,
            ("running", "WaitingForNode", 120.0, "scaled-to-zero"),
        ),
        (
            ("Prepared", "False", "TooLittleSpeech", "41.2 s"),
            FAILED,
            ("failed", "TooLittleSpeech", None, "Record more."),
        ),
        (("Evaluated", "False", "Pending", ""), {}, ("waiting", "", None, "")),
        (("Approved", "True", "NotRequired", ""), {}, ("skipped", "", None, "")),
        (
            ("ConsentValid", "False", "ConsentRevoked", "withdrawn"),
            {},
            ("failed", "ConsentRevoked", None, "new consent"),
        ),
        (("Serving", "False", "ServerNotFound", "no such"), {}, ("failed", "ServerNotFound", None, "Create it")),
    ],
)
def test_a_step(condition: tuple[str, str, str, str], stage: dict[str, Any], expected: tuple[Any, ...]) -> None:
    names = {"Prepared": "prepare", "Trained": "train", "Evaluated": "evaluate"}
    stages = [{"name": names[condition[0]], **stage}] if stage else []
    (step,) = report_of(a_voice("Training", condition, stages=stages), None, NOW).steps
    state, reason, seconds, remedy = expected
    assert (step.state, step.reason, step.seconds) == (state, reason, seconds)
    assert remedy in step.remedy
    assert bool(remedy) == bool(step.remedy)


def test_what_is_well_and_quiet_is_left_out() -> None:
    quiet = (("Allowed", "True", "Allowed", ""), ("Retained", "True", "Kept", ""))
    assert report_of(a_voice("Ready", *quiet), None, NOW).steps == ()


def test_a_voice_that_no_operator_has_seen_says_so() -> None:
    found = report_of({"metadata": {"name": "alice", "generation": 1}, "spec": {}}, None, NOW)
    assert (found.phase, found.up_to_date) == ("Pending", False)
    assert "kubectl voice doctor" in found.message


@pytest.mark.parametrize(
    ("voice", "expected"),
    [
        pytest.param(a_voice("Ready", READY), (True, "Ready"), id="ready"),
        pytest.param(a_voice("Ready", READY, generation=0), None, id="ready, of an earlier spec"),
        pytest.param(a_voice("Training", ("Ready", "False", "Training", "")), None, id="at work"),
        pytest.param(a_voice("Failed", NOT_READY, STALLED), (False, "Failed"), id="stalled"),
        pytest.param(a_voice("AwaitingReview", WAITING), (True, "AwaitingReview"), id="in the hands of people"),
        pytest.param(a_voice("Unused", ("Ready", "False", "Unused", "nobody")), (False, "Unused"), id="unused"),
    ],
)
def test_an_outcome(voice: dict[str, Any], expected: tuple[bool, str] | None) -> None:
    found = outcome_of(voice)
    assert (None if found is None else (found.good, found.phase)) == expected


def test_a_row_has_the_revisions_commit_and_not_the_specs() -> None:
    found = a_voice("Ready", READY, activeRevision="alice-1", scores={"pesq": "1"})
    found["spec"]["source"] = {"commit": "bbbbbbbbbbbb"}
    spec = {"source": {"commit": "aaaaaaaaaaaa"}, "evaluation": {"scores": {"pesq": "3.9", "stoi": "0.9"}}}
    revision = {"kind": "VoiceRevision", "metadata": {"name": "alice-1", "namespace": "studio"}, "spec": spec}
    (row,) = rows_of([revision, found], NOW)
    cells = row.cells(wide=False, everywhere=True)
    assert cells == ("studio", "alice", "Ready", "alice-1", "aaaaaaaa", "PESQ 3.9, STOI 0.9", "2h", "")


def test_scores_are_compared_by_their_intervals() -> None:
    def revision(**scores: str) -> dict[str, Any]:
        evaluation = {"scores": scores, "intervals": dict.fromkeys(scores, "0.05")}
        return {"metadata": {"name": "a"}, "spec": {"evaluation": evaluation, "training": {"epochs": len(scores)}}}

    found = differences_of(revision(pesq="3.5", stoi="0.80", wer="0.30"), revision(pesq="3.9", stoi="0.85", wer="0.50"))
    assert [(row.what, row.note) for row in found] == [
        ("score pesq", "better"),
        ("score stoi", "within the 95 % intervals"),
        ("score wer", "worse"),
    ]


def test_a_summary_marks_nothing_up_and_has_the_remedy() -> None:
    failed = a_voice(
        "Failed",
        ("Ready", "False", "TooLittleSpeech", "a|b <script>"),
        ("Stalled", "True", "TooLittleSpeech", "a|b <script>"),
    )
    uploaded = Uploaded("s3://voices/x", sent=9, skipped=0, bytes=1)
    pushed = Pushed("alice", "studio", "sha256:" + "a" * 64, uploaded, Origin(commit="c" * 40), {"spec": {}})
    results = [Result("alice", pushed, outcome_of(failed), failed), Result("bob", erasure="the folder is gone")]
    text = markdown_of(results)
    assert text.startswith("### Voices: 1 Failed, 1 deleted\n")
    assert "| alice | Failed |  | cccccccccccc |  |  | aaaaaaaaaaaa |  |" in text
    assert "**alice**: alice: TooLittleSpeech: a\\|b &lt;script&gt;" in text
    assert "→ Record more." in text
    assert "| bob | deleted |" in text
    assert lines_of(results)[1] == "bob: deleted: the folder is gone"
    assert markdown_of([]) == "### Voices\n\nNo voice was changed.\n"


def test_every_remedy_that_names_a_command_has_one(repository: Any) -> None:
    from voice_cli.commands.all import voice  # noqa: PLC0415 -- as the program imports it

    named = {
        reason.remedy.split("`kubectl voice ")[1].split()[0]
        for reason in all_reasons().values()
        if "`kubectl voice " in reason.remedy
    }
    assert named
    assert named <= set(voice.commands)
    assert remedy_for("AwaitingReview", "alice").startswith("`kubectl voice approve alice`")
    assert remedy_for("NoSuchReason", "alice") == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m00s"), (134, "2m14s"), (11100, "3h05m"), (1036800, "12d")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
    assert age("not a time", NOW) == ""
