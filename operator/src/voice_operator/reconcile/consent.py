"""Validity of the speaker's consent."""

from datetime import UTC, date, datetime

from voice_operator.api.voice_model import Consent
from voice_operator.reconcile.observed import Problem


def consent_problem(consent: Consent, now: datetime) -> Problem | None:
    """Return why nothing may be trained or served, or None. ``expires`` names the last day that is allowed, in UTC."""
    if not consent.holder.strip() or not consent.statement.strip():
        return Problem(
            "ConsentMissing",
            "spec.consent must name the holder and say what they agreed to; nothing is trained or served",
        )
    if consent.revoked:
        return Problem("ConsentRevoked", f"{consent.holder} has revoked the consent; nothing is trained or served")
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
