"""The object store: stage documents are read, datasets are listed, what a deleted revision owned is removed."""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import MinioException, S3Error

from voice_operator.errors import InvalidSettings, StoreError

MAX_DOCUMENT_BYTES = 8 << 20
MAX_LISTED = 200_000
THREADS = 4
CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0

Result = TypeVar("Result")

_OBJECT = re.compile(r"<[^<>]* object at 0x[0-9a-f]+>:? ?|[A-Za-z.]+\(host=[^)]*\):? ?")
_MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}


@dataclass(frozen=True)
class Listed:
    """One object below a folder: its key relative to it, its size in bytes, a tag that changes with its content."""

    key: str
    size: int
    tag: str


class Folder(Protocol):
    """One way to reach a URI; every call blocks."""

    def read(self, uri: str) -> bytes | None:
        """Return the object's bytes, or None where there is none."""

    def list(self, uri: str) -> Iterator[Listed]:
        """Yield what lies below the folder ``uri``."""

    def remove(self, uri: str, keys: Iterable[str]) -> None:
        """Remove objects below the folder ``uri``; missing ones are fine."""


class Store:
    """Every object store the operator may meet, chosen by scheme; calls run in a few threads."""

    def __init__(self, folders: Mapping[str, Folder]) -> None:
        self._folders = folders
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="store")

    async def read(self, uri: str) -> bytes | None:
        """Return a small document, or None where there is none.

        Raises:
            StoreError: the store does not answer, refuses, or the document is too large.
        """
        return await self._run(lambda folder: folder.read(uri), uri)

    async def fingerprint(self, uri: str) -> str | None:
        """Return ``sha256:…`` over names, sizes and tags of everything below ``uri``; None: nothing is there.

        Raises:
            StoreError: the store does not answer or refuses, or there are too many objects.
        """
        return await self._run(lambda folder: _fingerprint(folder, uri), uri)

    async def remove_below(self, uri: str, *, first: tuple[str, ...] = ()) -> int:
        """Remove everything below ``uri``, the keys of ``first`` before the others; return how many objects that were.

        Raises:
            StoreError: the store does not answer or refuses.
        """
        return await self._run(lambda folder: _remove_below(folder, uri, first), uri)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self, call: Callable[[Folder], Result], uri: str) -> Result:
        scheme = urlsplit(uri).scheme
        folder = self._folders.get(scheme)
        if folder is None:
            raise StoreError(f"{uri}: the operator has no access to {scheme}:// addresses")
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, folder)


def open_store(storage_uri: str, environment: Mapping[str, str] = os.environ) -> Store:
    """Return the store; S3 needs its address and keys in the environment.

    Raises:
        InvalidSettings: the storage is on S3 and a variable is missing or wrong.
    """
    folders: dict[str, Folder] = {}
    if storage_uri.startswith("file:"):
        folders["file"] = LocalFolder()
    if storage_uri.startswith("s3:") or environment.get("AWS_ENDPOINT_URL_S3"):
        folders["s3"] = S3Folder(_s3_client(environment))
    return Store(folders)


class S3Folder:
    """Objects behind the S3 protocol."""

    def __init__(self, client: Minio) -> None:
        self._client = client

    def read(self, uri: str) -> bytes | None:
        """Return the object's bytes, or None where there is none."""
        bucket, key = _bucket_and_key(uri)
        try:
            answer = self._client.get_object(bucket, key)
            try:
                return _bounded(answer.read(MAX_DOCUMENT_BYTES + 1), uri)
            finally:
                answer.close()
                answer.release_conn()
        except S3Error as error:
            if error.code in _MISSING:
                return None
            raise StoreError(f"{uri}: {error.code}: {error.message}") from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise StoreError(f"{uri}: {_plain(error)}") from error

    def list(self, uri: str) -> Iterator[Listed]:
        """Yield what lies below the folder ``uri``."""
        bucket, key = _bucket_and_key(uri)
        prefix = f"{key}/" if key else ""
        try:
            for found in self._client.list_objects(bucket, prefix=prefix, recursive=True):
                if found.object_name and not found.is_dir:
                    yield Listed(found.object_name.removeprefix(prefix), found.size or 0, (found.etag or "").strip('"'))
        except S3Error as error:
            raise StoreError(f"{uri}: {error.code}: {error.message}") from error
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise StoreError(f"{uri}: {_plain(error)}") from error

    def remove(self, uri: str, keys: Iterable[str]) -> None:
        """Remove objects below the folder ``uri``; missing ones are fine."""
        bucket, key = _bucket_and_key(uri)
        try:
            refused = list(self._client.remove_objects(bucket, [DeleteObject(f"{key}/{name}") for name in keys]))
        except (MinioException, urllib3.exceptions.HTTPError) as error:
            raise StoreError(f"{uri}: {_plain(error)}") from error
        if refused:
            raise StoreError(
                f"{uri}: {len(refused)} objects were not removed, first {refused[0].name}: {refused[0].message}"
            )


class LocalFolder:
    """A folder of this machine, for tests and local runs."""

    def read(self, uri: str) -> bytes | None:
        """Return the file's bytes, or None where there is none."""
        try:
            with _local(uri).open("rb") as file:
                return _bounded(file.read(MAX_DOCUMENT_BYTES + 1), uri)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise StoreError(f"{uri}: {error.strerror or error}") from error

    def list(self, uri: str) -> Iterator[Listed]:
        """Yield what lies below the folder ``uri``; links are not followed."""
        root = _local(uri)
        for path in sorted(root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                about = path.stat()
                yield Listed(path.relative_to(root).as_posix(), about.st_size, str(about.st_mtime_ns))

    def remove(self, uri: str, keys: Iterable[str]) -> None:
        """Remove files below the folder ``uri``, and the folders that are empty then."""
        root = _local(uri)
        for key in keys:
            path = root / key
            path.unlink(missing_ok=True)
            for parent in path.parents:
                if not parent.is_relative_to(root) or not parent.is_dir() or any(parent.iterdir()):
                    break
                parent.rmdir()


def _s3_client(environment: Mapping[str, str]) -> Minio:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if not environment.get(name)]
    if missing:
        raise InvalidSettings(
            f"storage.uri is on S3, but {', '.join(missing)} is not in the environment (Secret of storage.secretName)"
        )
    address = urlsplit(environment["AWS_ENDPOINT_URL_S3"])
    if address.scheme not in {"http", "https"} or not address.netloc:
        raise InvalidSettings(
            f"AWS_ENDPOINT_URL_S3 is {environment['AWS_ENDPOINT_URL_S3']!r}; it must look like https://s3.example.org"
        )
    pool = urllib3.PoolManager(
        maxsize=THREADS,
        timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS),
        retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)),
    )
    return Minio(
        endpoint=address.netloc,
        access_key=environment["AWS_ACCESS_KEY_ID"],
        secret_key=environment["AWS_SECRET_ACCESS_KEY"],
        session_token=environment.get("AWS_SESSION_TOKEN") or None,
        region=environment.get("AWS_REGION") or "us-east-1",
        secure=address.scheme == "https",
        http_client=pool,
    )


def _fingerprint(folder: Folder, uri: str) -> str | None:
    found = list(islice(folder.list(uri), MAX_LISTED + 1))
    if len(found) > MAX_LISTED:
        raise StoreError(f"{uri}: more than {MAX_LISTED} objects; that is no dataset")
    lines = (f"{listed.key}\t{listed.size}\t{listed.tag}\n" for listed in sorted(found, key=lambda listed: listed.key))
    return f"sha256:{hashlib.sha256(''.join(lines).encode()).hexdigest()}" if found else None


def _remove_below(folder: Folder, uri: str, first: tuple[str, ...]) -> int:
    keys = [listed.key for listed in folder.list(uri)]
    folder.remove(uri, [key for key in first if key in keys])
    folder.remove(uri, [key for key in keys if key not in first])
    return len(keys)


def _plain(error: Exception) -> str:
    """Return the error without addresses of Python objects: the same fault must always give the same sentence."""
    return _OBJECT.sub("", str(error))


def _bounded(data: bytes, uri: str) -> bytes:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise StoreError(f"{uri}: larger than {MAX_DOCUMENT_BYTES} bytes; that is no document of ours")
    return data


def _bucket_and_key(uri: str) -> tuple[str, str]:
    address = urlsplit(uri)
    return address.netloc, address.path.strip("/")


def _local(uri: str) -> Path:
    return Path(urlsplit(uri).path)
