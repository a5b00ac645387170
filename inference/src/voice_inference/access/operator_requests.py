"""Requests that the installation's operator has signed: bound to method, address, path and time."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SCHEME: Final = "VoiceOperator"
SCHEMA: Final = "voice.sovits.dev/request/v1"
SKEW_SECONDS: Final = 300  # between two clocks, as Kerberos takes it
_CREDENTIALS: Final = re.compile(r"(\d{1,12})\.([A-Za-z0-9+/]{86}==)")


def is_signed(key: Ed25519PublicKey, credentials: str, *, method: str, address: str, path: str, now: datetime) -> bool:
    """Return whether the operator signed this request a short while ago.

    Args:
        key: the installation's.
        credentials: what follows the scheme in the header: ``<Unix time>.<signature in base64>``.
        method: the request's.
        address: ``host:port`` where this server was reached, as it knows itself and not as the request says: what was
            signed for another pod counts for nothing here.
        path: the request's.
        now: to compare the time with.
    """
    found = _CREDENTIALS.fullmatch(credentials)
    if not found or abs(now.timestamp() - int(found[1])) > SKEW_SECONDS:
        return False
    signed = statement(method=method, address=address, path=path, time=int(found[1]))
    try:
        key.verify(base64.b64decode(found[2]), signed)
    except InvalidSignature:
        return False
    return True


def statement(*, method: str, address: str, path: str, time: int) -> bytes:
    """Return what the operator signs: canonical JSON with sorted names and no blanks."""
    names = {"schema": SCHEMA, "method": method, "address": address, "path": path, "time": time}
    return json.dumps(names, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
