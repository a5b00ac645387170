"""The audit log of a voice's life beside a real API server: what is in it, and that it is in it once."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.voices import recordings_digest

from voice_operator.manifests.revocation_list import read_secret
from voice_operator.reconcile.revocations import Revocation

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "operator-tests"
COMMIT = "3f2a91c0"
NAMED = "voice.sovits.dev/requested-by"
SERVED = ("Consented", "Trained", "Evaluated", "Served")


class Audit:
    """The command, with the store and the public key alone."""

    def __init__(self, scene: Any, folder: Path) -> None:
        self._scene = scene
        self.uri = f"file://{scene.trainer.store}/audit"
        self.keys = folder

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        keys = {json.loads(path.read_bytes())["key"] for path in self.folder.glob("*.json")}  # other tests replace it
        for number, key in enumerate(sorted(keys)):
            (self.keys / str(number)).write_text(key)
        verify = [flag for path in self.keys.iterdir() for flag in ("--public-key", str(path))]
        command = [sys.executable, "-m", "voice_operator", "audit", *arguments, "-n", NAMESPACE, "--uri", self.uri]
        nowhere = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "HOME": "/nowhere"}
        flags = verify if arguments[0] == "verify" else []
        return subprocess.run([*command, *flags], env=nowhere, text=True, capture_output=True, check=False, timeout=60)

    @property
    def folder(self) -> Path:
        return Path(self.uri.removeprefix("file://")) / NAMESPACE

    def of(self, voice: str) -> list[Any]:
        found = [json.loads(path.read_bytes()) for path in sorted(self.folder.glob("*.json"))]
        return [record for record in found if record["voice"] == voice]

    def acts(self, voice: str) -> list[str]:
        """All acts but erasures, which come when files are gone and nobody is left who could write."""
        found = [record["act"]["act"] for record in self.of(voice)]
        return [act for act in found if act != "Erased"]

    def wait_for_erasure(self, voice: str, why: str) -> Any:
        """Wait until an erasure for this reason is recorded; return the record."""

        def found() -> Any:
            erased = (record for record in self.of(voice) if record["act"]["act"] == "Erased")
            return next((record for record in erased if record["act"]["reason"].startswith(f"{why}: ")), None)

        return self._scene.wait(f"the erasure of {voice}", found, 60)

    def _is_settled(self, voice: str) -> bool:
        user = self._scene.user
        return not user.exists("voicemodel", voice) or not user.status(voice).get("audit", {}).get("pending")

    def wait(self, voice: str, *acts: str) -> list[Any]:
        """Wait until these are the voice's acts, and its status has no more to hand over; return the records."""

        def is_so() -> bool:
            return self._is_settled(voice) and self.acts(voice) == list(acts)

        try:
            self._scene.wait(f"the acts of {voice}", is_so)
        except BaseException:
            assert self.acts(voice) == list(acts)
            raise
        return [record for record in self.of(voice) if record["act"]["act"] != "Erased"]


@pytest.fixture(scope="module")
def audit(scene: Any, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    return Audit(scene, tmp_path_factory.mktemp("audit"))


def test_a_voices_life_is_recorded_act_by_act_with_who_what_and_why(scene: Any, audit: Audit, a_voice: Any) -> None:
    voice = a_voice("lived", source={"commit": COMMIT}, review={"required": True, "separation": False})
    voice["metadata"]["annotations"] = {NAMED: "eve"}
    scene.user.apply(voice)
    scene.train("lived")
    waiting = scene.wait("the review", lambda: scene.user.condition("lived", "Approved")["reason"] == "AwaitingReview")
    assert waiting
    revision = scene.user.status("lived")["candidateRevision"]
    consented, trained, evaluated = audit.wait("lived", "Consented", "Trained", "Evaluated")
    assert consented["act"]["by"] == "eve"
    assert consented["act"]["source"]["commit"] == COMMIT
    assert consented["act"]["digests"]["holder"].startswith("hmac-sha256:")
    assert trained["act"]["requestedBy"] == ["eve"]
    assert trained["act"]["revision"] == revision
    assert trained["act"]["digests"]["recordings"] == recordings_digest("lived")
    assert trained["act"]["digests"]["consent"] == consented["act"]["digests"]["consent"]
    assert evaluated["act"]["scores"] == {"pesq": "3.9", "stoi": "0.91"}
    digest = scene.user.get("vrev", revision)["spec"]["artifacts"]["digest"]
    decision = {
        "by": "rita",
        "decision": "Approved",
        "at": "2026-11-23T06:07:00Z",
        "digest": digest,
        "reason": "is hers",
    }
    scene.user.patch("vrev", revision, {"review": {"decisions": [decision]}})
    scene.wait_until_ready("lived")
    *_, approved, served = audit.wait("lived", "Consented", "Trained", "Evaluated", "Approved", "Served")
    assert (approved["act"]["by"], approved["act"]["reason"]) == ("rita", "is hers")
    assert approved["act"]["time"] == "2026-11-23T06:07:00Z"
    assert served["act"]["digests"] == {"bundle": digest}
    scene.user.patch("voicemodel", "lived", {"spec": {"consent": {"revoked": True}}})
    life = ("Consented", "Trained", "Evaluated", "Approved", "Served", "Revoked", "Unloaded")
    *_, revoked, unloaded = audit.wait("lived", *life)
    assert revoked["act"]["digests"] == consented["act"]["digests"]
    assert unloaded["act"]["reason"] == "ConsentRevoked"
    scene.user.delete("voicemodel", "lived")
    erased = audit.wait_for_erasure("lived", "VoiceDeleted")
    assert "bytes below" in erased["act"]["reason"]
    assert "Alice" not in json.dumps(audit.of("lived")), "the holder is in no record by name"


def test_it_is_whole_and_a_head_holds_it(audit: Audit) -> None:
    done = audit.run("verify", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["whole"]) == (0, True), done.stdout
    assert audit.run("verify", "--head", found["head"]).returncode == 0
    listed = audit.run("list", "--voice", "lived", "--act", "Approved").stdout
    assert " ".join(listed.splitlines()[1].split()[2:4]) == "Approved lived"
    assert "rita" in listed


def test_a_voice_that_is_deleted_while_it_is_served_is_recorded_as_unloaded(scene: Any, audit: Audit) -> None:
    scene.apply("taken")
    scene.train("taken")
    scene.wait_until_ready("taken")
    audit.wait("taken", *SERVED)
    scene.user.delete("voicemodel", "taken")
    audit.wait("taken", *SERVED, "Unloaded")
    audit.wait_for_erasure("taken", "VoiceDeleted")


def test_a_voice_that_is_deleted_while_no_operator_runs_is_recorded_by_the_next_one(scene: Any, audit: Audit) -> None:
    scene.apply("missed")
    scene.train("missed")
    revision = scene.wait_until_ready("missed")
    audit.wait("missed", *SERVED)
    marker = scene.trainer.store / "_voices" / NAMESPACE / "missed.json"
    scene.wait("the marker", lambda: json.loads(marker.read_bytes())["served"]["revision"] == revision)
    scene.operator.kill()
    scene.user.delete("voicemodel", "missed")
    scene.wait("its revision to go", lambda: not scene.user.exists("vrev", revision), 60)
    scene.operator.start()
    *_, unloaded = audit.wait("missed", *SERVED, "Unloaded")
    assert unloaded["act"]["reason"] == "the VoiceModel was deleted before, while no operator ran"
    assert unloaded["act"]["revision"] == revision
    audit.wait_for_erasure("missed", "VoiceDeleted")
    scene.operator.kill()
    scene.operator.start()
    scene.apply("later")
    audit.wait("later", "Consented")
    assert audit.acts("missed") == [*SERVED, "Unloaded"], "once"


def test_a_restart_and_a_pass_over_everything_record_nothing_again(scene: Any, audit: Audit) -> None:
    scene.apply("calm")
    scene.train("calm")
    scene.wait_until_ready("calm")
    audit.wait("calm", *SERVED)
    before = scene.user.get("voicemodel", "calm")["metadata"]["resourceVersion"]
    scene.operator.kill()
    scene.operator.start()
    scene.apply("after")
    audit.wait("after", "Consented")
    assert audit.acts("calm") == list(SERVED)
    assert scene.user.get("voicemodel", "calm")["metadata"]["resourceVersion"] == before


def test_what_happens_while_the_log_cannot_be_written_is_told_and_recorded_later_once(scene: Any, audit: Audit) -> None:
    """The operator is killed and started meanwhile, and the voice is revoked: that waits for nothing."""
    aside = audit.folder.with_name("aside")
    audit.folder.rename(aside)
    audit.folder.write_text("no folder")
    try:
        scene.user.patch("voicemodel", "calm", {"spec": {"consent": {"revoked": True}}})
        scene.wait("the voice to be unloaded", lambda: "calm" not in scene.served())
        pending = scene.wait("the acts", lambda: scene.user.status("calm")["audit"].get("pending"))
        assert [act["act"] for act in pending] == ["Revoked", "Unloaded"]
        scene.wait("the Event", lambda: "AuditDelayed" in scene.user.event_reasons("calm"))
        scene.operator.kill()
        scene.operator.start()
    finally:
        audit.folder.unlink()
        aside.rename(audit.folder)
    audit.wait("calm", *SERVED, "Revoked", "Unloaded")


def test_acts_that_somebody_else_puts_into_a_status_are_not_recorded(scene: Any, audit: Audit) -> None:
    scene.apply("forged")
    audit.wait("forged", "Consented")
    state = scene.user.status("forged")["audit"]
    act = {"id": "0" * 32, "act": "Approved", "time": "2026-11-23T06:07:00Z", "by": "rita", "reason": "never said"}
    scene.user.patch("voicemodel", "forged", {"status": {"audit": state | {"pending": [act]}}}, status=True)
    scene.wait("its end", lambda: not (scene.user.status("forged")["audit"]).get("pending"))
    assert "Approved" not in audit.acts("forged")


def test_a_revoked_voice_that_is_deleted_and_made_again_is_refused_with_a_sentence(scene: Any) -> None:
    scene.apply("again")
    scene.reach_job("again", "prepare")
    uid = scene.user.get("voicemodel", "again")["metadata"]["uid"]
    scene.user.patch("voicemodel", "again", {"spec": {"consent": {"revoked": True}}})
    scene.user.delete("voicemodel", "again")  # at once: nothing but the watch has told of the revocation
    scene.wait("its end", lambda: not scene.user.exists("voicemodel", "again"))
    scene.wait("the revocation to be written", lambda: uid in {one.uid for one in remembered(scene)}, 5)
    scene.operator.kill()
    scene.operator.start()
    scene.apply("again")
    recordings = {"uri": "s3://voices/datasets/operator-tests/copy", "digest": recordings_digest("again")}
    scene.apply("renamed", dataset=recordings, consent={"holder": "Somebody Else", "statement": "I agree."})
    for name, sentence in (("again", "the consent for these recordings was revoked"), ("renamed", "these recordings")):
        scene.wait(f"{name} to be refused", lambda: scene.user.condition(name, "Ready")["reason"] == "ConsentRevoked")  # noqa: B023
        assert sentence in scene.user.condition(name, "Ready")["message"]
        assert scene.user.jobs(name) == []
    evidence = "https://example.org/again-2026.pdf"
    scene.user.patch("voicemodel", "renamed", {"spec": {"consent": {"evidence": evidence}}})
    scene.reach_job("renamed", "prepare")  # at once: no files of an earlier voice are in the way


def revocation_secrets(scene: Any) -> list[Any]:
    found = scene.user.objects("secrets")
    return [one for one in found if one["metadata"]["name"].startswith("voice-operator-revocations-")]


def remembered(scene: Any) -> list[Revocation]:
    return [revocation for secret in revocation_secrets(scene) for revocation in read_secret(secret)[1]]


def test_names_are_not_kept(scene: Any) -> None:
    kept = revocation_secrets(scene)
    assert kept
    assert all("Alice" not in json.dumps(one) and one["type"] == "Opaque" for one in kept)
