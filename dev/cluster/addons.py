"""Workloads of every development cluster: cluster DNS and an S3 object store, from images of single programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dev import builds, oci
from dev.cluster import api, node
from dev.cluster.settings import (
    DNS_SERVICE_IP,
    DOMAIN,
    MAIN_NODE,
    S3_ACCESS_KEY,
    S3_BUCKET,
    S3_PORT,
    S3_REGION,
    S3_SECRET_KEY,
    Cluster,
    Node,
)
from dev.paths import cache
from dev.terminal import step

Document = dict[str, Any]
READY_SECONDS = 120
S3_NAMESPACE = "voice-s3"
S3_DATA = "/data"
SCRATCH = "/tmp"  # noqa: S108 -- a path inside the container, on a volume of its own

RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}


def image_store(cluster: Cluster, where: Node) -> oci.Store:
    """The images of one node's runtime."""
    home = node.folder(cluster, where)
    content = home / "containerd" / "io.containerd.content.v1.content"
    return oci.Store(where.name, node.socket(cluster, where), content, cluster.logs / f"import-{where.name}.log")


def image_name(program: str) -> str:
    """The image of one program, as the runtime spells it."""
    return f"docker.io/voice-operator/{program}:{builds.PROGRAMS[program].version()}"


def load_pause_image(cluster: Cluster) -> None:
    """The image that holds each pod's namespaces open; without it no pod starts, so every node needs it first."""
    for where in cluster.nodes:
        load_program(image_store(cluster, where), "pause")


def load_program(store: oci.Store, program: str) -> None:
    """Give a node the image of one program, unless it has it."""
    image = image_name(program)
    if image in store.images():
        return
    binary = builds.build(program)
    layout = cache() / "program-images" / f"{program}-{builds.PROGRAMS[program].version()}"
    tag = f"{program}:{builds.PROGRAMS[program].version()}"
    with step(f"loading {image} into {store.name}", "a few seconds"):
        oci.program_image(layout, tag, binary, {})
        store.load(layout, tag, image)


def up(cluster: Cluster, client: api.Api) -> None:
    """Start DNS and the object store, and wait until both answer."""
    for program in ("coredns", "versitygw"):
        load_program(image_store(cluster, MAIN_NODE), program)
    bucket = cluster.state / "s3" / S3_BUCKET  # a folder is a bucket to the object store
    for folder in (bucket.parent, bucket):
        folder.mkdir(parents=True, exist_ok=True)
    bucket.parent.chmod(0o700)
    for manifest in (*dns(), *object_store(bucket.parent)):
        client.apply(manifest)
    with step("waiting for DNS and the object store"):
        for namespace, name in (("kube-system", "coredns"), (S3_NAMESPACE, "s3")):
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"
            api.wait_for(client, path, rolled_out, f"{name} is not ready", READY_SECONDS)


def rolled_out(deployment: Mapping[str, Any]) -> bool:
    """Whether the pods of a deployment are those it asks for, and available."""
    status = deployment.get("status", {})
    current = status.get("observedGeneration") == deployment["metadata"]["generation"]
    return bool(current and status.get("availableReplicas", 0) >= 1 and status.get("updatedReplicas", 0) >= 1)


def s3_address(client: api.Api) -> str:
    """The object store as this machine reaches it: kube-proxy serves the Service's address here too."""
    service = client.get(f"/api/v1/namespaces/{S3_NAMESPACE}/services/s3")
    return f"http://{service['spec']['clusterIP']}:{S3_PORT}"


def dns() -> Iterable[Document]:
    """Cluster DNS: names of Services and pods, and the world through the machine."""
    name, namespace = "coredns", "kube-system"
    yield named("v1", "ServiceAccount", name, namespace)
    reads = ["list", "watch"]
    yield {
        **named("rbac.authorization.k8s.io/v1", "ClusterRole", "system:coredns"),
        "rules": [
            {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": reads},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": reads},
        ],
    }
    yield {
        **named("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "system:coredns"),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    corefile = f""".:53 {{
    errors
    health
    ready
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    forward . /etc/resolv.conf
    cache 5
    reload
}}
"""
    yield {**named("v1", "ConfigMap", name, namespace), "data": {"Corefile": corefile}}
    container = {
        "name": name,
        "image": image_name("coredns"),
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
        ],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "securityContext": {**RESTRICTED, "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod = {
        "serviceAccountName": name,
        "dnsPolicy": "Default",  # the machine's own name servers, or it would ask itself
        "priorityClassName": "system-cluster-critical",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": name}}],
    }
    yield deployment(name, namespace, {"k8s-app": "kube-dns"}, pod)
    yield {
        **named("v1", "Service", "kube-dns", namespace),
        "spec": {
            "selector": {"k8s-app": "kube-dns"},
            "clusterIP": DNS_SERVICE_IP,
            "ports": [
                {"name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53},
                {"name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53},
            ],
        },
    }


def object_store(folder: Path) -> Iterable[Document]:
    """An S3 store over a folder of the machine, gone with the cluster."""
    yield named("v1", "Namespace", S3_NAMESPACE)
    yield {
        **named("v1", "Secret", "s3", S3_NAMESPACE),
        "stringData": {"ROOT_ACCESS_KEY": S3_ACCESS_KEY, "ROOT_SECRET_KEY": S3_SECRET_KEY},
    }
    probe = {"httpGet": {"path": "/healthz", "port": S3_PORT}, "periodSeconds": 1}
    container = {
        "name": "s3",
        "image": image_name("versitygw"),
        "imagePullPolicy": "Never",
        "args": ["--port", f":{S3_PORT}", "--region", S3_REGION, "--health", "/healthz", "posix", S3_DATA],
        "envFrom": [{"secretRef": {"name": "s3"}}],
        "ports": [{"name": "s3", "containerPort": S3_PORT}],
        "readinessProbe": probe,
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}},
        # Root without capabilities: it owns the folder on the machine, and may do nothing else there.
        "securityContext": RESTRICTED,
        "volumeMounts": [{"name": "data", "mountPath": S3_DATA}, {"name": "scratch", "mountPath": SCRATCH}],
    }
    pod = {
        "automountServiceAccountToken": False,
        "containers": [container],
        "volumes": [
            {"name": "data", "hostPath": {"path": str(folder), "type": "Directory"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }
    yield deployment("s3", S3_NAMESPACE, {"app": "s3"}, pod)
    yield {
        **named("v1", "Service", "s3", S3_NAMESPACE),
        "spec": {"selector": {"app": "s3"}, "ports": [{"name": "s3", "port": S3_PORT, "targetPort": S3_PORT}]},
    }


def named(version: str, kind: str, name: str, namespace: str = "") -> Document:
    """The head of a Kubernetes object."""
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata}


def deployment(name: str, namespace: str, labels: dict[str, str], pod: Document) -> Document:
    """One pod, kept running on the first node."""
    pod = {**pod, "nodeSelector": {"kubernetes.io/hostname": MAIN_NODE.name}}
    return {
        **named("apps/v1", "Deployment", name, namespace),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
