"""A real S3 server: versitygw over a folder in which each folder is a bucket."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.ports import free_port
from tests.support.waiting import wait_for_port

ACCESS_KEY = "test-access"
SECRET_KEY = "test-secret"
KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}  # of clients


@contextmanager
def s3_server(program: Path, folder: Path, *flags: str, backend: tuple[str, ...] = ()) -> Iterator[int]:
    """Serve the buckets of a folder, with flags of it (``backend``); yield the port, on which the server listens."""
    port, log = free_port(), folder.with_name(f"{folder.name}.log")
    command = [str(program), "--port", f"127.0.0.1:{port}", *flags, "posix", *backend, str(folder)]
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": SECRET_KEY}
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=os.environ | keys, stdout=output, stderr=output)
    try:
        wait_for_port(port, server, log)
        yield port
    finally:
        server.terminate()
        server.wait(timeout=10)
