"""Whether people permit that a revision is served: the speaker by the consent, others by the review."""

from datetime import UTC, datetime

from voice_operator.api.voice_model import Consent, Review
from voice_operator.reconcile.consent import consent_mismatch
from voice_operator.reconcile.observed import ObservedRevision, RevisionRecord, Voice
from voice_operator.reconcile.review import Verdict, verdict

_EVER = datetime.min.replace(tzinfo=UTC)  # for what no time changes: a time-out grants nothing and takes nothing


def is_permitted(
    record: RevisionRecord, consent: Consent, review: Review, requester: str, *, active: bool, floor: bool
) -> bool:
    """Return whether a revision may be served while the voice's consent is valid.

    ``active``: it is served already; ``floor``: the installation asks for a review of every voice.
    """
    reviewed = verdict(record, review, requester, _EVER, active=active, floor=floor)
    return consent_mismatch(consent, record) is None and reviewed.permits


def may_be_served(revision: ObservedRevision, voice: Voice) -> bool:
    """Return whether a revision may be served while the voice's consent is valid, and is not being deleted."""
    mismatch = consent_mismatch(voice.spec.consent, revision.record)
    return not revision.deleting and mismatch is None and review_of(revision, voice, _EVER).permits


def review_of(revision: ObservedRevision, voice: Voice, now: datetime) -> Verdict:
    """Return the state of a revision's review."""
    active = voice.status.active_revision == revision.name
    floor = voice.must_be_reviewed
    return verdict(revision.record, voice.spec.review, voice.requester, now, active=active, floor=floor)
