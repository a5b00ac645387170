"""Who sends a request: the dependency of every route that somebody must be let in for."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import Annotated

from fastapi import Depends, Request, WebSocket
from fastapi.security import HTTPBearer
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
    services: Services = request.app.state.services
    header = request.headers.get("authorization", "")
    credentials = Credentials(header, request.method, request.url.path, address_of(request.scope))
    caller = await services.gate.caller(credentials)
    record_of(request.scope).caller = caller
    return caller


async def identify_socket(socket: WebSocket, header: str) -> Caller:
    """Return who shows this ``Authorization`` header, which of a browser's page comes in a message.

    Raises:
        InvalidKey, NoVoices, AuthenticationUnavailable: as the gate says.
    """
    services: Services = socket.app.state.services
    caller = await services.gate.caller(Credentials(header, "GET", socket.url.path, address_of(socket.scope)))
    record_of(socket.scope).caller = caller
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
