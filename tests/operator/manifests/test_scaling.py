"""Who says how many pods a server has."""

from typing import Any

import pytest
from tests.operator.manifests.test_manifests import SERVER, some_settings

from voice_operator.api.voice_server import Autoscaling, VoiceServerSpec
from voice_operator.manifests.scaling import autoscaler, disruption_budget, kept_replicas, wanted_replicas
from voice_operator.manifests.server import deployment

SCALING = {"minReplicas": 2, "maxReplicas": 9}


@pytest.mark.parametrize(
    ("spec", "has_voices", "expected"),
    [
        pytest.param({"replicas": 3}, True, 3, id="the spec"),
        pytest.param({"replicas": 3}, False, 3, id="with voices or without"),
        pytest.param({"replicas": 3, "autoscaling": SCALING}, True, None, id="an autoscaler"),
        pytest.param(
            {"replicas": 3, "autoscaling": SCALING, "zeroWithoutVoices": True}, False, 0, id="nobody to serve"
        ),
        pytest.param(
            {"replicas": 3, "autoscaling": SCALING, "zeroWithoutVoices": True}, True, None, id="voices are back"
        ),
    ],
)
def test_how_many_pods_the_operator_writes(spec: dict[str, Any], has_voices: bool, expected: int | None) -> None:
    assert wanted_replicas(VoiceServerSpec(base="tiny", **spec), has_voices=has_voices) == expected


def test_a_deployment_that_scales_has_no_number_of_the_operators() -> None:
    server = SERVER.__class__("n", "s", "u", 1, VoiceServerSpec(base="tiny", autoscaling=Autoscaling(max_replicas=4)))
    assert "replicas" not in deployment(server, some_settings())["spec"]
    assert kept_replicas(server, "u", 3)["spec"] == {"replicas": 3}
    assert kept_replicas(server, "u", 0)["spec"] == {"replicas": 1}, "no autoscaler touches a Deployment at zero"


def test_an_autoscaler_goes_by_cpu_and_by_what_the_spec_names() -> None:
    metric = {"name": "voice_inference_speech_requests_in_progress", "average": 2}
    by_both = autoscaler(SERVER, Autoscaling.model_validate(SCALING | {"podMetrics": [metric]}))["spec"]
    assert [one["type"] for one in by_both["metrics"]] == ["Resource", "Pods"]
    assert by_both["metrics"][1]["pods"]["target"] == {"type": "AverageValue", "averageValue": "2"}
    assert (by_both["minReplicas"], by_both["maxReplicas"]) == (2, 9)
    alone = autoscaler(SERVER, Autoscaling.model_validate(SCALING | {"podMetrics": [metric], "cpuPercent": 0}))["spec"]
    assert [one["type"] for one in alone["metrics"]] == ["Pods"]


def test_a_budget_is_for_the_pods_of_one_server() -> None:
    budget = disruption_budget(SERVER, some_settings(podDisruptionBudget={"maxUnavailable": "25%"}))["spec"]
    assert budget["maxUnavailable"] == "25%"
    labels = deployment(SERVER, some_settings())["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
