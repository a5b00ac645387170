"""The objects of Kueue that a cluster's administrator writes."""

from typing import Any

Object = dict[str, Any]

API_VERSION = "kueue.x-k8s.io/v1beta2"
GPU = "nvidia.com/gpu"


def cluster_queue(name: str, *, gpus: int, cohort: str = "", preemption: Object | None = None, **spec: Any) -> Object:
    """A ClusterQueue with so many GPUs of its own, and more of everything else than anybody asks for."""
    quotas = {"cpu": "1000", "memory": "1000Gi", GPU: str(gpus)}
    resources = [{"name": resource, "nominalQuota": quota} for resource, quota in quotas.items()]
    groups = [{"coveredResources": list(quotas), "flavors": [{"name": "default", "resources": resources}]}]
    whole = {"namespaceSelector": {}, "resourceGroups": groups, "preemption": preemption or {}, **spec}
    return _object("ClusterQueue", name, whole | ({"cohortName": cohort} if cohort else {}))


def local_queue(namespace: str, name: str, cluster: str) -> Object:
    """A namespace's way to a ClusterQueue."""
    found = _object("LocalQueue", name, {"clusterQueue": cluster})
    found["metadata"]["namespace"] = namespace
    return found


def priority_class(name: str, value: int) -> Object:
    """A WorkloadPriorityClass."""
    return {"apiVersion": API_VERSION, "kind": "WorkloadPriorityClass", "metadata": {"name": name}, "value": value}


def _object(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}
