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
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element, ParseError, fromstring

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
from voice_store.store import BINARY, Entry, RetentionMode, Store, Version
from voice_store.uris import StoreUri, check_key

# What a server answers that keeps no versions or uploads, or does not let these keys see them.
WITHOUT_VERSIONS: Final = frozenset({"AccessDenied", "MethodNotAllowed", "NotImplemented", "VersioningNotConfigured"})
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
        self._remove([DeleteObject(self.prefix + key) for key in keys])

    def versions(self, prefix: str = "") -> Iterator[Version]:
        """See ``Store.versions``; an object that was written while the bucket kept none has the version ``null``."""
        with self._errors(prefix):
            try:
                for one in self._asked("versions", prefix, ("key-marker", "version-id-marker")):
                    if one.tag in {"Version", "DeleteMarker"} and (key := one.findtext("Key", "")):
                        size, version = int(one.findtext("Size") or 0), one.findtext("VersionId", "")
                        yield Version(key.removeprefix(self.prefix), size, version)
            except S3Error as error:
                if error.code not in WITHOUT_VERSIONS:
                    raise
            else:
                return
        for entry in self.entries(prefix):
            yield Version(entry.key, entry.size)

    def erase(self, versions: Iterable[Version]) -> None:
        """See ``Store.erase``."""
        self._remove([DeleteObject(self.prefix + one.key, one.version or None) for one in versions])

    def erase_uploads(self, prefix: str = "") -> int:
        """See ``Store.erase_uploads``; none where the server does not tell of uploads, or not to these keys."""
        count = 0
        with self._errors(prefix):
            try:
                for one in list(self._asked("uploads", prefix, ("key-marker", "upload-id-marker"))):
                    if one.tag == "Upload":
                        self._abort(one.findtext("Key", ""), one.findtext("UploadId", ""))
                        count += 1
            except S3Error as error:
                if error.code not in WITHOUT_VERSIONS:
                    raise
        return count

    def _abort(self, name: str, upload: str) -> None:
        try:
            self._client.minio._abort_multipart_upload(self.bucket, name, upload)  # noqa: SLF001 -- there is no public way
        except S3Error as error:
            if error.code != "NoSuchUpload":  # whoever began it has ended it meanwhile
                raise

    def _asked(self, what: str, prefix: str, markers: tuple[str, str]) -> Iterator[Element]:
        """Yield the elements of a listing, page by page: minio's own reading of it wants one form of times."""
        query: dict[str, str | list[str] | tuple[str]] = {
            what: "",
            "prefix": self.prefix + prefix,
            "encoding-type": "url",
        }
        while True:
            answer = self._client.minio._execute("GET", self.bucket, query_params=query)  # noqa: SLF001 -- there is no public way
            page = fromstring(answer.data.decode())  # noqa: S314 -- as minio reads all answers
            for element in page.iter():
                element.tag = element.tag.rpartition("}")[2]  # without its namespace, which some servers leave out
            if page.findtext("EncodingType") == "url":
                for element in page.iter():
                    element.text = unquote_plus(element.text or "")
            yield from page
            following = [page.findtext(f"Next{_camel(name)}", "") for name in markers]
            if page.findtext("IsTruncated") != "true" or not following[0]:
                return
            query |= dict(zip(markers, following, strict=True))

    def _remove(self, objects: list[DeleteObject]) -> None:
        if not objects:
            return
        with self._errors(""):
            refused = list(self._client.minio.remove_objects(self.bucket, objects))
        refused = [error for error in refused if error.code not in {"NoSuchKey", "NoSuchVersion"}]
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


def _camel(name: str) -> str:
    """Return a marker's name as answers have it: ``KeyMarker``, ``VersionIdMarker``, ``UploadIdMarker``."""
    return "".join(part.capitalize() for part in name.split("-"))


def _refusal(response: BaseHTTPResponse) -> MinioException:
    """Return what minio's client would raise for the answer."""
    try:
        return S3Error.fromxml(response)
    except (ParseError, ValueError):
        return InvalidResponseError(response.status, response.headers.get("content-type"), None)
