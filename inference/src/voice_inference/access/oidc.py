"""OpenID Connect: tokens of one configured issuer, checked by its published keys."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import jwt
from pydantic import TypeAdapter, ValidationError

from voice_inference.access.callers import MAX_PATTERNS, Caller, Limits, Scope, VoicePattern
from voice_inference.access.claims import unverified_claims
from voice_inference.access.http import pool, request_json, unavailable
from voice_inference.errors import AuthenticationUnavailable, InvalidKey, InvalidSettings, NoVoices

ALGORITHMS: Final = ("RS256", "PS256", "ES256", "ES384", "EdDSA")  # asymmetric ones alone
KEY_TYPES: Final = {"RSA", "EC", "OKP"}
MAX_KEYS: Final = 32
FRESH_SECONDS: Final = 600.0
USABLE_SECONDS: Final = 3600.0  # while the issuer does not answer
REFETCH_SECONDS: Final = 30.0  # at least, between two attempts, whatever key ids callers make up
LEEWAY_SECONDS: Final = 60
MAX_SUBJECT: Final = 200
LOCAL: Final = {"127.0.0.1", "localhost", "::1"}

_PATTERN: Final[TypeAdapter[str]] = TypeAdapter(VoicePattern)

log = logging.getLogger(__name__)


class PublishedKeys:
    """The issuer's keys (JWKS, RFC 7517): fetched when they are needed, and again where one is unknown."""

    def __init__(self, issuer: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._http = pool()
        self._lock = asyncio.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = self._tried_at = float("-inf")

    async def get(self, key_id: str) -> jwt.PyJWK | None:
        """Return a key by its id; None: the issuer has none of that id.

        Raises:
            AuthenticationUnavailable: the issuer does not answer, and what it said is too old.
        """
        if self._clock() - self._fetched_at > FRESH_SECONDS or key_id not in self._keys:
            async with self._lock:
                if self._clock() - self._tried_at > REFETCH_SECONDS:
                    self._tried_at = self._clock()
                    await self._fetch()
        if self._clock() - self._fetched_at > USABLE_SECONDS:
            raise unavailable(f"{urlsplit(self._issuer).netloc} has not told its keys")
        return self._keys.get(key_id)

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    async def _fetch(self) -> None:
        try:
            self._keys = await asyncio.to_thread(self._read)
            self._fetched_at = self._clock()
        except AuthenticationUnavailable as error:
            log.warning("the keys of %s: %s", self._issuer, error)

    def _read(self) -> dict[str, jwt.PyJWK]:
        about = request_json(self._http, "GET", f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
        address = str(about.get("jwks_uri", ""))
        if about.get("issuer") != self._issuer or not is_safe(address):
            raise unavailable(f"{urlsplit(self._issuer).netloc} describes another issuer, or keys at no https address")
        listed = request_json(self._http, "GET", address).get("keys")
        found: dict[str, jwt.PyJWK] = {}
        for one in listed[:MAX_KEYS] if isinstance(listed, list) else ():
            if isinstance(one, dict) and one.get("kty") in KEY_TYPES and one.get("use", "sig") == "sig":
                try:
                    found[str(one.get("kid", ""))] = jwt.PyJWK(one)
                except (jwt.PyJWTError, ValueError, TypeError) as error:
                    log.info("a key of %s cannot be used: %s", self._issuer, type(error).__name__)
        return found


class OidcTokens:
    """Tokens of one issuer for one audience; a claim says which voices their holder may use."""

    def __init__(
        self, issuer: str, audience: str, claim: str, voices: Mapping[str, tuple[str, ...]], limits: Limits
    ) -> None:
        """Take what is configured; ``voices`` has the patterns of each value of the claim, empty: values are patterns.

        Raises:
            InvalidSettings: the issuer is at no https address, or there is no audience.
        """
        if not is_safe(issuer):
            raise InvalidSettings(f"VOICE_OIDC_ISSUER is {issuer[:200]!r}; it must be an https:// address")
        if not audience:
            raise InvalidSettings("VOICE_OIDC_AUDIENCE is empty; name the audience that tokens for this server have")
        self._issuer, self._audience, self._claim = issuer, audience, claim
        self._voices, self._limits = voices, limits
        self._keys = PublishedKeys(issuer)

    def is_for(self, token: str) -> bool:
        """Return whether the token names this issuer."""
        return bool(unverified_claims(token).get("iss") == self._issuer)

    async def caller(self, token: str) -> Caller:
        """Return the holder, ``oidc:<subject>``.

        Raises:
            InvalidKey, NoVoices, AuthenticationUnavailable: as of ``TokenVerifier``.
        """
        try:
            key = await self._keys.get(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                raise InvalidKey("The token is signed by a key that its issuer has not published.")
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.PyJWTError as error:
            raise InvalidKey(f"The token is not valid: {error}.") from error
        subject = str(claims["sub"])
        if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise InvalidKey(f"The token's subject must be printable, of at most {MAX_SUBJECT} characters.")
        scope = Scope(tuple(self._patterns(claims.get(self._claim)))[:MAX_PATTERNS])
        if not scope.patterns:
            raise NoVoices(f"The token's claim {self._claim} gives no voices; ask whoever runs this server.")
        return Caller(f"oidc:{subject}", scope, self._limits)

    def close(self) -> None:
        """Close the connections."""
        self._keys.close()

    def _patterns(self, given: Any) -> list[str]:
        values = given.split() if isinstance(given, str) else given if isinstance(given, list) else []
        named = [str(value) for value in values if isinstance(value, str)]
        if self._voices:
            return [pattern for value in named for pattern in self._voices.get(value, ())]
        return [value for value in named if _is_pattern(value)]


def is_safe(url: str) -> bool:
    """Return whether nobody between can change what the address answers: https, or this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL))


def _is_pattern(text: str) -> bool:
    try:
        _PATTERN.validate_python(text)
    except ValidationError:
        return False
    return True
