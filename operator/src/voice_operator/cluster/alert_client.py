"""Posts alerts to the targets of the installation: bounded in time, TLS verified, no redirect followed, no answer read.

aiohttp carries the requests, as it does for everything else here (docs/decisions/0038).
"""

import logging
import re
import ssl
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import aiohttp
import certifi
from yarl import URL

from voice_operator.manifests.alert import AlertRequest, signed, signing_secrets
from voice_operator.settings import ALERT_URL, AlertTarget

TIMEOUT = aiohttp.ClientTimeout(total=20, connect=10, sock_connect=10)  # seconds; Standard Webhooks: 15 to 30
CONNECTIONS_PER_HOST = 4
MAX_FILE_BYTES = 8192
HOPELESS = (HTTPStatus.BAD_REQUEST, HTTPStatus.GONE, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, 422)  # with this very body

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """How an attempt ended; ``why`` never holds the address: it may be a secret."""

    result: Literal["sent", "retry", "refused"]
    why: str = ""
    retry_after: float | None = None  # seconds that the target asked to wait


class AlertClient:
    """Posts to targets. Files with addresses and secrets are read for each attempt: Secrets are rotated.

    ``ca`` are authorities (PEM) beside the public ones. Proxies come from HTTP_PROXY, HTTPS_PROXY and NO_PROXY, as for
    the object store.
    """

    def __init__(self, targets: Iterable[AlertTarget], ca: str) -> None:
        self._ca = ca
        for target in targets:
            try:
                address_of(target)
                secrets_of(target)
            except ValueError as error:  # it may be mended while the operator works
                log.warning("alerts cannot be sent to %s: %s", target.name, error)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, target: AlertTarget, request: AlertRequest) -> Answer:
        """Make one attempt."""
        try:
            url, secrets = address_of(target), secrets_of(target)
        except ValueError as error:
            return Answer("retry", str(error))
        headers = request.headers | signed(request, secrets, int(time.time()))
        try:
            async with self._opened().post(
                URL(url), data=request.body, headers=headers, allow_redirects=False
            ) as answer:
                return answer_of(answer.status, answer.headers.get("Retry-After", ""))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Answer("retry", _why(error))

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            trust = ssl.create_default_context(cafile=certifi.where())
            if self._ca:
                trust.load_verify_locations(cadata=self._ca)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=trust, limit_per_host=CONNECTIONS_PER_HOST),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=TIMEOUT,
                trust_env=True,
            )
        return self._session


def address_of(target: AlertTarget) -> str:
    """Return the URL of a target.

    Raises:
        ValueError: the file that should hold it cannot be read, or holds none; the message does not repeat it.
    """
    if target.url_file is None:
        return target.url or ""
    text = _read(target.url_file)
    if not re.fullmatch(ALERT_URL, text):
        raise ValueError(f"{target.url_file} holds no URL; it must be https://host/path without a password in it")
    return text


def secrets_of(target: AlertTarget) -> tuple[bytes, ...]:
    """Return the secrets to sign with; none for a target that wants no signature.

    Raises:
        ValueError: the file cannot be read, or holds none; the message does not repeat it.
    """
    if target.hmac_file is None:
        return ()
    text = _read(target.hmac_file)
    try:
        return signing_secrets(text)
    except ValueError as error:
        raise ValueError(f"{target.hmac_file}: {error}") from error


def answer_of(status: int, retry_after: str) -> Answer:
    """Return what a status means for the next attempt.

    A wrong address or a missing right (3xx, 401, 403, 404) may be mended; what refuses this very body will refuse it
    again.
    """
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer("sent")
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        why = f"HTTP status {status}: redirects are not followed; name the final address"
        return Answer("retry", why)
    if status in HOPELESS:
        return Answer("refused", f"HTTP status {status}")
    return Answer("retry", f"HTTP status {status}", _seconds(retry_after))


def _seconds(retry_after: str) -> float | None:
    """Return the seconds that a Retry-After header asks for: a number, or the time of day to come back at."""
    if retry_after.isascii() and retry_after.isdecimal():
        return float(retry_after[:9])
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - datetime.now(UTC)).total_seconds(), 0.0)


def _why(error: Exception) -> str:
    """Return a sentence without the address: texts of aiohttp's own may have it whole."""
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT.total:.0f} s"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "TLS: the certificate is not trusted; storage.caConfigMap adds an authority"
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"the proxy answered with HTTP status {error.status}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"no connection: {error.os_error.strerror or type(error.os_error).__name__}"
    return f"no answer: {type(error).__name__}"


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES).decode("utf-8", errors="replace").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror or error}; is the Secret there, and has it this key?") from error
