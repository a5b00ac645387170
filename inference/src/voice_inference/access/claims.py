"""What a JSON Web Token says of itself before anybody has checked it."""

from __future__ import annotations

from typing import Any

import jwt


def unverified_claims(token: str) -> dict[str, Any]:
    """Return the claims, to find out who could check them; empty: it is no token."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError:
        return {}
    return claims
