"""The manifests in examples/ are what the operator reads and what the CRDs accept."""

import pytest
import yaml

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec

SPECS = {"VoiceModel": VoiceModelSpec, "VoiceServer": VoiceServerSpec}


@pytest.fixture
def examples(repository):
    files = [file for file in sorted((repository / "examples").glob("*.yaml")) if not file.stem.startswith("values-")]
    return {file.name: yaml.safe_load(file.read_text()) for file in files}


def test_examples_conform_to_the_crds(examples, conforms):
    assert {"alice.yaml", "alice-full.yaml", "server.yaml"} <= set(examples)
    assert conforms(list(examples.values())) == []


def test_examples_are_read_by_the_operators_types_without_a_field_left_over(examples):
    for name, manifest in examples.items():
        read = SPECS[manifest["kind"]].model_validate(manifest["spec"]).document()
        assert left_over(manifest["spec"], read) == [], name


def test_the_full_example_has_every_field(examples):
    spec = examples["alice-full.yaml"]["spec"]
    known = VoiceModelSpec.model_validate(spec).model_dump(by_alias=True)
    assert left_over(known, spec) == [
        "evaluation.gates[0].max",
        "evaluation.gates[1].max",
    ]  # a gate has either min or max


def test_the_full_example_shows_the_defaults_where_it_does_not_say_otherwise(examples):
    spec = examples["alice-full.yaml"]["spec"]
    least = {key: spec[key] for key in ("language", "dataset", "consent")}
    defaults = VoiceModelSpec.model_validate(least).document()
    for section in ("training", "review", "serving", "compute", "retries", "retention", "suspend"):
        assert spec[section] == defaults[section]


def left_over(given, read, where=""):
    """Return the paths of fields in ``given`` that are missing from ``read``."""
    if isinstance(given, dict):
        missing = [f"{where}{key}" for key in given if key not in read]
        return missing + [
            path for key in given if key in read for path in left_over(given[key], read[key], f"{where}{key}.")
        ]
    if isinstance(given, (list, tuple)):
        where = where.removesuffix(".")
        return [path for index, item in enumerate(given) for path in left_over(item, read[index], f"{where}[{index}].")]
    return []
