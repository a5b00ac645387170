"""The one place where errors become HTTP: always JSON in OpenAI's shape, whatever went wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from voice_inference.errors import (
    AmbiguousVoice,
    Busy,
    Cancelled,
    InferenceError,
    InvalidRequest,
    ShuttingDown,
    SynthesisFailed,
    TryLater,
    UnknownVoice,
    VoiceNotReady,
)

CLIENT_CLOSED_REQUEST = 499  # nobody reads it, but it shows in the metrics
INVALID, LIMIT, SERVER = "invalid_request_error", "rate_limit_error", "server_error"

# error -> status, type, code, field; the first class that fits counts
TABLE: tuple[tuple[type[InferenceError], int, str, str, str | None], ...] = (
    (InvalidRequest, HTTPStatus.BAD_REQUEST, INVALID, "invalid_value", None),
    (UnknownVoice, HTTPStatus.NOT_FOUND, INVALID, "voice_not_found", "voice"),
    (AmbiguousVoice, HTTPStatus.BAD_REQUEST, INVALID, "voice_ambiguous", "voice"),
    (VoiceNotReady, HTTPStatus.SERVICE_UNAVAILABLE, SERVER, "voice_not_ready", "voice"),
    (Busy, HTTPStatus.TOO_MANY_REQUESTS, LIMIT, "server_busy", None),
    (ShuttingDown, HTTPStatus.SERVICE_UNAVAILABLE, SERVER, "shutting_down", None),
    (Cancelled, CLIENT_CLOSED_REQUEST, INVALID, "client_closed_request", None),
    (SynthesisFailed, HTTPStatus.INTERNAL_SERVER_ERROR, SERVER, "synthesis_failed", None),
)

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Answer every error of the app in OpenAI's shape."""
    app.add_exception_handler(InferenceError, _domain_error)
    app.add_exception_handler(RequestValidationError, _wrong_field)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _bug)


def problem(
    status: int,
    message: str,
    *,
    kind: str = INVALID,
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """Return the answer that OpenAI's clients know how to read."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return JSONResponse({"error": error}, status, headers=headers)


def _domain_error(_: Request, error: Exception) -> JSONResponse:
    for known, status, kind, code, param in TABLE:
        if isinstance(error, known):
            field = error.field if isinstance(error, InvalidRequest) else param
            headers = {"Retry-After": str(error.retry_after)} if isinstance(error, TryLater) else None
            return problem(status, str(error), kind=kind, code=code, param=field, headers=headers)
    return _bug(_, error)


def _wrong_field(_: Request, error: Exception) -> JSONResponse:
    """FastAPI says 422 here; OpenAI's clients expect 400 and the field's name."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return problem(HTTPStatus.BAD_REQUEST, "The body is not valid JSON.", code="invalid_json")
    field = str(first["loc"][1]) if len(first["loc"]) > 1 else None
    subject = field or "the body (send application/json)"
    return problem(HTTPStatus.BAD_REQUEST, f"{subject}: {first['msg']}", code="invalid_value", param=field)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Unknown routes and wrong methods; their headers (Allow) stay."""
    if not isinstance(error, HTTPException):
        raise error
    messages = {
        HTTPStatus.NOT_FOUND: f"There is no {request.method} {request.url.path}; see /docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}; see /docs.",
    }
    message = messages.get(HTTPStatus(error.status_code), str(error.detail))
    code = HTTPStatus(error.status_code).name.lower()
    return problem(error.status_code, message, code=code, headers=error.headers)


def _bug(_: Request, error: Exception) -> JSONResponse:
    """Whatever nobody expected: the log has it all, the caller learns nothing of our insides."""
    log.error("a request failed", exc_info=error)
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; its log says why.", kind=SERVER, code="internal_error"
    )
