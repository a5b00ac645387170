"""How many pods a server has, against a real API server and its own controllers: nobody takes another's number away."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.voices import make_server

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "operator-tests"
NAME = "scaled"


@pytest.fixture
def editor(scene: Any) -> Iterator[Any]:
    yield scene.user
    scene.user.delete("voiceserver", NAME)
    children = ("horizontalpodautoscalers", "poddisruptionbudgets", "deployments", "services")
    scene.wait("its children to go", lambda: not any(scene.user.exists(kind, NAME) for kind in children))


def number(editor: Any) -> int:
    return int(editor.get("deployment", NAME)["spec"]["replicas"])


def test_an_autoscaler_decides_and_the_operator_neither_drops_nor_sets_its_number(scene: Any, editor: Any) -> None:
    editor.apply(make_server(NAME, NAMESPACE, replicas=3))
    scene.wait("its pods", lambda: editor.exists("deployment", NAME) and number(editor) == 3)
    budget = editor.get("poddisruptionbudgets", NAME)
    assert (budget["spec"]["maxUnavailable"], budget["metadata"]["ownerReferences"][0]["kind"]) == (1, "VoiceServer")

    metric = {"name": "voice_inference_speech_requests_in_progress", "average": "2"}
    scaling = {"minReplicas": 2, "maxReplicas": 4, "podMetrics": [metric]}
    editor.patch("voiceserver", NAME, {"spec": {"autoscaling": scaling}})
    scene.wait("its autoscaler", lambda: editor.exists("horizontalpodautoscalers", NAME))
    target = editor.get("horizontalpodautoscalers", NAME)["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", NAME)

    def let_go() -> bool:
        managers = editor.get("deployment", NAME)["metadata"]["managedFields"]
        own = [one for one in managers if one["manager"] == "voice-operator" and one["operation"] == "Apply"]
        return bool(own) and "f:replicas" not in own[0]["fieldsV1"]["f:spec"]

    scene.wait("the operator to let go of replicas", let_go)
    assert number(editor) == 3, "what was there stays until the autoscaler decides"

    editor.run("scale", "deployment", NAME, "-n", NAMESPACE, "--replicas=1")
    scene.wait("the autoscaler to bring it to its minimum", lambda: number(editor) == 2, seconds=45)
    editor.patch("voiceserver", NAME, {"spec": {"resources": {"limits": {"memory": "2Gi"}}}})

    def template_changed() -> bool:
        container = editor.get("deployment", NAME)["spec"]["template"]["spec"]["containers"][0]
        return bool(container["resources"].get("limits", {}).get("memory") == "2Gi")

    scene.wait("a new template", template_changed)
    assert number(editor) == 2, "a write of the operator leaves the number alone"

    editor.patch("voiceserver", NAME, {"spec": {"autoscaling": None, "replicas": 1}})
    scene.wait("one pod, and no autoscaler", lambda: number(editor) == 1)
    scene.wait("no autoscaler", lambda: not editor.exists("horizontalpodautoscalers", NAME))


def test_a_server_without_voices_has_no_pods_and_gets_its_minimum_back(scene: Any, editor: Any) -> None:
    scaling = {"minReplicas": 2, "maxReplicas": 4}
    editor.apply(make_server(NAME, NAMESPACE, replicas=2, autoscaling=scaling, zeroWithoutVoices=True))
    scene.wait("no pods", lambda: editor.exists("deployment", NAME) and number(editor) == 0)

    def is_ready() -> bool:
        status = editor.get("voiceserver", NAME).get("status") or {}
        found = {one["type"]: one for one in status.get("conditions", ())}
        return (found.get("Ready") or {}).get("message") == "0 of 0 pods are ready"

    scene.wait("it to be ready without pods", is_ready)
    editor.patch("voiceserver", NAME, {"spec": {"zeroWithoutVoices": False}})
    scene.wait("its minimum, for no autoscaler touches a Deployment at zero", lambda: number(editor) == 2)


def test_the_api_server_refuses_what_no_autoscaler_could_follow(editor: Any) -> None:
    def refused(**autoscaling: Any) -> str:
        return str(editor.refused(make_server("never", NAMESPACE, autoscaling=autoscaling)))

    editor.apply(make_server(NAME, NAMESPACE))
    assert "spec.autoscaling.minReplicas must not exceed spec.autoscaling.maxReplicas" in refused(
        minReplicas=3, maxReplicas=2
    )
    assert "needs cpuPercent or podMetrics" in refused(maxReplicas=2, cpuPercent=0)
    assert "spec.autoscaling.maxReplicas: Required value" in refused(minReplicas=1)
