"""Object stores behind one small interface: S3 for clusters, a folder for tests and local runs; no torch."""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import unquote, urlsplit

if TYPE_CHECKING:
    from minio import Minio

MIB = 1024 * 1024
DOCUMENT_LIMIT = 16 * MIB  # no document between the parts is larger than a few hundred kilobytes
FILE_LIMIT = 4096 * MIB  # the largest base of the family is 1.3 GB
LISTING_LIMIT = 100_000  # a dataset of more files than this is a mistake in the prefix
KEY_LENGTH_LIMIT = 1024  # S3's own limit, in bytes
CONNECT_SECONDS = 5.0
READ_SECONDS = 60.0
RETRIES = 3
CHUNK = MIB


class StoreError(Exception):
    """Something about a store went wrong; the subclasses say what happens next."""


class NotFound(StoreError):
    """There is no such object."""


class TooLarge(StoreError):
    """The object is larger than the reader is willing to take."""


class InvalidKey(StoreError):
    """The key is no plain relative path."""


class StoreUnavailable(StoreError):
    """The store did not answer properly; trying again later can help."""


class Misconfigured(StoreError):
    """The URI or the environment is wrong; a person must change it."""


class AccessDenied(Misconfigured):
    """The store refuses these credentials."""


class Store(ABC):
    """A place for objects named by keys such as ``clips/0001.flac``.

    Every method raises a ``StoreError``: ``NotFound``, ``TooLarge``, ``InvalidKey``, ``StoreUnavailable`` (transient),
    or ``Misconfigured`` and ``AccessDenied`` (permanent).
    """

    uri: str

    @abstractmethod
    def read(self, key: str, *, limit: int = DOCUMENT_LIMIT) -> bytes:
        """Return the object's bytes; ``TooLarge`` above ``limit`` bytes."""

    @abstractmethod
    def write(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """Put the object in one piece: readers see the old bytes or the new ones."""

    @abstractmethod
    def upload(self, key: str, path: Path) -> None:
        """Put the local file's bytes under the key."""

    @abstractmethod
    def download(self, key: str, path: Path, *, limit: int = FILE_LIMIT) -> None:
        """Write the object to a local file, whole or not at all; ``TooLarge`` above ``limit`` bytes."""

    @abstractmethod
    def list(self, prefix: str = "") -> tuple[str, ...]:
        """Return the sorted keys that start with ``prefix``."""

    @abstractmethod
    def exists(self, key: str) -> bool:
        """Whether there is such an object."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove the object if it is there."""


def open_store(uri: str, environment: Mapping[str, str] | None = None) -> Store:
    """Open ``s3://bucket/prefix`` or ``file:///folder``.

    Raises:
        Misconfigured: the URI has another form, or the S3 settings are missing from the environment.
    """
    parts = urlsplit(uri)
    if parts.query or parts.fragment:
        raise Misconfigured(f"{uri!r} has a query or a fragment; a store is s3://bucket/prefix or file:///folder")
    if parts.scheme == "s3" and parts.netloc:
        return S3Store(parts.netloc, parts.path.strip("/"), os.environ if environment is None else environment)
    if parts.scheme == "file" and parts.netloc == "" and parts.path.startswith("/"):
        return FolderStore(Path(unquote(parts.path)))
    raise Misconfigured(f"{uri!r} is no store; use s3://bucket/prefix or file:///folder")


def check_key(key: str) -> str:
    """Return the key, or raise ``InvalidKey`` when it is not a plain relative path."""
    parts = key.split("/")
    plain = all(part not in {"", ".", ".."} for part in parts)
    if not plain or "\\" in key or not key.isprintable() or len(key.encode()) > KEY_LENGTH_LIMIT:
        raise InvalidKey(f"{key[:200]!r} is no valid key; use a relative path such as clips/0001.flac")
    return key


class FolderStore(Store):
    """Objects as files below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.uri = root.absolute().as_uri()

    def read(self, key: str, *, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See ``Store.read``."""
        with _folder_errors(key), self._open(key) as source:
            return b"".join(_bounded(iter(lambda: source.read(CHUNK), b""), key, limit))

    def write(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """See ``Store.write``; a file has no content type."""
        del content_type
        with _folder_errors(key):
            _replace(self._path(key), iter((data,)))

    def upload(self, key: str, path: Path) -> None:
        """See ``Store.upload``."""
        with _folder_errors(key), path.open("rb") as source:
            _replace(self._path(key), iter(lambda: source.read(CHUNK), b""))

    def download(self, key: str, path: Path, *, limit: int = FILE_LIMIT) -> None:
        """See ``Store.download``."""
        with _folder_errors(key), self._open(key) as source:
            _replace(path, _bounded(iter(lambda: source.read(CHUNK), b""), key, limit))

    def list(self, prefix: str = "") -> tuple[str, ...]:
        """See ``Store.list``; names that start with a dot are ours or the system's, never objects."""
        keys = []
        for folder, subfolders, names in os.walk(self.root):
            subfolders[:] = [name for name in subfolders if not name.startswith(".")]
            inside = Path(folder).relative_to(self.root)
            keys += [key for name in names if not name.startswith(".") and (key := (inside / name).as_posix())]
            _check_listing(len(keys), self.uri)
        return tuple(sorted(key for key in keys if key.startswith(prefix)))

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        with _folder_errors(key):
            self._path(key).unlink(missing_ok=True)

    def _open(self, key: str) -> BinaryIO:
        path = self._path(key)
        if not path.is_file():
            raise NotFound(f"{self.uri}/{key} does not exist")
        return path.open("rb")

    def _path(self, key: str) -> Path:
        path = self.root / check_key(key)
        if not path.resolve().is_relative_to(self.root.resolve()):  # a symbolic link may lead out of the folder
            raise InvalidKey(f"{key!r} leads out of {self.uri}")
        return path


class S3Store(Store):
    """Objects below one prefix of a bucket, through the ``minio`` client (the extra ``s3``)."""

    def __init__(self, bucket: str, prefix: str, environment: Mapping[str, str]) -> None:
        self.bucket = bucket
        self.prefix = f"{check_key(prefix)}/" if prefix else ""
        self.uri = f"s3://{bucket}/{prefix}".rstrip("/")
        self._client = _s3_client(environment)

    def read(self, key: str, *, limit: int = DOCUMENT_LIMIT) -> bytes:
        """See ``Store.read``."""
        with self._errors(key):
            return b"".join(_bounded(self._stream(key), key, limit))

    def write(self, key: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        """See ``Store.write``."""
        from io import BytesIO  # noqa: PLC0415 -- beside its only use

        with self._errors(key):
            self._client.put_object(self.bucket, self._key(key), BytesIO(data), len(data), content_type=content_type)

    def upload(self, key: str, path: Path) -> None:
        """See ``Store.upload``."""
        with self._errors(key):
            self._client.fput_object(self.bucket, self._key(key), str(path), num_parallel_uploads=1)

    def download(self, key: str, path: Path, *, limit: int = FILE_LIMIT) -> None:
        """See ``Store.download``."""
        with self._errors(key):
            _replace(path, _bounded(self._stream(key), key, limit))

    def list(self, prefix: str = "") -> tuple[str, ...]:
        """See ``Store.list``."""
        keys: list[str] = []
        with self._errors(prefix):
            for found in self._client.list_objects(self.bucket, prefix=self.prefix + prefix, recursive=True):
                if found.object_name and not found.object_name.endswith("/"):  # a folder's marker is no object
                    keys.append(found.object_name.removeprefix(self.prefix))
                _check_listing(len(keys), self.uri)
        return tuple(sorted(keys))

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        try:
            with self._errors(key):
                self._client.stat_object(self.bucket, self._key(key))
        except NotFound:
            return False
        return True

    def delete(self, key: str) -> None:
        """See ``Store.delete``."""
        with self._errors(key):
            self._client.remove_object(self.bucket, self._key(key))

    def _key(self, key: str) -> str:
        return self.prefix + check_key(key)

    def _stream(self, key: str) -> Iterator[bytes]:
        response = self._client.get_object(self.bucket, self._key(key))
        try:
            yield from response.stream(CHUNK)
        finally:
            response.close()
            response.release_conn()

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        """Translate the client's errors; this is the only place that knows S3's codes."""
        from minio.error import MinioException, S3Error  # noqa: PLC0415 -- the extra is optional
        from urllib3.exceptions import HTTPError  # noqa: PLC0415

        what = f"{self.uri}/{key}"
        try:
            yield
        except S3Error as error:
            if error.code in {"NoSuchKey", "NoSuchObject"}:
                raise NotFound(f"{what} does not exist") from error
            if error.code == "NoSuchBucket":
                raise Misconfigured(
                    f"the bucket {self.bucket!r} does not exist; create it or correct {self.uri}"
                ) from error
            if error.code in {"AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}:
                raise AccessDenied(
                    f"{what}: {error.code}; check AWS_ACCESS_KEY_ID, its secret and its rights"
                ) from error
            raise StoreUnavailable(f"{what}: {error.code}: {error.message}") from error
        except (MinioException, HTTPError, ConnectionError, TimeoutError) as error:
            raise StoreUnavailable(f"{what}: {error}") from error
        except ValueError as error:  # the client's own checks of bucket and object names
            raise Misconfigured(f"{what}: {error}") from error


def _s3_client(environment: Mapping[str, str]) -> Minio:
    import certifi  # noqa: PLC0415 -- the extra s3 is optional; a folder needs none of it
    import urllib3  # noqa: PLC0415
    from minio import Minio  # noqa: PLC0415

    names = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    if missing := [name for name in names if not environment.get(name)]:
        raise Misconfigured(f"{', '.join(missing)} must be set in the environment for s3:// URIs")
    endpoint = urlsplit(environment["AWS_ENDPOINT_URL_S3"])
    if endpoint.scheme not in {"http", "https"} or not endpoint.netloc or endpoint.path.strip("/"):
        raise Misconfigured(
            f"AWS_ENDPOINT_URL_S3 is {environment['AWS_ENDPOINT_URL_S3']!r}; use http://host:port or https://host:port"
        )
    pool = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=urllib3.Retry(total=RETRIES, backoff_factor=0.3, status_forcelist=[500, 502, 503, 504]),
        cert_reqs="CERT_REQUIRED",
        ca_certs=environment.get("SSL_CERT_FILE") or certifi.where(),
    )
    return Minio(
        endpoint=endpoint.netloc,
        access_key=environment["AWS_ACCESS_KEY_ID"],
        secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        secure=endpoint.scheme == "https",
        region=environment.get("AWS_REGION") or "us-east-1",
        http_client=pool,
    )


def _bounded(chunks: Iterator[bytes], key: str, limit: int) -> Iterator[bytes]:
    """Pass the chunks on until they are more than ``limit`` bytes; the sender's own word on the size is not trusted."""
    taken = 0
    for chunk in chunks:
        taken += len(chunk)
        if taken > limit:
            raise TooLarge(f"{key} is larger than {limit} bytes")
        yield chunk


def _replace(path: Path, chunks: Iterator[bytes]) -> None:
    """Write beside the target and rename, so that nobody ever reads half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.parent / f".{path.name[:100]}.{secrets.token_hex(6)}"
    try:
        with beside.open("xb") as target:
            for chunk in chunks:
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def _folder_errors(key: str) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise AccessDenied(f"{key}: {error.strerror}: {error.filename}; change the folder's owner or mode") from error
    except OSError as error:
        raise StoreUnavailable(f"{key}: {error.strerror}") from error


def _check_listing(found: int, uri: str) -> None:
    if found > LISTING_LIMIT:
        raise TooLarge(f"{uri} holds more than {LISTING_LIMIT} objects; name a narrower prefix")
