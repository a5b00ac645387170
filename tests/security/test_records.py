"""Revisions and statuses are the operator's: what others write is refused, or is neither served nor obeyed."""

from typing import Any

import pytest
from tests.faults.client import Client
from tests.security.installation import (
    REVISION_LABEL,
    SYSTEM,
    TEAM_A,
    TEAM_B,
    Installation,
    refusal,
    settle,
)
from tests.support.voices import API_VERSION, Object, make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security]

ALONE = "written by the voice operator alone, not by"


def stolen_revision(installation: Installation, alice: str, *, voice: str = "alice", **spec: Any) -> Object:
    """A record in team-b that says what team-a's record says: its bundle, its seal."""
    found = installation.administrator(TEAM_A).get("voicerevisions", alice)
    name = f"{voice}-{found['spec']['inputHash'][:8]}"
    metadata = {"name": name, "namespace": TEAM_B, "labels": {REVISION_LABEL: "alice"}}
    metadata["annotations"] = dict(found["metadata"]["annotations"])
    given = found["spec"] | {"voiceModel": voice} | spec
    return {"apiVersion": API_VERSION, "kind": "VoiceRevision", "metadata": metadata, "spec": given}


def restorer(installation: Installation, namespace: str = TEAM_B) -> Client:
    """Whom the installation trusts with records: the admission policies are no wall for it, and seals still are."""
    return installation.person("velero", namespace)


def test_the_owner_of_the_api_group_makes_no_revisions(installation: Installation, alice: str) -> None:
    oskar = installation.person("oskar", TEAM_B)
    said = refusal(lambda: oskar.create("voicerevisions", stolen_revision(installation, alice)))
    assert f"VoiceRevisions are {ALONE} oskar" in said
    assert "admission.alsoTrusted" in said
    said = refusal(lambda: installation.person("ada", TEAM_A).delete("voicerevisions", alice))
    assert 'User "ada" cannot delete resource "voicerevisions"' in said


def test_another_tenants_bundle_is_served_under_no_other_name(installation: Installation, alice: str) -> None:
    bob, name = installation.person("bob", TEAM_B), "copied"
    installation.held.add(name)
    bob.apply(make_voice(name, TEAM_B, suspend=True))
    forged = stolen_revision(installation, alice, voice=name)
    restorer(installation).create("voicerevisions", forged)
    revision = forged["metadata"]["name"]
    said = wait_for("the warning", lambda: installation.events(TEAM_B, revision).get("NotSealed"))
    assert f"{revision} does not carry the seal of this installation" in said or "seal" in said
    bob.patch("voicemodels", name, {"spec": {"suspend": False, "serving": {"pin": revision}}})
    wait_for("the refusal", lambda: installation.condition(TEAM_B, name).get("reason") == "NotSealed")
    assert f"{TEAM_B}/{name}" not in installation.listed()
    bob.delete("voicemodels", name)
    restorer(installation).delete("voicerevisions", revision)


@pytest.mark.parametrize("person", ["oskar", "bob"])
def test_a_status_is_written_by_the_operator_alone(installation: Installation, person: str) -> None:
    bob = installation.person("bob", TEAM_B)
    installation.held.add("waiting")
    bob.apply(make_voice("waiting", TEAM_B, suspend=True))
    claimed = {"status": {"server": f"{SYSTEM}/default", "activeRevision": "waiting-00000000"}}
    change = lambda: installation.person(person, TEAM_B).patch("voicemodels", "waiting", claimed, status=True)  # noqa: E731
    said = refusal(change)
    expected = f"the status of voicemodels waiting is {ALONE}" if person == "oskar" else "cannot patch resource"
    assert expected in said


def test_a_status_that_a_restore_wrote_is_replaced_and_serves_nothing(installation: Installation, alice: str) -> None:
    bob, name = installation.person("bob", TEAM_B), "restored"
    installation.held.add(name)
    bob.apply(make_voice(name, TEAM_B, suspend=True))
    wait_for("its status", lambda: (bob.get("voicemodels", name).get("status") or {}).get("inputHash"))
    artifacts = installation.administrator(TEAM_A).get("voicerevisions", alice)["spec"]["artifacts"]
    claimed = {
        "artifacts": {"revision": alice, "uri": artifacts["uri"], "digest": artifacts["digest"]},
        "server": f"{SYSTEM}/default",
        "activeRevision": alice,
    }
    restorer(installation).patch("voicemodels", name, {"status": claimed}, status=True)

    def status() -> Object:
        found: Object = bob.get("voicemodels", name)["status"]
        return found

    wait_for("the operator's word", lambda: not {"artifacts", "activeRevision"} & status().keys())
    bob.patch("voicemodels", name, {"spec": {"consent": {"revoked": True}}})
    wait_for("the revocation", lambda: installation.condition(TEAM_B, name).get("reason") == "ConsentRevoked")
    restorer(installation).patch("voicemodels", name, {"status": claimed}, status=True)
    wait_for("the operator's word again", lambda: not {"artifacts", "activeRevision"} & status().keys())
    assert f"{TEAM_B}/{name}" not in installation.listed()
    bob.delete("voicemodels", name)


def test_a_broken_record_is_refused_and_keeps_no_revocation_back(installation: Installation, alice: str) -> None:
    installation.train(TEAM_B, "leaving")
    assert f"{TEAM_B}/leaving" in installation.listed()
    broken = stolen_revision(installation, alice, artifacts={"uri": "s3://voices/x", "digest": "bad", "size": 1})
    said = refusal(lambda: restorer(installation).create("voicerevisions", broken))
    assert "spec.artifacts.digest must be sha256: and 64 hex digits" in said
    unsealed = stolen_revision(installation, alice, voice="leaving")
    unsealed["metadata"]["name"] = "leaving-broken"
    restorer(installation).create("voicerevisions", unsealed)
    installation.person("bob", TEAM_B).patch("voicemodels", "leaving", {"spec": {"consent": {"revoked": True}}})
    wait_for("the voice to leave the list", lambda: f"{TEAM_B}/leaving" not in installation.listed(), seconds=10)
    assert f"{TEAM_A}/alice" in installation.listed()
    restorer(installation).delete("voicerevisions", "leaving-broken")


def test_a_revision_that_is_deleted_takes_nothing_but_its_own_folders(installation: Installation, alice: str) -> None:
    for odd in ("?", "..", "a/b", ""):
        said = refusal(
            lambda: restorer(installation, TEAM_A).create(
                "voicerevisions",
                stolen_revision(installation, alice, voiceModel=odd),  # noqa: B023
            )
        )
        assert "spec.voiceModel of a VoiceRevision must be the name of a VoiceModel" in said or "namespace" in said
    before = installation.bucket.files(TEAM_A)
    forged = stolen_revision(installation, alice, voice="purging")  # its folders are those of team-a's alice
    restorer(installation).create("voicerevisions", forged)
    restorer(installation).delete("voicerevisions", forged["metadata"]["name"])
    name = forged["metadata"]["name"]
    wait_for("its end", lambda: restorer(installation).find("voicerevisions", name) is None)
    settle()
    assert installation.bucket.files(TEAM_A) == before
