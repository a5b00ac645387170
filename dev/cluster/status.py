"""The parts of the cluster, their addresses and health."""

from __future__ import annotations

from dev.cluster import addons, api, controlplane, processes
from dev.cluster.settings import S3_ACCESS_KEY, S3_PORT, S3_REGION, S3_SECRET_KEY, Cluster, Node


def report(cluster: Cluster) -> int:
    """Print one line per part. 0 when all of them are healthy, 1 otherwise."""
    client = controlplane.client(cluster)
    healthy = [part(name, pid, cluster) for name, pid in parts(cluster).items()]
    healthy.append(line("API", client.answers(), cluster.url))
    healthy += [node_line(client, node) for node in cluster.nodes]
    if cluster.nodes:
        healthy.append(workload(client, "kube-system", "coredns", "cluster DNS"))
        healthy.append(workload(client, addons.S3_NAMESPACE, "s3", "object store"))
        print(f"S3 in the cluster  http://s3.{addons.S3_NAMESPACE}.svc:{S3_PORT}")
        print(f"S3 on this machine {s3_here(client)}")
        print(f"S3 credentials     {S3_ACCESS_KEY} / {S3_SECRET_KEY}, region {S3_REGION} (for development only)")
    print(f"KUBECONFIG         {cluster.kubeconfig}")
    print(f"logs               {cluster.logs}")
    return 0 if all(healthy) else 1


def parts(cluster: Cluster) -> dict[str, int | None]:
    """Every program that should run, with its process id if it does."""
    names = ["etcd", "kube-apiserver", "kube-controller-manager"]
    if cluster.nodes:
        names += [controlplane.SCHEDULER, "kube-proxy"]
    for node in cluster.nodes:
        names += [f"containerd-{node.name}", f"kubelet-{node.name}"]
    return {name: processes.running(cluster.state / "run" / f"{name}.json") for name in names}


def part(name: str, pid: int | None, cluster: Cluster) -> bool:
    """One program."""
    return line(name, pid is not None, f"pid {pid}" if pid else f"not running; see {cluster.logs}/{name}.log")


def node_line(client: api.Api, node: Node) -> bool:
    """One node."""
    try:
        found = client.get(f"/api/v1/nodes/{node.name}")
    except api.ApiError as error:
        return line(f"node {node.name}", False, error.problem)
    resources = ", ".join(f"{key}: {found['status']['allocatable'].get(key, 0)}" for key in node.extended_resources)
    ready = api.condition(found, "Ready")
    return line(f"node {node.name}", ready, f"{node.ip} pods {node.pods} {resources}".rstrip())


def workload(client: api.Api, namespace: str, name: str, what: str) -> bool:
    """One deployment."""
    try:
        found = client.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")
    except api.ApiError as error:
        return line(what, False, error.problem)
    return line(what, addons.rolled_out(found), f"deployment {namespace}/{name}")


def s3_here(client: api.Api) -> str:
    """The object store as this machine reaches it."""
    try:
        return addons.s3_address(client)
    except api.ApiError:
        return "unknown"


def line(name: str, healthy: bool, detail: str) -> bool:
    """Print one line; return whether it is good news."""
    print(f"{'ok ' if healthy else 'BAD'} {name:<28} {detail}")
    return healthy
