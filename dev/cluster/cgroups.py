"""One control group per node: two kubelets that shared one would each remove the other's pods as orphans."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from dev.cluster import processes
from dev.cluster.settings import Node
from dev.errors import DevError

CONTROLLERS_OF_V2 = "+cpu +cpuset +memory +pids +io"


def hierarchies() -> list[tuple[Path, str]]:
    """Mounted control group trees, with their kind: many in version 1, one in version 2."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind = after.split()[0]
        if kind in ("cgroup", "cgroup2"):
            found.append((Path(before.split()[4]), kind))
    return found


def create(node: Node) -> None:
    """Make the node's groups, where its kubelet will look for them."""
    trees = hierarchies()
    if not trees:
        raise DevError("no control groups are mounted", remedy="mount them (cgroup v1 or v2) under /sys/fs/cgroup")
    only_v2 = all(kind == "cgroup2" for _, kind in trees)
    for tree, kind in trees:
        if kind == "cgroup2" and not only_v2:
            continue  # a mixed machine: the version 2 tree has no controllers, and runc leaves it alone
        if kind == "cgroup2":
            write(tree / "cgroup.subtree_control", CONTROLLERS_OF_V2)
        folder = tree / node.name
        folder.mkdir(exist_ok=True)
        if kind == "cgroup2":
            write(folder / "cgroup.subtree_control", CONTROLLERS_OF_V2)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # An empty version 1 set admits no process at all.
            if kind == "cgroup" and (folder / name).exists() and not (folder / name).read_text().strip():
                write(folder / name, (tree / name).read_text().strip())


def write(path: Path, value: str) -> None:
    """Change a group's setting."""
    try:
        path.write_text(value)
    except OSError as error:
        raise DevError(
            f"cannot write {value!r} to {path}: {error.strerror}", remedy="run as root, outside a container"
        ) from error


def members(node: Node) -> list[int]:
    """Every process of every pod of the node."""
    pids: set[int] = set()
    for tree, _ in hierarchies():
        for file in (tree / node.name).glob("**/cgroup.procs"):
            try:
                pids.update(int(line) for line in file.read_text().split())
            except OSError:
                continue  # it went away while we looked
    return sorted(pids - {0})


def remove(node: Node) -> None:
    """Kill the processes of the node's pods, then remove the groups."""
    for _ in range(5):
        if not (alive := members(node)):
            break
        processes.end(alive, graceful=False)
    deadline = time.monotonic() + 10
    while left := groups(node):
        for folder in left:
            with suppress(OSError):  # the kernel lets go of a group a moment after its last process
                folder.rmdir()
        if time.monotonic() > deadline:
            raise DevError(f"control groups stay busy: {left[-1]}", remedy="see their cgroup.procs; run `down` again")
        time.sleep(0.05)


def groups(node: Node) -> list[Path]:
    """The node's groups, innermost first."""
    found = []
    for tree, _ in hierarchies():
        root = tree / node.name
        if root.is_dir():
            found += [*(folder for folder in root.glob("**/") if folder != root), root]
    return sorted(found, key=lambda folder: len(folder.parts), reverse=True)
