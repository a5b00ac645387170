"""Names of places in a store: the one grammar of URIs, and what a key may look like."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

from voice_store.errors import InvalidKey, InvalidUri

URI_LENGTH_LIMIT: Final = 4096  # characters; a bucket, a key of 1024 bytes and their percent-encodings
KEY_LENGTH_LIMIT: Final = 1024  # bytes; S3's own limit
FORMS: Final = "use s3://bucket/prefix or file:///absolute/folder"

_SHOWN = 200  # characters of a refused value that a message repeats
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_ENCODED_BYTE = re.compile(r"%[0-9A-Fa-f]{2}")
_PLAIN_IN_PATH = "!$&'()*+,;=:@"  # RFC 3986's pchar, besides letters, digits and -._~


@dataclass(frozen=True)
class StoreUri:
    r"""``s3://bucket[/prefix]`` or ``file:///absolute/folder``, taken apart; ``str`` puts it together again.

    The segments are plain names: no empty one, no ``.`` or ``..``, no ``/`` or ``\``, nothing unprintable. An ``s3://``
    URI is written without percent-encoding, as S3's tools show keys; a ``file://`` URI with it, as RFC 8089 wants.
    A slash at the end means nothing.
    """

    scheme: Literal["s3", "file"]
    bucket: str  # empty for a folder
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> StoreUri:
        """Take a URI apart.

        Raises:
            InvalidUri: it has another form; the message names the value, the fault and the two forms.
        """
        if len(text) > URI_LENGTH_LIMIT:
            raise _invalid(text, f"has {len(text)} characters, at most {URI_LENGTH_LIMIT} are allowed")
        if not text.isprintable():
            raise _invalid(text, "has a character that cannot be printed")
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in {"s3", "file"}:
            raise _invalid(text, "does not begin with s3:// or file://")
        for mark, name in (("?", "query"), ("#", "fragment")):
            if mark in rest:
                raise _invalid(text, f"has a {name}")
        authority, slash, path = rest.partition("/")
        if "@" in authority:
            raise _invalid(text, "has a user name; keys belong in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
        if scheme == "s3":
            return cls("s3", _bucket(authority, text), _segments(path, text, encoded=False))
        if authority or not slash:
            raise _invalid(text, f"names the host {authority!r}" if authority else "has no absolute folder")
        return cls("file", "", _segments(path, text, encoded=True))

    @classmethod
    def of_folder(cls, folder: Path) -> StoreUri:
        """Return the URI of a local folder.

        Raises:
            InvalidUri: its name cannot be written as one.
        """
        return cls.parse(folder.absolute().as_uri())

    def __str__(self) -> str:
        if self.scheme == "s3":
            return "/".join((f"s3://{self.bucket}", *self.segments))
        return "file:///" + "/".join(quote(segment, safe=_PLAIN_IN_PATH) for segment in self.segments)

    @property
    def prefix(self) -> str:
        """The place within the bucket, without slashes around it; for a folder its path without the first slash."""
        return "/".join(self.segments)

    @property
    def name(self) -> str:
        """The last segment; empty at the root."""
        return self.segments[-1] if self.segments else ""

    @property
    def parent(self) -> StoreUri:
        """The URI without its last segment; the root is its own parent."""
        return StoreUri(self.scheme, self.bucket, self.segments[:-1])

    @property
    def path(self) -> Path:
        """The local folder of a ``file://`` URI.

        Raises:
            InvalidUri: it is an ``s3://`` URI.
        """
        if self.scheme != "file":
            raise _invalid(str(self), "is no local folder")
        return Path("/", *self.segments)

    def join(self, *keys: str) -> StoreUri:
        """Return the URI of something below this one.

        Raises:
            InvalidKey: a key is no plain relative path.
        """
        below = tuple(segment for key in keys for segment in check_key(key).split("/"))
        return StoreUri(self.scheme, self.bucket, self.segments + below)

    __truediv__ = join


def check_key(key: str) -> str:
    """Return the key.

    Raises:
        InvalidKey: it is not a plain relative path such as ``clips/0001.flac``.
    """
    if problem := _problem_of_path(key.split("/")) or _problem_of_key(key):
        raise InvalidKey(f"{key[:_SHOWN]!r} is no key of an object: it {problem}; use a path such as clips/0001.flac")
    return key


def _segments(path: str, text: str, *, encoded: bool) -> tuple[str, ...]:
    written = path.removesuffix("/")
    if not written:
        if path:  # s3://bucket// or file:////
            raise _invalid(text, "has an empty segment")
        return ()
    parts = written.split("/")
    if encoded:
        parts = [_decoded(part, text) for part in parts]
    elif _ENCODED_BYTE.search(written):
        raise _invalid(text, "has a percent-encoding; write the character itself")
    if problem := _problem_of_path(parts) or _problem_of_key("/".join(parts)):
        raise _invalid(text, problem)
    return tuple(parts)


def _decoded(part: str, text: str) -> str:
    if "%" in _ENCODED_BYTE.sub("", part):
        raise _invalid(text, "has a % that begins no percent-encoding; write it as %25")
    try:
        decoded = unquote_to_bytes(part).decode()
    except UnicodeDecodeError as error:
        raise _invalid(text, "has a percent-encoding that is no UTF-8") from error
    if "/" in decoded:
        raise _invalid(text, "has an encoded slash")
    return decoded


def _bucket(name: str, text: str) -> str:
    if ":" in name:
        raise _invalid(text, "has a port; a server's address belongs in AWS_ENDPOINT_URL_S3")
    if not name:
        raise _invalid(text, "has no bucket")
    if not _BUCKET.fullmatch(name) or any(pair in name for pair in ("..", ".-", "-.")) or _is_address(name):
        raise _invalid(
            text,
            f"has the bucket name {name[:_SHOWN]!r}; one has 3 to 63 lower-case letters, digits, dots and hyphens, "
            "begins and ends with a letter or digit, and is no IP address",
        )
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _problem_of_path(parts: list[str]) -> str:
    if "" in parts:
        return "has an empty segment"
    if not {".", ".."}.isdisjoint(parts):
        return "has a segment . or .."
    return ""


def _problem_of_key(key: str) -> str:
    if "\\" in key:
        return "has a backslash"
    if not key.isprintable():
        return "has a character that cannot be printed"
    try:
        length = len(key.encode())
    except UnicodeEncodeError:  # pragma: no cover -- a lone surrogate cannot be printed
        return "has a character that cannot be printed"
    return f"has {length} bytes, at most {KEY_LENGTH_LIMIT} are allowed" if length > KEY_LENGTH_LIMIT else ""


def _invalid(text: str, problem: str) -> InvalidUri:
    """Return the error; what stands before an @ may be a password, so it is not repeated."""
    shown = re.sub(r"//[^/@]*@", "//***@", text)[:_SHOWN]
    return InvalidUri(f"{shown!r} is no URI of a store: it {problem}; {FORMS}")
