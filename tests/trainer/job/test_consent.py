"""Consent: who may be trained, and on which day."""

from datetime import date

import pytest

from voice_trainer.errors import Refused
from voice_trainer.job.consent import require_consent
from voice_trainer.job.document import Consent

TODAY = date(2026, 11, 23)
GIVEN = Consent(holder="Alice A.", statement="I agree.")


@pytest.mark.parametrize("expires", [None, TODAY, date(2027, 1, 1)])
def test_consent_holds_up_to_and_including_its_last_day(expires: date | None) -> None:
    consent = GIVEN.model_copy(update={"expires": expires})
    assert require_consent(consent, TODAY) is consent


@pytest.mark.parametrize(
    ("consent", "reason"),
    [
        pytest.param(None, "ConsentMissing", id="none at all"),
        pytest.param(Consent(), "ConsentMissing", id="an empty one"),
        pytest.param(Consent(holder="Alice A.", statement="  "), "ConsentMissing", id="no statement"),
        pytest.param(Consent(statement="I agree."), "ConsentMissing", id="nobody's"),
        pytest.param(GIVEN.model_copy(update={"revoked": True}), "ConsentRevoked", id="revoked"),
        pytest.param(
            GIVEN.model_copy(update={"expires": date(2026, 11, 22)}), "ConsentExpired", id="over since yesterday"
        ),
        pytest.param(
            GIVEN.model_copy(update={"revoked": True, "expires": date(2020, 1, 1)}),
            "ConsentRevoked",
            id="revocation first",
        ),
    ],
)
def test_without_consent_nothing_is_trained(consent: Consent | None, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        require_consent(consent, TODAY)
    assert caught.value.reason == reason
