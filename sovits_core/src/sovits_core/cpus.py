"""How many CPUs this process may use: those it is bound to, within its control group's quota."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_V2_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "<quota> <period>" in microseconds, or "max <period>"


def usable_cpus(quota_file: Path = CGROUP_V2_QUOTA, bound: int | None = None) -> int:
    """Return the number of CPUs, at least 1; a fraction of a CPU in the quota counts as a whole one.

    Rounded up: with a quota of 1.5 CPUs one thread leaves a third of it idle, two are throttled for a quarter of the
    time at worst.
    """
    cpus = bound if bound is not None else len(os.sched_getaffinity(0))
    try:
        quota, period = quota_file.read_text().split()
        return cpus if quota == "max" else max(1, min(cpus, -(-int(quota) // int(period))))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or version 1 of control groups
        return cpus
