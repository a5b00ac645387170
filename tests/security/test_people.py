"""Consent and review: what whoever may edit a voice cannot take back, approve or go around."""

from typing import Any

import pytest
from tests.security.installation import REVISION_LABEL, TEAM_A, Installation, refusal, settle
from tests.support.voices import Object, make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.usefixtures("speech")]

REQUESTED_BY = "voice.sovits.dev/requested-by"


@pytest.fixture(scope="module")
def revoked(installation: Installation) -> str:
    """A voice of team-a that was served, and whose consent is withdrawn."""
    installation.train(TEAM_A, "revoked")
    ada = installation.person("ada", TEAM_A)
    ada.patch("voicemodels", "revoked", {"spec": {"consent": {"revoked": True}}})
    wait_for("the voice to leave the list", lambda: f"{TEAM_A}/revoked" not in installation.listed(), seconds=10)
    return "revoked"


@pytest.fixture(scope="module")
def forgotten(installation: Installation) -> Object:
    """A voice of team-a that was served, revoked and deleted, with everything that it left."""
    installation.train(TEAM_A, "again")
    ada = installation.person("ada", TEAM_A)
    ada.patch("voicemodels", "again", {"spec": {"consent": {"revoked": True}}})
    voice: Object = ada.get("voicemodels", "again")
    wait_for("the voice to leave the list", lambda: f"{TEAM_A}/again" not in installation.listed(), seconds=10)
    ada.delete("voicemodels", "again")
    wait_for("its end", lambda: ada.find("voicemodels", "again") is None)
    wait_for("its revisions' end", lambda: not ada.objects("voicerevisions", f"{REVISION_LABEL}=again"))
    return voice


@pytest.mark.parametrize("person", ["ada", "olga"])
@pytest.mark.parametrize(
    ("consent", "sentence"),
    [
        ({"revoked": False}, "spec.consent.revoked"),
        ({"revoked": False, "holder": "Mallory"}, "spec.consent.holder never changes"),
    ],
)
def test_a_revoked_voice_is_not_revived(
    installation: Installation, revoked: str, person: str, consent: dict[str, Any], sentence: str
) -> None:
    revive = {"spec": {"consent": consent}}
    said = refusal(lambda: installation.person(person, TEAM_A).patch("voicemodels", revoked, revive))
    assert sentence in said
    assert f"{TEAM_A}/{revoked}" not in installation.listed()


def test_a_revocation_outlives_its_voice_and_a_restore_of_its_status(installation: Installation, revoked: str) -> None:
    """A backup from before the revocation brings back the VoiceModel and its status; revisions are newer."""
    velero = installation.person("velero", TEAM_A)
    before = {"revokedAt": None, "activeRevision": velero.objects("voicerevisions")[0]["metadata"]["name"]}
    velero.patch("voicemodels", revoked, {"status": before}, status=True)
    wait_for("the operator's word", lambda: "revokedAt" in velero.get("voicemodels", revoked)["status"])
    assert "activeRevision" not in velero.get("voicemodels", revoked)["status"]
    (revision,) = velero.objects("voicerevisions", f"{REVISION_LABEL}={revoked}")
    unlabel = {"metadata": {"labels": {"voice.sovits.dev/revoked": None}}}
    said = refusal(lambda: velero.patch("voicerevisions", revision["metadata"]["name"], unlabel))
    assert "the label voice.sovits.dev/revoked stays" in said
    assert f"{TEAM_A}/{revoked}" not in installation.listed()


@pytest.mark.parametrize(
    ("name", "holder"), [("again", "Alice A."), ("other", "Mallory")], ids=["the same", "another name and holder"]
)
def test_a_revoked_voice_that_is_deleted_and_made_again_is_not_trained(
    installation: Installation, forgotten: Object, name: str, holder: str
) -> None:
    ada = installation.person("ada", TEAM_A)
    consent = forgotten["spec"]["consent"] | {"holder": holder, "revoked": False}
    ada.apply(make_voice(name, TEAM_A, dataset=forgotten["spec"]["dataset"], consent=consent))
    wait_for("the refusal", lambda: installation.condition(TEAM_A, name).get("reason") == "ConsentRevoked")
    said = installation.condition(TEAM_A, name)["message"]
    assert "the consent for these recordings was revoked at" in said
    assert "spec.consent.evidence of its own" in said
    assert ada.objects("jobs", f"{REVISION_LABEL}={name}") == []
    assert f"{TEAM_A}/{name}" not in installation.listed()
    ada.delete("voicemodels", name)


def test_a_voice_that_waits_for_review_is_served_by_no_way_around_it(installation: Installation) -> None:
    ada, name = installation.person("ada", TEAM_A), "reviewed"
    review = {"required": True, "separation": True}
    voice = make_voice(name, TEAM_A, review=review)
    assert REQUESTED_BY in refusal(lambda: ada.apply(voice))
    voice["metadata"]["annotations"] = {REQUESTED_BY: "bob"}
    assert "must be named" in refusal(lambda: ada.apply(voice))
    voice["metadata"]["annotations"] = {REQUESTED_BY: "ada"}
    ada.apply(voice)
    waiting = lambda: installation.condition(TEAM_A, name).get("reason") == "AwaitingReview"  # noqa: E731
    wait_for("the review", waiting, seconds=60)
    (revision,) = ada.objects("voicerevisions", f"{REVISION_LABEL}={name}")

    loosened = {"spec": {"review": {"required": False}}, "metadata": {"annotations": {REQUESTED_BY: "ada"}}}
    assert "ada may not loosen spec.review" in refusal(lambda: ada.patch("voicemodels", name, loosened))

    pinned = {"spec": {"serving": {"pin": revision["metadata"]["name"]}}}
    ada.patch("voicemodels", name, pinned)
    settle(2)
    wait_for("the review", waiting)
    assert "waits for approval" in installation.condition(TEAM_A, name)["message"]

    approved = {"by": "rita", "decision": "Approved", "digest": revision["spec"]["artifacts"]["digest"], "reason": ""}
    decided: Object = {"review": {"decisions": [approved | {"at": "2026-11-23T06:07:00Z"}]}}
    said = refusal(lambda: ada.patch("voicerevisions", revision["metadata"]["name"], decided))
    assert 'User "ada" cannot patch resource "voicerevisions"' in said
    said = refusal(
        lambda: installation.person("olga", TEAM_A).patch("voicerevisions", revision["metadata"]["name"], decided)
    )
    assert 'by must be "olga", not "rita"' in said
    assert f"{TEAM_A}/{name}" not in installation.listed()
