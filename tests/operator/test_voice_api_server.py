"""A voice's whole life against a real API server and the real Job controller, with the operator as its own process."""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SCORES = {"pesq": "3.9", "stoi": "0.91"}
NO_STOI = {"metric": "stoi", "min": "0.85", "value": "0.41", "passed": False}
TOO_BAD = {"passed": False, "scores": {"pesq": "1.2", "stoi": "0.41"}, "gates": [NO_STOI], "gatesFrom": "default"}


def failure(stage: str, exit_code: int, reason: str, message: str) -> str:
    schema = "voice.sovits.dev/failure/v1"
    return json.dumps({"schema": schema, "stage": stage, "exitCode": exit_code, "reason": reason, "message": message})


def test_a_voice_becomes_ready_step_by_step(scene: Any) -> None:
    user = scene.user
    scene.apply("alice")
    prepare = scene.reach_job("alice", "prepare")
    scene.kubelet.run(prepare)
    scene.trainer.progress("alice", "prepare", 40)
    scene.wait("the progress", lambda: user.status("alice").get("progress", {}).get("percent") == 40)
    assert user.status("alice")["phase"] == "Preparing"
    assert user.jobs("alice") == [prepare], "no GPU Job before prepare has succeeded"

    scene.trainer.commit("alice", "prepare", clips=32)
    scene.kubelet.end(prepare)
    train = scene.reach_job("alice", "train")
    finished, created = user.get("job", prepare)["status"], user.get("job", train)["metadata"]
    assert seconds_between(finished["completionTime"], created["creationTimestamp"]) <= 10, (
        "the next Job follows the end of the last, not the next resync"
    )
    pod = user.get("job", train)["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"

    scene.finish("alice", "train")
    scene.finish("alice", "evaluate", passed=True, scores=SCORES)
    revision = scene.wait_until_ready("alice")
    status = user.status("alice")
    assert (status["phase"], status["scores"]) == ("Ready", SCORES)
    assert status["artifacts"]["uri"] == f"file://{scene.trainer.bundle('alice')}"
    assert status["endpoint"] == "http://default.operator-tests.svc"
    assert not user.get("voicerevision", revision)["metadata"].get("finalizers")
    scene.wait("its state", lambda: user.get("voicerevision", revision).get("status", {}).get("state") == "Active")
    assert {"JobStarted", "Prepared", "Trained", "Evaluated", "Published", "Serving"} <= user.event_reasons("alice")

    columns = [line.split() for line in user.run("get", "voices", "-n", "operator-tests", "alice").stdout.splitlines()]
    assert columns[0] == ["NAME", "READY", "PHASE", "REVISION", "PROGRESS", "PESQ", "STOI", "AGE"]
    assert columns[1][:-1] == ["alice", "True", "Ready", revision, "100", "3.9", "0.91"]
    wide = user.run("get", "voices", "-n", "operator-tests", "alice", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[-4:] == ["STAGE", "SERVER", "URI", "REASON"]
    assert wide[1].split()[-1] == "Serving"


def test_recordings_that_are_refused_say_why_and_cost_no_gpu(scene: Any) -> None:
    user = scene.user
    scene.apply("mute")
    job = scene.reach_job("mute", "prepare")
    message = failure("prepare", 65, "TooLittleSpeech", "41.2 s of speech found, at least 60 s are needed")
    scene.kubelet.end(job, exit_code=65, message=message)
    scene.wait("Failed", lambda: user.status("mute").get("phase") == "Failed")
    ready = user.condition("mute", "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "TooLittleSpeech")
    assert "41.2 s of speech found" in ready["message"]
    assert user.condition("mute", "Stalled")["status"] == "True"
    assert user.jobs("mute") == [job], "no second attempt and no GPU Job"
    assert "TooLittleSpeech" in user.event_reasons("mute")

    user.run("annotate", "voice", "mute", "-n", "operator-tests", "voice.sovits.dev/retry=now")
    scene.wait("another attempt on request", lambda: job.removesuffix("-1") + "-2" in user.jobs("mute"))


def test_a_failed_gate_publishes_nothing(scene: Any) -> None:
    user = scene.user
    scene.apply("hoarse")
    scene.finish("hoarse", "prepare")
    scene.finish("hoarse", "train")
    scene.finish("hoarse", "evaluate", **TOO_BAD)
    scene.wait("Failed", lambda: user.status("hoarse").get("phase") == "Failed")
    assert user.condition("hoarse", "GatesPassed")["status"] == "False"
    assert user.condition("hoarse", "Ready")["reason"] == "GatesFailed"
    assert "stoi is 0.41, at least 0.85 is needed" in user.condition("hoarse", "Ready")["message"]
    status = user.status("hoarse")
    assert "artifacts" not in status
    assert status["scores"]["stoi"] == "0.41"
    assert not user.objects("voicerevisions", "voice.sovits.dev/voice-model=hoarse")


def test_raised_gates_take_nothing_away_that_is_served_and_say_what_falls_short(scene: Any) -> None:
    user = scene.user
    scene.apply("lofty")
    scene.train("lofty")
    revision, jobs = scene.wait_until_ready("lofty"), sorted(user.jobs("lofty"))
    raised = {"spec": {"evaluation": {"gates": [{"metric": "pesq", "min": "4.2"}]}}}
    user.patch("voicemodel", "lofty", raised)
    scene.wait("the verdict", lambda: user.condition("lofty", "GatesPassed")["reason"] == "BelowGates")
    condition = user.condition("lofty", "GatesPassed")
    assert condition["status"] == "False"
    assert (
        f"{revision} was published for other gates and does not reach the present ones: pesq is"
        in (condition["message"])
    )
    assert user.condition("lofty", "Ready")["status"] == "True"
    assert (user.status("lofty")["activeRevision"], sorted(user.jobs("lofty"))) == (revision, jobs)
    assert "lofty" in scene.served()
    scene.wait("the Event", lambda: "BelowGates" in user.event_reasons("lofty"))
    user.patch("voicemodel", "lofty", {"spec": {"evaluation": {"gates": None}}})
    scene.wait("the verdict", lambda: user.condition("lofty", "GatesPassed")["reason"] == "Passed")
    assert "lofty" in scene.served()


def test_gpu_memory_that_ran_out_halves_the_batch(scene: Any) -> None:
    scene.apply("heavy")
    scene.finish("heavy", "prepare")
    train = scene.reach_job("heavy", "train")
    scene.kubelet.end(train, exit_code=90, message=failure("train", 90, "OutOfGpuMemory", "12 GiB were not enough"))
    scene.wait("the second attempt", lambda: train.removesuffix("-1") + "-2" in scene.user.jobs("heavy"))
    document = json.loads(scene.user.get("configmap", train.removesuffix("-1"))["data"]["job.json"])
    assert document["attempt"] == {"number": 2, "batchSizeDivisor": 2}


def test_a_lost_connection_is_tried_again(scene: Any) -> None:
    user = scene.user
    scene.apply("shaky")
    job = scene.reach_job("shaky", "prepare")
    message = failure("prepare", 75, "StoreUnreachable", "no answer from the object store")
    scene.kubelet.end(job, exit_code=75, message=message)
    scene.wait("the retry to be announced", lambda: user.condition("shaky", "Ready")["reason"] == "Retrying")
    assert "no answer from the object store" in user.condition("shaky", "Ready")["message"]
    scene.wait("the second attempt", lambda: job.removesuffix("-1") + "-2" in user.jobs("shaky"))


def test_a_missing_secret_is_named(scene: Any) -> None:
    scene.apply("keyless")
    job = scene.reach_job("keyless", "prepare")
    scene.kubelet.cannot_start(job, "CreateContainerConfigError", 'secret "voice-store" not found')
    scene.wait("the reason", lambda: scene.user.condition("keyless", "Ready")["reason"] == "SecretNotFound")
    assert "voice-store" in scene.user.condition("keyless", "Prepared")["message"]


@pytest.mark.parametrize(
    ("name", "consent", "reason"),
    [
        pytest.param("revoked", {"revoked": True}, "ConsentRevoked", id="a revoked consent"),
        pytest.param("expired", {"expires": "2020-01-01"}, "ConsentExpired", id="an expired consent"),
        pytest.param("unclear", {"expires": "2027-02-31"}, "ConsentUnclear", id="a last day that does not exist"),
    ],
)
def test_never_trains_with(scene: Any, name: str, consent: dict[str, Any], reason: str) -> None:
    agreed = {"holder": "Alice A.", "statement": "I agreed once."}
    scene.apply(name, consent=agreed | consent)
    scene.wait("the verdict", lambda: scene.user.condition(name, "ConsentValid")["status"] == "False")
    time.sleep(2)
    assert scene.user.condition(name, "Ready")["reason"] == reason
    assert scene.user.status(name)["phase"] == "Failed"
    assert not scene.user.jobs(name)


def test_a_revoked_consent_stops_training(scene: Any) -> None:
    user = scene.user
    scene.apply("regret")
    scene.reach_job("regret", "prepare")
    user.patch("voicemodel", "regret", {"spec": {"consent": {"revoked": True}}})
    scene.wait("the Job to go", lambda: not user.jobs("regret"))
    scene.wait("the reason", lambda: user.condition("regret", "ConsentValid")["reason"] == "ConsentRevoked")


def test_a_consent_that_ends_stops_training_until_it_is_renewed(scene: Any) -> None:
    user = scene.user
    scene.apply("late")
    scene.reach_job("late", "prepare")
    user.patch("voicemodel", "late", {"spec": {"consent": {"expires": "2020-01-01"}}})
    scene.wait("the Job to go", lambda: not user.jobs("late"))
    scene.wait("the reason", lambda: user.condition("late", "ConsentValid")["reason"] == "ConsentExpired")

    user.patch("voicemodel", "late", {"spec": {"consent": {"expires": None}}})
    scene.wait("a new attempt", lambda: any(name.endswith("-prepare-2") for name in user.jobs("late")))
    assert "lastFailure" not in user.status("late")["stages"][0], "taking the Job away was no failure"


def test_a_revoked_consent_unloads_the_voice(scene: Any) -> None:
    scene.apply("taken-back")
    scene.train("taken-back")
    scene.wait_until_ready("taken-back")
    assert "taken-back" in scene.served()
    scene.user.patch("voicemodel", "taken-back", {"spec": {"consent": {"revoked": True}}})
    scene.wait("the voice to be unloaded", lambda: "taken-back" not in scene.served())
    scene.wait("its status", lambda: "activeRevision" not in scene.user.status("taken-back"))


def test_suspend_pauses_the_job_and_resume_lets_it_go_on(scene: Any) -> None:
    user = scene.user
    scene.apply("patient")
    job = scene.reach_job("patient", "prepare")
    user.patch("voicemodel", "patient", {"spec": {"suspend": True}})
    scene.wait("the Job to pause", lambda: user.get("job", job)["spec"]["suspend"])
    scene.wait("Suspended", lambda: user.status("patient")["phase"] == "Suspended")
    user.patch("voicemodel", "patient", {"spec": {"suspend": False}})
    scene.wait("the Job to go on", lambda: not user.get("job", job)["spec"]["suspend"])
    assert user.jobs("patient") == [job]


def test_a_changed_input_replaces_the_running_job(scene: Any) -> None:
    user = scene.user
    scene.apply("fickle")
    old = scene.reach_job("fickle", "prepare")
    user.patch("voicemodel", "fickle", {"spec": {"training": {"seed": 99}}})
    scene.wait("the new Job alone", lambda: len(jobs := user.jobs("fickle")) == 1 and jobs != [old])


def test_a_pin_rolls_back_and_without_it_the_newest_returns_untrained(scene: Any) -> None:
    user = scene.user

    def listed_before() -> str | None:
        entries = (one for one in scene.inference.listed() if one["id"].endswith("/steady"))
        return next((one["previous"]["revision"] for one in entries if "previous" in one), None)

    scene.apply("steady")
    scene.train("steady")
    first = scene.wait_until_ready("steady")
    user.patch("voicemodel", "steady", {"spec": {"training": {"seed": 2}}})
    scene.wait("the new input", lambda: user.status("steady")["phase"] == "Preparing")
    assert user.condition("steady", "Serving")["status"] == "True", "the old revision is served meanwhile"
    scene.train("steady")
    second = scene.wait("another revision", lambda: {user.status("steady").get("activeRevision")} - {first, None})
    assert user.status("steady")["previousRevision"] == first
    scene.wait("the first to be listed beside it", lambda: listed_before() == first)

    user.patch("voicemodel", "steady", {"spec": {"serving": {"pin": first}}})
    scene.wait("the rollback", lambda: user.status("steady").get("activeRevision") == first)
    assert scene.wait_until_ready("steady") == first
    before = user.jobs("steady")
    user.patch("voicemodel", "steady", {"spec": {"serving": {"pin": ""}}})
    scene.wait("the second revision again", lambda: user.status("steady").get("activeRevision") in second)
    assert user.jobs("steady") == before, "what is trained is not trained again"
    scene.wait("the first to be listed again", lambda: listed_before() == first)
    user.delete("voicerevision", first)
    scene.wait("it to be listed no more", lambda: listed_before() is None)
    assert scene.wait_until_ready("steady") in second


def test_what_is_served_is_compared_with_and_copied_to_the_hub(scene: Any) -> None:
    user = scene.user

    def copy_of(revision: str) -> str:
        def found() -> str | None:
            return next((job for job in user.jobs("shared") if job.startswith(f"{revision}-copy-")), None)

        return str(scene.wait(f"the copy of {revision}", found))

    def told(state: str) -> dict[str, Any]:
        status: dict[str, Any] = scene.wait(
            f"the copy to be {state}",
            lambda: (now := user.status("shared").get("hubCopy") or {}).get("state") == state and now,
        )
        return status

    scene.apply("shared", publish={"hub": {"repository": "studio/shared"}})
    scene.train("shared")
    first = scene.wait_until_ready("shared")
    job = copy_of(first)
    digest = user.get("voicerevision", first)["spec"]["artifacts"]["digest"]
    command = user.get("job", job)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert command == ["copy", f"file://{scene.trainer.bundle('shared')}", "hf://studio/shared", "--digest", digest]
    assert told("Copying")["revision"] == first
    scene.kubelet.end(job)
    assert told("Copied") == {
        "repository": "studio/shared", "revision": first, "digest": digest, "state": "Copied", "message": "",
        "withdrawals": 0,
    }  # fmt: skip
    scene.wait("its Event", lambda: "Copied" in user.event_reasons("shared"))

    def acts(kind: str) -> list[Any]:
        log = (scene.trainer.store / "audit" / "operator-tests").glob("*.json")
        found = (record["act"] for path in log if (record := json.loads(path.read_bytes()))["voice"] == "shared")
        return [act for act in found if act["act"] == kind]

    (act,) = scene.wait("its record", lambda: acts("Exported"))
    assert (act["revision"], act["digests"], act["reason"]) == (
        first, {"bundle": digest}, "copied to hf://studio/shared",
    )  # fmt: skip

    scene.apply("shared", publish={"hub": {"repository": "studio/shared"}}, training={"seed": 7})
    scene.finish("shared", "prepare")
    scene.finish("shared", "train")
    evaluate = scene.reach_job("shared", "evaluate")
    document = json.loads(user.get("configmap", evaluate.rpartition("-")[0])["data"]["job.json"])
    assert document["active"] == {
        "revision": first, "digest": digest, "uri": user.get("voicerevision", first)["spec"]["artifacts"]["uri"],
    }  # fmt: skip
    scene.finish("shared", "evaluate", passed=True, scores=SCORES)
    scene.wait("the second", lambda: user.status("shared").get("activeRevision") not in {None, first})
    second = copy_of(user.status("shared")["activeRevision"])
    scene.kubelet.end(second, exit_code=78, message=failure("copy", 78, "HubRefused", "the Hub answers 403"))
    assert told("Failed")["message"] == "the Hub answers 403"
    assert user.condition("shared", "Ready")["status"] == "True", "the voice is served whatever becomes of copies"
    scene.wait("its Event", lambda: "CopyFailed" in user.event_reasons("shared"))

    user.patch("voicemodel", "shared", {"spec": {"consent": {"revoked": True}}})
    back = scene.wait("the withdrawal", lambda: next((job for job in user.jobs("shared") if "-withdraw-" in job), None))
    pod = user.get("job", back)["spec"]["template"]["spec"]
    assert pod["containers"][0]["args"] == ["withdraw", "hf://studio/shared"]
    scene.kubelet.end(back)
    assert told("Withdrawn")["withdrawals"] == 1
    scene.wait("its Event", lambda: "Withdrawn" in user.event_reasons("shared"))
    (act,) = scene.wait("its record", lambda: acts("Withdrawn"))
    assert act["reason"] == "hf://studio/shared holds no copy any more: the consent was revoked"
    scene.wait("the erasure", lambda: user.status("shared").get("erased"))


def test_a_hub_repository_that_is_none_is_refused_at_apply(scene: Any, a_voice: Callable[..., Any]) -> None:
    for name in ("studio", "studio/../alice", "https://example.com/a", "a/b/c"):
        refused = scene.user.refused(a_voice("odd", publish={"hub": {"repository": name}}))
        assert "spec.publish.hub.repository must be OWNER/NAME" in refused, name


def test_a_voice_that_cannot_be_loaded_says_why(scene: Any) -> None:
    scene.inference.fails["operator-tests/broken"] = "adapter_model.safetensors: sha256 differs"
    scene.apply("broken")
    scene.train("broken")
    scene.wait("the reason", lambda: scene.user.condition("broken", "Serving")["reason"] == "LoadFailed")
    assert "sha256 differs" in scene.user.condition("broken", "Ready")["message"]
    del scene.inference.fails["operator-tests/broken"]
    scene.wait_until_ready("broken")


def test_deletion_unloads_the_voice_and_deletes_its_artifacts_only(scene: Any) -> None:
    user, folder = scene.user, scene.trainer.store / "operator-tests"
    scene.apply("goner")
    scene.train("goner")
    revision = scene.wait_until_ready("goner")
    bystander = folder / "goner-too" / "manifest.json"
    bystander.parent.mkdir(parents=True)
    bystander.write_text("{}")
    user.delete("voicemodel", "goner")
    scene.wait("the voice to be unloaded", lambda: "goner" not in scene.served())
    scene.wait("the revision to go", lambda: not user.exists("voicerevision", revision), seconds=60)
    scene.wait("the files to go", lambda: not [path for path in (folder / "goner").rglob("*") if path.is_file()])
    assert bystander.exists()
    scene.wait("the Jobs to go", lambda: not user.jobs("goner"), seconds=60)
    scene.wait("the Event", lambda: "Erased" in user.event_reasons("goner"), seconds=60)


def test_a_legal_hold_keeps_the_artifacts_of_a_deleted_voice(scene: Any) -> None:
    scene.apply("evidence", retention={"legalHold": True})
    scene.train("evidence")
    revision = scene.wait_until_ready("evidence")
    scene.wait("the hold", lambda: scene.user.get("voicerevision", revision).get("status", {}).get("legalHold"))
    bundle = scene.trainer.bundle("evidence")
    scene.user.delete("voicemodel", "evidence")
    scene.wait("the revision to go", lambda: not scene.user.exists("voicerevision", revision), seconds=60)
    scene.wait("the Event", lambda: "FilesHeld" in scene.user.event_reasons("evidence"))
    assert (bundle / "manifest.json").exists()


def test_a_deleted_revision_goes_with_its_files_and_is_trained_again(scene: Any) -> None:
    scene.apply("redone")
    scene.train("redone")
    revision = scene.wait_until_ready("redone")
    bundle = scene.trainer.bundle("redone")
    scene.user.delete("voicerevision", revision)
    scene.wait("its files to go", lambda: not bundle.exists())
    scene.wait("what it left", lambda: [one["why"] for one in scene.user.status("redone").get("erased", ())])
    (stone,) = scene.user.status("redone")["erased"]
    assert (stone["revision"], stone["why"]) == (revision, "RevisionDeleted")
    scene.train("redone")
    assert scene.wait_until_ready("redone") == revision


def test_an_input_that_was_left_is_gone_on_with_or_leaves_nothing(scene: Any) -> None:
    user = scene.user
    scene.apply("undecided")
    scene.finish("undecided", "prepare")
    assert scene.reach_job("undecided", "train").endswith("-train-1")
    first = user.status("undecided")["inputHash"]
    folder = scene.trainer.store / "operator-tests" / "undecided"
    scene.apply("undecided", training={"seed": 2})
    scene.wait("another input", lambda: user.status("undecided")["inputHash"] != first)
    scene.apply("undecided")
    assert first[:8] in scene.reach_job("undecided", "train")
    scene.wait("the second attempt", lambda: scene.reach_job("undecided", "train").endswith("-train-2"))
    assert len([job for job in user.jobs("undecided") if f"{first[:8]}-prepare" in job]) == 1, "what was done is kept"

    scene.apply("undecided", training={"seed": 2})
    scene.reach_job("undecided", "prepare")
    scene.wait("the first to be left", lambda: left_inputs(user.status("undecided")) == [first])
    assert (folder / first).exists()

    def is_gone() -> bool:
        """Let it be left long ago, again where the operator wrote its status at the same moment."""
        long_ago = [one | ({"left": "2026-01-01T00:00:00Z"} if "left" in one else {}) for one in inputs(user)]
        if inputs(user) != long_ago:
            user.patch("voicemodel", "undecided", {"status": {"inputs": long_ago}}, status=True)
        return not (folder / first).exists()

    scene.wait("its files to go", is_gone, seconds=60)
    scene.train("undecided")
    scene.wait_until_ready("undecided")
    assert user.status("undecided")["erased"][-1]["inputHash"] == first


def inputs(user: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = user.status("undecided")["inputs"]
    return found


def left_inputs(status: dict[str, Any]) -> list[str]:
    return [one["hash"] for one in status["inputs"] if "left" in one]


def test_an_erasure_that_was_asked_for_is_complete_and_one_way(scene: Any, a_voice: Callable[..., Any]) -> None:
    scene.apply("forgotten")
    scene.train("forgotten")
    revision = scene.wait_until_ready("forgotten")
    folder = scene.trainer.store / "operator-tests" / "forgotten"
    consent = {"holder": "Alice A.", "statement": "I agree.", "revoked": True}
    refused = scene.user.refused(a_voice("forgotten", consent=consent | {"revoked": False, "erase": True}))
    assert "spec.consent.erase needs spec.consent.revoked: true" in refused
    scene.user.patch("voicemodel", "forgotten", {"spec": {"consent": {"revoked": True}}})
    scene.wait("the recordings' copies to go", lambda: [path.name for path in folder.iterdir()] == ["revisions"])
    assert scene.trainer.bundle("forgotten").exists(), "until the retention is over, or somebody asks for more"
    scene.wait("the word", lambda: "erased at" in scene.user.condition("forgotten", "Retained")["message"])
    scene.user.patch("voicemodel", "forgotten", {"spec": {"consent": {"erase": True}}})
    scene.wait("all files to go", lambda: not [path for path in folder.rglob("*") if path.is_file()])
    scene.wait("the revision to go", lambda: not scene.user.exists("voicerevision", revision))
    scene.wait("the word", lambda: scene.user.condition("forgotten", "Retained")["reason"] == "ErasureRequested")
    again = scene.user.refused(a_voice("forgotten", consent=consent | {"erase": False}))
    assert "spec.consent.erase never goes back to false" in again


def test_an_unknown_base_names_the_known_ones(scene: Any) -> None:
    scene.apply("baseless", base="v9")
    scene.wait("the verdict", lambda: scene.user.condition("baseless", "Stalled")["status"] == "True")
    ready = scene.user.condition("baseless", "Ready")
    assert ready["reason"] == "BaseNotFound"
    assert "v9" in ready["message"]
    assert "other, tiny" in ready["message"]
    assert not scene.user.jobs("baseless")


def test_a_server_of_another_base_is_no_place_for_a_voice(scene: Any) -> None:
    scene.apply("alien", base="other")
    scene.train("alien")
    scene.wait("the verdict", lambda: scene.user.condition("alien", "Serving")["reason"] == "BaseMismatch")
    assert scene.user.condition("alien", "Stalled")["status"] == "True"


def test_a_server_that_comes_later_is_found(scene: Any) -> None:
    user = scene.user
    scene.apply("early", serving={"server": "second"})
    scene.train("early")
    scene.wait("the reason", lambda: user.condition("early", "Serving")["reason"] == "ServerNotFound")
    server = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceServer", "spec": {"base": "tiny", "replicas": 0}}
    user.apply(server | {"metadata": {"name": "second", "namespace": "operator-tests"}})
    scene.wait("the server", lambda: user.condition("early", "Serving")["reason"] == "ScaledToZero")
    scene.wait("its list", lambda: user.exists("configmap", "second-voices"))
    desired = json.loads(user.get("configmap", "second-voices")["data"]["voices.json"])
    scene.wait("the scale", lambda: user.run("scale", "vserver", "second", "-n", "operator-tests", "--replicas=1"))
    scene.wait("the pod", lambda: user.get("deployment", "second")["spec"]["replicas"] == 1)
    assert desired["schema"] == "voice.sovits.dev/desired-voices/v1"


def test_an_object_of_somebody_else_is_never_taken_over(scene: Any) -> None:
    user = scene.user
    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mine": "yes"}}
    user.apply(config_map | {"metadata": {"name": "taken-voices", "namespace": "operator-tests"}})
    server = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceServer", "spec": {"base": "tiny"}}
    user.apply(server | {"metadata": {"name": "taken", "namespace": "operator-tests"}})
    scene.wait("the event", lambda: "OwnershipConflict" in user.event_reasons("taken"))
    assert user.get("configmap", "taken-voices")["data"] == {"mine": "yes"}
    user.delete("voiceserver", "taken")


@pytest.mark.parametrize("kind", ["service", "deployment"])
def test_a_server_takes_no_name_from_what_runs_there(scene: Any, kind: str) -> None:
    """A VoiceServer called payments-api must not become the payments API."""
    user, name = scene.user, f"payments-{kind}"
    labels = {"app": "payments"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "payments:1"}]}}
    specs = {
        "service": {"selector": labels, "ports": [{"port": 80}]},
        "deployment": {"replicas": 0, "selector": {"matchLabels": labels}, "template": pod},
    }
    versions = {"service": "v1", "deployment": "apps/v1"}
    metadata = {"name": name, "namespace": "operator-tests"}
    user.apply({"apiVersion": versions[kind], "kind": kind.capitalize(), "metadata": metadata, "spec": specs[kind]})
    before = user.get(kind, name)
    user.apply(
        {
            "apiVersion": "voice.sovits.dev/v1alpha1",
            "kind": "VoiceServer",
            "metadata": metadata,
            "spec": {"base": "tiny", "replicas": 0},
        }
    )
    scene.wait("the refusal", lambda: "has another owner" in stalled(user.get("voiceserver", name)))
    time.sleep(1)
    after = user.get(kind, name)
    # Kubernetes itself writes the status of a Deployment meanwhile.
    assert (after["metadata"]["uid"], after["spec"]) == (before["metadata"]["uid"], before["spec"])
    assert "voice-operator" not in {entry["manager"] for entry in after["metadata"]["managedFields"]}
    user.delete("voiceserver", name)
    user.delete(kind, name)


def stalled(item: dict[str, Any]) -> str:
    """The sentence of a resource that only a person can help."""
    found = (one for one in (item.get("status") or {}).get("conditions", ()) if one["type"] == "Stalled")
    return next((str(one["message"]) for one in found if one["status"] == "True"), "")


def test_recordings_of_another_namespace_are_refused_and_start_no_job(scene: Any) -> None:
    user = scene.user
    scene.apply("thief", dataset={"uri": "s3://voices/datasets/other-tenant/alice", "digest": "sha256:" + "a" * 64})
    scene.wait("the refusal", lambda: user.condition("thief", "Ready")["reason"] == "DatasetNotAllowed")
    condition = user.condition("thief", "Stalled")
    assert condition["status"] == "True"
    assert condition["message"] == (
        "spec.dataset.uri is s3://voices/datasets/other-tenant/alice, but the namespace operator-tests may use "
        "s3://voices/datasets/operator-tests/; put it there, or ask for another prefix "
        "(chart value tenancy.datasets); nothing is trained"
    )
    assert user.condition("thief", "Allowed")["status"] == "False"
    assert user.jobs("thief") == []
    scene.apply("thief", dataset={"uri": "s3://voices/datasets/operator-tests/alice", "digest": "sha256:" + "a" * 64})
    scene.reach_job("thief", "prepare")
    document = json.loads(scene.user.objects("configmap", "voice.sovits.dev/voice-model=thief")[0]["data"]["job.json"])
    assert document["allowed"] == {"datasets": ["s3://voices/datasets/operator-tests/"]}
    user.delete("voicemodel", "thief")


def test_a_full_server_takes_no_other_voice_and_keeps_those_it_has(scene: Any) -> None:
    user = scene.user
    scene.apply("seated", serving={"server": "small"})
    user.apply(
        {
            "apiVersion": "voice.sovits.dev/v1alpha1",
            "kind": "VoiceServer",
            "metadata": {"name": "small", "namespace": "operator-tests"},
            "spec": {"base": "tiny", "replicas": 0, "maxVoices": 1},
        }
    )
    scene.train("seated")
    scene.wait("its place", lambda: user.status("seated").get("server") == "operator-tests/small")
    scene.apply("standing", serving={"server": "small"})
    scene.wait("the refusal", lambda: user.condition("standing", "Ready")["reason"] == "ServerFull")
    assert user.jobs("standing") == [], "nothing is trained that nobody could serve"
    user.patch("voiceserver", "small", {"spec": {"maxVoices": 0}})
    time.sleep(2)
    assert user.status("seated").get("server") == "operator-tests/small"
    user.patch("voiceserver", "small", {"spec": {"maxVoices": 2}})
    scene.reach_job("standing", "prepare")
    for voice in ("seated", "standing"):
        user.delete("voicemodel", voice)
    user.delete("voiceserver", "small")


def test_a_restart_writes_nothing(scene: Any) -> None:
    """Runs last: all the voices above must stay as they are."""
    time.sleep(12)  # whatever was still moving has settled: the longest pause between passes is ten seconds
    before = versions(scene.user)
    event_to_job = "voice_operator_event_to_job_duration_seconds"
    jobs = scene.operator.metric(f"{event_to_job}_count")
    sys.stdout.write(
        f"{jobs:.0f} Jobs, {scene.operator.metric(f'{event_to_job}_sum') / jobs:.3f} s after their event\n"
    )
    assert scene.operator.metric(f"{event_to_job}_bucket", le="2.0") >= 0.5 * jobs, "the tests share two cores"
    assert scene.operator.bug() == ""
    assert scene.operator.metric("controller_runtime_reconcile_panics_total") == 0
    assert scene.operator.stop() == 0
    scene.operator.start()
    time.sleep(5)
    resident = scene.operator.metric("process_resident_memory_bytes") / 2**20
    sys.stdout.write(f"{len(before)} objects: {resident:.0f} MB resident\n")
    assert versions(scene.user) == before
    requests = [sample.labels for sample in scene.operator.metrics() if sample.name == "rest_client_requests_total"]
    writes = {(labels["verb"], labels["resource"]) for labels in requests if labels["verb"] not in {"get", "list"}}
    assert writes <= {("update", "leases"), ("create", "leases")}
    assert resident < 150
    assert scene.operator.metric("controller_runtime_reconcile_panics_total") == 0


def versions(user: Any) -> dict[str, str]:
    kinds = ("voicemodels", "voicerevisions", "voiceservers", "configmaps", "deployments")
    found = ((kind, item["metadata"]) for kind in kinds for item in user.objects(kind))
    return {f"{kind} {metadata['name']}": metadata["resourceVersion"] for kind, metadata in found}


def seconds_between(start: str, end: str) -> float:
    moments = [time.mktime(time.strptime(moment, "%Y-%m-%dT%H:%M:%SZ")) for moment in (start, end)]
    return moments[1] - moments[0]
