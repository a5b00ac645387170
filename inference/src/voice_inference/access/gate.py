"""Who calls: the one place that turns the credentials of a request into a caller."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from voice_inference.access.api_keys import PREFIX
from voice_inference.access.callers import ANYBODY, OPERATOR, Caller, Limits
from voice_inference.access.key_folder import KeyFolder
from voice_inference.access.operator_requests import SCHEME, is_signed
from voice_inference.errors import InvalidKey

MAX_TOKEN: Final = 16_384  # characters
REFRESH_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Credentials:
    """What a request says of who sends it, and where it arrived."""

    header: str  # Authorization; empty: none
    method: str
    path: str
    address: str  # host:port of this end of the connection


class TokenVerifier(Protocol):
    """Knows the holders of the tokens of one authority."""

    def is_for(self, token: str) -> bool:
        """Return whether the token says that it is of this authority; nothing is believed yet."""
        ...

    async def caller(self, token: str) -> Caller:
        """Return the holder.

        Raises:
            InvalidKey: the token is not valid.
            NoVoices: its holder has no voices.
            AuthenticationUnavailable: the authority does not answer.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Gate:
    """Lets callers in. Without keys and authorities it lets in anybody, for all voices."""

    def __init__(
        self,
        clock: Callable[[], datetime],
        *,
        keys: KeyFolder | None = None,
        verifiers: Sequence[TokenVerifier] = (),
        operator: Ed25519PublicKey | None = None,
        limits: Limits | None = None,
    ) -> None:
        """Take who gives out keys and tokens; ``limits`` are those of keys without their own."""
        self._clock = clock
        self._keys = keys
        self._verifiers = verifiers
        self._operator = operator
        self._limits = limits or Limits()
        if keys is not None:
            keys.refresh()  # before the first request

    @property
    def is_open(self) -> bool:
        """Whether anybody may speak."""
        return self._keys is None and not self._verifiers

    async def caller(self, credentials: Credentials) -> Caller:
        """Return who asks.

        Raises:
            InvalidKey: nobody that is known here.
            NoVoices: somebody without a voice.
            AuthenticationUnavailable: it cannot be found out now.
        """
        if self.is_open:
            return ANYBODY
        scheme, _, token = credentials.header.partition(" ")
        token = token.strip()
        if not token:
            raise InvalidKey("Give your API key as `Authorization: Bearer …`.", given=False)
        if len(token) > MAX_TOKEN:
            raise InvalidKey(f"The API key is longer than {MAX_TOKEN} characters, which none is.")
        if scheme == SCHEME:
            return self._signed(token, credentials)
        if scheme.lower() != "bearer":
            raise InvalidKey("Give your API key as `Authorization: Bearer …`.")
        if token.startswith(PREFIX) or not self._verifiers:
            return self._holder(token)
        verifier = next((one for one in self._verifiers if one.is_for(token)), None)
        if verifier is None:
            raise InvalidKey("The token is of nobody whom this server trusts.")
        return await verifier.caller(token)

    async def run(self, namespaces: Callable[[], set[str]]) -> None:
        """Follow the mounted keys for ever; warn once where an open server has the voices of several ``namespaces``."""
        warned = False
        while True:
            if self._keys is not None:
                try:
                    await asyncio.to_thread(self._keys.refresh)
                except Exception:  # whatever it is, a key that is taken away later must still stop
                    log.exception("the API keys cannot be read; those of before stay")
            if self.is_open and not warned and len(found := namespaces()) > 1:
                warned = True
                log.warning(
                    "anybody who reaches this server speaks with the voices of %d namespaces (%s); give it API keys "
                    "(spec.keysSecret of the VoiceServer, or --keys)",
                    len(found),
                    ", ".join(sorted(found)[:10]),
                )
            await asyncio.sleep(REFRESH_SECONDS)

    def close(self) -> None:
        """Close the connections to authorities."""
        for verifier in self._verifiers:
            verifier.close()

    def _holder(self, key: str) -> Caller:
        if self._keys is None:
            raise InvalidKey("This server takes no API keys, but tokens.")
        return self._keys.ring.find(key, self._clock().date()).caller(self._limits)

    def _signed(self, token: str, credentials: Credentials) -> Caller:
        if self._operator is not None and is_signed(
            self._operator,
            token,
            method=credentials.method,
            address=credentials.address,
            path=credentials.path,
            now=self._clock(),
        ):
            return OPERATOR
        raise InvalidKey("The operator did not sign this request for this server, path and time.")
