"""Validity of the speaker's consent. A revocation is for ever: it outlives edits, restores and the loss of a status."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime

from voice_operator.api.voice_model import Consent
from voice_operator.reconcile.observed import Problem, RevisionRecord
from voice_operator.signing import canonical


def consent_problem(
    consent: Consent, now: datetime, *, revoked_at: str | None = None, revisions: Iterable[RevisionRecord] = ()
) -> Problem | None:
    """Return why nothing may be trained or served, or None. ``expires`` names the last day that is allowed, in UTC.

    ``revoked_at`` is the status's record of a revocation; ``revisions`` are those of the voice, of which some may be
    marked as made under a consent that was revoked.
    """
    if not consent.holder.strip() or not consent.statement.strip():
        return Problem(
            "ConsentMissing",
            "spec.consent must name the holder and say what they agreed to; nothing is trained or served",
        )
    return _revocation(consent, revoked_at, revisions) or _expiry(consent, now)


def consent_mismatch(consent: Consent, record: RevisionRecord) -> Problem | None:
    """Return why the present consent does not cover a revision, or None."""
    if record.revoked:
        return Problem("ConsentRevoked", "the consent that it was made under was revoked; delete it to train again")
    if record.holder is not None and record.holder != consent.holder:
        return Problem(
            "HolderChanged",
            f"it is the voice of {record.holder}, but spec.consent.holder is {consent.holder}; "
            "another person's voice is another VoiceModel",
        )
    return None


def remembered_problem(why: str) -> Problem:
    """Return why nothing may be trained for a VoiceModel whose consent was revoked before it was made."""
    return Problem(
        "ConsentRevoked",
        f"{why}, and nothing brings that back, whatever was deleted since; a new permission needs "
        "spec.consent.evidence of its own",
    )


def consent_digest(consent: Consent) -> str:
    """Return the SHA-256 of what was agreed to, as ``sha256:<64 hex>``; a revocation leaves it as it is."""
    document = consent.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=True)
    document.pop("revoked", None)
    return f"sha256:{hashlib.sha256(canonical(document)).hexdigest()}"


def _is_another(consent: Consent, record: RevisionRecord) -> bool:
    """Return whether the consent is another one than the one that a revision was made under: it has other evidence."""
    return bool(consent.evidence) and consent.evidence != record.evidence


def _revocation(consent: Consent, revoked_at: str | None, revisions: Iterable[RevisionRecord]) -> Problem | None:
    if consent.revoked:
        return Problem("ConsentRevoked", f"{consent.holder} has revoked the consent; nothing is trained or served")
    if revoked_at is not None:
        return Problem(
            "ConsentRevoked",
            f"the consent was revoked at {revoked_at}, and no edit of spec.consent.revoked takes that back; a new "
            "permission is a new VoiceModel, with spec.consent.evidence of its own",
        )
    if any(one.revoked and not _is_another(consent, one) for one in revisions):
        return Problem(
            "ConsentRevoked",
            "revisions of this voice were made under a consent that was revoked; a new permission needs "
            "spec.consent.evidence of its own, and other revisions: delete the old ones (kubectl delete vrev)",
        )
    return None


def _expiry(consent: Consent, now: datetime) -> Problem | None:
    if consent.expires is None:
        return None
    try:
        last_day = date.fromisoformat(consent.expires)
    except ValueError:
        return Problem(
            "ConsentUnclear",
            f"spec.consent.expires is {consent.expires!r}, which is no day; nothing is trained or served",
        )
    if now.astimezone(UTC).date() > last_day:
        return Problem(
            "ConsentExpired",
            f"the consent of {consent.holder} expired on {consent.expires}; renew spec.consent.expires to go on",
        )
    return None
