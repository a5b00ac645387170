"""Nothing is published or served that the operator did not make, against a real API server: each test is an attack."""

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.scene import CHAIN, NAMESPACE, Scene
from tests.support.voices import API_VERSION, DIGEST

from voice_trainer.job.receipts import digest_of_bytes

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

KEY = "voice-operator-signing-key"
PASSED = {"passed": True, "scores": {"pesq": "4.5", "stoi": "0.99"}}


RECORDINGS = {"uri": f"s3://voices/datasets/{NAMESPACE}/one", "digest": DIGEST}  # of all voices


@pytest.fixture(scope="module")
def honest(scene: Scene) -> str:
    """The revision of a voice that was trained, whose input is the same as that of every other voice here."""
    scene.apply("honest", dataset=RECORDINGS)
    scene.train("honest")
    return scene.wait_until_ready("honest")


def folder_of(scene: Scene, voice: str) -> Path:
    """The workspace of a voice: its name follows from its input, which anybody can compute."""
    digest = scene.user.status("honest")["inputHash"]
    return scene.trainer.store / NAMESPACE / voice / str(digest)


def forge(scene: Scene, voice: str, *stages: str) -> None:
    """Write results of stages as somebody with the bucket's key can; their receipts stay as they are."""
    workspace = folder_of(scene, voice)
    bundle = workspace.parent / "revisions" / f"{voice}-{workspace.name[:8]}"
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "manifest.json").write_text("{}")
    for stage in stages:
        summary = {"evaluate": PASSED, "publish": {"uri": f"file://{bundle}", "digest": DIGEST, "size": 2}}.get(stage)
        manifest = {
            "schema": "voice.sovits.dev/stage/v1",
            "stage": stage,
            "inputHash": workspace.name,
            "evaluationHash": "",
            "startedAt": "2026-11-23T06:00:00Z",
            "completedAt": "2026-11-23T06:01:00Z",
            "files": {},
            "summary": summary or {},
            "tools": {},
        }
        (workspace / stage).mkdir(parents=True, exist_ok=True)
        (workspace / stage / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("receipts", ["none", "of another voice"])
def test_results_that_no_job_made_are_not_published(scene: Scene, honest: str, receipts: str) -> None:
    voice = f"forged-{receipts.split(maxsplit=1)[0]}"
    forge(scene, voice, *CHAIN)
    if receipts != "none":
        for stage in CHAIN:
            for name in ("manifest.json", "receipt.json"):
                content = (folder_of(scene, "honest") / stage / name).read_bytes()
                (folder_of(scene, voice) / stage / name).write_bytes(content)
    scene.apply(voice, dataset=RECORDINGS)
    scene.reach_job(voice, "prepare")
    scene.wait("the warning", lambda: "UnprovedResult" in scene.user.event_reasons(voice))
    scene.finish(voice, "prepare")
    scene.reach_job(voice, "train")
    assert scene.user.objects("voicerevisions", f"voice.sovits.dev/voice-model={voice}") == []
    assert voice not in scene.served()


def test_a_result_that_was_changed_after_its_job_wrote_it_is_made_again(scene: Scene, honest: str) -> None:
    scene.apply("changed", dataset=RECORDINGS)
    scene.finish("changed", "prepare")
    scene.finish("changed", "train")
    job = scene.reach_job("changed", "evaluate")
    scene.trainer.commit("changed", "evaluate", passed=False, scores={"pesq": "1.0", "stoi": "0.1"})
    forge(scene, "changed", "evaluate", "publish")  # beside the receipt of what the Job wrote
    scene.kubelet.end(job)
    scene.wait("the warning", lambda: "UnprovedResult" in scene.user.event_reasons("changed"))
    assert "somebody changed it" in str(scene.user.condition("changed", "Evaluated")["message"])
    assert scene.user.objects("voicerevisions", "voice.sovits.dev/voice-model=changed") == []


def test_what_a_pod_reported_counts_more_than_what_is_in_the_bucket(scene: Scene, honest: str) -> None:
    scene.apply("reported", dataset=RECORDINGS)
    job = scene.reach_job("reported", "prepare")
    scene.trainer.commit("reported", "prepare")
    other = digest_of_bytes(b"what the pod wrote")
    scene.kubelet.end(job, message=scene.trainer.prover("reported", "prepare").result({"prepare": other}).decode())
    scene.wait("the warning", lambda: "UnprovedResult" in scene.user.event_reasons("reported"))
    assert "the pod of prepare's Job reported" in str(scene.user.condition("reported", "Prepared")["message"])


def test_a_status_that_somebody_wrote_leads_to_no_job_no_revision_and_no_entry(scene: Scene, honest: str) -> None:
    scene.apply("status", suspend=True, dataset=RECORDINGS)
    scene.wait("its status", lambda: scene.user.status("status").get("inputHash"))
    forge(scene, "status", *CHAIN)
    done = {"state": "Succeeded", "attempt": 1, "counted": 1}
    artifacts = {"revision": honest, "uri": "file:///elsewhere", "digest": DIGEST}
    claimed = {
        "stages": [{"name": name} | done for name in ("prepare", "train", "evaluate")],
        "artifacts": artifacts,
        "server": f"{NAMESPACE}/default",
        "activeRevision": honest,
    }
    scene.user.patch("voicemodel", "status", {"status": claimed}, status=True)
    scene.wait("the operator's word", lambda: "artifacts" not in scene.user.status("status"))
    assert "server" not in scene.user.status("status")
    scene.user.patch("voicemodel", "status", {"spec": {"suspend": False}})
    scene.reach_job("status", "prepare")
    assert "status" not in scene.served()
    assert scene.user.objects("voicerevisions", "voice.sovits.dev/voice-model=status") == []


def test_a_revision_made_by_hand_is_never_served(scene: Scene, honest: str) -> None:
    scene.apply("victim", suspend=True, dataset=RECORDINGS)
    voice = scene.user.get("voicemodel", "victim")
    spec = scene.user.get("voicerevision", honest)["spec"] | {"voiceModel": "victim"}
    owner = {"apiVersion": API_VERSION, "kind": "VoiceModel", "name": "victim", "uid": voice["metadata"]["uid"]}
    seal = scene.user.get("voicerevision", honest)["metadata"]["annotations"]["voice.sovits.dev/seal"]
    name = f"victim-{spec['inputHash'][:8]}"
    metadata = {
        "name": name,
        "namespace": NAMESPACE,
        "labels": {"voice.sovits.dev/voice-model": "victim"},
        "annotations": {"voice.sovits.dev/seal": seal},
        "ownerReferences": [owner],
    }
    scene.user.apply({"apiVersion": API_VERSION, "kind": "VoiceRevision", "metadata": metadata, "spec": spec})
    scene.wait("the warning on it", lambda: "NotSealed" in scene.user.event_reasons(name))
    scene.wait("the warning on its voice", lambda: "NotSealed" in scene.user.event_reasons("victim"))
    scene.user.patch("voicemodel", "victim", {"spec": {"suspend": False, "serving": {"pin": name}}})
    scene.wait("the refusal", lambda: scene.user.condition("victim", "Ready")["reason"] == "NotSealed")
    scene.user.patch("voicemodel", "victim", {"spec": {"serving": {"pin": ""}}})
    scene.wait("the pass", lambda: scene.user.condition("victim", "Ready").get("observedGeneration", 0) >= 3)
    assert scene.user.condition("victim", "Ready")["reason"] == "NotSealed", "it has the name of the voice's own result"
    assert scene.user.jobs("victim") == []
    assert "victim" not in scene.served()
    scene.user.delete("voicerevision", name)
    scene.reach_job("victim", "prepare")


def test_a_published_voice_says_who_made_it(scene: Scene, honest: str) -> None:
    spec = scene.user.get("voicerevision", honest)["spec"]
    assert [one["stage"] for one in spec["provenance"]] == CHAIN
    workspace = folder_of(scene, "honest")
    for one in spec["provenance"]:
        assert one["manifest"] == digest_of_bytes((workspace / one["stage"] / "manifest.json").read_bytes())
        assert one["job"].startswith(f"{honest}-")
        assert one["attempt"] == 1


def verify(scene: Scene, kubeconfig: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What a person is told of a revision."""
    command = [sys.executable, "-m", "voice_operator", "verify", "-n", NAMESPACE, *arguments]
    environment = os.environ | {"KUBECONFIG": str(kubeconfig)}
    command += ["--config", str(scene.operator.config)]
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)


def test_a_person_is_shown_who_made_a_revision(scene: Scene, control_plane: Path, honest: str, tmp_path: Path) -> None:
    bundle = scene.trainer.bundle("honest") / "manifest.json"
    recorded = scene.user.get("voicerevision", honest)["spec"]["artifacts"]["digest"]
    done = verify(scene, control_plane, honest)
    assert (done.returncode, recorded in done.stdout) == (1, True), "its bundle is a stand-in with another digest"
    findings = json.loads(verify(scene, control_plane, honest, "--json").stdout)["findings"]
    assert {one["name"]: one["ok"] for one in findings} == dict.fromkeys(["seal", *CHAIN], True) | {"bundle": False}
    assert all("not checked" not in one["message"] for one in findings)
    assert bundle.read_text() == "{}", "nothing is written"

    key = tmp_path / "key"
    key.write_text(scene.user.get("configmap", KEY)["data"]["ed25519.pub"])
    public = json.loads(verify(scene, control_plane, honest, "--json", "--public-key", str(key)).stdout)["findings"]
    assert {one["name"]: one["ok"] for one in public} == {one["name"]: one["ok"] for one in findings}
    assert "the receipt's tag was not checked" in public[1]["message"]

    (folder_of(scene, "honest") / "train" / "manifest.json").write_text("{}")
    found = {
        one["name"]: one["ok"] for one in json.loads(verify(scene, control_plane, honest, "--json").stdout)["findings"]
    }
    assert found["train"] is False
    assert "there is no VoiceRevision nobody" in verify(scene, control_plane, "nobody").stderr


def test_a_key_that_is_replaced_unloads_nothing_and_trains_nothing(scene: Scene, honest: str) -> None:
    before = scene.user.get("voicerevision", honest)["metadata"]["annotations"]["voice.sovits.dev/seal"]
    jobs = scene.user.jobs("honest")
    assert scene.operator.stop() == 0
    scene.user.delete("secret", KEY)
    time.sleep(1.1)  # the age of an object is told in seconds
    scene.operator.start()

    def seal() -> str:
        found: str = scene.user.get("voicerevision", honest)["metadata"]["annotations"]["voice.sovits.dev/seal"]
        return found

    scene.wait("the new seal", lambda: seal() != before)
    scene.wait("the voice in the list", lambda: "honest" in scene.served())
    assert scene.user.jobs("honest") == jobs
    assert scene.user.status("honest")["activeRevision"] == honest
    entry = next(one for one in listed(scene) if one["id"] == f"{NAMESPACE}/honest")
    assert entry["seal"] == seal()
    public = scene.user.get("configmap", KEY)["data"]["ed25519.pub"]
    container = scene.user.get("deployment", "default")["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "VOICE_PUBLIC_KEY", "value": public} in container["env"]
    private = base64.b64decode(scene.user.get("secret", KEY)["data"]["ed25519.pem"])
    assert private.startswith(b"-----BEGIN PRIVATE KEY-----")


def listed(scene: Scene) -> list[dict[str, Any]]:
    """The entries of the list that the server's pods read."""
    data = scene.user.get("configmap", "default-voices")["data"]["voices.json"]
    entries: list[dict[str, Any]] = json.loads(data)["voices"]
    return entries
