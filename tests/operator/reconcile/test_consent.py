"""When a consent holds: to the second, and never again after a revocation."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from voice_operator.api.voice_model import Consent
from voice_operator.reconcile.consent import consent_mismatch, consent_problem
from voice_operator.reconcile.observed import RevisionRecord

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
REVOKED = RevisionRecord(holder="Alice A.", evidence="s3://voices/consents/old.pdf", revoked=True)


def consent(**about: Any) -> Consent:
    return Consent.model_validate({"holder": "Alice A.", "statement": "I agree."} | about)


@pytest.mark.parametrize(
    ("expires", "now", "reason"),
    [
        pytest.param("2026-11-23", "2026-11-23T00:00:00+00:00", None, id="the last day begins"),
        pytest.param("2026-11-23", "2026-11-23T23:59:59+00:00", None, id="its last second in UTC"),
        pytest.param("2026-11-23", "2026-11-24T00:00:00+00:00", "ConsentExpired", id="the second after it"),
        pytest.param("2026-11-23", "2026-11-24T00:59:59+01:00", None, id="wherever the clock is"),
        pytest.param("2026-11-23", "2026-11-23T16:00:00-08:00", "ConsentExpired", id="and however early it is there"),
        pytest.param(None, "2999-01-01T00:00:00+00:00", None, id="no last day"),
        pytest.param("2026-02-30", "2026-01-01T00:00:00+00:00", "ConsentUnclear", id="no day at all"),
    ],
)
def test_a_consent_ends_with_its_last_day_in_utc(expires: str | None, now: str, reason: str | None) -> None:
    found = consent_problem(consent(expires=expires), datetime.fromisoformat(now))
    assert (found.reason if found else None) == reason


def test_a_clock_that_is_set_back_brings_the_day_back_and_no_revocation() -> None:
    earlier = NOW.astimezone(timezone(timedelta(hours=9))) - timedelta(days=365)
    assert consent_problem(consent(expires="2026-01-01"), earlier) is None
    found = consent_problem(consent(), earlier, revoked_at="2026-11-23T06:07:00Z")
    assert found is not None
    assert found.reason == "ConsentRevoked"


@pytest.mark.parametrize(
    ("present", "revoked_at", "revisions", "sentence"),
    [
        pytest.param(consent(revoked=True), None, [], "Alice A. has revoked the consent", id="the spec says it"),
        pytest.param(
            consent(),
            "2026-11-23T06:07:00Z",
            [],
            "no edit of spec.consent.revoked takes that back",
            id="the status does",
        ),
        pytest.param(
            consent(evidence="s3://voices/consents/new.pdf"),
            "2026-11-23T06:07:00Z",
            [],
            "a new permission is a new VoiceModel",
            id="also beside new evidence",
        ),
        pytest.param(consent(), None, [REVOKED], "were made under a consent that was revoked", id="a revision does"),
        pytest.param(
            consent(evidence=REVOKED.evidence),
            None,
            [REVOKED],
            "needs spec.consent.evidence of its own",
            id="old evidence",
        ),
        pytest.param(consent(holder="Bob B."), None, [REVOKED], "a consent that was revoked", id="of another holder"),
    ],
)
def test_revoked_stays_revoked_because(
    present: Consent, revoked_at: str | None, revisions: list[RevisionRecord], sentence: str
) -> None:
    found = consent_problem(present, NOW, revoked_at=revoked_at, revisions=revisions)
    assert found is not None
    assert found.reason == "ConsentRevoked"
    assert sentence in found.message


def test_a_new_voice_with_evidence_of_its_own_is_another_consent() -> None:
    """Revisions of the old voice may be left, as after a deletion that orphans them; they are not served."""
    new = consent(evidence="s3://voices/consents/new.pdf")
    assert consent_problem(new, NOW, revisions=[REVOKED]) is None
    found = consent_mismatch(new, REVOKED)
    assert found is not None
    assert "delete it to train again" in found.message


def test_a_revision_of_another_holder_is_another_persons_voice() -> None:
    found = consent_mismatch(consent(holder="Bob B."), RevisionRecord(holder="Alice A."))
    assert found is not None
    assert (found.reason, "it is the voice of Alice A., but spec.consent.holder is Bob B." in found.message) == (
        "HolderChanged",
        True,
    )
    assert consent_mismatch(consent(), RevisionRecord(holder="Alice A.")) is None
