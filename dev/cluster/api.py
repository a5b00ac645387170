"""A small client for the Kubernetes API, with nothing but the standard library."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dev.errors import DevError

FIELD_MANAGER = "voice-operator-dev"
PLURALS = {
    "Namespace": "namespaces",
    "ServiceAccount": "serviceaccounts",
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "Secret": "secrets",
    "Service": "services",
    "Deployment": "deployments",
}


class ApiError(DevError):
    """The API server answered with an error, or not at all (status 0)."""

    def __init__(self, problem: str, status: int = 0) -> None:
        super().__init__(problem, remedy="see `python3 -m dev.cluster status` and the logs it names")
        self.status = status


@dataclass(frozen=True)
class Api:
    """One API server, and the identity we speak to it with."""

    host: str
    port: int
    authority: Path
    certificate: Path
    key: Path

    def get(self, path: str) -> dict[str, Any]:
        """Read an object."""
        found: dict[str, Any] = self.json("GET", path)
        return found

    def apply(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Server-side apply: created or brought to the wanted state, either way."""
        query = f"?fieldManager={FIELD_MANAGER}&force=true"
        applied: dict[str, Any] = self.json(
            "PATCH", path_of(manifest) + query, manifest, "application/apply-patch+yaml"
        )
        return applied

    def merge(self, path: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """Change some fields of an object."""
        merged: dict[str, Any] = self.json("PATCH", path, patch, "application/merge-patch+json")
        return merged

    def answers(self, path: str = "/readyz") -> bool:
        """Whether the server is ready."""
        try:
            self.text("GET", path)
        except (ApiError, OSError):  # OSError: certificates that are not there yet
            return False
        return True

    def json(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> Any:
        """Ask, and parse the answer."""
        return json.loads(self.text(method, path, body, kind))

    def text(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, kind: str = "application/json"
    ) -> str:
        """Ask, and return the answer as it came."""
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(self.certificate, self.key)
        connection = http.client.HTTPSConnection(self.host, self.port, context=context, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(f"the API server at {self.host}:{self.port} does not answer: {error}") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise ApiError(f"{method} {path}: {answer.status} {message_of(text)}", answer.status)
        return text


def path_of(manifest: Mapping[str, Any]) -> str:
    """Where an object lives in the API."""
    group = manifest["apiVersion"]
    root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
    metadata = manifest["metadata"]
    namespace = f"/namespaces/{metadata['namespace']}" if "namespace" in metadata else ""
    return f"{root}{namespace}/{PLURALS[manifest['kind']]}/{metadata['name']}"


def message_of(text: str) -> str:
    """The sentence in the server's error, if it is one."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.strip()[:500]


def condition(found: Mapping[str, Any], kind: str) -> bool:
    """Whether an object's status reports this condition as true."""
    conditions = found.get("status", {}).get("conditions") or []
    return any(entry["type"] == kind and entry["status"] == "True" for entry in conditions)


def wait_for(api: Api, path: str, good: Callable[[dict[str, Any]], bool], what: str, timeout: float) -> None:
    """Wait until the object at the path exists and is good."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if good(api.get(path)):
                return
        except ApiError as error:
            if error.status not in (0, 404):
                raise
        if time.monotonic() > deadline:
            raise DevError(
                f"{what} after {timeout:.0f} s",
                remedy=f"look at `kubectl get --raw {path}` and `kubectl get events -A`, or run `up` again",
            )
        time.sleep(0.3)
