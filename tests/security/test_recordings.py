"""Another namespace's recordings are not trained on: refused at apply, in the operator, and by the store's keys."""

import pytest
from minio.error import S3Error
from tests.security.conftest import STOLEN
from tests.security.installation import TEAM_A, TEAM_B, Installation, refusal
from tests.support.voices import make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security]


def test_a_voice_on_another_namespaces_recordings_is_refused_at_apply(installation: Installation) -> None:
    consent = {"holder": "x", "statement": "y"}
    theft = make_voice("theft", TEAM_B, dataset={"uri": STOLEN}, consent=consent)
    said = refusal(lambda: installation.person("bob", TEAM_B).apply(theft))
    assert f"spec.dataset.uri is {STOLEN}, but the namespace team-b may use s3://voices/datasets/team-b/;" in said
    assert "chart value tenancy.datasets" in said


def test_one_from_before_the_policies_is_refused_before_any_request_to_the_store(installation: Installation) -> None:
    def refused() -> bool:
        return bool(installation.condition(TEAM_B, "smuggled").get("reason") == "DatasetNotAllowed")

    wait_for("the operator's refusal", refused)
    assert STOLEN in installation.condition(TEAM_B, "smuggled")["message"]
    assert installation.administrator(TEAM_B).objects("jobs", "voice.sovits.dev/voice-model=smuggled") == []
    accesses = (installation.bucket.folder.parent.parent / "access.log").read_text().splitlines()
    asked = [line for line in accesses if " operator " in line]
    assert asked, "the operator does ask for other things"
    assert not [line for line in asked if f"datasets/{TEAM_A}" in line or f"datasets%2F{TEAM_A}" in line]


def test_the_keys_of_another_namespace_do_not_read_them(installation: Installation) -> None:
    with pytest.raises(S3Error, match="Access Denied"):
        installation.s3(TEAM_B).get_object("voices", f"datasets/{TEAM_A}/alice/1.wav")
    with pytest.raises(S3Error, match="Access Denied"):
        list(installation.s3(TEAM_B).list_objects("voices", prefix=f"datasets/{TEAM_A}/"))
    own = installation.s3(TEAM_A).get_object("voices", f"datasets/{TEAM_A}/alice/1.wav")
    assert own.read() == b"RIFF"
    own.close()
    own.release_conn()
