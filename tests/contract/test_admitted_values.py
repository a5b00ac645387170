"""What the schema of a CRD admits, the operator's types read: else a pass over the object fails for ever."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel

from voice_operator.api.structural import structural_schema
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_revision import VoiceRevisionSpec, VoiceRevisionStatus
from voice_operator.api.voice_server import VoiceServerSpec, VoiceServerStatus
from voice_operator.api.voice_status import VoiceModelStatus

MODELS = [VoiceModelSpec, VoiceServerSpec, VoiceRevisionSpec, VoiceModelStatus, VoiceServerStatus, VoiceRevisionStatus]
LONGEST = 2**63 - 1  # of an integer without a maximum
WIDE = "𝄞"  # one character for the schema, four bytes, two units of UTF-16
MOST_ITEMS = 3  # of a list that may have hundreds


def admitted(schema: Mapping[str, Any]) -> Iterator[Any]:
    """Yield values at the borders of a structural schema; CEL rules are left out, so some are refused by these."""
    if schema.get("x-kubernetes-int-or-string"):
        yield from (0, 2, -1, LONGEST, "", "1.5", "250m", "4Gi", WIDE * schema["maxLength"])
    elif "enum" in schema:
        yield from schema["enum"]
    elif schema["type"] == "boolean":
        yield from (True, False)
    elif schema["type"] in {"integer", "number"}:
        yield from (schema.get("minimum", -LONGEST), schema.get("maximum", LONGEST))
    elif schema["type"] == "string":
        for length in (schema.get("minLength", 0), schema["maxLength"]):
            yield from ("a" * length, " " * length, WIDE * length, "0" * length, "\n" * length)
    elif schema["type"] == "array":
        items = list(admitted(schema["items"]))
        least, most = schema.get("minItems", 0), schema["maxItems"]
        yield items[:1] * least
        yield items[-1:] * min(most, MOST_ITEMS)
        yield from ([item] for item in items if most)
    elif "additionalProperties" in schema:
        yield {}
        yield from ({"a": value, "": value} for value in admitted(schema["additionalProperties"]))
    else:
        yield from objects(schema)


def objects(schema: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the least object, and copies of it with each field at each of its borders."""
    properties = schema["properties"]
    least = {name: next(iter(admitted(properties[name]))) for name in schema.get("required", ())}
    yield least
    for name, part in properties.items():
        for value in admitted(part):
            yield least | {name: value}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_what_the_schema_admits_is_read(model: type[BaseModel]) -> None:
    documents = list(objects(structural_schema(model)))
    assert len(documents) > 4
    for document in documents:
        model.model_validate(document)


@pytest.mark.parametrize("quantity", [2, "2", "500m", "1.5", "2e3", "4Gi"])
def test_a_servers_quantities_are_written_as_in_a_pod(quantity: Any) -> None:
    spec = VoiceServerSpec.model_validate({"base": "tiny", "resources": {"limits": {"cpu": quantity}}})
    assert spec.resources is not None
    assert spec.resources.document() == {"limits": {"cpu": str(quantity)}}
