"""Pages about the custom resources, made from the generated CRDs; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

_BOUNDS = {
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "maxProperties": "at most {} entries",
    "pattern": "matches `{}`",
}


def resource_page(crd: Schema) -> str:
    """Return the reference of one kind: every field with type, default, bounds and rules."""
    names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    short = ", ".join(f"`{name}`" for name in names.get("shortNames", ()))
    scope = crd["spec"]["scope"].lower()
    lines = [
        f"# {names['kind']}",
        "",
        schema["description"],
        "",
        f"`apiVersion: {crd['spec']['group']}/{version['name']}`, `kind: {names['kind']}`, {scope}"
        + (f"; short names: {short}" if short else "")
        + ".",
    ]
    columns = version.get("additionalPrinterColumns", ())
    if columns:
        lines += ["", "## Columns of `kubectl get`", "", "| column | field | |", "| --- | --- | --- |"]
        lines += [
            f"| {column['name']} | `{column['jsonPath'].replace('|', chr(92) + '|')}` "
            f"| {'`-o wide`' if column.get('priority') else ''} |"
            for column in columns
        ]
    for part, section in schema["properties"].items():
        if "properties" not in section:
            continue
        lines += ["", f"## {part}", "", section.get("description", ""), "", "| field | type | default | about |"]
        lines += ["| --- | --- | --- | --- |", *_rows(section, part)]
        rules = list(_rules(section, part))
        if rules:
            lines += ["", f"What the API server refuses in `{part}`, besides the bounds above:", ""]
            lines += [f"- `{field}`: {message}" for field, message in rules]
    return "\n".join(lines) + "\n"


def _rows(schema: Schema, path: str) -> Iterator[str]:
    required = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}"
        default = f"`{json.dumps(field['default'], ensure_ascii=False)}`" if "default" in field else ""
        about = _cell(field.get("description", ""), *_bounds(field))
        kind = _type(field) + (", required" if name in required else "")
        yield f"| `{here}` | {kind} | {_escape(default)} | {about} |"
        yield from _rows(field, here)
        items = field.get("items", {})
        yield from _rows(items, f"{here}[]")


def _rules(schema: Schema, path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule.get("message", rule["rule"])
    for name, field in schema.get("properties", {}).items():
        yield from _rules(field, f"{path}.{name}")
        yield from _rules(field.get("items", {}), f"{path}.{name}[]")


def _type(field: Schema) -> str:
    if field.get("x-kubernetes-int-or-string"):
        return "integer or string"
    if "enum" in field:
        return " \\| ".join(f"`{value}`" for value in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    if field.get("type") == "object" and "additionalProperties" in field:
        return f"map of {_type(field['additionalProperties'])}"
    return str(field.get("format") or field.get("type", "any"))


def _bounds(field: Schema) -> list[str]:
    return [text.format(field[name]) for name, text in _BOUNDS.items() if name in field]


def _cell(description: str, *bounds: str) -> str:
    return _escape(" ".join([description, f"({'; '.join(bounds)})"] if bounds else [description]).strip())


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")
