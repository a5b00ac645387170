"""Who sends a request: the dependency of every route that somebody must be let in for."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from starlette.requests import HTTPConnection
from starlette.types import Scope

from voice_inference.access.callers import Caller
from voice_inference.access.gate import Credentials
from voice_inference.api.accounting import record_of
from voice_inference.api.services import Services

bearer = HTTPBearer(
    auto_error=False,
    description="An API key (`vo_…`); a token of a ServiceAccount or of OpenID Connect where the server takes them.",
)


async def identify(request: Request, _: Annotated[object, Depends(bearer)]) -> Caller:
    """Return who asks.

    Raises:
        InvalidKey, NoVoices, AuthenticationUnavailable: as the gate says.
    """
    return await caller_of(request, request.headers.get("authorization", ""), request.method)


async def caller_of(connection: HTTPConnection, header: str, method: str = "GET") -> Caller:
    """Return who shows this ``Authorization`` header, which of a browser's WebSocket comes in a message; note it.

    Raises:
        InvalidKey, NoVoices, AuthenticationUnavailable: as the gate says.
    """
    services: Services = connection.app.state.services
    credentials = Credentials(header, method, connection.url.path, address_of(connection.scope))
    caller = await services.gate.caller(credentials)
    record_of(connection.scope).caller = caller
    return caller


CallerDep = Annotated[Caller, Depends(identify)]


def address_of(scope: Scope) -> str:
    """Return ``host:port`` of this end of the connection; empty where it has none."""
    host, port = scope.get("server") or ("", None)
    try:
        address = ip_address(host)
    except ValueError:
        return f"{host}:{port}"
    if isinstance(address, IPv6Address):
        return f"{address.ipv4_mapped}:{port}" if address.ipv4_mapped else f"[{address}]:{port}"
    return f"{address}:{port}"
