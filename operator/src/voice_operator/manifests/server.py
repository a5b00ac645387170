"""The children of a VoiceServer: Deployment, Service, and the ConfigMap with the voices it must serve."""

import json
from collections.abc import Iterable
from typing import Any

from voice_operator.documents import DESIRED_SCHEMA
from voice_operator.manifests import labels
from voice_operator.manifests.pod import (
    container_security,
    image,
    pod_security,
    pull_secrets,
    scratch,
    store_credentials,
)
from voice_operator.reconcile.observed import DesiredVoice, VoiceServer
from voice_operator.settings import Settings

CONTAINER = "inference"
FILE = "voices.json"
FOLDER = "/etc/voice/desired"
CACHE = "/var/cache/voice"
SERVICE_PORT = 80
DRAIN_SECONDS = 5
GRACE_SECONDS = 35  # draining, then the 25 s that the server gives to running requests, and a margin


def voices_name(server: str) -> str:
    """Return the name of the ConfigMap with the desired voices."""
    return f"{server}-voices"


def endpoint(namespace: str, name: str) -> str:
    """Return the address of the Service inside the cluster."""
    return f"http://{name}.{namespace}.svc"


def selector(name: str) -> dict[str, str]:
    """Return the labels by which Deployment and Service find their pods."""
    return {labels.SERVER: name}


def desired_document(
    server: VoiceServer, voices: Iterable[DesiredVoice], generation: int, settings: Settings
) -> dict[str, Any]:
    """Return the desired-voices document."""
    base = settings.bases[server.spec.base]
    return {
        "schema": DESIRED_SCHEMA,
        "server": {"namespace": server.namespace, "name": server.name},
        "generation": generation,
        "base": {"name": server.spec.base, "uri": base.uri, "digest": base.digest},
        "voices": [
            {"id": voice.id, "revision": voice.revision, "uri": voice.uri, "digest": voice.digest}
            for voice in sorted(voices)
        ],
    }


def voices_config_map(server: VoiceServer, document: dict[str, Any]) -> dict[str, Any]:
    """Return the ConfigMap from which pods start and serve while the operator is away."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": _metadata(server, voices_name(server.name)),
        "data": {FILE: json.dumps(document, separators=(",", ":"), ensure_ascii=False)},
    }


def service(server: VoiceServer) -> dict[str, Any]:
    """Return the Service of the inference pods."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(server, server.name),
        "spec": {
            "selector": selector(server.name),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }


def deployment(server: VoiceServer, settings: Settings) -> dict[str, Any]:
    """Return the Deployment; a voice that comes or goes never restarts a pod."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(server, server.name),
        "spec": {
            "replicas": server.spec.replicas,
            "selector": {"matchLabels": selector(server.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": _pod_labels(server)}, "spec": _pod(server, settings)},
        },
    }


def _pod(server: VoiceServer, settings: Settings) -> dict[str, Any]:
    inference = settings.inference
    environment = {
        "VOICE_VOICES": f"{FOLDER}/{FILE}",
        "VOICE_CACHE": CACHE,
        "VOICE_PORT": str(inference.port),
        "HOME": "/tmp",  # noqa: S108 -- inside the container, an emptyDir of its own
    }
    if settings.operator_url:
        environment["VOICE_OPERATOR_URL"] = (
            f"{settings.operator_url.rstrip('/')}/servers/{server.namespace}/{server.name}/{FILE}"
        )
    environment |= inference.environment
    resources = server.spec.resources
    pod: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(),
        "containers": [
            {
                "name": CONTAINER,
                **image(settings, settings.images.inference),
                "env": [{"name": name, "value": value} for name, value in environment.items()],
                **store_credentials(settings),
                "ports": [{"name": "http", "containerPort": inference.port, "protocol": "TCP"}],
                "startupProbe": _probe("/healthz", period=2, failures=150),
                # The server closes its port at SIGTERM; by then the pod must be out of all EndpointSlices.
                "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
                "livenessProbe": _probe("/healthz", period=10, failures=6),
                "readinessProbe": _probe("/readyz", period=2, failures=3),
                "resources": inference.resources if resources is None else resources.document(),
                "securityContext": container_security(),
                "volumeMounts": [
                    # A folder, not a subPath: only then does the kubelet bring later versions in.
                    {"name": "voices", "mountPath": FOLDER, "readOnly": True},
                    {"name": "cache", "mountPath": CACHE},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- as above
                ],
            }
        ],
        "volumes": [
            {"name": "voices", "configMap": {"name": voices_name(server.name)}},
            scratch("cache", inference.cache),
            scratch("tmp", "1Gi"),
        ],
        **pull_secrets(settings),
    }
    if inference.node_selector:
        pod["nodeSelector"] = inference.node_selector
    if inference.tolerations:
        pod["tolerations"] = list(inference.tolerations)
    return pod


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "http"},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def _metadata(server: VoiceServer, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "namespace": server.namespace,
        "labels": _labels(server),
        "ownerReferences": labels.owner("VoiceServer", server.name, server.uid),
    }


def _labels(server: VoiceServer) -> dict[str, str]:
    return labels.recommended(name="voiceserver", instance=server.name, component="inference") | selector(server.name)


def _pod_labels(server: VoiceServer) -> dict[str, str]:
    """Return the labels without the operator's version: an upgrade of the operator must not restart the pods."""
    return {name: value for name, value in _labels(server).items() if name != "app.kubernetes.io/version"}
