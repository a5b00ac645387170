"""Names, addresses and ports of a development cluster, and the file in which they are saved."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from dev.errors import DevError

API_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"
SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
DOMAIN = "cluster.local"

S3_PORT = 7070
S3_ACCESS_KEY = "voicedev"
S3_SECRET_KEY = "voicedev-secret"  # noqa: S105 -- opens nothing but the store on this machine
S3_REGION = "us-east-1"
S3_BUCKET = "voices"


@dataclass(frozen=True)
class Taint:
    """Keeps pods off a node unless they tolerate it."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True)
class Node:
    """One kubelet with its own container runtime, bridge and address."""

    name: str
    ip: str
    pods: str
    bridge: str
    labels: dict[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    extended_resources: dict[str, str] = field(default_factory=dict)


MAIN_NODE = Node(name="voice-dev", ip="10.200.0.1", pods="10.244.0.0/24", bridge="voice-dev0")
GPU_NODE = Node(
    name="voice-gpu-spot",
    ip="10.200.0.2",
    pods="10.244.1.0/24",
    bridge="voice-gpu0",
    labels={"voice.sovits.dev/capacity": "spot", "nvidia.com/gpu.present": "true"},
    taints=(Taint("nvidia.com/gpu", "present", "NoSchedule"), Taint("voice.sovits.dev/capacity", "spot", "NoSchedule")),
    extended_resources={"nvidia.com/gpu": "2"},
)


@dataclass(frozen=True)
class Cluster:
    """One cluster: its folder, its ports, and how much of it runs."""

    state: Path
    port_offset: int = 0
    nodes: tuple[Node, ...] = (MAIN_NODE,)

    @property
    def api_port(self) -> int:
        """kube-apiserver."""
        return 6443 + self.port_offset

    @property
    def etcd_port(self) -> int:
        """etcd, for the API server."""
        return 2379 + self.port_offset

    @property
    def etcd_peer_port(self) -> int:
        """etcd, for other members; it insists on one."""
        return 2380 + self.port_offset

    @property
    def controller_manager_port(self) -> int:
        """Health of kube-controller-manager."""
        return 10257 + self.port_offset

    @property
    def scheduler_port(self) -> int:
        """Health of kube-scheduler."""
        return 10259 + self.port_offset

    @property
    def kubelet_port(self) -> int:
        """kubelet, on the address of each node."""
        return 10250 + self.port_offset

    @property
    def kubelet_health_port(self) -> int:
        """Health of kubelet, on the address of each node."""
        return 10248 + self.port_offset

    @property
    def proxy_health_port(self) -> int:
        """Health of kube-proxy."""
        return 10256 + self.port_offset

    @property
    def proxy_metrics_port(self) -> int:
        """Metrics of kube-proxy."""
        return 10249 + self.port_offset

    @property
    def api_host(self) -> str:
        """Pods cannot reach a loopback address, so a cluster with nodes listens on the first node's."""
        return MAIN_NODE.ip if self.nodes else "127.0.0.1"

    @property
    def url(self) -> str:
        """The API server, for every client."""
        return f"https://{self.api_host}:{self.api_port}"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "admin.kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates."""
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        """One file per program."""
        return self.state / "logs"

    @property
    def saved(self) -> Path:
        """How the cluster was last started."""
        return self.state / "cluster.json"

    def save(self) -> None:
        """Save ports and nodes for `status` and `down`."""
        self.state.mkdir(parents=True, exist_ok=True)
        self.state.chmod(0o711)  # pods look through it at their volumes, nobody else lists it
        document = {"portOffset": self.port_offset, "nodes": [node.name for node in self.nodes]}
        self.saved.write_text(json.dumps(document) + "\n")


def load(state: Path) -> Cluster | None:
    """The cluster that was last brought up in this folder, if any."""
    path = state / "cluster.json"
    if not path.exists():
        return None
    try:
        document = json.loads(path.read_text())
        nodes = tuple(node for node in (MAIN_NODE, GPU_NODE) if node.name in document["nodes"])
        return Cluster(state, int(document["portOffset"]), nodes)
    except (ValueError, KeyError, TypeError) as error:
        raise DevError(
            f"{path} is damaged: {error}", remedy=f"delete {path}, then run `down` and `up` again"
        ) from error
