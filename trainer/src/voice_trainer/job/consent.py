"""Whether the speaker allows this: checked before anything is read, in every run."""

from __future__ import annotations

from datetime import date

from voice_trainer.errors import Refused
from voice_trainer.job.document import Consent


def require_consent(consent: Consent | None, today: date) -> Consent:
    """Return the consent when it allows training today; the last day is the one named by ``expires``.

    Raises:
        Refused: ``ConsentMissing``, ``ConsentRevoked`` or ``ConsentExpired``.
    """
    if consent is None or not consent.holder.strip() or not consent.statement.strip():
        raise Refused(
            "consent.holder and consent.statement must name who agreed and to what; nothing was read or trained",
            reason="ConsentMissing",
        )
    if consent.revoked:
        raise Refused(f"{consent.holder} has revoked the consent; nothing was read or trained", reason="ConsentRevoked")
    if consent.expires is not None and consent.expires < today:
        raise Refused(
            f"the consent of {consent.holder} expired on {consent.expires}; renew consent.expires to train again",
            reason="ConsentExpired",
        )
    return consent
