"""The refusals of a route, as its OpenAPI document shows them: OpenAI's shape, with an example of each status."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str
    type: str
    param: str | None
    code: str | None


class ErrorAnswer(BaseModel):
    """The body of every answer that is no success."""

    error: ErrorDetail


EXAMPLES: dict[HTTPStatus, tuple[str, str, str, str | None]] = {
    HTTPStatus.BAD_REQUEST: ("input: there is nothing to speak.", "invalid_request_error", "invalid_value", "input"),
    HTTPStatus.UNAUTHORIZED: (
        "There is no such API key; ask whoever runs this server for one.",
        "invalid_request_error",
        "invalid_api_key",
        None,
    ),
    HTTPStatus.FORBIDDEN: (
        "No voices are given to the holder of this token.",
        "invalid_request_error",
        "no_voices",
        None,
    ),
    HTTPStatus.NOT_FOUND: (
        "There is no voice 'studio/bob'; known voices of studio: studio/alice.",
        "invalid_request_error",
        "voice_not_found",
        "voice",
    ),
    HTTPStatus.REQUEST_TIMEOUT: (
        "The request did not arrive in time.",
        "invalid_request_error",
        "request_timeout",
        None,
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "The body is larger than 262144 bytes; send less text.",
        "invalid_request_error",
        "request_entity_too_large",
        None,
    ),
    HTTPStatus.TOO_MANY_REQUESTS: ("17 requests are running or waiting.", "rate_limit_error", "server_busy", None),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "The server failed; its log says why.",
        "server_error",
        "internal_error",
        None,
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Voice 'studio/alice' is being loaded.",
        "server_error",
        "voice_not_ready",
        "voice",
    ),
}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route."""
    return {status.value: _response(status) for status in statuses}


def nullable(schema: dict[str, Any]) -> None:
    """Say in a model's schema that null means left out, where a field may be left out."""
    for name, field in schema["properties"].items():
        if name not in schema.get("required", ()) and {"type": "null"} not in field.get("anyOf", ()):
            described = {key: field.pop(key) for key in ("title", "description", "default") if key in field}
            schema["properties"][name] = {**described, "anyOf": [field, {"type": "null"}]}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return the ``openapi_extra`` of a route that reads its body itself; the schema stands on its own."""
    schema = model.model_json_schema()
    definitions = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, dict) and "$ref" in part:
            return inline(definitions[part["$ref"].rpartition("/")[2]])
        if isinstance(part, dict):
            return {name: inline(one) for name, one in part.items()}
        return [inline(one) for one in part] if isinstance(part, list) else part

    return {"requestBody": {"required": True, "content": {"application/json": {"schema": inline(schema)}}}}


def _response(status: HTTPStatus) -> dict[str, Any]:
    message, kind, code, param = EXAMPLES[status]
    example = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    headers: dict[str, Any] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers = {"WWW-Authenticate": {"description": "How to ask (RFC 6750).", "schema": {"type": "string"}}}
    if status in {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}:
        headers = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    return {
        "model": ErrorAnswer,
        "description": status.phrase,
        "headers": headers,
        "content": {"application/json": {"example": example}},
    }
