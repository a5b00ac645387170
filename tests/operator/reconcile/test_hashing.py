"""The input hash: what changes the result changes it, what does not does not."""

from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.reconcile.hashing import input_hash

BASE = {"dataset_digest": "sha256:a", "base_uri": "embedded:tiny", "base_digest": "", "trainer_image": "trainer:1"}


def the_hash(spec: dict[str, Any] | None = None, **inputs: str) -> str:
    wanted = {
        "language": "en",
        "dataset": {"uri": "s3://voices/alice"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    return input_hash(VoiceModelSpec.model_validate(wanted | (spec or {})), **(BASE | inputs))


@pytest.mark.parametrize(
    ("spec", "inputs"),
    [
        pytest.param({"language": "ja"}, {}, id="the language"),
        pytest.param({"dataset": {"uri": "s3://voices/bob"}}, {}, id="the URI of the dataset"),
        pytest.param({}, {"dataset_digest": "sha256:b"}, id="the recordings"),
        pytest.param({"base": "v2"}, {}, id="the base"),
        pytest.param({}, {"base_digest": "sha256:c"}, id="the base's content"),
        pytest.param({"training": {"seed": 1}}, {}, id="a hyperparameter"),
        pytest.param({"evaluation": {"texts": ["Hello."]}}, {}, id="the sentences"),
        pytest.param({"evaluation": {"gates": []}}, {}, id="no gates instead of the default ones"),
        pytest.param({}, {"trainer_image": "trainer:2"}, id="the trainer"),
    ],
)
def test_a_new_result_for(spec: dict[str, Any], inputs: dict[str, str]) -> None:
    assert the_hash(spec, **inputs) != the_hash()


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"consent": {"holder": "A", "statement": "s", "expires": "2030-01-01"}}, id="the consent"),
        pytest.param({"serving": {"server": "other"}}, id="the server"),
        pytest.param({"compute": {"gpus": 0}}, id="the machine"),
        pytest.param({"source": {"commit": "3f2a"}}, id="the commit"),
        pytest.param({"suspend": True}, id="a pause"),
        pytest.param({"dataset": {"uri": "s3://voices/alice/"}}, id="a slash"),
    ],
)
def test_no_new_result_for(spec: dict[str, Any]) -> None:
    assert the_hash(spec) == the_hash()


def test_the_order_of_gates_does_not_matter() -> None:
    gates = [{"metric": "stoi", "min": "0.9"}, {"metric": "pesq", "min": "3"}]
    assert the_hash({"evaluation": {"gates": gates}}) == the_hash({"evaluation": {"gates": gates[::-1]}})
