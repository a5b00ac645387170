"""Which acts the audit log lacks: computed from a voice's status and revisions on every pass, and noted in the status.

An act becomes due in the same write of the status that makes it true, so none is lost where the log cannot be written
and none is made twice (docs/decisions/0040).
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from voice_operator.api.voice_model import Consent, Source
from voice_operator.api.voice_revision import Export, ReviewDecision
from voice_operator.api.voice_status import Act, ActKind, AuditedRevision, AuditState, VoiceModelStatus
from voice_operator.reconcile.alerts import plain
from voice_operator.reconcile.consent import consent_digest
from voice_operator.reconcile.copying import wanted_copy, wanted_withdrawal
from voice_operator.reconcile.erasure import Copied, Erased, Served
from voice_operator.reconcile.observed import ObservedRevision
from voice_operator.reconcile.times import parse, render
from voice_operator.reconcile.view import View
from voice_operator.signing import canonical, has_tag, tag_of

MAX_PENDING = 32  # acts of one voice that wait for the log
KEPT_FREE = 8  # of these, for acts that no later pass would find
MAX_REVISIONS = 512  # of one voice whose acts are followed
MAX_DECISIONS = 32  # on one revision
MAX_REASON = 1024  # characters
MAX_EXPORTS = 64  # of one revision
RECORD_DIGITS = 16  # of what stands for a decision or an export


@dataclass(frozen=True)
class Position:
    """A record of a namespace's log: its number, and the SHA-256 of its bytes."""

    sequence: int = 0
    digest: str = ""


@dataclass(frozen=True)
class _Finding:
    """An act without the id that its place among the voice's acts gives it."""

    act: ActKind
    time: str
    by: str = ""
    requested_by: tuple[str, ...] = ()
    revision: str = ""
    digests: dict[str, str] = field(default_factory=dict)
    scores: dict[str, str] = field(default_factory=dict)
    source: Source = field(default_factory=Source)
    reason: str = ""


@dataclass(frozen=True)
class _Step:
    """Acts that belong together, and what the state says of them once they are in it."""

    findings: tuple[_Finding, ...]
    marks: Callable[[AuditState], dict[str, Any]]
    waits: bool = False  # for room: what they tell of stays as it is


def holder_digest(namespace: str, holder: str, key: bytes) -> str:
    """Return what stands for a holder's name in records: only who has the key can tell whether it is a given name."""
    named = canonical({"namespace": namespace, "holder": holder})
    return f"hmac-sha256:{hmac.new(key, named, hashlib.sha256).hexdigest()[:32]}"


def trusted(state: AuditState | None, uid: str, key: bytes) -> AuditState:
    """Return the state, or an empty one where somebody else wrote it, or wrote it for another object."""
    if state is None or not has_tag(_statement(state, uid), key):
        return AuditState()
    return state


def tagged(state: AuditState, uid: str, key: bytes) -> AuditState:
    """Return the state with its tag."""
    return state.model_copy(update={"tag": tag_of(_statement(state, uid), key)})


def settled(state: AuditState, recorded: dict[str, Position]) -> AuditState:
    """Return the state without the acts that the log has now, by their ids."""
    pending = tuple(act for act in state.pending if act.id not in recorded)
    found = [recorded[act.id] for act in state.pending if act.id in recorded]
    newest = max((Position(state.sequence, state.record), *found), key=lambda position: position.sequence)
    return state.model_copy(update={"pending": pending, "sequence": newest.sequence, "record": newest.digest})


def with_due_acts(
    state: AuditState,
    view: View,
    status: VoiceModelStatus,
    holder: Callable[[str], str],
    position: Callable[[], Position],
) -> AuditState:
    """Return the state with the acts that ``status`` makes true.

    ``holder`` gives the keyed hash of a name; ``position`` a record that the log has already, the newer the better: no
    act that becomes due now can lie before it, nor before now.
    """
    uid, found = view.observed.voice.uid, state
    for step in _steps(state, view, status, holder):
        if step.waits and len(found.pending) + len(step.findings) > MAX_PENDING - KEPT_FREE:
            continue  # it is as true in a later pass
        found = _appended(found, uid, step.findings).model_copy(update=step.marks(found))
    if found is state:
        return state
    if state.pending:
        return found
    known = max(Position(state.sequence, state.record), position(), key=lambda one: one.sequence)
    changes = {"sequence": known.sequence, "record": known.digest, "since": render(view.now)}
    return found.model_copy(update=changes)


def act_of_erasure(erased: Erased, at: datetime) -> Act:
    """Return the act that records an erasure which was completed then; the same one has the same id."""
    return Act(
        id=_id(erased.uid, "Erased", erased.why, *erased.prefixes, render(at)),
        act="Erased",
        time=render(at),
        reason=_sentence(erased.sentence),
    )


def act_of_deletion(uid: str, served: Served, at: datetime, *, was_seen: bool) -> Act:
    """Return the act that records the end of what was served, whose VoiceModel is gone and has no status any more.

    ``was_seen``: it went at this time; else it had gone when an operator began.
    """
    return Act(
        id=_id(uid, "Unloaded"),
        act="Unloaded",
        time=render(at),
        revision=served.revision,
        digests=_given({"bundle": served.digest}),
        reason="the VoiceModel was deleted" if was_seen else "the VoiceModel was deleted before, while no operator ran",
    )


def act_of_withdrawal(uid: str, copied: Copied, at: datetime, problem: str) -> Act:
    """Return the act that records what became of the copy of a deleted voice; ``problem``: why it is still there."""
    where = f"hf://{copied.repository}"
    reason = f"{where} holds no copy any more: the VoiceModel was deleted"
    return Act(
        id=_id(uid, "Withdrawn", copied.repository),
        act="WithdrawalFailed" if problem else "Withdrawn",
        time=render(at),
        revision=copied.revision,
        digests=_given({"bundle": copied.digest}),
        reason=_sentence(f"the VoiceModel was deleted, but {where} is not withdrawn: {problem}" if problem else reason),
    )


def _steps(state: AuditState, view: View, status: VoiceModelStatus, holder: Callable[[str], str]) -> Iterator[_Step]:
    yield from _consented(state, view, holder)
    yield from _made(state, view, holder)
    yield from _failed(state, view, status)
    yield from _decided(state, view)
    yield from _taken(state, view)
    yield from _revoked(state, view, status, holder)
    yield from _served(state, view, status)
    yield from _exported(state, view, status)
    yield from _withdrawn(state, view)


def _consented(state: AuditState, view: View, holder: Callable[[str], str]) -> Iterator[_Step]:
    voice, digest = view.observed.voice, consent_digest(view.observed.voice.spec.consent)
    if digest == state.consent or (view.consent is not None and view.consent.reason != "ConsentExpired"):
        return
    finding = _Finding(
        "Consented",
        render(view.now),
        by=voice.requester,
        digests=_consent_digests(voice.spec.consent, holder),
        source=voice.spec.source,
        reason=f"until {voice.spec.consent.expires}" if voice.spec.consent.expires else "until revoked",
    )
    yield _Step((finding,), lambda _: {"consent": digest})


def _made(state: AuditState, view: View, holder: Callable[[str], str]) -> Iterator[_Step]:
    known = {revision.name for revision in state.revisions}
    for revision in _by_age(view):
        if revision.name in known:
            continue
        record, at = revision.record, render(revision.record.created or view.now)
        digests = {
            "bundle": revision.digest,
            "recordings": record.recordings,
            "base": revision.base_identity,
            "consent": record.consent,
            "holder": holder(record.holder) if record.holder is not None else "",
        }
        trained = _Finding(
            "Trained",
            at,
            requested_by=record.requested_by,
            revision=revision.name,
            digests=_given(digests),
            source=record.source,
        )
        evaluated = replace(trained, act="Evaluated", scores=dict(revision.scores), reason="passed")
        yield _Step((trained, evaluated), partial(_followed, view=view, name=revision.name), waits=True)


def _failed(state: AuditState, view: View, status: VoiceModelStatus) -> Iterator[_Step]:
    """Record an evaluation that missed its gates; of those that reached them the revisions tell."""
    evaluated = view.evaluated
    if view.current is not None or view.next_stage is not None or evaluated is None or evaluated.passed:
        return
    failed = f"{(status.input_hash or '')[:16]}-{(status.evaluation_hash or '')[:16]}"
    if failed == state.failed:
        return
    missed = ", ".join(gate.metric for gate in evaluated.gates if not gate.passed)
    finding = _Finding(
        "Evaluated",
        render(view.now),
        requested_by=status.requested_by,
        digests={"input": f"sha256:{status.input_hash}"},
        scores=dict(evaluated.scores),
        source=view.observed.voice.spec.source,
        reason=f"failed: {missed}" if missed else "failed",
    )
    yield _Step((finding,), lambda _: {"failed": failed})


def _decided(state: AuditState, view: View) -> Iterator[_Step]:
    known = {revision.name: revision.decisions for revision in state.revisions}
    for revision in _by_age(view):
        for decision in revision.record.decisions:
            digits = _decision_id(decision)
            if digits in known.get(revision.name, ()):
                continue
            finding = _Finding(
                decision.decision,
                decision.at,
                by=decision.by,
                revision=revision.name,
                digests={"bundle": decision.digest},
                reason=decision.reason,
            )
            marks = partial(_followed, view=view, name=revision.name, decision=digits)
            yield _Step((finding,), marks, waits=True)


def _taken(state: AuditState, view: View) -> Iterator[_Step]:
    """Record who took a bundle out of the store, as the VoiceRevision says."""
    known = {revision.name: revision.exports for revision in state.revisions}
    for revision in _by_age(view):
        for export in revision.record.exports:
            digits = _export_id(export)
            if digits in known.get(revision.name, ()):
                continue
            finding = _Finding(
                "Exported",
                export.at,
                by=export.by,
                revision=revision.name,
                digests={"bundle": export.digest},
                reason=f"fetched by kubectl voice export{f': {export.reason}' if export.reason else ''}",
            )
            marks = partial(_followed, view=view, name=revision.name, export=digits)
            yield _Step((finding,), marks, waits=True)


def _revoked(state: AuditState, view: View, status: VoiceModelStatus, holder: Callable[[str], str]) -> Iterator[_Step]:
    if status.revoked_at is None or state.revoked:
        return
    voice = view.observed.voice
    finding = _Finding(
        "Revoked",
        status.revoked_at,
        by=voice.requester,
        digests=_consent_digests(voice.spec.consent, holder),
        source=voice.spec.source,
    )
    yield _Step((finding,), lambda _: {"revoked": True})


def _served(state: AuditState, view: View, status: VoiceModelStatus) -> Iterator[_Step]:
    active, voice = status.active_revision or "", view.observed.voice
    if active == state.served:
        return
    known = {revision.name: revision for revision in view.observed.revisions}
    served, before = known.get(active), known.get(state.served)
    if not active:
        digests = {"bundle": before.digest} if before is not None else {}
        reason = _ready(status)
        finding = _Finding("Unloaded", render(view.now), revision=state.served, digests=digests, reason=reason)
    else:
        pinned = voice.spec.serving.pin == active
        back = served is not None and before is not None and _age(served) < _age(before)
        finding = _Finding(
            "RolledBack" if back else "Served",
            render(view.now),
            by=voice.requester if pinned else "",
            revision=active,
            digests={"bundle": served.digest} if served is not None else {},
            source=voice.spec.source if pinned else Source(),
            reason=f"in place of {state.served}" if state.served else "",
        )
    yield _Step((finding,), lambda _: {"served": active})


def _exported(state: AuditState, view: View, status: VoiceModelStatus) -> Iterator[_Step]:
    """Record a copy on the Hub; its Job says so, never a status alone, which somebody may have restored."""
    wanted, copy, voice = wanted_copy(view), status.hub_copy, view.observed.voice
    if wanted is None or copy is None or copy.state != "Copied" or wanted.name == state.exported:
        return
    if not any(job.name == wanted.name and job.state == "Succeeded" for job in view.observed.copies):
        return
    finding = _Finding(
        "Exported",
        render(view.now),
        by=voice.requester,
        revision=copy.revision,
        digests={"bundle": copy.digest},
        source=voice.spec.source,
        reason=f"copied to hf://{copy.repository}{', in public' if wanted.public else ''}",
    )
    yield _Step((finding,), lambda _: {"exported": wanted.name})


def _withdrawn(state: AuditState, view: View) -> Iterator[_Step]:
    """Record that a revocation has emptied the repository; its Job says so, as of a copy."""
    wanted, copy = wanted_withdrawal(view), view.observed.voice.status.hub_copy
    if wanted is None or copy is None or wanted.name == state.withdrawn:
        return
    if not any(job.name == wanted.name and job.state == "Succeeded" for job in view.observed.copies):
        return
    finding = _Finding(
        "Withdrawn",
        render(view.now),
        revision=copy.revision,
        digests=_given({"bundle": copy.digest}),
        reason=f"hf://{copy.repository} holds no copy any more: the consent was revoked",
    )
    yield _Step((finding,), lambda _: {"withdrawn": wanted.name})


def _followed(state: AuditState, *, view: View, name: str, decision: str = "", export: str = "") -> dict[str, Any]:
    """Return the list of followed revisions with this one, and perhaps with a decision about it or an export of it.

    Those that are gone are forgotten only where there are many: a cache may lack one for a moment.
    """
    found = {revision.name: revision for revision in state.revisions}
    noted = found.get(name, AuditedRevision(name=name))
    decisions = (*noted.decisions, *filter(None, [decision]))[-MAX_DECISIONS:]
    exports = (*noted.exports, *filter(None, [export]))[-MAX_EXPORTS:]
    found[name] = AuditedRevision(name=name, decisions=decisions, exports=exports)
    if len(found) > MAX_REVISIONS // 2:
        there = {revision.name for revision in view.observed.revisions}
        found = {name: revision for name, revision in found.items() if name in there}
    return {"revisions": tuple(found.values())[:MAX_REVISIONS]}


def _ready(status: VoiceModelStatus) -> str:
    """Return the reason alone: sentences may name the holder."""
    return next((condition.reason for condition in status.conditions if condition.type == "Ready"), "")


def _consent_digests(consent: Consent, holder: Callable[[str], str]) -> dict[str, str]:
    digests = {"consent": consent_digest(consent), "holder": holder(consent.holder)}
    return _given(digests | {"evidence": consent.evidence_digest})


def _given(digests: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in digests.items() if digest}


def _by_age(view: View) -> list[ObservedRevision]:
    """Return the voice's own revisions, the oldest first, and no more than are followed."""
    own = [revision for revision in view.observed.revisions if not revision.deleting]
    return sorted(own, key=_age)[:MAX_REVISIONS]


def _age(revision: ObservedRevision) -> tuple[float, str]:
    created = revision.record.created
    return (0.0 if created is None else created.timestamp(), revision.name)


def _decision_id(decision: ReviewDecision) -> str:
    named = canonical({"by": decision.by, "decision": decision.decision, "digest": decision.digest})
    return hashlib.sha256(named).hexdigest()[:RECORD_DIGITS]


def _export_id(export: Export) -> str:
    named = canonical({"by": export.by, "at": export.at})
    return hashlib.sha256(named).hexdigest()[:RECORD_DIGITS]


def _appended(state: AuditState, uid: str, findings: Iterable[_Finding]) -> AuditState:
    """Return the state with these acts behind the others; what is too much for it goes, the oldest first, counted."""
    pending, count, omitted = list(state.pending), state.count, state.omitted
    for finding in findings:
        count += 1
        if len(pending) >= MAX_PENDING:
            omitted += 1 + pending[0].omitted
            pending.pop(0)
        act = Act(
            id=_id(uid, str(count), finding.act, finding.time, finding.revision),
            act=finding.act,
            time=_time(finding.time),
            by=_sentence(finding.by)[:256],
            requested_by=finding.requested_by[-16:],
            revision=finding.revision,
            digests=finding.digests,
            scores=finding.scores,
            source=finding.source,
            reason=_sentence(finding.reason),
            omitted=omitted,
        )
        pending.append(act)
        omitted = 0
    return state.model_copy(update={"pending": tuple(pending), "count": count, "omitted": omitted})


def _id(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]


def _time(text: str) -> str:
    """Return a time as records have it; that of a decision is a person's, and the CRD alone checks its form."""
    try:
        return render(parse(text))
    except ValueError:
        return ""


def _sentence(text: str) -> str:
    return plain(text)[:MAX_REASON]


def _statement(state: AuditState, uid: str) -> dict[str, Any]:
    """Return what the tag covers; fields with their default are left out, so that a new one changes nothing."""
    document = state.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    return document | {"uid": uid}
