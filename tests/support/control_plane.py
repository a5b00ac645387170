"""A real etcd, API server and controller manager for the tests of one session."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


@contextmanager
def a_control_plane(state: Path, beside: int = 0) -> Iterator[Path]:
    """Run one; yield an administrator's kubeconfig.

    Args:
        state: folder of its own.
        beside: added to its ports, where another one of the same session runs.
    """
    dev_cluster = [sys.executable, "-m", "dev.cluster"]
    here = ["--state", str(state)]
    offset = int(os.environ.get("VOICE_OPERATOR_PORT_OFFSET", "1000")) + beside
    try:
        up = ["up", *here, "--only", "control-plane", "--port-offset", str(offset)]
        subprocess.run([*dev_cluster, *up], cwd=REPOSITORY, check=True)
        yield state / "admin.kubeconfig"
    finally:
        subprocess.run([*dev_cluster, "down", *here], cwd=REPOSITORY, check=True)
