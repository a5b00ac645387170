"""Translates every error into HTTP: JSON in OpenAI's shape, whatever went wrong."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from voice_inference.api.middleware import route_of
from voice_inference.errors import (
    AuthenticationUnavailable,
    Busy,
    Cancelled,
    ConsentEnded,
    InferenceError,
    InvalidKey,
    InvalidRequest,
    NoVoices,
    RateLimited,
    ShuttingDown,
    SynthesisFailed,
    TextTooLong,
    TryLater,
    UnknownRevision,
    UnknownSample,
    UnknownVoice,
    VoiceNotReady,
)

CLIENT_CLOSED_REQUEST = 499  # nginx's code: nobody reads it, but it shows in the metrics
FAILED = "The server failed; its log says why."
INVALID, LIMIT, SERVER = "invalid_request_error", "rate_limit_error", "server_error"


class Translation(NamedTuple):
    """The answer to one class of errors; ``param`` is the field at fault, where the error does not know it."""

    error: type[InferenceError]
    status: int
    kind: str
    code: str
    param: str | None = None


TRANSLATIONS = (  # the first class that fits counts
    Translation(InvalidRequest, HTTPStatus.BAD_REQUEST, INVALID, "invalid_value"),
    Translation(InvalidKey, HTTPStatus.UNAUTHORIZED, INVALID, "invalid_api_key"),
    Translation(NoVoices, HTTPStatus.FORBIDDEN, INVALID, "no_voices"),
    Translation(TextTooLong, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, INVALID, "text_too_long", "input"),
    Translation(UnknownVoice, HTTPStatus.NOT_FOUND, INVALID, "voice_not_found", "voice"),
    Translation(UnknownRevision, HTTPStatus.NOT_FOUND, INVALID, "revision_not_found", "voice"),
    Translation(UnknownSample, HTTPStatus.NOT_FOUND, INVALID, "sample_not_found", "sample"),
    Translation(ConsentEnded, HTTPStatus.NOT_FOUND, INVALID, "consent_ended", "voice"),
    Translation(VoiceNotReady, HTTPStatus.SERVICE_UNAVAILABLE, SERVER, "voice_not_ready", "voice"),
    Translation(Busy, HTTPStatus.TOO_MANY_REQUESTS, LIMIT, "server_busy"),
    Translation(RateLimited, HTTPStatus.TOO_MANY_REQUESTS, LIMIT, "rate_limit_exceeded"),
    Translation(AuthenticationUnavailable, HTTPStatus.SERVICE_UNAVAILABLE, SERVER, "authentication_unavailable"),
    Translation(ShuttingDown, HTTPStatus.SERVICE_UNAVAILABLE, SERVER, "shutting_down"),
    Translation(Cancelled, CLIENT_CLOSED_REQUEST, INVALID, "client_closed_request"),
    Translation(SynthesisFailed, HTTPStatus.INTERNAL_SERVER_ERROR, SERVER, "synthesis_failed"),
)

log = logging.getLogger(__name__)


def install(app: FastAPI) -> None:
    """Register the handlers of the app."""
    app.add_exception_handler(InferenceError, _any_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _any_error)


def error_response(
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


def translation_of(error: Exception) -> Translation | None:
    """Return how a caller is told of an error; None: it is one that callers must not see."""
    known = next((one for one in TRANSLATIONS if isinstance(error, one.error)), None)
    if known is not None and isinstance(error, InvalidRequest):
        return known._replace(param=error.field)
    return known


def answer_to(error: Exception) -> JSONResponse:
    """Return the answer to a request that ends with an error; details of one that nobody expected go to the log."""
    known = translation_of(error)
    if known is None:
        log.error("a request failed", exc_info=error)
        return error_response(HTTPStatus.INTERNAL_SERVER_ERROR, FAILED, kind=SERVER, code="internal_error")
    headers = _headers(error)
    return error_response(
        known.status, str(error), kind=known.kind, code=known.code, param=known.param, headers=headers
    )


def _any_error(_: Request, error: Exception) -> JSONResponse:
    return answer_to(error)


def _headers(error: Exception) -> dict[str, str] | None:
    if isinstance(error, TryLater):
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, InvalidKey):  # RFC 6750
        return {"WWW-Authenticate": 'Bearer realm="voices"' + (', error="invalid_token"' if error.given else "")}
    return None


def _validation_error(_: Request, error: Exception) -> JSONResponse:
    """Answer 400 with the field's name, as OpenAI's clients expect, where FastAPI would answer 422."""
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return error_response(HTTPStatus.BAD_REQUEST, "The body is not valid JSON.", code="invalid_json")
    field = str(first["loc"][1]) if len(first["loc"]) > 1 else None
    subject = field or "the body (send application/json)"
    return error_response(HTTPStatus.BAD_REQUEST, f"{subject}: {first['msg']}", code="invalid_value", param=field)


def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer unknown routes, wrong methods and large bodies; their headers (Allow) stay."""
    if not isinstance(error, HTTPException):
        raise error
    messages = {
        HTTPStatus.NOT_FOUND: f"There is no {request.method} {request.url.path}; see /docs.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} does not take {request.method}; see /docs.",
    }
    message = messages.get(HTTPStatus(error.status_code), str(error.detail))
    status, headers = HTTPStatus(error.status_code), dict(error.headers or {})
    if status == HTTPStatus.METHOD_NOT_ALLOWED and (methods := _methods(request)):
        headers["Allow"] = ", ".join(methods)
    return error_response(status, message, code=status.name.lower(), headers=headers)


def _methods(request: Request) -> list[str]:
    """Return what the OpenAPI document has of a path: the framework names the methods of its first route alone."""
    operations = request.app.openapi()["paths"].get(route_of(request.scope), {})
    return sorted({method.upper() for method in operations} | ({"HEAD"} if "get" in operations else set()))
