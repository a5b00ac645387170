"""Alerts of an operator beside a real API server: told once, also when it is stopped or killed meanwhile."""

import json
import time
from typing import Any

import pytest
from tests.support.alert_receiver import Receiver, answers

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NO_STOI = {"metric": "stoi", "min": "0.85", "value": "0.41", "passed": False}
TOO_BAD = {"passed": False, "scores": {"stoi": "0.41"}, "gates": [NO_STOI], "gatesFrom": "default"}
REFUSED = {
    "schema": "voice.sovits.dev/failure/v1",
    "stage": "prepare",
    "exitCode": 65,
    "reason": "TooLittleSpeech",
    "message": "41.2 s of speech found, at least 60 s are needed; record more",
}


def told(receiver: Receiver, voice: str) -> list[Any]:
    return [document["data"] for document in receiver.documents if document["data"]["voice"] == voice]


def written(scene: Any, voice: str) -> Any:
    return scene.user.status(voice).get("alerts")


def refuse(scene: Any, voice: str) -> None:
    """A new voice whose recordings prepare refuses."""
    scene.apply(voice)
    scene.kubelet.end(scene.reach_job(voice, "prepare"), exit_code=65, message=json.dumps(REFUSED))


def test_a_refusal_and_a_failed_gate_are_told_once_also_across_a_restart(scene: Any, alert_receiver: Receiver) -> None:
    refuse(scene, "whisper")
    scene.apply("croak")
    scene.finish("croak", "prepare")
    scene.finish("croak", "train")
    scene.finish("croak", "evaluate", **TOO_BAD)
    for voice in ("whisper", "croak"):
        scene.wait(f"the record of {voice}", lambda: written(scene, voice))  # noqa: B023
    assert alert_receiver.is_signed()
    (refusal,), (gate,) = told(alert_receiver, "whisper"), told(alert_receiver, "croak")
    assert (refusal["alert"], refusal["reason"]) == ("RecordingsRefused", "TooLittleSpeech")
    assert "41.2 s of speech found, at least 60 s are needed; record more" in refusal["message"]
    assert (gate["alert"], gate["namespace"]) == ("GatesFailed", "operator-tests")
    assert "stoi is 0.41, at least 0.85 is needed" in gate["message"]
    (record,) = written(scene, "croak")
    assert (record["kind"], record["sent"], record["failed"]) == ("GatesFailed", ["hook"], [])
    scene.user.run("annotate", "voice", "whisper", "-n", "operator-tests", "voice.sovits.dev/retry=again")
    again = scene.reach_job("whisper", "prepare")
    scene.kubelet.end(again, exit_code=65, message=json.dumps(REFUSED))
    scene.wait("the second refusal", lambda: scene.user.condition("whisper", "Stalled")["status"] == "True")
    time.sleep(2)
    before = {
        voice: scene.user.get("voicemodel", voice)["metadata"]["resourceVersion"] for voice in ("whisper", "croak")
    }
    assert scene.operator.stop() == 0
    scene.operator.start()
    time.sleep(5)
    after = {voice: scene.user.get("voicemodel", voice)["metadata"]["resourceVersion"] for voice in before}
    assert after == before
    assert [len(told(alert_receiver, voice)) for voice in before] == [1, 1], "the same recordings are the same alert"


def test_an_operator_that_is_killed_while_it_tries_tells_it_later_under_the_same_id(
    scene: Any, alert_receiver: Receiver
) -> None:
    alert_receiver.always = answers(503)
    refuse(scene, "murmur")
    scene.wait("an attempt", lambda: told(alert_receiver, "murmur"))
    scene.operator.kill()
    alert_receiver.always = None
    attempts = len(told(alert_receiver, "murmur"))
    scene.operator.start()
    scene.wait("the record", lambda: written(scene, "murmur"), seconds=60)
    found = told(alert_receiver, "murmur")
    assert len(found) == attempts + 1
    assert len({one["id"] for one in found}) == 1
    assert scene.operator.metric("voice_operator_alerts_total", result="sent", alert="RecordingsRefused") == 1
