"""How S3 is reached: the variables of the environment, read once, checked, and kept in frozen types.

=================================================  ===================================================================
``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``      address of the server; absent: AWS, by region
``AWS_REGION``, ``AWS_DEFAULT_REGION``             region that requests are signed for; absent: ``us-east-1``
``VOICE_S3_ADDRESSING``                            ``auto``, ``path`` or ``virtual``: where the bucket's name stands
``AWS_CA_BUNDLE``, ``SSL_CERT_FILE``               PEM file with certificate authorities besides the public ones
``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY``      as everywhere, in capitals or not
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``   keys, with ``AWS_SESSION_TOKEN`` where they are temporary
``VOICE_S3_CREDENTIALS_DIR``                       folder with files of these names, read again when they change
``AWS_ROLE_ARN``, ``AWS_WEB_IDENTITY_TOKEN_FILE``  web identity (IRSA); ``AWS_ENDPOINT_URL_STS`` for another service
``AWS_PROFILE``, ``AWS_SHARED_CREDENTIALS_FILE``   keys in a file; absent: ``~/.aws/credentials`` where there is one
``AWS_CONTAINER_CREDENTIALS_FULL_URI``             pod identity, with ``AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE``
``AWS_CONTAINER_CREDENTIALS_RELATIVE_URI``         the role of an ECS task
``AWS_EC2_METADATA_DISABLED``                      ``true``: never ask for the instance's role
=================================================  ===================================================================

The keys are secret, everything else is plain configuration; all of it may be absent. The folder may also hold
``AWS_REGION``, ``AWS_DEFAULT_REGION``, ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL`` and ``VOICE_S3_ADDRESSING``, as a
Secret may: they are read once, and the environment's own have the last word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast
from urllib.parse import SplitResult, urlsplit

from voice_store.errors import Misconfigured
from voice_store.proxies import Proxies

Addressing = Literal["auto", "path", "virtual"]

DEFAULT_REGION: Final = "us-east-1"  # what stores without regions expect
ADDRESSINGS: Final = ("auto", "path", "virtual")

# For the --help of programs that take s3:// URIs.
ENVIRONMENT_HELP: Final = """\
for s3:// URIs, all of it optional:
  AWS_ENDPOINT_URL_S3    address of the server (default: AWS, by region)
  AWS_REGION             region that requests are signed for (default: us-east-1)
  VOICE_S3_ADDRESSING    auto, path or virtual: where the bucket's name stands (default: auto, virtual on AWS)
  AWS_CA_BUNDLE          PEM file with certificate authorities besides the public ones
  HTTP_PROXY, HTTPS_PROXY, NO_PROXY
  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
  VOICE_S3_CREDENTIALS_DIR
                         keys, or a folder with files of these three names; without them web identity,
                         pod identity or the instance's role gives some
"""

# What a folder of credentials may hold besides keys.
PLAIN_FILES: Final = (
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "VOICE_S3_ADDRESSING",
)
FILE_LIMIT: Final = 64 * 1024  # bytes; a session token has a few thousand

_FORMS = "use http://host:port or https://host:port"
_REGION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_AWS_HOST = re.compile(r"(.+\.)?amazonaws\.com(\.cn)?", re.IGNORECASE)


@dataclass(frozen=True)
class Transport:
    """How patiently a store is asked; the defaults suit work that takes minutes."""

    connect_seconds: float = 5.0
    read_seconds: float = 60.0
    retries: int = 3  # of connections that fail and of answers that say "later"
    connections: int = 4  # kept open between requests


@dataclass(frozen=True)
class CredentialSources:
    """Sources of credentials in the environment; ``credentials.py`` takes the first source that is named."""

    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    folder: str = ""
    web_identity_token_file: str = ""
    role_arn: str = ""
    role_session_name: str = ""
    sts_endpoint: str = ""
    container_full_uri: str = ""
    container_relative_uri: str = ""
    container_token_file: str = ""
    container_token: str = field(default="", repr=False)
    profile: str = ""
    shared_credentials_file: str = ""
    metadata_endpoint: str = ""
    metadata_disabled: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> CredentialSources:
        """Read the variables.

        Raises:
            Misconfigured: one half of a pair is missing, or an address is none.
        """
        pairs = (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN"))
        for first, second in pairs:
            _check_pair(environment, first, second)
        if environment.get("AWS_SESSION_TOKEN") and not environment.get("AWS_ACCESS_KEY_ID"):
            raise Misconfigured("AWS_SESSION_TOKEN is set, but AWS_ACCESS_KEY_ID is not; set both or neither")
        for name in ("AWS_ENDPOINT_URL_STS", "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_EC2_METADATA_SERVICE_ENDPOINT"):
            if value := environment.get(name):
                _address(name, value)
        return cls(
            access_key=environment.get("AWS_ACCESS_KEY_ID", ""),
            secret_key=environment.get("AWS_SECRET_ACCESS_KEY", ""),
            session_token=environment.get("AWS_SESSION_TOKEN", ""),
            folder=environment.get("VOICE_S3_CREDENTIALS_DIR", ""),
            web_identity_token_file=environment.get("AWS_WEB_IDENTITY_TOKEN_FILE", ""),
            role_arn=environment.get("AWS_ROLE_ARN", ""),
            role_session_name=environment.get("AWS_ROLE_SESSION_NAME", ""),
            sts_endpoint=environment.get("AWS_ENDPOINT_URL_STS", ""),
            container_full_uri=environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", ""),
            container_relative_uri=environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", ""),
            container_token_file=environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", ""),
            container_token=environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN", ""),
            profile=environment.get("AWS_PROFILE", ""),
            shared_credentials_file=environment.get("AWS_SHARED_CREDENTIALS_FILE")
            or (f"{home}/.aws/credentials" if (home := environment.get("HOME")) else ""),
            metadata_endpoint=environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT", ""),
            metadata_disabled=environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true",
        )


@dataclass(frozen=True)
class S3Settings:
    """Where S3 is and how it is talked to; ``from_environment`` is how every program makes it."""

    endpoint: str = ""  # scheme, host and port; empty: AWS by region
    region: str = DEFAULT_REGION
    addressing: Addressing = "auto"
    ca_bundle: str = ""  # path of a PEM file; its authorities are trusted besides the public ones
    ca_variable: str = "AWS_CA_BUNDLE"  # which variable named it, for messages
    proxies: Proxies = field(default_factory=Proxies)
    credentials: CredentialSources = field(default_factory=CredentialSources)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> S3Settings:
        """Read and check the variables in the table above; an empty one counts as absent.

        Raises:
            Misconfigured: one has a value that cannot work; the message names variable, value and remedy.
        """
        if folder := environment.get("VOICE_S3_CREDENTIALS_DIR"):
            given = {name: value for name, value in environment.items() if value}
            environment = _plain_files(Path(folder)) | given
        endpoint = ""
        for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
            if value := environment.get(name):
                endpoint = _server(name, value)
                break
        region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        if not _REGION.fullmatch(region):
            raise Misconfigured(f"AWS_REGION is {region[:200]!r}, which is no region; use a name such as eu-central-1")
        addressing = environment.get("VOICE_S3_ADDRESSING") or "auto"
        if addressing not in ADDRESSINGS:
            raise Misconfigured(f"VOICE_S3_ADDRESSING is {addressing[:200]!r}; use one of {', '.join(ADDRESSINGS)}")
        ca_variable = "AWS_CA_BUNDLE" if environment.get("AWS_CA_BUNDLE") else "SSL_CERT_FILE"
        return cls(
            endpoint=endpoint,
            region=region,
            addressing=cast("Addressing", addressing),
            ca_bundle=environment.get(ca_variable, ""),
            ca_variable=ca_variable,
            proxies=Proxies.from_environment(environment),
            credentials=CredentialSources.from_environment(environment),
        )

    @property
    def url(self) -> SplitResult:
        """The server's address, taken apart; without an endpoint AWS's own for the region."""
        suffix = ".cn" if self.region.startswith("cn-") else ""
        return urlsplit(self.endpoint or f"https://s3.{self.region}.amazonaws.com{suffix}")

    @property
    def virtual_host(self) -> bool:
        """Whether the bucket stands in the host's name instead of the path; ``auto``: on AWS."""
        if self.addressing == "auto":
            return bool(_AWS_HOST.fullmatch(self.url.hostname or ""))
        return self.addressing == "virtual"


def read_file(path: Path) -> str:
    """Return what a file of the credentials' folder holds, without white space around it; empty: there is no file.

    Raises:
        Misconfigured: it cannot be read, or holds more than one line of text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror or error}; correct its owner or mode") from error
    text = data.decode("utf-8", errors="replace").strip()
    if len(data) > FILE_LIMIT or not text.isprintable():
        raise Misconfigured(f"{path} must hold one line of at most {FILE_LIMIT} bytes; correct the Secret")
    return text


def _plain_files(folder: Path) -> dict[str, str]:
    if not folder.is_dir():
        raise Misconfigured(
            f"VOICE_S3_CREDENTIALS_DIR is {str(folder)[:200]!r}, which is no folder; mount the Secret there"
        )
    return {name: value for name in PLAIN_FILES if (value := read_file(folder / name))}


def _check_pair(environment: Mapping[str, str], first: str, second: str) -> None:
    for present, absent in ((first, second), (second, first)):
        if environment.get(present) and not environment.get(absent):
            # A role's name alone says nothing; some platforms set it everywhere.
            if present == "AWS_ROLE_ARN":
                continue
            raise Misconfigured(f"{present} is set, but {absent} is not; set both or neither")


def _address(name: str, value: str) -> SplitResult:
    try:
        address = urlsplit(value)
        port_is_valid = address.port != 0
    except ValueError:
        raise _no_address(name, value) from None
    plain = value.isprintable() and " " not in value and "\\" not in value
    if not plain or address.scheme not in {"http", "https"} or not address.hostname or not port_is_valid:
        raise _no_address(name, value)
    if address.username is not None or address.password is not None or address.fragment:
        raise _no_address(name, value)
    return address


def _server(name: str, value: str) -> str:
    address = _address(name, value)
    if address.path.strip("/") or address.query:
        raise Misconfigured(f"{name} is {value[:200]!r}; the address of a server has no path: {_FORMS}")
    return f"{address.scheme}://{address.netloc}"


def _no_address(name: str, value: str) -> Misconfigured:
    shown = re.sub(r"//[^/@]*@", "//***@", value)[:200]
    return Misconfigured(f"{name} is {shown!r}, which is no address: {_FORMS}")
