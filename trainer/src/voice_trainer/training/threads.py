"""How many threads torch may use: fewer than the machine has cores, and no more than the pod may use."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP_LIMIT = Path("/sys/fs/cgroup/cpu.max")  # "<quota> <period>" in microseconds, or "max <period>"


def usable_threads(cores: int, cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """Return the number of threads for ``cores`` visible cores: all but one, within the container's limit.

    All threads of a step wait for the slowest one. With a thread on every core anything else that runs slows all of
    them: seven times on two cores that a busy cluster shares, while the second thread gains an eighth on idle ones.
    """
    threads = max(1, cores - 1)
    try:
        quota, period = cgroup_limit.read_text().split()
        return threads if quota == "max" else max(1, min(threads, int(quota) // int(period)))
    except (OSError, ValueError, ZeroDivisionError):  # no container, or the older kind of control group
        return threads


def visible_cores() -> int:
    """Return on how many cores this process may run."""
    return len(os.sched_getaffinity(0))
