"""Which alerts are due, under which key, and what is remembered of them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from voice_operator.api.conditions import Condition
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import AlertRecord, HubCopy, LastFailure, StageStatus, VoiceModelStatus
from voice_operator.reconcile.alerts import Outcome, due_alerts, is_settled, plain, recorded
from voice_operator.reconcile.events import events_between
from voice_operator.reconcile.observed import Voice

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
THEN = "2026-11-23T06:00:00Z"
HASH = "3fa9c2d1" * 8
GATES = "77" * 32
CONSENT = {"holder": "Alice A.", "statement": "I agree."}


def a_voice(generation: int = 3, **consent: Any) -> Voice:
    spec = {"language": "en", "base": "tiny", "dataset": {"uri": "s3://d/alice"}, "consent": CONSENT | consent}
    return Voice("studio", "alice", "uid", generation, VoiceModelSpec.model_validate(spec), VoiceModelStatus())


def a_status(
    reason: str,
    message: str = "why; remedy",
    *,
    stalled: bool = True,
    since: str = THEN,
    gates: tuple[str, str] = ("Passed", ""),
    **about: Any,
) -> VoiceModelStatus:
    def condition(kind: str, status: bool, reason: str, message: str) -> Condition:
        says = "True" if status else "False"
        return Condition(type=kind, status=says, reason=reason, message=message, last_transition_time=since)

    ready = reason == "Serving"
    working = not ready and not stalled
    conditions = (
        condition("Ready", ready, reason, message),
        condition("Reconciling", working, reason if working else "Idle", message),
        condition("Stalled", stalled, reason if stalled else "NotStalled", message),
        condition("GatesPassed", gates[0] == "Passed", *gates),
    )
    return VoiceModelStatus(**({"conditions": conditions, "input_hash": HASH} | about))


def refused(exit_code: int, reason: str = "TooLittleSpeech") -> tuple[StageStatus, ...]:
    failure = LastFailure(attempt=1, failure_class="Permanent", exit_code=exit_code, reason=reason, time=THEN)
    return (StageStatus(name="prepare", state="Failed", attempt=1, counted=1, last_failure=failure),)


SERVED = a_status("Serving", stalled=False)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(SERVED, [], id="nothing about a voice that is well"),
        pytest.param(a_status("Training", stalled=False), [], id="nothing about one that is made"),
        pytest.param(VoiceModelStatus(), [], id="nothing about one that nobody looked at"),
        pytest.param(
            a_status("TooLittleSpeech", stages=refused(65)), [("RecordingsRefused", HASH[:16])], id="refused recordings"
        ),
        pytest.param(
            a_status("BaseRejected", stages=refused(78, "BaseRejected")),
            [("Stalled", "3-BaseRejected")],
            id="a preparation that failed for another cause",
        ),
        pytest.param(
            a_status("PinNotFound", stages=refused(65)),
            [("Stalled", "3-PinNotFound")],
            id="what stalls now, not what did earlier",
        ),
        pytest.param(
            a_status("GatesFailed", evaluation_hash=GATES),
            [("GatesFailed", f"{HASH[:16]}-{GATES[:16]}")],
            id="failed gates, by input and gates",
        ),
        pytest.param(
            a_status("WorseThanActive", candidate_revision="alice-2"),
            [("WorseThanActive", "alice-2")],
            id="a worse one",
        ),
        pytest.param(
            a_status("AwaitingReview", stalled=False, candidate_revision="alice-2"),
            [("AwaitingReview", "alice-2")],
            id="a revision to review, which does not stall",
        ),
        pytest.param(
            a_status("LoadFailed", stalled=False, candidate_revision="alice-2"),
            [("LoadFailed", "alice-2")],
            id="a load that fails, before anything stalls",
        ),
        pytest.param(
            a_status("FolderTaken", stalled=False, since="2026-11-23T05:07:00Z"),
            [("WaitsLong", "3-FolderTaken")],
            id="what only people can end, after an hour",
        ),
        pytest.param(
            a_status("FolderTaken", stalled=False, since="2026-11-23T05:07:01Z"), [], id="but not before that hour"
        ),
        pytest.param(
            a_status("Training", stalled=False, since="2026-11-20T00:00:00Z"), [], id="nor work that takes its time"
        ),
        pytest.param(a_status("BaseNotFound"), [("Stalled", "3-BaseNotFound")], id="whatever else needs a person"),
    ],
)
def test_what_is_due(status: VoiceModelStatus, expected: list[tuple[str, str]]) -> None:
    alerts = due_alerts(a_voice(), status, NOW, expiry_days=14)
    assert [(alert.kind, alert.key) for alert in alerts] == expected
    assert all(alert.message == "why; remedy" for alert in alerts)


@pytest.mark.parametrize(
    ("expires", "days", "expected"),
    [
        pytest.param(None, 14, [], id="a consent without an end"),
        pytest.param("2026-12-07", 14, [], id="more than so many days before its end"),
        pytest.param("2026-12-06", 14, [("ConsentExpiring", "2026-12-06")], id="so many days before its end"),
        pytest.param("2026-11-23", 0, [], id="not with a warning of no days"),
        pytest.param("2026-11-23", 1, [("ConsentExpiring", "2026-11-23")], id="on the last day"),
        pytest.param("2026-11-22", 14, [("ConsentExpired", "2026-11-22")], id="when it has ended"),
    ],
)
def test_the_end_of_a_consent(expires: str | None, days: int, expected: list[tuple[str, str]]) -> None:
    alerts = due_alerts(a_voice(expires=expires), SERVED, NOW, expiry_days=days)
    assert [(alert.kind, alert.key) for alert in alerts] == expected
    assert all("Alice" not in alert.message for alert in alerts), "who agreed need not leave the cluster"
    assert all("renew spec.consent.expires" in alert.message for alert in alerts)


def test_a_revocation_is_told_alone_and_once_for_each_consent() -> None:
    status = a_status("GatesFailed")
    first, edited = (due_alerts(a_voice(g, revoked=True), status, NOW, expiry_days=14) for g in (3, 4))
    (other,) = due_alerts(a_voice(revoked=True, statement="I agree again."), status, NOW, expiry_days=14)
    assert [alert.kind for alert in first] == ["ConsentRevoked"]
    assert first[0].id == edited[0].id, "an edit of something else is no new revocation"
    assert other.id != first[0].id


def test_a_served_voice_below_raised_gates_is_told_for_each_set_of_gates() -> None:
    def told(message: str, reason: str = "Serving") -> list[tuple[str, str]]:
        status = a_status(reason, stalled=reason != "Serving", gates=("BelowGates", message))
        alerts = due_alerts(a_voice(), status, NOW, expiry_days=14)
        return [(alert.kind, alert.message) for alert in alerts]

    assert told("stoi is 0.8, at least 0.9 is needed") == [("BelowGates", "stoi is 0.8, at least 0.9 is needed")]
    assert [kind for kind, _ in told("stoi is 0.8", "GatesFailed")] == ["GatesFailed"], "one alert about one thing"

    def key(message: str) -> str:
        status = a_status("Serving", stalled=False, gates=("BelowGates", message))
        (alert,) = due_alerts(a_voice(), status, NOW, expiry_days=14)
        return alert.key

    assert key("at least 0.9") == key("at least 0.9") != key("at least 0.95")


@pytest.mark.parametrize(
    ("state", "revoked", "expected"),
    [
        pytest.param("Copying", False, [], id="nothing while it is being copied"),
        pytest.param("Copied", False, [], id="nothing when it is copied"),
        pytest.param("Failed", False, [("CopyFailed", "CopyFailed")], id="a copy that was not made"),
        pytest.param("Refused", False, [("CopyFailed", "CopyRefused")], id="one that is not allowed"),
        pytest.param("Withdrawing", True, [], id="nothing while it is being withdrawn"),
        pytest.param("Withdrawn", True, [], id="nothing when it is withdrawn"),
        pytest.param("Failed", True, [("WithdrawalFailed", "WithdrawalFailed")], id="one that is still there"),
    ],
)
def test_copies_on_the_hub(state: Any, *, revoked: bool, expected: list[tuple[str, str]]) -> None:
    copy = HubCopy(
        repository="studio/alice", revision="alice-1", digest="sha256:" + "1" * 64, state=state, message="no"
    )
    status = a_status("Serving", stalled=False, hub_copy=copy, revoked_at=THEN if revoked else None)
    alerts = due_alerts(a_voice(revoked=revoked), status, NOW, expiry_days=14)
    about_copies = [alert for alert in alerts if alert.kind != "ConsentRevoked"]
    assert [(alert.kind, alert.reason) for alert in about_copies] == expected
    assert all("hf://studio/alice" in alert.message for alert in about_copies)
    assert any(alert.kind == "ConsentRevoked" for alert in alerts) == revoked


def test_ids_tell_voices_kinds_and_keys_apart_and_nothing_else() -> None:
    (one,) = due_alerts(a_voice(), a_status("BaseNotFound"), NOW, expiry_days=14)
    (later,) = due_alerts(a_voice(), a_status("BaseNotFound", "another sentence"), NOW.replace(day=24), expiry_days=14)
    (edited,) = due_alerts(a_voice(4), a_status("BaseNotFound"), NOW, expiry_days=14)
    assert one.id == later.id
    assert one.id != edited.id
    assert "." not in one.id, "a dot in the id would let content be moved in what is signed"


SENT = Outcome("GatesFailed", "k", "slack", delivered=True, time=THEN)


def test_each_target_is_remembered_by_itself() -> None:
    status = a_status("GatesFailed", evaluation_hash=GATES)
    (alert,) = due_alerts(a_voice(), status, NOW, expiry_days=14)
    done = Outcome(alert.kind, alert.key, "slack", delivered=True, time=THEN)
    gave_up = Outcome(alert.kind, alert.key, "pager", delivered=False, time=THEN)
    records = recorded(recorded(None, [done]), [gave_up])
    assert [is_settled(records, alert, target) for target in ("slack", "pager", "audit")] == [True, True, False]
    assert recorded(records, [done, gave_up]) == records, "an outcome that comes twice changes nothing"
    event = events_between(VoiceModelStatus(), VoiceModelStatus(alerts=records))
    assert [(one.reason, "pager" in one.message) for one in event] == [("AlertNotDelivered", True)]
    assert events_between(VoiceModelStatus(alerts=records), VoiceModelStatus(alerts=records)) == ()


def test_the_memory_is_bounded_for_each_kind() -> None:
    records: tuple[AlertRecord, ...] | None = recorded(None, [SENT])
    for number in range(50):
        records = recorded(records, [Outcome("Stalled", f"{number}-x", "slack", delivered=True, time=THEN)])
    for number in range(50):
        records = recorded(records, [Outcome("GatesFailed", "k", f"target-{number}", delivered=True, time=THEN)])
    assert records is not None
    assert [record.key for record in records if record.kind == "Stalled"] == ["46-x", "47-x", "48-x", "49-x"]
    (kept,) = [record for record in records if record.kind == "GatesFailed"]
    assert len(kept.sent) == 32


def test_nothing_told_is_nothing_remembered() -> None:
    assert recorded(None, []) is None
    assert "alerts" not in VoiceModelStatus().document(), "a status of an earlier version stays as it is"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a\x00b\r\nSet-Cookie: c", "a b Set-Cookie: c", id="control characters"),
        pytest.param("a\u202eb\u200bc\x1b[31m", "a b c [31m", id="characters that hide or turn others"),
        pytest.param("https://user:pass@s3 failed", "https://***@s3 failed", id="a password"),
        pytest.param("Ünïcode 音声 stays", "Ünïcode 音声 stays", id="letters of any script"),
    ],
)
def test_text_for_people(text: str, expected: str) -> None:
    assert plain(text) == expected


def test_a_long_text_is_masked_before_it_is_cut() -> None:
    text = plain("x" * 1490 + " AKIAIOSFODNN7EXAMPLE " + "y" * 100)
    assert len(text) <= 1500
    assert "AKIA" not in text
