"""Bring the cluster up, in the order in which its parts need one another, and take it down in the reverse order."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from dev import builds, debian
from dev.cluster import addons, cleanup, controlplane, network, node, processes
from dev.cluster.settings import GPU_NODE, MAIN_NODE, Cluster, load
from dev.errors import DevError
from dev.paths import exclusive_lock
from dev.terminal import say, step

# Addresses, bridges and rules exist once per machine, and so does a cluster with nodes.
OWNER = Path("/run/voice-operator-dev.owner")
NODE_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "pause",
    "coredns",
    "versitygw",
)


def up(cluster: Cluster, *, control_plane_only: bool = False) -> None:
    """Start the missing parts, restart unhealthy ones, leave the rest alone."""
    started = time.monotonic()
    require_root(cluster)
    with exclusive_lock(lock_of(cluster), "changing this cluster"):
        refuse_to_move(cluster)
        if cluster.nodes:
            claim_machine(cluster)
        cluster.save()
        if cluster.nodes:
            debian.ensure(debian.NODE)  # before the packet rules, which need iptables
            cleanup.save(cluster)
            network.up(cluster)
            if not control_plane_only:
                # First of all: images can be loaded while Kubernetes is being built.
                for each in cluster.nodes:
                    node.start_runtime(cluster, each)
                builds.build_all(
                    (*NODE_PROGRAMS, "helm")
                )  # it is next, and nearly all of it is compiled with the others
        client = controlplane.up(cluster)
        if cluster.nodes and not control_plane_only:
            addons.load_pause_image(cluster)
            masquerade_all = not network.bridged_packets_pass_iptables()
            first, *others = cluster.nodes
            node.start_kubelet(cluster, first, client)
            node.start_proxy(cluster, masquerade_all=masquerade_all)
            addons.up(cluster, client)
            for other in others:
                node.start_kubelet(cluster, other, client)
    say(f"cluster is up after {time.monotonic() - started:.1f} s")
    say(f"  export KUBECONFIG={cluster.kubeconfig}")


def down(cluster: Cluster) -> None:
    """Stop and remove everything; asking twice is fine."""
    if not cluster.state.exists() and owner() != cluster.state:
        say(f"no cluster in {cluster.state}: nothing to do")
        return
    require_root(cluster)
    with exclusive_lock(lock_of(cluster), "changing this cluster"):
        records = cluster.state / "run"
        owned = owner() == cluster.state
        for name in (controlplane.SCHEDULER, "kube-controller-manager", "kube-proxy"):
            processes.stop(records / f"{name}.json")
        if owned:
            # Both, whatever was saved: an `up` without the second node must not hide the one from before.
            for each in (GPU_NODE, MAIN_NODE):
                with step(f"stopping node {each.name} and its pods"):
                    node.stop(cluster, each)
            with step("removing addresses, bridges and packet rules"):
                network.down(cluster)
        with step("stopping the control plane"):
            for name in ("kube-apiserver", "etcd"):
                # The API server would wait for its watchers, and what both hold is removed next.
                processes.stop(records / f"{name}.json", graceful=False)
            for left_over in records.glob("*.json"):
                processes.stop(left_over)
        if owned:
            cleanup.remove(cluster)
        with step(f"removing {cluster.state}"):
            node.unmount_below(cluster.state)
            if cluster.state.exists():
                shutil.rmtree(cluster.state)
        if owned:
            OWNER.unlink(missing_ok=True)
    lock_of(cluster).unlink(missing_ok=True)
    say(f"cluster is down, {cluster.state} is removed; built programs and images stay in the cache")


def lock_of(cluster: Cluster) -> Path:
    """Held while the cluster changes; beside the folder, which `down` removes."""
    return cluster.state.with_name(cluster.state.name + ".lock")


def require_root(cluster: Cluster) -> None:
    """Refuse at once, instead of failing half-way."""
    if cluster.nodes and os.geteuid() != 0:
        raise DevError("a cluster with nodes needs root", remedy="use sudo, or `up --only control-plane --state DIR`")


def refuse_to_move(cluster: Cluster) -> None:
    """Refuse another port offset: ports are stored in etcd and in kubeconfigs."""
    before = load(cluster.state)
    if before and before.port_offset != cluster.port_offset:
        raise DevError(
            f"the cluster in {cluster.state} runs with --port-offset {before.port_offset}",
            remedy="leave the option out, choose another --state, or run `down` first",
        )
    if before and GPU_NODE in before.nodes and GPU_NODE not in cluster.nodes:
        raise DevError(
            f"the cluster in {cluster.state} has the node {GPU_NODE.name}",
            remedy="unset VOICE_OPERATOR_GPU_NODE, or run `down` first",
        )


def claim_machine(cluster: Cluster) -> None:
    """Refuse to run the nodes of two clusters on one machine."""
    other = owner()
    if other and other != cluster.state and (other / "cluster.json").exists():
        raise DevError(
            f"this machine already runs the nodes of the cluster in {other}",
            remedy=f"python3 -m dev.cluster down --state {other}, or start this one with --only control-plane",
        )
    OWNER.write_text(f"{cluster.state}\n")


def owner() -> Path | None:
    """The folder of the cluster whose nodes run here."""
    return Path(OWNER.read_text().strip()) if OWNER.exists() else None
