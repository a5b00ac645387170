"""Which alerts are due for a voice: computed from spec and status on every pass, so that no crash loses one."""

import hashlib
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from voice_operator.api.conditions import Condition
from voice_operator.api.voice_status import AlertRecord, VoiceModelStatus
from voice_operator.masking import masked
from voice_operator.reconcile.consent import consent_problem
from voice_operator.reconcile.copying import NOT_COPIED
from voice_operator.reconcile.desired import end_of_consent
from voice_operator.reconcile.observed import Voice
from voice_operator.reconcile.times import parse, render

AlertKind = Literal[
    "RecordingsRefused",
    "GatesFailed",
    "WorseThanActive",
    "AwaitingReview",
    "ConsentExpiring",
    "ConsentExpired",
    "ConsentRevoked",
    "LoadFailed",
    "Stalled",
    "UnusedSoon",
    "BelowGates",
    "CopyFailed",
    "WithdrawalFailed",
    "WaitsLong",
]

BAD_DATA_EXIT = 65  # of the prepare stage: the recordings must change
MAX_TEXT_CHARACTERS = 1500
HASH_DIGITS = 16  # of a hash in a key
MAX_TARGETS = 32  # that a record names; an installation has half as many at a time
LONG_WAIT = timedelta(hours=1)
RECORDS_PER_KIND = 4  # a condition that comes and goes with so many keys is told once for each

WAITS_FOR_PEOPLE = frozenset(  # reasons that may end by themselves, or by what somebody does outside of the cluster
    {
        "DatasetNotFound",
        "DatasetUnreachable",
        "EvidenceMismatch",
        "EvidenceNotFound",
        "EvidenceUnreachable",
        "FolderNotErased",
        "FolderTaken",
        "JobDeleting",
    }
)


@dataclass(frozen=True)
class Alert:
    """Something about a voice that people must know; ``key`` names what it is about, and makes it one alert."""

    kind: AlertKind
    key: str
    namespace: str
    voice: str
    uid: str
    generation: int
    reason: str
    message: str
    time: str
    revision: str | None = None

    @property
    def id(self) -> str:
        """The same for the same alert in every attempt of every process; receivers drop what they have."""
        return "msg_" + hashlib.sha256(f"{self.uid}|{self.kind}|{self.key}".encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Outcome:
    """How the delivery of an alert to a target ended."""

    kind: AlertKind
    key: str
    target: str
    delivered: bool
    time: str


@dataclass(frozen=True)
class _State:
    """What the rules read."""

    voice: Voice
    status: VoiceModelStatus
    now: datetime
    expiry_days: int

    def condition(self, kind: str) -> Condition | None:
        return next((condition for condition in self.status.conditions if condition.type == kind), None)

    @property
    def input(self) -> str:
        return (self.status.input_hash or str(self.voice.generation))[:HASH_DIGITS]


@dataclass(frozen=True)
class _Finding:
    kind: AlertKind
    key: str
    reason: str
    message: str


Rule = Callable[[_State], _Finding | None]


def _consent_ended(state: _State) -> _Finding | None:
    consent = state.voice.spec.consent
    problem = consent_problem(consent, state.now)
    if problem is None:
        return None
    if problem.reason == "ConsentRevoked":
        key = hashlib.sha256(consent.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:HASH_DIGITS]
        message = "the consent was revoked; nothing is trained or served until the speaker decides anew"
        return _Finding("ConsentRevoked", key, problem.reason, message)
    if problem.reason == "ConsentExpired":
        message = (
            f"the last day of the consent was {consent.expires}; nothing is trained or served; ask the speaker again "
            "and renew spec.consent.expires"
        )
        return _Finding("ConsentExpired", consent.expires or "", problem.reason, message)
    return _Finding("Stalled", f"{state.voice.generation}-{problem.reason}", problem.reason, problem.message)


def _consent_ends_soon(state: _State) -> _Finding | None:
    consent = state.voice.spec.consent
    end = end_of_consent(consent.expires)
    if end is None or consent_problem(consent, state.now) or end - state.now > timedelta(days=state.expiry_days):
        return None
    message = (
        f"the last day of the consent is {consent.expires}; then the voice falls silent; ask the speaker again and "
        "renew spec.consent.expires"
    )
    return _Finding("ConsentExpiring", consent.expires or "", "ConsentExpiring", message)


def _needs_a_person(state: _State) -> _Finding | None:
    ready, stalled = state.condition("Ready"), state.condition("Stalled")
    if ready is None or stalled is None or consent_problem(state.voice.spec.consent, state.now):
        return None
    revision = state.status.candidate_revision or state.input
    gates = f"{state.input}-{(state.status.evaluation_hash or '')[:HASH_DIGITS]}"
    by_reason: dict[str, tuple[AlertKind, str]] = {
        "AwaitingReview": ("AwaitingReview", revision),
        "WorseThanActive": ("WorseThanActive", revision),
        "LoadFailed": ("LoadFailed", revision),
        "GatesFailed": ("GatesFailed", gates),
    }
    kind, key = by_reason.get(ready.reason, ("Stalled", f"{state.voice.generation}-{ready.reason}"))
    if kind == "Stalled" and stalled.status != "True":
        return None
    if kind == "Stalled" and _refused(state.status, ready.reason):
        kind, key = "RecordingsRefused", state.input
    return _Finding(kind, key, ready.reason, ready.message)


def _is_unused_soon(state: _State) -> _Finding | None:
    retained = state.condition("Retained")
    if retained is None or retained.reason != "UnusedSoon" or consent_problem(state.voice.spec.consent, state.now):
        return None
    return _Finding("UnusedSoon", state.status.last_used or "", retained.reason, retained.message)


def _is_below_gates(state: _State) -> _Finding | None:
    """What is not served because of the same gates is told as GatesFailed."""
    gates, ready = state.condition("GatesPassed"), state.condition("Ready")
    if gates is None or gates.reason != "BelowGates" or ready is None or ready.reason == "GatesFailed":
        return None
    if consent_problem(state.voice.spec.consent, state.now):
        return None
    key = f"{state.input}-{hashlib.sha256(gates.message.encode()).hexdigest()[:HASH_DIGITS]}"
    return _Finding("BelowGates", key, gates.reason, gates.message)


def _is_not_copied(state: _State) -> _Finding | None:
    """A copy on the Hub that is not made, or not withdrawn."""
    copy = state.status.hub_copy
    if copy is None or copy.state not in NOT_COPIED:
        return None
    where = f"hf://{copy.repository}"
    if state.status.revoked_at:
        message = f"the consent was revoked, but the copy at {where} is still there: {copy.message}"
        return _Finding("WithdrawalFailed", f"{copy.repository}-{copy.withdrawals}", "WithdrawalFailed", message)
    message = f"{copy.revision} is not copied to {where}: {copy.message}"
    return _Finding("CopyFailed", f"{copy.repository}-{copy.digest[-HASH_DIGITS:]}", NOT_COPIED[copy.state], message)


def _waits_long(state: _State) -> _Finding | None:
    """What the operator goes on waiting for is no failure, but nobody may have noticed."""
    working = state.condition("Reconciling")
    if working is None or working.status != "True" or working.reason not in WAITS_FOR_PEOPLE:
        return None
    if state.now - parse(working.last_transition_time) < LONG_WAIT:
        return None
    return _Finding("WaitsLong", f"{state.voice.generation}-{working.reason}", working.reason, working.message)


RULES: tuple[Rule, ...] = (
    _consent_ended,
    _consent_ends_soon,
    _is_unused_soon,
    _needs_a_person,
    _is_below_gates,
    _is_not_copied,
    _waits_long,
)


def due_alerts(voice: Voice, status: VoiceModelStatus, now: datetime, *, expiry_days: int) -> tuple[Alert, ...]:
    """Return what people must know now about a voice with this status, whether it was told already or not.

    ``expiry_days``: how many days before its end a consent counts as about to expire.
    """
    state = _State(voice, status, now, expiry_days)
    findings = (rule(state) for rule in RULES)
    return tuple(_alert(finding, state) for finding in findings if finding is not None)


def is_settled(records: Iterable[AlertRecord] | None, alert: Alert, target: str) -> bool:
    """Return whether a target got the alert, or was given up for it."""
    return any(
        (record.kind, record.key) == (alert.kind, alert.key) and target in (*record.sent, *record.failed)
        for record in records or ()
    )


def recorded(records: tuple[AlertRecord, ...] | None, outcomes: Iterable[Outcome]) -> tuple[AlertRecord, ...] | None:
    """Return the records with these outcomes added, and of each kind the newest RECORDS_PER_KIND only."""
    found = {(record.kind, record.key): record for record in records or ()}
    for outcome in outcomes:
        about = outcome.kind, outcome.key
        record = found.get(about) or AlertRecord(kind=outcome.kind, key=outcome.key, time=outcome.time)
        if outcome.target in (*record.sent, *record.failed):
            continue
        ended = "sent" if outcome.delivered else "failed"
        found.pop(about, None)  # the newest stands last
        found[about] = record.model_copy(
            update={"time": outcome.time, ended: (*getattr(record, ended), outcome.target)[-MAX_TARGETS:]}
        )
    kinds = {kind for kind, _ in found}
    kept = {kind: [record for record in found.values() if record.kind == kind][-RECORDS_PER_KIND:] for kind in kinds}
    return tuple(record for record in found.values() if record in kept[record.kind]) or None


def plain(text: str) -> str:
    """Return text for people: without credentials, on one line, without control and invisible characters, bounded."""
    visible = "".join(character if unicodedata.category(character)[0] != "C" else " " for character in masked(text))
    words = " ".join(visible.split())
    return words if len(words) <= MAX_TEXT_CHARACTERS else words[: MAX_TEXT_CHARACTERS - 1] + "…"


def _alert(finding: _Finding, state: _State) -> Alert:
    voice, status = state.voice, state.status
    return Alert(
        kind=finding.kind,
        key=finding.key,
        namespace=voice.namespace,
        voice=voice.name,
        uid=voice.uid,
        generation=voice.generation,
        reason=finding.reason,
        message=plain(finding.message),
        time=render(state.now),
        revision=status.candidate_revision or status.active_revision,
    )


def _refused(status: VoiceModelStatus, reason: str) -> bool:
    """Return whether the stage that ended it is prepare, and says that the recordings must change."""
    failures = [stage.last_failure for stage in status.stages if stage.name == "prepare" and stage.state == "Failed"]
    return any(
        failure is not None and failure.reason == reason and failure.exit_code == BAD_DATA_EXIT for failure in failures
    )
