"""Whose certificates the operator takes from pods that speak HTTPS."""

import ssl
from pathlib import Path

from voice_operator.errors import InvalidSettings


class PodTrust:
    """The system's authorities and those of a file, which is read again when it changes."""

    def __init__(self, file: Path | None = None) -> None:
        """Take the file with more authorities, in PEM; None: there are none."""
        self._file = file
        self._read: bytes | None = None
        self._context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        """Return what checks a pod's certificate.

        Raises:
            InvalidSettings: the file cannot be read, or holds no certificates.
        """
        try:
            data = self._file.read_bytes() if self._file else b""
            if self._context is None or data != self._read:
                context = ssl.create_default_context()
                if data:
                    context.load_verify_locations(cadata=data.decode("ascii", errors="replace"))
                self._read, self._context = data, context
        except OSError as error:
            is_read = isinstance(error, ssl.SSLError)
            why = "holds no certificates in PEM" if is_read else f"cannot be read: {error.strerror}"
            raise InvalidSettings(
                f"inference.caFile is {self._file}, which {why}; correct inference.caConfigMap"
            ) from error
        return self._context
