"""The object store as a user would use it: recordings go up, the published voice comes down."""

import hashlib
import io
from pathlib import Path
from urllib.parse import urlsplit

from minio import Minio
from minio.error import S3Error

from dev.recordings import Recordings

LARGEST_FILE = 64 * 1024 * 1024


class Bucket:
    """One bucket of an S3 server, named by its address."""

    def __init__(self, endpoint: str, access_key: str, secret_key: str, bucket: str) -> None:
        address = urlsplit(endpoint)
        self.name = bucket
        self.client = Minio(
            address.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=address.scheme == "https",
            region="us-east-1",
        )
        if not self.client.bucket_exists(bucket_name=bucket):
            self.client.make_bucket(bucket_name=bucket)

    def upload(self, recordings: Recordings, prefix: str) -> int:
        """Put a dataset under a prefix and return how many files were new; what is there already stays as it is."""
        new = 0
        for path in recordings.files():
            content = path.read_bytes()
            if self._etag(key := f"{prefix}/{path.relative_to(recordings.folder)}") == hashlib.md5(content).hexdigest():  # noqa: S324 -- S3's ETag is an MD5
                continue
            self.client.put_object(
                bucket_name=self.name, object_name=key, data=io.BytesIO(content), length=len(content)
            )
            new += 1
        return new

    def download(self, uri: str, target: Path) -> list[Path]:
        """Fetch everything under an `s3://` URI into a folder."""
        address = urlsplit(uri)
        prefix = address.path.strip("/") + "/"
        fetched = []
        for item in self.client.list_objects(bucket_name=address.netloc, prefix=prefix, recursive=True):
            if item.is_dir or (item.size or 0) > LARGEST_FILE:
                continue
            path = (target / str(item.object_name).removeprefix(prefix)).resolve()
            if not path.is_relative_to(target.resolve()):
                continue
            self.client.fget_object(bucket_name=address.netloc, object_name=str(item.object_name), file_path=str(path))
            fetched.append(path)
        return fetched

    def _etag(self, key: str) -> str:
        try:
            return (self.client.stat_object(bucket_name=self.name, object_name=key).etag or "").strip('"')
        except S3Error as error:
            if error.code in {"NoSuchKey", "NotFound"}:
                return ""
            raise
