"""Which requests go through an HTTP proxy: ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

from voice_store.errors import Misconfigured


@dataclass(frozen=True)
class Proxies:
    """The proxies for plain and for encrypted requests, and the hosts that are reached without one."""

    http: str = field(default="", repr=False)  # an address may hold a password
    https: str = field(default="", repr=False)
    no_proxy: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Read the variables, in small letters before capitals.

        Raises:
            Misconfigured: a proxy's address is none.
        """

        def first(name: str) -> str:
            return environment.get(name.lower()) or environment.get(name) or ""

        return cls(
            _checked("HTTP_PROXY", first("HTTP_PROXY")),
            _checked("HTTPS_PROXY", first("HTTPS_PROXY")),
            first("NO_PROXY"),
        )

    def of(self, scheme: str, host: str) -> str:
        """Return the address of the proxy that leads to a host; empty: there is none, or the host needs none."""
        proxy = self.https if scheme == "https" else self.http
        return "" if not proxy or self._bypasses(host) else proxy

    def _bypasses(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            # Python's own reading of host names, suffixes and ``*``; it knows no networks.
            return bool(proxy_bypass_environment(host, {"no": self.no_proxy}))
        if address.is_loopback or address.is_link_local:
            return True  # what is on this machine is not reached by way of another one
        entries = [entry.strip() for entry in self.no_proxy.split(",")]
        return "*" in entries or any(address in network for entry in entries for network in _networks(entry))


def _networks(entry: str) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    try:
        return (ipaddress.ip_network(entry, strict=False),)
    except ValueError:
        return ()


def _checked(name: str, value: str) -> str:
    if not value:
        return ""
    written = value if "://" in value else f"http://{value}"
    try:
        address = urlsplit(written)
        valid = address.scheme in {"http", "https"} and bool(address.hostname) and address.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise Misconfigured(f"{name} is no address of a proxy; use http://host:port")
    return written
