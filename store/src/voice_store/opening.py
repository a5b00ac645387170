"""From a URI and the environment to a store."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from voice_store.folder import FolderStore
from voice_store.settings import S3Settings, Transport
from voice_store.store import Store
from voice_store.uris import StoreUri

if TYPE_CHECKING:
    from voice_store.s3 import S3Client


class StoreFactory:
    """Opens stores that share one S3 connection; safe to use from several threads."""

    def __init__(self, environment: Mapping[str, str] | None = None, *, transport: Transport = Transport()) -> None:  # noqa: B008 -- frozen
        """Take the settings of S3 from the environment, the process's own unless another is given.

        Raises:
            Misconfigured: a variable has a value that cannot work.
        """
        self._settings = S3Settings.from_environment(os.environ if environment is None else environment)
        self._transport = transport
        self._lock = threading.Lock()
        self._client: S3Client | None = None

    def open(self, uri: str | StoreUri) -> Store:
        """Open ``s3://bucket/prefix`` or ``file:///folder``; nothing is asked yet.

        Raises:
            InvalidUri: it is neither.
            Misconfigured: S3 cannot be reached as the environment says.
        """
        location = StoreUri.parse(uri) if isinstance(uri, str) else uri
        if location.scheme == "file":
            return FolderStore(location.path)
        from voice_store.s3 import S3Store  # noqa: PLC0415 -- a folder needs neither minio nor urllib3

        return S3Store(location, self.connect())

    def connect(self) -> S3Client:
        """Return the S3 connection, made at its first use.

        Raises:
            Misconfigured: the CA bundle cannot be read, or there can be no credentials.
        """
        from voice_store.s3 import S3Client  # noqa: PLC0415 -- see above

        with self._lock:
            if self._client is None:
                self._client = S3Client(self._settings, self._transport)
            return self._client


def open_store(
    uri: str | StoreUri,
    environment: Mapping[str, str] | None = None,
    *,
    transport: Transport = Transport(),  # noqa: B008 -- frozen
) -> Store:
    """Open ``s3://bucket/prefix`` or ``file:///folder``; nothing is asked yet.

    Raises:
        InvalidUri: it is neither.
        Misconfigured: S3 cannot be reached as the environment says.
    """
    location = StoreUri.parse(uri) if isinstance(uri, str) else uri
    if location.scheme == "file":
        return FolderStore(location.path)  # wrong variables of S3 are no reason to refuse a folder
    return StoreFactory(environment, transport=transport).open(location)
