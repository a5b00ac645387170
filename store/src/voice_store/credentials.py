"""Where the keys come from: the first source that the environment names, each read by a provider of minio's.

The order is that of AWS's own programs: static keys (in variables, then in a folder of files), web identity, the shared
file, the container's service, the instance's role. minio's ``ChainedProvider`` would try them all and then say only
that all failed; here the source that is named must answer, and what it says reaches the user. Two gaps of minio's are
filled: its provider for containers takes addresses and tokens from the process alone and trusts any host, and its
requests for a web identity carry the token in the address, from where access logs and error messages repeat it.
"""

from __future__ import annotations

import configparser
import ipaddress
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import urllib3
from minio.credentials.credentials import Credentials
from minio.credentials.providers import (
    AWSConfigProvider,
    IamAwsProvider,
    Provider,
    StaticProvider,
    WebIdentityProvider,
)
from urllib3.response import BaseHTTPResponse

from voice_store.connections import pool_for
from voice_store.errors import (
    AccessDenied,
    ClockSkew,
    CredentialsMissing,
    ExpiredCredentials,
    Misconfigured,
    StoreError,
    StoreUnavailable,
)
from voice_store.faults import network_fault
from voice_store.proxies import Proxies
from voice_store.settings import CredentialSources, S3Settings, Transport, read_file

INSTANCE_METADATA: Final = "http://169.254.169.254"
ECS_SERVICE: Final = "http://169.254.170.2"
CONTAINER_HOSTS: Final = frozenset({"169.254.170.2", "169.254.170.23", "fd00:ec2::23"})  # ECS, EKS, EKS over IPv6
LOCAL: Final = Transport(connect_seconds=1, read_seconds=5, retries=1)  # it answers at once or is not there
KEY_FILES: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
SESSION_NAME: Final = "voice-store"
NO_KEYS: Final = (
    "no S3 credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role by web identity or "
    "pod identity"
)

_CODE = re.compile(rb"""<Code>\s*([A-Za-z.]+)\s*</Code>|"[cC]ode"\s*:\s*"([A-Za-z.]+)\"""")

# What a service says when it refuses: the error, the fault, the remedy.
_REFUSALS: Final[Mapping[str, tuple[type[StoreError], str]]] = {
    "ExpiredTokenException": (
        ExpiredCredentials,
        "the web identity token has expired; check that the kubelet renews AWS_WEB_IDENTITY_TOKEN_FILE, or start again",
    ),
    "InvalidIdentityToken": (
        AccessDenied,
        "it does not trust the web identity token; register the cluster's OIDC provider and the token's audience",
    ),
    "IDPRejectedClaim": (
        AccessDenied,
        "the identity provider rejected the web identity token; correct its audience and subject",
    ),
    "IDPCommunicationError": (StoreUnavailable, "it cannot reach the cluster's OIDC provider; try again later"),
    "AccessDenied": (
        AccessDenied,
        "the role may not be assumed; correct AWS_ROLE_ARN, or allow this service account in the role's trust policy",
    ),
    "AccessDeniedException": (
        AccessDenied,
        "the role may not be assumed; create the pod identity association of this service account",
    ),
    "RequestTimeTooSkewed": (ClockSkew, "this machine's clock is off; set it by NTP"),
}


def provider_of(settings: S3Settings, transport: Transport) -> Provider:
    """Return what gives the keys of each request, and renews them before they expire.

    Raises:
        CredentialsMissing: the environment names no source, and the instance's role is switched off.
        Misconfigured: the container's service is on a host that must not get a token.
    """
    sources = settings.credentials
    if sources.access_key:
        return StaticProvider(sources.access_key, sources.secret_key, sources.session_token or None)
    if sources.folder and any((Path(sources.folder) / name).exists() for name in KEY_FILES):
        return FolderProvider(Path(sources.folder))
    if sources.web_identity_token_file:
        return _web_identity(settings, transport)
    if sources.profile or (sources.shared_credentials_file and Path(sources.shared_credentials_file).is_file()):
        file, profile = sources.shared_credentials_file, sources.profile or "default"
        return _Source(
            AWSConfigProvider(file or None, profile),
            f"the profile {profile!r} of {file or 'the shared credentials file'}",
            "add aws_access_key_id and aws_secret_access_key to it, or correct AWS_PROFILE",
        )
    if sources.container_full_uri or sources.container_relative_uri:
        return _container(settings)
    if sources.metadata_disabled:
        raise CredentialsMissing(NO_KEYS)
    return _instance(settings)


def _web_identity(settings: S3Settings, transport: Transport) -> Provider:
    sources = settings.credentials
    suffix = ".cn" if settings.region.startswith("cn-") else ""
    address = sources.sts_endpoint or f"https://sts.{settings.region}.amazonaws.com{suffix}"
    service = f"the token service {address}"
    remedy = "correct AWS_ENDPOINT_URL_STS or AWS_REGION"
    return _Source(
        WebIdentityProvider(
            jwt_provider_func=lambda: {
                "access_token": _token("AWS_WEB_IDENTITY_TOKEN_FILE", sources.web_identity_token_file)
            },
            sts_endpoint=address,
            role_arn=sources.role_arn,
            role_session_name=sources.role_session_name or SESSION_NAME,
            http_client=ServiceClient(Service(service, remedy, settings), pool_for(address, settings, transport)),
        ),
        service,
        remedy,
    )


def _container(settings: S3Settings) -> Provider:
    sources = settings.credentials
    address = sources.container_full_uri or ECS_SERVICE + "/" + sources.container_relative_uri.lstrip("/")
    _check_host(address)
    service = f"the container's credentials service {address}"
    remedy = "check that the node runs the pod identity agent"
    here = replace(settings, proxies=Proxies())
    client = ServiceClient(Service(service, remedy, settings), pool_for(address, here, LOCAL))
    return _Source(_ContainerProvider(address, sources, client), service, remedy)


def _instance(settings: S3Settings) -> Provider:
    address = settings.credentials.metadata_endpoint or INSTANCE_METADATA
    service = f"the instance's metadata service {address}"
    here = replace(settings, proxies=Proxies())
    client = ServiceClient(Service(service, "", settings, is_last=True), pool_for(address, here, LOCAL))
    return _Source(
        IamAwsProvider(custom_endpoint=address.rstrip("/"), http_client=client),
        service,
        "attach a role to the instance",
    )


class FolderProvider(Provider):
    """Keys in files, as a mounted Secret has them; files that changed are read again, so that keys can be rotated.

    The kubelet replaces all files of a Secret at once, by a link to another folder: they are read below the folder that
    the first one is in, so that an old key never goes with a new one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._version: tuple[object, ...] = ()
        self._credentials: Credentials | None = None

    def retrieve(self) -> Credentials:
        """Return the keys of now.

        Raises:
            Misconfigured: a file is missing or cannot be read; the message names it.
        """
        with self._lock:
            version = self._look()
            if self._credentials is None or version != self._version:
                self._credentials = self._read()
                self._version = version
            return self._credentials

    def _look(self) -> tuple[object, ...]:
        """Return what changes when a file does; a missing file counts."""
        found: list[object] = []
        for name in KEY_FILES:
            path = self._folder / name
            try:
                about = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((str(path.resolve()), about.st_ino, about.st_mtime_ns, about.st_size))
        return tuple(found)

    def _read(self) -> Credentials:
        folder = (self._folder / KEY_FILES[0]).resolve().parent
        key, secret, token = (read_file(folder / name) for name in KEY_FILES)
        for name, value in zip(KEY_FILES, (key, secret), strict=False):
            if not value:
                raise Misconfigured(
                    f"{self._folder / name} is missing or empty; the Secret that is mounted there must have "
                    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                )
        return Credentials(key, secret, token or None)


class _ContainerProvider(Provider):
    """The keys that a service beside the container hands out: EKS pod identity, ECS."""

    def __init__(self, address: str, sources: CredentialSources, client: urllib3.PoolManager) -> None:
        self._address = address
        self._sources = sources
        self._answers = IamAwsProvider(http_client=client)
        self._credentials: Credentials | None = None

    def retrieve(self) -> Credentials:
        """Return the keys; the token is read anew each time, because the kubelet renews it."""
        if self._credentials is None or self._credentials.is_expired():
            token = self._sources.container_token
            if file := self._sources.container_token_file:
                token = _token("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)
            self._credentials = self._answers.fetch(self._address, {"Authorization": token} if token else None)
        return self._credentials


class _Source(Provider):
    """A provider whose failures name the source and the remedy; one thread at a time asks it."""

    def __init__(self, provider: Provider, service: str, remedy: str) -> None:
        self._provider = provider
        self._service = service
        self._remedy = remedy
        self._lock = threading.Lock()

    def retrieve(self) -> Credentials:
        """Return the keys.

        Raises:
            StoreError: there are none; the message says why and what to do.
        """
        with self._lock:
            try:
                return self._provider.retrieve()
            except (ValueError, KeyError, TypeError, AttributeError, ParseError, configparser.Error) as error:
                # The answer may hold keys, so it is not repeated.
                raise CredentialsMissing(f"{self._service} has no usable credentials; {self._remedy}") from error


@dataclass(frozen=True)
class Service:
    """Who is asked for keys, as messages name it; the last one that could have any may be missing."""

    name: str
    remedy: str
    settings: S3Settings
    is_last: bool = False


class ServiceClient(urllib3.PoolManager):
    """Asks a service for keys: tokens travel in the body, refusals become errors of ours."""

    def __init__(self, service: Service, through: urllib3.PoolManager) -> None:
        super().__init__(num_pools=1)
        self._service = service
        self._through = through

    def urlopen(self, method: str, url: str, redirect: bool = True, **options: Any) -> BaseHTTPResponse:  # type: ignore[override]
        """Send one request of a provider's.

        Raises:
            StoreError: the service is not there, or refuses.
        """
        del redirect  # a service that redirects is another one
        address, _, query = url.partition("?")
        if method == "POST" and query:
            url = address
            headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/xml"}
            options |= {"body": query, "headers": headers}
        try:
            response = self._through.urlopen(method, url, redirect=False, **options)
        except urllib3.exceptions.HTTPError as error:
            if self._service.is_last:
                raise CredentialsMissing(NO_KEYS) from error
            raise network_fault(self._service.name, error, url, self._service.settings, self._service.remedy) from error
        if response.status >= 300:
            raise self._refusal(response)
        return response

    def _refusal(self, response: BaseHTTPResponse) -> StoreError:
        found = _CODE.search(response.data[:65536])
        code = (found[1] or found[2]).decode() if found else ""
        name = self._service.name
        if code in _REFUSALS:
            error, sentence = _REFUSALS[code]
            return error(f"{name} answers {code}: {sentence}")
        if response.status >= 500 or response.status == 429:
            return StoreUnavailable(f"{name} answers {response.status} {code}".rstrip() + "; try again later")
        if self._service.is_last:
            return CredentialsMissing(NO_KEYS)
        return AccessDenied(f"{name} answers {response.status} {code}".rstrip() + f"; {self._service.remedy}")


def _token(variable: str, path: str) -> str:
    try:
        token = Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no token in ASCII"
        raise Misconfigured(
            f"{variable} is {path[:200]!r}, which cannot be read ({reason}); mount the token or correct the path"
        ) from error
    if not token or not token.isprintable():
        raise Misconfigured(f"{variable} is {path[:200]!r}, which holds no token; mount the token or correct the path")
    return token


def _check_host(address: str) -> None:
    """Let the token go over plain HTTP only to the hosts that AWS's own programs allow."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    if parts.scheme == "https" or host in CONTAINER_HOSTS or host == "localhost":
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise Misconfigured(
            f"AWS_CONTAINER_CREDENTIALS_FULL_URI is {address[:200]!r}, and a token must not go there in plain text; "
            f"use https, this machine, or one of {', '.join(sorted(CONTAINER_HOSTS))}"
        )
