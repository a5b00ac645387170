"""Which tests run one after another in one process where pytest has several, and which of these groups begin first."""

from pathlib import PurePosixPath
from typing import Any

from xdist.scheduler import LoadScopeScheduling

CLUSTER, CONTROL_PLANE = "the development cluster", "the control plane of a session"
SHARED = {
    "tests/e2e": CLUSTER,
    "tests/cluster": CLUSTER,
    "tests/chart": CONTROL_PLANE,
    "tests/cli": CONTROL_PLANE,
    "tests/faults": CONTROL_PLANE,
    "tests/inference/access": CONTROL_PLANE,
    "tests/kueue": CONTROL_PLANE,
    "tests/operator": CONTROL_PLANE,
    "tests/security": CONTROL_PLANE,
}
# What waits for clusters comes first, then what computes for minutes.
FIRST = (CLUSTER, CONTROL_PLANE, "tests/local_voice", "tests/trainer/stages", "tests/trainer/local", "tests/tiny_base")


def group_of(nodeid: str) -> str:
    """Return the group of a test: what it shares with others, else its folder."""
    folders = PurePosixPath(nodeid.partition("::")[0]).parents
    return next((SHARED[folder] for folder in map(str, folders) if folder in SHARED), str(folders[0]))


def rank(group: str) -> int:
    """Return when a group begins among the others."""
    return FIRST.index(group) if group in FIRST else len(FIRST)


class GroupScheduling(LoadScopeScheduling):
    """Gives whole groups to the processes, in the order in which they were collected.

    xdist's own `--dist loadgroup` writes a group's name into attributes that pytest 9.2 does not have any more.
    """

    def __init__(self, config: Any, log: Any = None) -> None:
        """Keep the order, whatever the command line says."""
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)
