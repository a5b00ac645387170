"""Whether people have approved a revision: decided from what the revision itself records, and from nothing else.

The stricter of the rules that a revision was made under and of the voice's present ones counts. No status, no pin and
no clock makes up for an approval, but that what was served before reviews were recorded is served on.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from voice_operator.api.voice_model import Review
from voice_operator.api.voice_revision import RecordedReview, ReviewDecision
from voice_operator.reconcile.observed import RevisionRecord, Voice
from voice_operator.reconcile.times import parse, render
from voice_operator.units import seconds

SERVICE_ACCOUNT = "system:serviceaccount:"  # prefix of the names of programs, which approve nothing

State = Literal["NotRequired", "Waiting", "Approved", "Rejected", "TimedOut"]


@dataclass(frozen=True)
class Rules:
    """What a revision needs before it may be served."""

    required: bool
    approvals: int
    separation: bool
    timeout: timedelta | None


@dataclass(frozen=True)
class Verdict:
    """The state of a review."""

    state: State
    message: str = ""
    approved_by: tuple[str, ...] = ()
    needed: int = 0
    ends: datetime | None = None  # when a review that waits times out

    @property
    def permits(self) -> bool:
        """Whether the revision may be served, as far as its review goes."""
        return self.state in {"NotRequired", "Approved"}

    @property
    def count(self) -> str | None:
        """Approvals that count, of those that are needed, as 1/2; None: none is needed."""
        return None if self.state == "NotRequired" else f"{len(self.approved_by)}/{self.needed}"


def verdict(
    record: RevisionRecord, present: Review, requester: str, now: datetime, *, active: bool, floor: bool = False
) -> Verdict:
    """Return the state of a revision's review.

    ``requester`` is who changed the voice's spec last, empty where nobody knows. It stands in for a revision that does
    not record who asked for it. ``active``: the voice's status says that the revision is served. That counts only for
    one from before reviews were recorded, which an upgrade must not take away, where nobody but the installation asks
    for a review (``floor``): what was served before it did so is served on; and for approvals that a shorter time-out
    would make late.
    """
    rules = stricter(record.rules, present, floor=floor and not active)
    needed = rules.approvals if rules.required else 0
    rejection = next((one for one in record.decisions if one.decision == "Rejected"), None)
    if rejection is not None:
        message = f"{rejection.by} rejected it at {rejection.at}: {rejection.reason}"
        return Verdict("Rejected", message, needed=needed)
    if not rules.required or (record.rules is None and active):
        return Verdict("NotRequired")
    requesters = record.requested_by or ((requester,) if requester else ())
    ends = None if rules.timeout is None or record.created is None else record.created + rules.timeout
    until = None if active else ends
    ignored = {one.by: why for one in record.decisions if (why := _ignored(one, record, rules, requesters, until))}
    approved_by = tuple(sorted({one.by for one in record.decisions} - ignored.keys()))
    if len(approved_by) >= rules.approvals:
        return Verdict("Approved", f"approved by {', '.join(approved_by)}", approved_by, needed)
    found = f"{len(approved_by)} of {needed} approvals" + (f" ({', '.join(approved_by)})" if approved_by else "")
    notes = "".join(f"; the approval of {by} does not count: {why}" for by, why in sorted(ignored.items()))
    if ends is not None and now >= ends:
        message = f"{found} by {render(ends)}{notes}; to go on waiting, raise spec.review.timeout"
        return Verdict("TimedOut", message, approved_by, needed)
    if rules.separation and not requesters:
        notes += (
            "; nobody knows who asked for it, and with spec.review.separation no approval counts: "
            "set the annotation voice.sovits.dev/requested-by of the VoiceModel to who did"
        )
    return Verdict("Waiting", f"{found}{notes}", approved_by, needed, ends)


def stricter(recorded: RecordedReview | None, present: Review, *, floor: bool = False) -> Rules:
    """Return the stricter of two sets of rules; only the time-out is the present one's, for it grants nothing."""
    asking = [one for one in (recorded, present) if one is not None and one.required] or ([present] if floor else [])
    return Rules(
        required=bool(asking),
        approvals=max((one.approvals for one in asking), default=0),
        separation=any(one.separation for one in asking),
        timeout=_duration(present.timeout),
    )


def requesters_of(voice: Voice, input_hash: str | None) -> tuple[str, ...]:
    """Return who has changed the spec since this input came up, each once, the latest last; at most 16."""
    recorded = voice.status.requested_by if voice.status.input_hash == input_hash else ()
    found = [one for one in recorded if one != voice.requester]
    return tuple([*found, voice.requester] if voice.requester else found)[-16:]


def _ignored(
    decision: ReviewDecision,
    record: RevisionRecord,
    rules: Rules,
    requesters: tuple[str, ...],
    ends: datetime | None,
) -> str:
    """Return why an approval does not count, empty: it does. Admission refuses most of these; it may be bypassed."""
    given, requested = _time(decision.at), {*requesters, record.author}
    reasons = (
        (decision.digest != record.digest, f"it is for {decision.digest or 'no digest'}"),
        (not decision.by.strip(), "it has no name"),
        (decision.by.startswith(SERVICE_ACCOUNT), "a program cannot approve"),
        (rules.separation and not requesters, "nobody knows who asked for the revision"),
        (rules.separation and decision.by in requested, "who asked for it cannot approve it (spec.review.separation)"),
        (given is None, f"{decision.at} is no time"),
        (ends is not None and given is not None and given >= ends, f"it came after {ends and render(ends)}"),
    )
    return next((why for applies, why in reasons if applies), "")


def _duration(text: str) -> timedelta | None:
    """Return a duration; None where it is none, as the API server admits only after its checks were bypassed."""
    try:
        return timedelta(seconds=seconds(text))
    except ValueError:
        return None


def _time(text: str) -> datetime | None:
    try:
        return parse(text)
    except ValueError:
        return None
