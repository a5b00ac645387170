"""How many pods a VoiceServer has: its replicas, its HorizontalPodAutoscaler, its PodDisruptionBudget."""

from typing import Any

from voice_operator.api.voice_server import Autoscaling, VoiceServerSpec
from voice_operator.manifests.labels import SERVER
from voice_operator.manifests.voice_list import server_metadata
from voice_operator.reconcile.observed import VoiceServer
from voice_operator.settings import Settings

REPLICAS_MANAGER = "voice-operator-replicas"  # field manager of replicas until the autoscaler first changes them


def wanted_replicas(spec: VoiceServerSpec, *, has_voices: bool) -> int | None:
    """Return the number of pods that the operator writes; None: an autoscaler says how many."""
    if spec.zero_without_voices and not has_voices:
        return 0
    return spec.replicas if spec.autoscaling is None else None


def kept_replicas(server: VoiceServer, uid: str, replicas: int) -> dict[str, Any]:
    """Return what another field manager applies before the operator lets go of replicas.

    Server-side apply removes a field that its only manager leaves out, and one pod would remain of all. A Deployment
    without pods gets some: no autoscaler touches one that was scaled to zero.
    """
    scaling = server.spec.autoscaling
    least = 1 if scaling is None else scaling.min_replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": server.name, "namespace": server.namespace, "uid": uid},
        "spec": {"replicas": max(replicas, least)},
    }


def autoscaler(server: VoiceServer, scaling: Autoscaling) -> dict[str, Any]:
    """Return the HorizontalPodAutoscaler of the server's Deployment."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": scaling.cpu_percent}}
    by_cpu: list[dict[str, Any]] = [{"type": "Resource", "resource": cpu}] if scaling.cpu_percent else []
    by_metrics = [
        {
            "type": "Pods",
            "pods": {
                "metric": {"name": metric.name},
                "target": {"type": "AverageValue", "averageValue": metric.average},
            },
        }
        for metric in scaling.pod_metrics
    ]
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": server_metadata(server, server.name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": server.name},
            "minReplicas": scaling.min_replicas,
            "maxReplicas": scaling.max_replicas,
            "metrics": by_cpu + by_metrics,
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": scaling.scale_down_seconds}},
        },
    }


def disruption_budget(server: VoiceServer, settings: Settings) -> dict[str, Any]:
    """Return the PodDisruptionBudget of the server's pods."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": server_metadata(server, server.name),
        "spec": {
            "maxUnavailable": settings.pod_disruption_budget.max_unavailable,
            # A pod that never became ready must not hold up the draining of its node.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
            "selector": {"matchLabels": {SERVER: server.name}},
        },
    }
