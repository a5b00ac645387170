"""Debian packages that the cluster and the image builds need, installed only when missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dev.errors import DevError
from dev.paths import cache, exclusive_lock
from dev.terminal import PATH, run, run_long, step

CONTROL_PLANE = {"etcd": "etcd-server", "openssl": "openssl"}
NODE = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}
IMAGES = {"buildah": "buildah", "mmdebstrap": "mmdebstrap"}
POLICY = Path("/usr/sbin/policy-rc.d")


def ensure(programs: dict[str, str]) -> None:
    """Install the packages of those programs that are not there yet."""
    missing = sorted({package for program, package in programs.items() if not present(program)})
    if not missing:
        return
    by_hand = f"apt-get install --no-install-recommends {' '.join(missing)}"
    if not shutil.which("apt-get", path=PATH):
        absent = ", ".join(program for program in programs if not present(program))
        raise DevError(f"missing: {absent}", remedy=f"install them, here named as Debian does: {' '.join(missing)}")
    if os.geteuid() != 0:
        raise DevError(f"missing Debian packages: {' '.join(missing)}", remedy=f"as root: {by_hand}")
    with step(f"installing {' '.join(missing)} from Debian", "20 to 60 s"), services_stay_stopped():
        install(missing, by_hand)


def present(program: str) -> bool:
    """Whether a program is installed."""
    return shutil.which(program, path=PATH) is not None


def install(packages: Sequence[str], by_hand: str) -> None:
    """Install packages, refreshing the package lists when they are stale."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    log = cache() / "logs" / "apt.log"
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    try:
        run_long(command, log=log, env=quiet)
    except DevError:
        # Stale package lists are the usual reason; a fresh machine has none at all.
        run(["apt-get", "update"], remedy="check the network and /etc/apt/sources.list")
        run_long(command, log=log, env=quiet, remedy=f"run by hand: {by_hand}")


@contextmanager
def services_stay_stopped() -> Iterator[None]:
    """Debian starts etcd and containerd when it installs them; ours run beside, on other ports and folders."""
    with exclusive_lock(cache() / "locks" / "apt", "installing Debian packages"):
        if POLICY.exists():  # somebody's own policy stands: containers usually refuse every start already
            yield
            return
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
        try:
            yield
        finally:
            POLICY.unlink(missing_ok=True)
