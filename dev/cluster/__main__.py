"""The command line: python3 -m dev.cluster up | down | status | kubeconfig."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from dev.cluster import existing, lifecycle, status
from dev.cluster.settings import GPU_NODE, MAIN_NODE, Cluster, load
from dev.errors import DevError
from dev.paths import default_state
from dev.terminal import main_of

DESCRIPTION = """\
A real Kubernetes cluster on this machine, for development and tests: etcd, the API server and its controllers, two
nodes with their own container runtimes (the second one a pretended GPU spot node), cluster DNS and an S3 store.

  python3 -m dev.cluster up                            the whole cluster; the first time builds it (17 min on two cores)
  python3 -m dev.cluster up --only control-plane       only the API, for tests; ready within seconds once built
  export KUBECONFIG=$(python3 -m dev.cluster kubeconfig)
  python3 -m dev.cluster down                          stop everything and leave nothing behind
"""
EPILOG = """\
environment:
  VOICE_OPERATOR_STATE     folder of the running cluster; `down` removes it (default: /var/lib/voice-operator-dev)
  VOICE_OPERATOR_CACHE     folder of built programs and images (default: ~/.cache/voice-operator)
  VOICE_OPERATOR_GPU_NODE  0: no second node
  CLUSTER=existing         use the cluster of KUBECONFIG instead: up and down change nothing and check that it answers
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python3 -m dev.cluster", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="up|down|status|kubeconfig")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--state",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of this cluster (default: $VOICE_OPERATOR_STATE)",
    )
    up = commands.add_parser("up", parents=[shared], help="start the cluster, or repair one that is half up")
    up.add_argument("--only", choices=["control-plane"], help="only etcd, kube-apiserver and kube-controller-manager")
    up.add_argument(
        "--port-offset", type=int, default=None, metavar="N", help="add N to every port, to run beside another cluster"
    )
    commands.add_parser(
        "down", parents=[shared], help="stop the cluster and remove its folder, mounts, routes and rules"
    )
    commands.add_parser("status", parents=[shared], help="say what runs and where; fails unless all of it is healthy")
    commands.add_parser("kubeconfig", parents=[shared], help="print the path of the administrator's kubeconfig")
    return top


def wanted(state: Path, only: str | None, port_offset: int | None) -> Cluster:
    """The cluster these options ask for; one that was started with more is not reduced by asking for less."""
    before = load(state)
    if port_offset is None:
        port_offset = before.port_offset if before else 0
    if only:
        return Cluster(state, port_offset, before.nodes if before else ())
    with_gpus = os.environ.get("VOICE_OPERATOR_GPU_NODE", "1") not in ("0", "false", "no")
    return Cluster(state, port_offset, (MAIN_NODE, GPU_NODE) if with_gpus else (MAIN_NODE,))


def command() -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args()
    state: Path = (options.state or default_state()).absolute()
    if os.environ.get("CLUSTER") == "existing":
        return existing.command(options.command)
    if options.command == "up":
        lifecycle.up(wanted(state, options.only, options.port_offset), control_plane_only=bool(options.only))
        return 0
    if options.command == "down":
        lifecycle.down(load(state) or Cluster(state))
        return 0
    cluster = load(state)
    if cluster is None:
        raise DevError(f"no cluster in {state}", remedy="python3 -m dev.cluster up")
    if options.command == "status":
        return status.report(cluster)
    print(cluster.kubeconfig)
    return 0


if __name__ == "__main__":
    sys.exit(main_of(command))
