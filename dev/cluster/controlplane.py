"""etcd, the API server, the controller manager and the scheduler."""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from dev import builds, debian
from dev.cluster import api, pki, processes
from dev.cluster.api import Api
from dev.cluster.processes import Daemon
from dev.cluster.settings import MAIN_NODE, SERVICE_CIDR, Cluster
from dev.paths import write_if_changed

SCHEDULER = "kube-scheduler"


def up(cluster: Cluster) -> Api:
    """Bring the control plane up as far as this cluster needs it, and return a client for it."""
    debian.ensure(debian.CONTROL_PLANE)
    programs = ("kube-apiserver", "kube-controller-manager", *((SCHEDULER,) if cluster.nodes else ()))
    binaries = builds.build_all(programs)
    start_etcd(cluster)
    start_api_server(cluster, binaries["kube-apiserver"])
    admin(cluster)
    start_controller_manager(cluster, binaries["kube-controller-manager"])
    if cluster.nodes:
        start_scheduler(cluster, binaries[SCHEDULER])
    server = client(cluster)
    # Pods and tokens are refused before this exists, a moment after the controller manager starts.
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    api.wait_for(server, path, lambda _: True, "the default service account does not exist", 30)
    return server


def client(cluster: Cluster) -> Api:
    """Speak to the API server as its administrator."""
    ca = pki.Authority(cluster.pki)
    return Api(cluster.api_host, cluster.api_port, ca.certificate, cluster.pki / "admin.crt", cluster.pki / "admin.key")


def admin(cluster: Cluster) -> None:
    """Write the administrator's kubeconfig."""
    ca = pki.authority(cluster)
    identity = ca.issue("admin", common_name="voice-dev-admin", organization="system:masters")
    pki.kubeconfig(cluster.kubeconfig, cluster, ca, identity)


def component_kubeconfig(cluster: Cluster, name: str, *, common_name: str, organization: str = "") -> Path:
    """Write a component's own kubeconfig, under its own name."""
    ca = pki.authority(cluster)
    identity = ca.issue(name, common_name=common_name, organization=organization)
    return pki.kubeconfig(cluster.pki / f"{name}.kubeconfig", cluster, ca, identity)


def start_etcd(cluster: Cluster) -> None:
    """Start the database."""
    client_url = f"http://127.0.0.1:{cluster.etcd_port}"
    peer_url = f"http://127.0.0.1:{cluster.etcd_peer_port}"
    data = cluster.state / "etcd"
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    data.chmod(0o700)
    command = ["etcd", "--name=dev", f"--data-dir={data}", "--logger=zap"]
    # A development cluster is rebuilt, not restored: waiting for the disk would only slow the tests.
    command += ["--unsafe-no-fsync"]
    command += [f"--listen-client-urls={client_url}", f"--advertise-client-urls={client_url}"]
    command += [f"--listen-peer-urls={peer_url}", f"--initial-advertise-peer-urls={peer_url}"]
    command += [f"--initial-cluster=dev={peer_url}"]
    ports = (("127.0.0.1", cluster.etcd_port), ("127.0.0.1", cluster.etcd_peer_port))
    daemon = Daemon("etcd", tuple(command), cluster.state, ports)
    processes.ensure(daemon, lambda: http_ok(f"{client_url}/health"))


def start_api_server(cluster: Cluster, binary: Path) -> None:
    """Start the API server."""
    ca = pki.authority(cluster)
    serving = pki.api_server(ca)
    to_kubelets = ca.issue("api-server-to-kubelets", common_name="kube-apiserver", organization="system:masters")
    signing = pki.service_account_key(ca)
    # The checks below, and `status`, speak as the administrator.
    ca.issue("admin", common_name="voice-dev-admin", organization="system:masters")
    policy = write_audit_policy(cluster)
    command = [
        str(binary),
        f"--etcd-servers=http://127.0.0.1:{cluster.etcd_port}",
        f"--bind-address={cluster.api_host}",
        f"--secure-port={cluster.api_port}",
        # Pods reach the API server here, through the Service `kubernetes`; a loopback address is refused.
        f"--advertise-address={MAIN_NODE.ip}",
        f"--service-cluster-ip-range={SERVICE_CIDR}",
        f"--client-ca-file={ca.certificate}",
        f"--tls-cert-file={serving.certificate}",
        f"--tls-private-key-file={serving.key}",
        f"--kubelet-certificate-authority={ca.certificate}",
        f"--kubelet-client-certificate={to_kubelets.certificate}",
        f"--kubelet-client-key={to_kubelets.key}",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={signing}",
        f"--service-account-signing-key-file={signing}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={cluster.logs / 'audit.log'}",
        "--audit-log-maxsize=50",
        "--audit-log-maxbackup=2",
        # There is one server, and it may be stopped at any moment: nobody waits for its lease.
        "--shutdown-delay-duration=0s",
        "--profiling=false",
    ]
    reads = (serving.certificate, ca.certificate, signing, policy, to_kubelets.certificate)
    ports = ((cluster.api_host, cluster.api_port),)
    daemon = Daemon("kube-apiserver", tuple(command), cluster.state, ports, reads=reads)
    processes.ensure(daemon, client(cluster).answers, timeout=120)


def write_audit_policy(cluster: Cluster) -> Path:
    """Record who changed what, never what was read: tests count the operator's writes here."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "None", "verbs": ["get", "list", "watch"]},
            {"level": "None", "resources": [{"group": "coordination.k8s.io"}, {"group": "events.k8s.io"}]},
            {"level": "None", "resources": [{"group": "", "resources": ["events"]}]},
            {"level": "Metadata"},
        ],
    }
    path = cluster.state / "audit-policy.json"
    cluster.logs.mkdir(parents=True, exist_ok=True)
    write_if_changed(path, json.dumps(policy, indent=2) + "\n")
    return path


def start_controller_manager(cluster: Cluster, binary: Path) -> None:
    """Start the controllers of the built-in kinds."""
    ca = pki.authority(cluster)
    name = "kube-controller-manager"
    kubeconfig = component_kubeconfig(cluster, name, common_name=f"system:{name}")
    command = [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={cluster.controller_manager_port}",
        f"--root-ca-file={ca.certificate}",
        f"--service-account-private-key-file={pki.service_account_key(ca)}",
        f"--cluster-signing-cert-file={ca.certificate}",
        f"--cluster-signing-key-file={ca.key}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--profiling=false",
    ]
    ports = (("127.0.0.1", cluster.controller_manager_port),)
    daemon = Daemon(name, tuple(command), cluster.state, ports, reads=(kubeconfig,))
    processes.ensure(daemon, lambda: https_ok(f"https://127.0.0.1:{cluster.controller_manager_port}/healthz"))


def start_scheduler(cluster: Cluster, binary: Path) -> None:
    """Start the scheduler."""
    kubeconfig = component_kubeconfig(cluster, SCHEDULER, common_name=f"system:{SCHEDULER}")
    command = [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={cluster.scheduler_port}",
        "--leader-elect=false",
        "--profiling=false",
    ]
    ports = (("127.0.0.1", cluster.scheduler_port),)
    daemon = Daemon(SCHEDULER, tuple(command), cluster.state, ports, reads=(kubeconfig,))
    processes.ensure(daemon, lambda: https_ok(f"https://127.0.0.1:{cluster.scheduler_port}/healthz"))


def http_ok(url: str) -> bool:
    """Whether a health page answers."""
    # A proxy from the environment must never see requests to our own addresses.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def https_ok(url: str) -> bool:
    """Whether a health page answers; a component's throw-away certificate proves nothing, so it is not checked."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False
