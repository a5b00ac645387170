"""A store behind the S3 protocol, through minio's client; this module alone knows how a request is made."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import ParseError

from minio import Minio
from minio.deleteobjects import DeleteObject
from minio.error import InvalidResponseError, MinioException, S3Error
from minio.retention import Retention
from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from voice_store.connections import pool_for, retries_of
from voice_store.credentials import provider_of
from voice_store.errors import InvalidKey, Misconfigured, NotFound, StoreError
from voice_store.faults import code_fault, store_fault
from voice_store.files import CHUNK
from voice_store.settings import S3Settings, Transport
from voice_store.store import BINARY, Entry, RetentionMode, Store
from voice_store.uris import StoreUri, check_key

SIGNED_FOR: Final = timedelta(minutes=15)  # how long a presigned request may be under way


class S3Client:
    """One connection to an S3 server that many stores share; safe to use from several threads."""

    def __init__(self, settings: S3Settings, transport: Transport) -> None:
        """Prepare the client; nothing is asked yet.

        Raises:
            Misconfigured: the CA bundle cannot be read, or there can be no credentials.
        """
        self.settings = settings
        address = settings.url
        self.retries = retries_of(transport)
        self.pool = pool_for(address.geturl(), settings, transport)
        try:
            self.minio = Minio(
                endpoint=address.netloc,
                secure=address.scheme == "https",
                region=settings.region,
                http_client=self.pool,
                credentials=provider_of(settings, transport),
            )
        except ValueError as error:
            raise Misconfigured(f"AWS_ENDPOINT_URL_S3 is {settings.endpoint!r}: {error}; correct it") from error
        if settings.virtual_host:
            self.minio.enable_virtual_style_endpoint()  # type: ignore[no-untyped-call]
        else:
            self.minio.disable_virtual_style_endpoint()  # type: ignore[no-untyped-call]


class S3Store(Store):
    """Objects below one prefix of a bucket."""

    def __init__(self, uri: StoreUri, client: S3Client) -> None:
        super().__init__(uri)
        self.bucket = uri.bucket
        self.prefix = f"{uri.prefix}/" if uri.segments else ""
        self._client = client

    @contextmanager
    def open(self, key: str) -> Iterator[Iterator[bytes]]:
        """See ``Store.open``."""
        with self._errors(key):
            response = self._client.minio.get_object(self.bucket, self._key(key))
        try:
            yield self._chunks(key, response)
        finally:
            response.close()
            response.release_conn()

    def exists(self, key: str) -> bool:
        """See ``Store.exists``."""
        # One byte instead of a HEAD request, whose refusals have no body and so no reason.
        try:
            with self._errors(key):
                try:
                    response = self._client.minio.get_object(self.bucket, self._key(key), length=1)
                except S3Error as error:
                    if error.code == "InvalidRange":  # it is there and empty
                        return True
                    raise
        except NotFound:
            return False
        response.close()
        response.release_conn()
        return True

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """See ``Store.entries``; folder markers are no objects."""
        with self._errors(prefix):
            for found in self._client.minio.list_objects(self.bucket, prefix=self.prefix + prefix, recursive=True):
                if found.object_name and not found.is_dir:
                    etag = (found.etag or "").strip('"')
                    yield Entry(found.object_name.removeprefix(self.prefix), found.size or 0, etag, found.last_modified)

    def make_root(self) -> None:
        """See ``Store.make_root``."""
        with self._errors(""):
            if not self._client.minio.bucket_exists(self.bucket):
                self._client.minio.make_bucket(self.bucket, self._client.settings.region)

    def write(self, key: str, data: bytes, content_type: str = BINARY) -> None:
        """See ``Store.write``."""
        with self._errors(key):
            self._client.minio.put_object(
                self.bucket, self._key(key), BytesIO(data), len(data), content_type=content_type
            )

    def create(self, key: str, data: bytes, content_type: str = BINARY) -> None:
        """See ``Store.create``; the store must know conditional writes (``If-None-Match``), as AWS does since 2024."""
        headers = {
            "Content-Type": content_type,
            "Content-MD5": base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode(),
            "If-None-Match": "*",
        }
        with self._errors(key):
            # minio's own put_object sends no such header; a presigned request may carry more than was signed.
            url = self._client.minio.get_presigned_url("PUT", self.bucket, self._key(key), SIGNED_FOR)
            # Not repeated once it may have arrived: the second attempt would find the first one's object.
            retries = self._client.retries.new(read=0, other=0, status_forcelist=(429, 503))
            response = self._client.pool.urlopen(
                "PUT", url, body=data, headers=headers, redirect=False, retries=retries
            )
            if response.status >= 300:
                raise _refusal(response)

    def retain(self, key: str, mode: RetentionMode, until: datetime) -> None:
        """See ``Store.retain``."""
        with self._errors(key):
            self._client.minio.set_object_retention(self.bucket, self._key(key), Retention(mode, until))

    def upload(self, key: str, path: Path) -> None:
        """See ``Store.upload``."""
        with path.open("rb") as source, self._errors(key):
            self._client.minio.put_object(
                self.bucket, self._key(key), source, path.stat().st_size, num_parallel_uploads=1
            )

    def delete_all(self, keys: Iterable[str]) -> None:
        """See ``Store.delete_all``; keys are taken as the listing gave them, also those that ``check_key`` refuses."""
        names = [self.prefix + key for key in keys]
        if not names:
            return
        with self._errors(""):
            refused = list(self._client.minio.remove_objects(self.bucket, [DeleteObject(name) for name in names]))
        refused = [error for error in refused if error.code != "NoSuchKey"]
        if refused:
            what = f"s3://{self.bucket}/{refused[0].name}, one of {len(refused)} objects that were not removed"
            raise code_fault(what, refused[0].code, self.bucket, self._client.settings)

    def _key(self, key: str) -> str:
        return self.prefix + check_key(key)

    def _chunks(self, key: str, response: BaseHTTPResponse) -> Iterator[bytes]:
        with self._errors(key):
            yield from response.stream(CHUNK, decode_content=False)

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        what = self.describe(key) if key else self.uri
        try:
            yield
        except InvalidKey:
            raise
        except StoreError as error:  # from whoever gives the credentials, who knows no URI
            raise type(error)(f"{what}: {error}") from error
        except (MinioException, HTTPError, ConnectionError, TimeoutError, ValueError, ParseError) as error:
            raise store_fault(what, error, self.bucket, self._client.settings) from error


def _refusal(response: BaseHTTPResponse) -> MinioException:
    """Return what minio's client would raise for the answer."""
    try:
        return S3Error.fromxml(response)
    except (ParseError, ValueError):
        return InvalidResponseError(response.status, response.headers.get("content-type"), None)
