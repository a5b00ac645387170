"""Derives Events from the difference of two statuses, so that conditions and Events share their reasons."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from voice_operator.api.conditions import Condition
from voice_operator.api.voice_status import StageStatus, VoiceModelStatus
from voice_operator.reconcile.copying import NOT_COPIED
from voice_operator.reconcile.status import CONDITION_OF_STAGE


@dataclass(frozen=True)
class Event:
    """A Kubernetes Event without its object: one line of ``kubectl describe``."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    action: str = "Reconcile"


def events_between(old: VoiceModelStatus, new: VoiceModelStatus) -> tuple[Event, ...]:
    """Return one Event for each change between two statuses, in causal order."""
    changes = (_consent, _unproved, _stages, _gates, _review, _outcome, _copies, _retention, _alerts)
    return tuple(event for events in changes for event in events(old, new))


def _consent(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    earlier, current = _condition(old, "ConsentValid"), _condition(new, "ConsentValid")
    if current is not None and current.status == "False" and (earlier is None or earlier.reason != current.reason):
        yield Event("Warning", current.reason, current.message)


def _unproved(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    for kind in CONDITION_OF_STAGE.values():
        earlier, current = _condition(old, kind), _condition(new, kind)
        if current is None or current.reason != "UnprovedResult":
            continue
        if earlier is None or (earlier.reason, earlier.message) != (current.reason, current.message):
            yield Event("Warning", current.reason, current.message)


def _stages(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    same_input = old.input_hash == new.input_hash
    recorded = {stage.name: stage for stage in old.stages} if same_input else {}
    for stage in new.stages:
        earlier = recorded.get(stage.name) or StageStatus(name=stage.name)
        if stage.state == "Running" and stage.attempt != earlier.attempt:
            yield Event("Normal", "JobStarted", f"{stage.name}: {stage.job}", stage.name.capitalize())
        if stage.last_failure is not None and stage.last_failure != earlier.last_failure:
            failure = stage.last_failure
            retry = "" if stage.state == "Failed" else "; it is tried again"
            yield Event(
                "Warning",
                failure.reason,
                f"{stage.name}, attempt {failure.attempt}: {failure.message}{retry}",
                stage.name.capitalize(),
            )
        if stage.on_demand_only and not earlier.on_demand_only:
            message = f"{stage.name}: spot nodes are given up; further attempts ask for on-demand nodes"
            yield Event("Normal", "SpotGivenUp", message, stage.name.capitalize())
        if stage.state == "Succeeded" and earlier.state != "Succeeded":
            yield Event("Normal", CONDITION_OF_STAGE[stage.name], f"{stage.name} is done", stage.name.capitalize())


def _gates(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    earlier, current = _condition(old, "GatesPassed"), _condition(new, "GatesPassed")
    if current is None or current.reason != "BelowGates":
        return
    if earlier is None or (earlier.reason, earlier.message) != (current.reason, current.message):
        yield Event("Warning", current.reason, current.message, "Evaluate")


def _review(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    earlier, current = _condition(old, "Approved"), _condition(new, "Approved")
    if current is None or (earlier is not None and earlier.message == current.message):
        return
    if current.reason in {"AwaitingReview", "Approved"}:  # a rejection and a time-out stall the voice
        yield Event("Normal", current.reason, current.message, "Review")


def _outcome(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    if new.candidate_revision and new.candidate_revision != old.candidate_revision:
        yield Event("Normal", "Published", f"{new.candidate_revision} is published", "Publish")
    if new.active_revision and new.active_revision != old.active_revision:
        yield Event("Normal", "Serving", f"{new.active_revision} is served at {new.endpoint}", "Load")
    if old.active_revision and not new.active_revision:
        yield Event("Warning", "Unloaded", f"{old.active_revision} is no longer served", "Unload")
    earlier, current = _condition(old, "Stalled"), _condition(new, "Stalled")
    reported = {stage.last_failure.reason for stage in new.stages if stage.last_failure is not None}
    consent = _condition(new, "ConsentValid")
    if consent is not None:
        reported.add(consent.reason)
    if (
        current is not None
        and current.status == "True"
        and current.reason not in reported
        and (earlier is None or earlier.reason != current.reason)
    ):
        yield Event("Warning", current.reason, current.message)


def _copies(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    earlier, current = old.hub_copy, new.hub_copy
    if current is None or current == earlier:
        return
    where = f"hf://{current.repository}"
    if current.state == "Copied":
        yield Event("Normal", "Copied", f"{current.revision} is copied to {where}", "Copy")
    elif current.state == "Withdrawn":
        yield Event("Normal", "Withdrawn", f"{where} holds no copy any more: the consent was revoked", "Withdraw")
    elif current.state == "Failed" and new.revoked_at:
        message = f"the copy at {where} is not withdrawn: {current.message}; it is tried again within an hour"
        yield Event("Warning", "WithdrawalFailed", message, "Withdraw")
    elif current.state in NOT_COPIED:
        retry = "; it is tried again within an hour" if current.state == "Failed" else ""
        message = f"{current.revision} is not copied to {where}: {current.message}{retry}"
        yield Event("Warning", NOT_COPIED[current.state], message, "Copy")


def _retention(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    earlier, current = _condition(old, "Retained"), _condition(new, "Retained")
    if current is None or (earlier is not None and earlier.reason == current.reason):
        return
    if current.reason in {"Unused", "UnusedSoon"}:
        yield Event("Warning", current.reason, current.message, "Retain")


def _alerts(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Event]:
    known = {(record.kind, record.key): record.failed for record in old.alerts or ()}
    for record in new.alerts or ():
        for target in record.failed:
            if target not in known.get((record.kind, record.key), ()):
                message = f"the target {target} was given up for the alert {record.kind}; the operator's log says why"
                yield Event("Warning", "AlertNotDelivered", message, "Alert")


def _condition(status: VoiceModelStatus, kind: str) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type == kind), None)
