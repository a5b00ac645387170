"""How many threads torch and ONNX Runtime use: fewer than the machine has CPUs, and no more than the pod may use."""

from __future__ import annotations

import os
from pathlib import Path

from sovits_core.cpus import CGROUP_V2_QUOTA, usable_cpus


def compute_threads(quota_file: Path = CGROUP_V2_QUOTA, bound: int | None = None) -> int:
    """Return all but one of the CPUs that this process is bound to, within the container's quota.

    All threads of a step wait for the slowest one. With a thread on every CPU any other process slows all of them:
    seven times on two CPUs that a busy cluster shares, while the second thread gains an eighth on idle ones.
    """
    cpus = bound if bound is not None else len(os.sched_getaffinity(0))
    return max(1, min(cpus - 1, usable_cpus(quota_file, cpus)))
