"""Small JSON documents of authorities: bounded in time and size, without redirects."""

from __future__ import annotations

import json
from typing import Any, Final

import urllib3

from voice_inference.errors import AuthenticationUnavailable

ANSWER_LIMIT: Final = 256 << 10  # bytes
TIMEOUT: Final = urllib3.Timeout(connect=2.0, read=3.0)
RETRY_AFTER_SECONDS: Final = 5


def pool(ca: str | None = None) -> urllib3.PoolManager:
    """Return connections that trust the system's authorities, or those of a file alone."""
    return urllib3.PoolManager(maxsize=8, timeout=TIMEOUT, retries=False, cert_reqs="CERT_REQUIRED", ca_certs=ca)


def request_json(
    connections: urllib3.PoolManager, method: str, url: str, body: Any = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return a JSON object; blocks.

    Raises:
        AuthenticationUnavailable: there is no such answer; the sentence names the host and quotes nothing.
    """
    host = urllib3.util.parse_url(url).netloc
    sent = None if body is None else json.dumps(body).encode()
    given = {"Accept": "application/json"} | ({"Content-Type": "application/json"} if sent else {}) | (headers or {})
    try:
        answer = connections.request(method, url, body=sent, headers=given, redirect=False, preload_content=False)
        try:
            data = answer.read(ANSWER_LIMIT + 1)
        finally:
            answer.release_conn()
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise unavailable(f"{host} does not answer ({type(error).__name__})") from error
    if answer.status // 100 != 2:
        raise unavailable(f"{host} answers {answer.status}")
    if len(data) > ANSWER_LIMIT:
        raise unavailable(f"{host} answers with more than {ANSWER_LIMIT} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise unavailable(f"{host} answers with no JSON") from error
    if not isinstance(document, dict):
        raise unavailable(f"{host} answers with no JSON object")
    return document


def unavailable(why: str) -> AuthenticationUnavailable:
    """Return the error for an authority that cannot be asked."""
    return AuthenticationUnavailable(f"Tokens cannot be checked now: {why}.", retry_after=RETRY_AFTER_SECONDS)
