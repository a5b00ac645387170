"""A real S3 server: versitygw over a folder in which each folder is a bucket."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.ports import free_port
from minio import Minio
from minio.commonconfig import ENABLED
from minio.versioningconfig import VersioningConfig
from tests.support.waiting import wait_for_port

from voice_store import open_store

ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}  # of clients


@contextmanager
def s3_server(
    program: Path, folder: Path, *flags: str, versions: Path | None = None, backend: tuple[str, ...] = ()
) -> Iterator[int]:
    """Serve the buckets of a folder, with flags of it (``backend``); yield the port, on which the server listens.

    With a folder for ``versions`` buckets may keep them, once ``keep_versions`` says so.
    """
    port, log = free_port(), folder.with_name(f"{folder.name}.log")
    kept = () if versions is None else ("--versioning-dir", str(versions))
    command = [str(program), "--port", f"127.0.0.1:{port}", *flags, "posix", *kept, *backend, str(folder)]
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=os.environ | keys, stdout=output, stderr=output)
    try:
        wait_for_port(port, server, log)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)


def environment_of(port: int) -> dict[str, str]:
    """The variables that lead to the server."""
    return {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", **KEYS}


def keep_versions(port: int, bucket: str = "voices") -> Minio:
    """Let a bucket keep versions; return the server as its administrator sees it."""
    client = Minio(f"127.0.0.1:{port}", access_key=ACCESS_KEY, secret_key=SECRET_KEY, secure=False, region="us-east-1")
    client.set_bucket_versioning(bucket, VersioningConfig(ENABLED))
    return client


def versions_of(port: int, prefix: str, bucket: str = "voices") -> list[str]:
    """Return the keys of everything that the bucket holds below a prefix, one for each version and marker."""
    return sorted(one.key for one in open_store(f"s3://{bucket}", environment_of(port)).versions(prefix))
