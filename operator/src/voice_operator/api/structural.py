"""From a pydantic model to the structural OpenAPI v3 schema that a CRD may contain."""

from typing import Any

from pydantic import BaseModel

_DROPPED = ("title", "$defs", "discriminator", "additionalProperties")
_INT_OR_STRING = "x-kubernetes-int-or-string"


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of ``model`` without references, titles and null."""
    document = model.model_json_schema(by_alias=True)
    return _structural(document, document.get("$defs", {}))


def _structural(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = _without_null(_resolved(schema, definitions), definitions)
    result = {key: value for key, value in schema.items() if key not in _DROPPED}
    if result.get("default", ...) in (None, [], {}):
        del result["default"]
    if result.get(_INT_OR_STRING):
        return {_INT_OR_STRING: True, "maxLength": result["maxLength"]}
    if "const" in result:
        result["enum"] = [result.pop("const")]
    if "properties" in result:
        result["properties"] = {name: _property(part, definitions) for name, part in result["properties"].items()}
    elif isinstance(values := schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(values, definitions)
    if isinstance(result.get("items"), dict):
        result["items"] = _structural(result["items"], definitions)
    result.pop("propertyNames", None)
    return result


def _property(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Return a field's schema; without ``default: {}`` the defaults inside an optional object would never apply."""
    optional = "anyOf" in schema
    result = _structural(schema, definitions)
    if result.get("type") == "object" and "properties" in result and not result.get("required") and not optional:
        result["default"] = {}
    return result


def _resolved(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    target = definitions[reference.removeprefix("#/$defs/")]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _without_null(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """Turn ``X or null`` into ``X``: in a resource an absent field says it, never null."""
    choices = [choice for choice in schema.get("anyOf", []) if choice.get("type") != "null"]
    if not choices:
        return schema
    around = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**_resolved(choices[0], definitions), **around}
