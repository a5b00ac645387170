"""HTTP connections: trust in certificates, proxies, time-outs and retries, the same for S3 and for credentials."""

from __future__ import annotations

import ssl
from urllib.parse import unquote, urlsplit

import certifi
import urllib3

from voice_store.errors import Misconfigured
from voice_store.settings import S3Settings, Transport

RETRIED = (429, 500, 502, 503, 504)
BACKOFF_SECONDS = 0.2


def pool_for(url: str, settings: S3Settings, transport: Transport) -> urllib3.PoolManager:
    """Return connections to the server of ``url``, through the proxy that leads there.

    Raises:
        Misconfigured: the CA bundle cannot be read.
    """
    address = urlsplit(url)
    retries = retries_of(transport)
    timeout = urllib3.Timeout(connect=transport.connect_seconds, read=transport.read_seconds)
    context = trust(settings) if address.scheme == "https" else None
    proxy = settings.proxies.of(address.scheme, address.hostname or "")
    if not proxy:
        return urllib3.PoolManager(maxsize=transport.connections, retries=retries, timeout=timeout, ssl_context=context)
    gate = urlsplit(proxy)
    user = f"{unquote(gate.username)}:{unquote(gate.password or '')}" if gate.username else None
    return urllib3.ProxyManager(
        f"{gate.scheme}://{gate.netloc.rpartition('@')[2]}",
        proxy_headers=urllib3.make_headers(proxy_basic_auth=user),
        maxsize=transport.connections,
        retries=retries,
        timeout=timeout,
        ssl_context=context,
    )


def retries_of(transport: Transport) -> urllib3.Retry:
    """Return which failures are tried again: lost connections, and answers that mean "later"."""
    return urllib3.Retry(
        total=transport.retries,
        backoff_factor=BACKOFF_SECONDS,
        status_forcelist=RETRIED,
        allowed_methods=None,  # every request here may be repeated, a POST too: multi-object delete, a token
        raise_on_status=False,  # the last answer says more than "too many of them"
        redirect=False,
        respect_retry_after_header=False,  # it may ask for hours: our callers have time-outs, and come again
    )


def trust(settings: S3Settings) -> ssl.SSLContext:
    """Return what TLS servers must prove: a certificate of a public authority or of the bundle's.

    Raises:
        Misconfigured: the bundle cannot be read or holds no certificate.
    """
    context = ssl.create_default_context(cafile=certifi.where())
    if settings.ca_bundle:
        name = f"{settings.ca_variable} is {settings.ca_bundle[:200]!r}"
        try:
            context.load_verify_locations(cafile=settings.ca_bundle)
        except ssl.SSLError as error:
            raise Misconfigured(f"{name}, which holds no PEM certificates; name a file that does") from error
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no path"
            raise Misconfigured(
                f"{name}, which cannot be read ({reason}); mount the file or correct the path"
            ) from error
    return context
