"""Keys of one voice's prefixes for the pods of its Jobs, from a token service, and when they are due for renewal."""

import os
from collections.abc import Callable, Mapping
from datetime import datetime

import voice_store
from voice_operator.cluster.store import TRANSPORT
from voice_operator.cluster.threads import FairThreads
from voice_operator.errors import InvalidSettings, StoreError
from voice_operator.settings import SessionKeys as SessionKeySettings
from voice_store.sessions import SessionKeys, TokenService

THREADS = 2
SHARE = 1  # of them, for one namespace
MAX_REMEMBERED = 10_000


class SessionMinter:
    """Asks for keys in threads; remembers of each Secret until when its keys last."""

    def __init__(self, service: TokenService, seconds: int, clock: Callable[[], datetime]) -> None:
        self._service = service
        self._seconds = seconds
        self._clock = clock
        self._threads = FairThreads("store-keys", THREADS, SHARE)
        self._renewals: dict[tuple[str, str], datetime] = {}

    @property
    def region(self) -> str:
        """The region that requests are signed for."""
        return self._service.settings.region

    async def files(self, namespace: str, secret: str, policy: str) -> dict[str, str]:
        """Return what a pod reads from its Secret: new keys with this policy, and where the store is.

        Raises:
            StoreError: the token service is away or refuses.
        """
        now = self._clock()
        name = f"{namespace}.{secret}"[:64]  # AWS's limit; it stands in the service's own audit log

        def ask() -> SessionKeys:
            return self._service.assume(policy, name, self._seconds)

        try:
            keys = await self._threads.run(namespace, ask)
        except voice_store.StoreError as error:
            raise StoreError(str(error)) from error
        if len(self._renewals) >= MAX_REMEMBERED:
            self._renewals = {one: due for one, due in self._renewals.items() if due > now}
        self._renewals[namespace, secret] = now + (keys.expires - now) / 2
        settings = self._service.settings
        found = {
            "AWS_ACCESS_KEY_ID": keys.access_key,
            "AWS_SECRET_ACCESS_KEY": keys.secret_key,
            "AWS_SESSION_TOKEN": keys.session_token,
            "AWS_REGION": settings.region,
            "AWS_ENDPOINT_URL_S3": settings.endpoint,
        }
        return {file: value for file, value in found.items() if value}

    def seconds_left(self, namespace: str, secret: str) -> float:
        """Return in how many seconds the keys of a Secret are to be renewed, after half of their time.

        0 also where it is not known: this process has begun since.
        """
        due = self._renewals.get((namespace, secret))
        return 0 if due is None else max((due - self._clock()).total_seconds(), 0)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()


def session_minter(
    settings: SessionKeySettings, clock: Callable[[], datetime], environment: Mapping[str, str] = os.environ
) -> SessionMinter | None:
    """Return what mints keys; None where the installation has none of that kind.

    Raises:
        InvalidSettings: a variable has a value that cannot work, or the operator has no keys to ask with.
    """
    if not settings.enabled:
        return None
    try:
        service = TokenService(
            endpoint=settings.endpoint.rstrip("/"),
            role_arn=settings.role_arn,
            environment=environment,
            transport=TRANSPORT,
        )
    except voice_store.StoreError as error:
        raise InvalidSettings(f"storage.sessionKeys: {error}") from error
    return SessionMinter(service, settings.duration_seconds, clock)
