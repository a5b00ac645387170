"""Folders outside ours that containerd, kubelet and the CNI plugins insist on, and their removal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dev.cluster.settings import Cluster

LOGS = Path("/var/log/containers")
CNI = Path("/var/lib/cni")
SHARED = (LOGS, CNI, Path("/var/log/pods"), Path("/var/lib/kubelet"), Path("/run/containerd"))


def save(cluster: Cluster) -> None:
    """Save which of the folders were not there before us."""
    record = cluster.state / "new-folders.json"
    if not record.exists():
        record.write_text(json.dumps([str(folder) for folder in SHARED if not folder.exists()]) + "\n")


def remove(cluster: Cluster) -> None:
    """Remove the folders that only we used."""
    record = cluster.state / "new-folders.json"
    for folder in json.loads(record.read_text()) if record.exists() else []:
        shutil.rmtree(folder, ignore_errors=True)


def remove_of_node(home: Path) -> None:
    """Remove links and results of one node's pods from folders that others use too."""
    for link in LOGS.glob("*.log") if LOGS.is_dir() else ():
        if link.is_symlink() and link.readlink().is_relative_to(home):
            link.unlink(missing_ok=True)
    for bundle in (home / "containerd-run" / "io.containerd.runtime.v2.task" / "k8s.io").glob("*"):
        for result in (CNI / "results").glob(f"*-{bundle.name}-*"):
            result.unlink(missing_ok=True)
        address = bundle / "address"
        if address.is_file():
            Path(address.read_text().strip().removeprefix("unix://")).unlink(missing_ok=True)
