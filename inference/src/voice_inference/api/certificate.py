"""The server's certificate in a mounted Secret, taken over while the server runs: the kubelet swaps its files."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from cryptography import x509

from voice_inference.errors import InvalidSettings
from voice_inference.metrics import Metrics

CERTIFICATE, KEY = "tls.crt", "tls.key"  # as in a Secret of the type kubernetes.io/tls
REFRESH_SECONDS: Final = 2.0

log = logging.getLogger(__name__)


class ServerCertificate:
    """A folder with a certificate and its key; each handshake gets those that were read last.

    A pair that cannot be used is left alone: the one before it serves on, and the log says what is wrong.
    """

    def __init__(self, folder: Path, metrics: Metrics) -> None:
        """Read the first pair.

        Raises:
            InvalidSettings: there is none that can be used.
        """
        self._folder = folder
        self._metrics = metrics
        self._problem = ""
        try:
            self._files, self._current = self._read()
        except (OSError, ValueError) as error:
            raise InvalidSettings(f"VOICE_TLS={folder}: {_reason(error)}; it needs {CERTIFICATE} and {KEY}") from error
        self._tell()
        self.context = self._current
        # Called for each handshake, also for one that names no server.
        self.context.sni_callback = self._choose

    async def run(self) -> None:
        """Follow the folder for ever."""
        while True:
            await asyncio.sleep(REFRESH_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Take over the pair in the folder where it has changed; blocks."""
        problem = ""
        try:
            if self._contents() != self._files:
                self._files, self._current = self._read()
                self._tell()
        except (OSError, ValueError) as error:
            problem = _reason(error)
        if problem and problem != self._problem:
            log.error("%s: the certificate of before serves on: %s", self._folder, problem)
        self._problem = problem

    def _choose(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> None:
        connection.context = self._current

    def _contents(self) -> tuple[bytes, bytes]:
        return (self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes()

    def _read(self) -> tuple[tuple[bytes, bytes], ssl.SSLContext]:
        """Return the files and a context of them; what changes in between is taken over at the next turn.

        Raises:
            OSError: a file cannot be read, or is not what it must be (``ssl.SSLError``).
            ValueError: the certificate is none.
        """
        files = self._contents()
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.set_alpn_protocols(["http/1.1"])
        # A password that is asked for on a terminal would stop the server.
        context.load_cert_chain(self._folder / CERTIFICATE, self._folder / KEY, password="")
        x509.load_pem_x509_certificate(files[0])
        return files, context

    def _tell(self) -> None:
        ends = x509.load_pem_x509_certificate(self._files[0]).not_valid_after_utc
        self._metrics.certificate_ends.set(ends.timestamp())
        log.info("%s: the certificate is valid until %s", self._folder, ends.isoformat())


def _reason(error: OSError | ValueError) -> str:
    """Return what is wrong in words."""
    if isinstance(error, ssl.SSLError):
        return f"certificate and key do not fit, or one of them is none ({error.reason or 'not PEM'})"
    if isinstance(error, OSError):
        return f"{error.filename} cannot be read: {error.strerror}"
    return f"{CERTIFICATE} is no certificate ({error})"
