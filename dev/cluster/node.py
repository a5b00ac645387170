"""One node: its container runtime, its pod network and its kubelet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dev import builds
from dev.cluster import api, cgroups, cleanup, controlplane, pki, processes
from dev.cluster.processes import Daemon
from dev.cluster.settings import DNS_SERVICE_IP, DOMAIN, POD_CIDR, Cluster, Node
from dev.errors import DevError
from dev.paths import write_if_changed
from dev.terminal import run

CNI_PLUGINS = "/usr/lib/cni"
PAUSE_IMAGE = "docker.io/voice-operator/pause:v1"
NODE_READY_SECONDS = 120


def folder(cluster: Cluster, node: Node) -> Path:
    """Everything of one node."""
    return cluster.state / "nodes" / node.name


def socket(cluster: Cluster, node: Node) -> Path:
    """Where the node's containerd listens."""
    return folder(cluster, node) / "containerd.sock"


def start_runtime(cluster: Cluster, node: Node) -> None:
    """Start the node's containerd."""
    home = folder(cluster, node)
    home.mkdir(parents=True, exist_ok=True)
    cgroups.create(node)
    write_pod_network(home, node)
    config = home / "containerd.toml"
    write_if_changed(config, containerd_config(home))
    command = ("containerd", "--config", str(config))
    daemon = Daemon(f"containerd-{node.name}", command, cluster.state, reads=(config,))
    processes.ensure(daemon, lambda: runtime_answers(cluster, node))


def containerd_config(home: Path) -> str:
    """The runtime's settings, all of its folders below the node's."""
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
root = "{home}/containerd"
state = "{home}/containerd-run"
# The machine may lack the right to lower this for itself.
oom_score = 0

[grpc]
address = "{home}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{home}/containerd-opt"

[{cri}]
sandbox_image = "{PAUSE_IMAGE}"
# Without CAP_SYS_RESOURCE nothing may ask to be killed later than containerd itself: every sandbox would die.
restrict_oom_score_adj = true
# So that removing the state folder's mounts leaves no network namespace behind.
netns_mounts_under_state_dir = true
stream_server_address = "127.0.0.1"
stream_server_port = "0"

[{cri}.cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{home}/cni"

[{cri}.containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[{cri}.containerd.runtimes.runc.options]
SystemdCgroup = false
Root = "{home}/runc"
"""


def write_pod_network(home: Path, node: Node) -> None:
    """Each node has a bridge of its own; packets between nodes are routed by the machine."""
    bridge = {
        "type": "bridge",
        "bridge": node.bridge,
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself through its Service
        "ipMasq": False,  # ours excepts the other node's pods, the plugin's would not
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": node.pods}]],
            "routes": [{"dst": "0.0.0.0/0"}],
            "dataDir": str(home / "cni-addresses"),
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    document = {"cniVersion": "0.4.0", "name": node.name, "plugins": [bridge, ports]}
    path = home / "cni" / "10-bridge.conflist"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_if_changed(path, json.dumps(document, indent=2) + "\n")


def runtime_answers(cluster: Cluster, node: Node) -> bool:
    """Whether the node's containerd is ready for kubelet."""
    if not socket(cluster, node).exists():
        return False
    listed = run(["ctr", "--connect-timeout", "2s", "-a", socket(cluster, node), "plugins", "ls"], check=False)
    return any(
        line.split()[:2] == ["io.containerd.grpc.v1", "cri"] and line.split()[-1] == "ok"
        for line in listed.splitlines()
    )


def start_kubelet(cluster: Cluster, node: Node, client: api.Api) -> None:
    """Start the kubelet, wait until the node is ready, and advertise its resources in place of a device plugin."""
    binary = builds.build("kubelet")
    home = folder(cluster, node)
    ca = pki.authority(cluster)
    name = f"kubelet-{node.name}"
    kubeconfig = controlplane.component_kubeconfig(
        cluster, name, common_name=f"system:node:{node.name}", organization="system:nodes"
    )
    serving = ca.issue(f"{name}-serving", common_name=node.name, addresses=(f"DNS:{node.name}", f"IP:{node.ip}"))
    config = home / "kubelet.json"
    document = kubelet_config(cluster, node, serving)
    write_if_changed(config, json.dumps(document, indent=2) + "\n")
    command = [
        str(binary),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--root-dir={home / 'kubelet'}",
        f"--cert-dir={home / 'kubelet-certificates'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.ip}",
    ]
    if node.labels:
        command.append("--node-labels=" + ",".join(f"{key}={value}" for key, value in node.labels.items()))
    ports = ((node.ip, cluster.kubelet_port), (node.ip, cluster.kubelet_health_port))
    daemon = Daemon(name, tuple(command), cluster.state, ports, reads=(config, kubeconfig, serving.certificate))
    health = f"http://{node.ip}:{cluster.kubelet_health_port}/healthz"
    processes.ensure(daemon, lambda: controlplane.http_ok(health))
    path = f"/api/v1/nodes/{node.name}"

    def ready(found: dict[str, Any]) -> bool:
        return api.condition(found, "Ready")

    api.wait_for(client, path, ready, f"node {node.name} is not ready", NODE_READY_SECONDS)
    if node.extended_resources:
        # kubelet may forget what it did not count itself when it starts, so this is repeated every time.
        resources = {"capacity": node.extended_resources, "allocatable": node.extended_resources}
        client.merge(f"{path}/status", {"status": resources})


def kubelet_config(cluster: Cluster, node: Node, serving: pki.Identity) -> dict[str, object]:
    """Settings of the node's kubelet."""
    home = folder(cluster, node)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": node.ip,
        "port": cluster.kubelet_port,
        "healthzBindAddress": node.ip,
        "healthzPort": cluster.kubelet_health_port,
        "tlsCertFile": str(serving.certificate),
        "tlsPrivateKeyFile": str(serving.key),
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cluster.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": f"unix://{socket(cluster, node)}",
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": DOMAIN,
        "resolvConf": str(write_resolv_conf(home)),
        "podLogsDir": str(home / "pod-logs"),
        "volumePluginDir": str(home / "volume-plugins"),
        "registerWithTaints": [{"key": t.key, "value": t.value, "effect": t.effect} for t in node.taints],
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{node.name}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "localStorageCapacityIsolation": False,
        "enforceNodeAllocatable": [],
        # Images here are loaded, not pulled: one that is collected would never come back.
        "imageGCHighThresholdPercent": 100,
        # The machine is shared with everything else its owner does: a full disk is no reason to evict pods.
        "evictionHard": {
            "imagefs.available": "0%",
            "imagefs.inodesFree": "0%",
            "nodefs.available": "0%",
            "nodefs.inodesFree": "0%",
            "memory.available": "0%",
        },
        "serializeImagePulls": False,
        "makeIPTablesUtilChains": False,
        "oomScoreAdj": 0,
        "shutdownGracePeriod": "0s",
    }


def write_resolv_conf(home: Path) -> Path:
    """The machine's name servers, as pods can reach them: a stub on a loopback address means nothing in a pod."""
    candidates = (Path("/etc/resolv.conf"), Path("/run/systemd/resolve/resolv.conf"))
    servers: list[str] = []
    for candidate in candidates:
        if candidate.exists() and not servers:
            words = [line.split() for line in candidate.read_text().splitlines()]
            servers = [
                w[1] for w in words if len(w) > 1 and w[0] == "nameserver" and not w[1].startswith(("127.", "::1"))
            ]
    path = home / "resolv.conf"
    write_if_changed(path, "".join(f"nameserver {server}\n" for server in servers))
    return path


def start_proxy(cluster: Cluster, *, masquerade_all: bool) -> None:
    """Start kube-proxy: one serves both nodes, because they share the machine's network."""
    binary = builds.build("kube-proxy")
    name = "kube-proxy"
    first = cluster.nodes[0]
    kubeconfig = controlplane.component_kubeconfig(cluster, name, common_name="system:kube-proxy")
    config = cluster.state / "kube-proxy.json"
    document = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "hostnameOverride": first.name,
        "clusterCIDR": POD_CIDR,
        "detectLocalMode": "ClusterCIDR",
        "healthzBindAddress": f"127.0.0.1:{cluster.proxy_health_port}",
        "metricsBindAddress": f"127.0.0.1:{cluster.proxy_metrics_port}",
        "nodePortAddresses": ["10.200.0.0/24"],
        "iptables": {"localhostNodePorts": False, "masqueradeAll": masquerade_all, "minSyncPeriod": "0s"},
        # The machine's connection table is its owner's business, and often read-only.
        "conntrack": {"maxPerCore": 0, "min": 0},
        "oomScoreAdj": 0,
    }
    write_if_changed(config, json.dumps(document, indent=2) + "\n")
    ports = (("127.0.0.1", cluster.proxy_health_port), ("127.0.0.1", cluster.proxy_metrics_port))
    daemon = Daemon(name, (str(binary), f"--config={config}"), cluster.state, ports, reads=(config, kubeconfig))
    # Not /healthz: that one waits for the node's first status, which has its own check.
    processes.ensure(daemon, lambda: controlplane.http_ok(f"http://127.0.0.1:{cluster.proxy_health_port}/livez"))


def stop(cluster: Cluster, node: Node) -> None:
    """Stop the node and everything that ran on it, in whatever condition it is."""
    home = folder(cluster, node)
    processes.stop(cluster.state / "run" / f"kubelet-{node.name}.json")
    processes.stop(cluster.state / "run" / f"containerd-{node.name}.json")
    cgroups.remove(node)
    processes.end(processes.find(lambda words: is_shim(words, home)), graceful=False)
    cleanup.remove_of_node(home)
    unmount_below(home)


def is_shim(words: list[str], home: Path) -> bool:
    """Whether a command line is a container's guardian, started by this node's containerd."""
    return "containerd-shim" in Path(words[0]).name and str(home / "containerd.sock") in words


def unmount_below(home: Path) -> None:
    """Unmount the pods' volumes, root file systems and network namespaces, innermost first."""
    for lazily in (False, True):
        for point in sorted(mounts_below(home), key=len, reverse=True):
            run(["umount", *(["--lazy"] if lazily else []), point], check=False)
    if left := mounts_below(home):
        raise DevError(f"cannot unmount {left[0]}", remedy="see who uses it (fuser -vm), then run `down` again")


def mounts_below(home: Path) -> list[str]:
    """Mount points in a folder."""
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    decoded = [point.encode().decode("unicode_escape") for point in points]
    return [point for point in decoded if Path(point).is_relative_to(home)]
