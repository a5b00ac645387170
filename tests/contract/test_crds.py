"""The CRDs in crds/ and in the chart are what the types say, bounded everywhere, with the defaults of the design."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from voice_operator.crds import KINDS, chart_template, crd, manifest

IDS = [kind.kind for kind in KINDS]


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_the_committed_crd_is_what_the_types_say(repository: Path, kind: Any) -> None:
    committed = repository / "crds" / f"{kind.name}.yaml"
    assert committed.read_text() == manifest(kind), (
        "run: python -m voice_operator.crds --out crds --chart-dir charts/..."
    )


@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_the_chart_has_the_same_crd_behind_its_switches(repository: Path, kind: Any) -> None:
    template = (repository / "charts/voice-operator/templates/crds" / f"{kind.name}.yaml").read_text()
    assert template == chart_template(kind)
    assert template.startswith("{{- if .Values.crds.enabled }}")
    assert template.count("{{") == 4, "no text of ours may look like a template"
    plain = "\n".join(line for line in template.splitlines() if "{{" not in line)
    document = yaml.safe_load(plain)
    assert document["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
    assert document == crd(kind)


def parts(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    if "items" in schema:
        yield from parts(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from parts(schema["additionalProperties"], f"{path}.*")


def all_parts() -> Iterator[tuple[str, dict[str, Any]]]:
    for kind in KINDS:
        properties = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        for name in ("spec", "status"):
            yield from parts(properties[name], f"{kind.kind}.{name}")


def test_every_list_map_and_string_is_bounded() -> None:
    unbounded = []
    for path, part in all_parts():
        is_map = part.get("type") == "object" and "additionalProperties" in part
        if part.get("type") == "array" and "maxItems" not in part:
            unbounded.append(path)
        if part.get("type") == "string" and "maxLength" not in part and "enum" not in part:
            unbounded.append(path)
        if is_map and "maxProperties" not in part:
            unbounded.append(path)
    assert not unbounded


def test_every_list_says_how_it_is_merged() -> None:
    lists = [(path, part) for path, part in all_parts() if part.get("type") == "array"]
    assert lists
    assert not [path for path, part in lists if "x-kubernetes-list-type" not in part]


def test_nothing_is_left_that_a_structural_schema_forbids() -> None:
    forbidden = {"$ref", "anyOf", "title", "const", "nullable", "$defs"}
    assert not [(path, forbidden & part.keys()) for path, part in all_parts() if forbidden & part.keys()]


def test_every_rule_names_the_field_it_is_about() -> None:
    rules = [(path, rule) for path, part in all_parts() for rule in part.get("x-kubernetes-validations", ())]
    assert len(rules) > 15
    for path, rule in rules:
        name = path.rsplit(".", 1)[-1].removesuffix("[]")
        assert name in rule["message"], path


def voice_schema() -> dict[str, Any]:
    schema: dict[str, Any] = crd(KINDS[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def test_only_what_the_design_requires_is_required() -> None:
    spec = voice_schema()["properties"]["spec"]
    assert spec["required"] == ["language", "dataset", "consent"]
    assert spec["properties"]["dataset"]["required"] == ["uri"]
    assert spec["properties"]["consent"]["required"] == ["holder", "statement"]


def test_the_defaults_are_those_of_the_design() -> None:
    spec = voice_schema()["properties"]["spec"]["properties"]

    def defaults(name: str) -> dict[str, Any]:
        return {field: part["default"] for field, part in spec[name]["properties"].items() if "default" in part}

    assert "default" not in spec["base"], "an absent base is the installation's own"
    assert "installation's default base (chart value defaultBase)" in spec["base"]["description"]
    assert defaults("training") == {
        "method": "LoRA",
        "rank": 8,
        "targets": ["attention"],
        "epochs": 10,
        "batchSize": 4,
        "learningRate": "2e-4",
        "learningRateS1": "",
        "learningRateS2": "",
        "patience": 0,
        "precision": "auto",
        "seed": 1234,
    }
    assert defaults("compute") == {
        "gpus": 1,
        "capacity": "SpotThenOnDemand",
        "gradientCheckpointing": "auto",
        "queueName": "",
        "priorityClass": "",
        "timeout": "12h",
        "schedulingTimeout": "",
    }
    assert defaults("retries") == {"outOfMemory": 2, "transient": 2, "preemption": 20}
    assert defaults("retention") == {"unusedDays": 90, "keepRevisions": 5, "legalHold": False}
    assert defaults("serving") == {"server": "default", "pin": ""}
    assert defaults("review") == {"required": False, "approvals": 1, "separation": True, "timeout": ""}
    assert "gates" not in defaults("evaluation"), "absent gates are the base's own"
    assert spec["suspend"]["default"] is False


@pytest.mark.parametrize(
    ("kind", "short_names", "columns", "wide"),
    [
        (
            KINDS[0],
            ["voice", "voices"],
            ["READY", "PHASE", "REVISION", "PROGRESS", "PESQ", "STOI", "AGE"],
            ["STAGE", "SERVER", "URI", "REASON"],
        ),
        (KINDS[1], ["vrev"], ["VOICE", "STATE", "APPROVED", "PESQ", "STOI", "AGE"], ["URI", "DIGEST", "REVIEW"]),
        (KINDS[2], ["vserver"], ["READY", "BASE", "REPLICAS", "VOICES", "AGE"], ["ENDPOINT", "REASON"]),
    ],
    ids=IDS,
)
def test_names_and_columns(kind: Any, short_names: list[str], columns: list[str], wide: list[str]) -> None:
    spec = crd(kind)["spec"]
    assert (spec["names"]["shortNames"], spec["names"]["categories"]) == (short_names, ["sovits"])
    shown = spec["versions"][0]["additionalPrinterColumns"]
    assert [column["name"] for column in shown if "priority" not in column] == columns
    assert [column["name"] for column in shown if column.get("priority") == 1] == wide
