"""Kubernetes ServiceAccounts: the API server says whose token it is (TokenReview); it has its namespace's voices."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Final

import urllib3

from voice_inference.access.callers import Caller, Limits, Scope
from voice_inference.access.claims import unverified_claims
from voice_inference.access.http import pool, request_json, unavailable
from voice_inference.errors import InvalidKey, InvalidSettings

REVIEWS: Final = "/apis/authentication.k8s.io/v1/tokenreviews"
SUBJECT: Final = re.compile(r"system:serviceaccount:([a-z0-9][-a-z0-9]{0,62}):([a-z0-9][-a-z0-9.]{0,252})")
VALID_SECONDS: Final = 30.0  # a token that ended before its time, as with its pod, speaks so long
INVALID_SECONDS: Final = 10.0
MAX_REMEMBERED: Final = 4096
AT_A_TIME: Final = 4  # questions to the API server
WAITING: Final = 64


class ServiceAccountTokens:
    """Tokens for one audience, of any ServiceAccount of the cluster."""

    def __init__(
        self,
        server: str,
        credentials: Path,
        audience: str,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take the API server's address, empty: as pods are told it, and the folder with ``token`` and ``ca.crt``.

        Raises:
            InvalidSettings: there is no address, no credentials or no audience.
        """
        host, port = os.environ.get("KUBERNETES_SERVICE_HOST", ""), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
        in_cluster = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self._url = (server or (in_cluster if host else "")).rstrip("/")
        if not self._url.startswith("https://"):
            raise InvalidSettings("VOICE_TOKEN_REVIEW needs a pod of a cluster, or VOICE_API_SERVER with https://")
        if not audience:
            raise InvalidSettings("VOICE_TOKEN_AUDIENCE is empty; any token of the cluster would be taken")
        self._token = credentials / "token"
        authorities = credentials / "ca.crt"
        for file in (self._token, authorities):
            if not file.is_file():
                raise InvalidSettings(f"VOICE_TOKEN_REVIEW needs {file}, which is not there")
        self._http: urllib3.PoolManager = pool(str(authorities))
        self._audience, self._limits, self._clock = audience, limits, clock
        self._slots, self._waiting = asyncio.Semaphore(AT_A_TIME), 0
        self._known: OrderedDict[bytes, tuple[Caller | None, float]] = OrderedDict()

    def is_for(self, token: str) -> bool:
        """Return whether the token says that it is of a ServiceAccount, for this audience."""
        claims = unverified_claims(token)
        audiences = claims.get("aud")
        named = audiences if isinstance(audiences, list) else [audiences]
        return bool(SUBJECT.fullmatch(str(claims.get("sub", "")))) and self._audience in named

    async def caller(self, token: str) -> Caller:
        """Return the holder, ``serviceaccount:<namespace>/<name>``.

        Raises:
            InvalidKey, AuthenticationUnavailable: as of ``TokenVerifier``.
        """
        digest = hashlib.sha256(token.encode()).digest()
        found, until = self._known.get(digest, (None, float("-inf")))
        if until < self._clock():
            found = await self._review(token)
            self._known[digest] = found, self._clock() + (VALID_SECONDS if found else INVALID_SECONDS)
            if len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        if found is None:
            raise InvalidKey("The API server does not know the token, or it is for another audience.")
        return found

    def close(self) -> None:
        """Close the connections."""
        self._http.clear()

    async def _review(self, token: str) -> Caller | None:
        if self._waiting >= WAITING:
            raise unavailable("too many tokens are being checked")
        self._waiting += 1
        try:
            async with self._slots:
                return await asyncio.to_thread(self._ask, token)
        finally:
            self._waiting -= 1

    def _ask(self, token: str) -> Caller | None:
        """Ask the API server; blocks."""
        try:
            own = self._token.read_text().strip()  # the kubelet renews it
        except OSError as error:
            raise unavailable(f"{self._token} cannot be read") from error
        review = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        answer = request_json(self._http, "POST", self._url + REVIEWS, review, {"Authorization": f"Bearer {own}"})
        status = answer.get("status")
        if not isinstance(status, dict) or status.get("authenticated") is not True:
            return None
        if self._audience not in (status.get("audiences") or ()):
            return None  # an authenticator that knows no audiences
        name = SUBJECT.fullmatch(str((status.get("user") or {}).get("username", "")))
        if not name:
            return None
        return Caller(f"serviceaccount:{name[1]}/{name[2]}", Scope((f"{name[1]}/*",)), self._limits)
