"""Deployment and Service of a VoiceServer."""

from typing import Any, Literal

from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.manifests import labels
from voice_operator.manifests.pod import (
    base_volumes,
    container_security,
    image,
    pod_security,
    pull_secrets,
    scratch,
    service_account,
    store_environment,
    store_keys,
    variables,
)
from voice_operator.manifests.pod_template import with_template
from voice_operator.manifests.scaling import wanted_replicas
from voice_operator.manifests.voice_list import FILE, FOLDER, list_volume, server_metadata
from voice_operator.reconcile.observed import VoiceServer
from voice_operator.settings import Settings

CONTAINER = "inference"
CACHE = "/var/cache/voice"
API_KEYS = "api-keys"  # the volume
API_KEYS_FOLDER = "/etc/voice/keys"
API_ACCESS = "api-access"  # the volume
API_ACCESS_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
API_TOKEN_SECONDS = 3607  # the kubelet renews it before
TLS = "tls"  # the volume
TLS_FOLDER = "/etc/voice/tls"
SERVICE_PORTS = {"http": 80, "https": 443}
DRAIN_SECONDS = 5
GRACE_SECONDS = 35  # draining, then the 25 s that the server gives to running requests, and a margin


def host(namespace: str, name: str) -> str:
    """Return the Service's name inside the cluster, which is what a certificate of the server is for."""
    return f"{name}.{namespace}.svc"


def scheme(spec: VoiceServerSpec) -> Literal["http", "https"]:
    """Return what pods and Service speak; their ports have that name."""
    return "https" if spec.tls_secret else "http"


def endpoint(namespace: str, name: str, spec: VoiceServerSpec) -> str:
    """Return the address of the Service inside the cluster."""
    return f"{scheme(spec)}://{host(namespace, name)}"


def selector(name: str) -> dict[str, str]:
    """Return the labels by which Deployment and Service find their pods."""
    return {labels.SERVER: name}


def service(server: VoiceServer) -> dict[str, Any]:
    """Return the Service of the inference pods."""
    name = scheme(server.spec)
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": server_metadata(server, server.name),
        "spec": {
            "selector": selector(server.name),
            "ipFamilyPolicy": "PreferDualStack",  # single stack where the cluster is
            "ports": [{"name": name, "port": SERVICE_PORTS[name], "targetPort": name, "protocol": "TCP"}],
        },
    }


def deployment(
    server: VoiceServer, settings: Settings, public_key: str = "", *, has_voices: bool = True
) -> dict[str, Any]:
    """Return the Deployment; a voice that comes or goes never restarts a pod. Pods check seals by ``public_key``."""
    replicas = wanted_replicas(server.spec, has_voices=has_voices)
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": server_metadata(server, server.name),
        "spec": {
            **({} if replicas is None else {"replicas": replicas}),
            "selector": {"matchLabels": selector(server.name)},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": _template(server, settings, public_key),
        },
    }


def _template(server: VoiceServer, settings: Settings, public_key: str) -> dict[str, Any]:
    """Return the pod template: the operator's own, and what the installation adds."""
    template = {"metadata": {"labels": _pod_labels(server)}, "spec": _pod(server, settings, public_key)}
    return with_template(template, settings.inference.pod, CONTAINER, "inference.pod")


def _pod(server: VoiceServer, settings: Settings, public_key: str) -> dict[str, Any]:
    inference = settings.inference
    environment = {
        "VOICE_VOICES": f"{FOLDER}/{FILE}",
        "VOICE_CACHE": CACHE,
        "VOICE_PORT": str(inference.port),
        "HOME": "/tmp",  # noqa: S108 -- inside the container, an emptyDir of its own
    }
    if inference.bare_names:
        environment["VOICE_BARE_NAMES"] = inference.bare_names
    if settings.operator_url:
        environment["VOICE_OPERATOR_URL"] = (
            f"{settings.operator_url.rstrip('/')}/servers/{server.namespace}/{server.name}/{FILE}"
        )
    environment |= store_environment(settings, FOLDER) | inference.environment
    if server.spec.keys_secret:
        environment["VOICE_KEYS"] = API_KEYS_FOLDER
    if server.spec.tls_secret:
        environment["VOICE_TLS"] = TLS_FOLDER
    if inference.token_review:
        environment |= {"VOICE_TOKEN_REVIEW": "true"}
    if public_key:
        environment["VOICE_PUBLIC_KEY"] = public_key  # the last word: without it a server accepts any revision
    resources = server.spec.resources
    port = scheme(server.spec)
    key_volumes, key_mounts = store_keys(settings)
    access_volumes, access_mounts = _access(server, settings)
    bases, base_mounts = base_volumes(settings, *settings.bases)
    pod: dict[str, Any] = {
        **service_account(inference.service_account_name),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": pod_security(settings),
        "containers": [
            {
                "name": CONTAINER,
                **image(settings, settings.images.inference),
                "env": variables(environment),
                "ports": [{"name": port, "containerPort": inference.port, "protocol": "TCP"}],
                "startupProbe": _probe("/healthz", port, period=2, failures=150),
                # The server closes its port at SIGTERM; by then the pod must be out of all EndpointSlices.
                "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
                "livenessProbe": _probe("/healthz", port, period=10, failures=6),
                "readinessProbe": _probe("/readyz", port, period=2, failures=3),
                "resources": inference.resources if resources is None else resources.document(),
                "securityContext": container_security(),
                "volumeMounts": [
                    # A folder, not a subPath: only then does the kubelet bring later versions in.
                    {"name": "voices", "mountPath": FOLDER, "readOnly": True},
                    {"name": "cache", "mountPath": CACHE},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 -- as above
                    *key_mounts,
                    *access_mounts,
                    *base_mounts,
                ],
            }
        ],
        "volumes": [
            list_volume(server),
            scratch("cache", inference.cache),
            scratch("tmp", "1Gi"),
            *key_volumes,
            *access_volumes,
            *bases,
        ],
        "topologySpreadConstraints": _spread(server.name),
        **pull_secrets(settings),
    }
    if inference.node_selector:
        pod["nodeSelector"] = inference.node_selector
    if inference.tolerations:
        pod["tolerations"] = list(inference.tolerations)
    return pod


def _spread(name: str) -> list[dict[str, Any]]:
    """Return the wish for pods on different nodes, and in different zones where there are some."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(name)},
        }
        for key in ("kubernetes.io/hostname", "topology.kubernetes.io/zone")
    ]


def _access(server: VoiceServer, settings: Settings) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the volumes and the mounts that say who may speak (API keys, and a token to ask whose tokens are) and how.

    Folders, so that the kubelet swaps their files.
    """
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    mode = settings.pod_security.secret_mode
    if name := server.spec.keys_secret:
        volumes.append({"name": API_KEYS, "secret": {"secretName": name, "defaultMode": mode}})
        mounts.append({"name": API_KEYS, "mountPath": API_KEYS_FOLDER, "readOnly": True})
    if name := server.spec.tls_secret:
        items = [{"key": key, "path": key} for key in ("tls.crt", "tls.key")]
        volumes.append({"name": TLS, "secret": {"secretName": name, "defaultMode": mode, "items": items}})
        mounts.append({"name": TLS, "mountPath": TLS_FOLDER, "readOnly": True})
    if settings.inference.token_review:
        authorities = {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}
        token = {"path": "token", "expirationSeconds": API_TOKEN_SECONDS}
        sources: list[dict[str, Any]] = [{"serviceAccountToken": token}, {"configMap": authorities}]
        volumes.append({"name": API_ACCESS, "projected": {"sources": sources, "defaultMode": mode}})
        mounts.append({"name": API_ACCESS, "mountPath": API_ACCESS_FOLDER, "readOnly": True})
    return volumes, mounts


def _probe(path: str, port: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": port, **({"scheme": "HTTPS"} if port == "https" else {})},
        "periodSeconds": period,
        "failureThreshold": failures,
        "timeoutSeconds": 3,
    }


def _pod_labels(server: VoiceServer) -> dict[str, str]:
    """Return the labels without the operator's version: an upgrade of the operator must not restart the pods."""
    given = server_metadata(server, server.name)["labels"]
    return {name: value for name, value in given.items() if name != "app.kubernetes.io/version"}
