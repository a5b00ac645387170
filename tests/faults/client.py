"""An administrator with a connection that stays open: kubectl is too slow for thousands of looks."""

import http.client
import json
import threading
import time
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from dev.kubeconfig import credentials_of
from tests.support.voices import Object

OURS = "/apis/voice.sovits.dev/v1alpha1"
PREFIXES = {
    "voicemodels": OURS,
    "voicerevisions": OURS,
    "voiceservers": OURS,
    "jobs": "/apis/batch/v1",
    "deployments": "/apis/apps/v1",
    "events": "/apis/events.k8s.io/v1",
    "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "leases": "/apis/coordination.k8s.io/v1",
    "workloads": "/apis/kueue.x-k8s.io/v1beta2",
    "poddisruptionbudgets": "/apis/policy/v1",
    "customresourcedefinitions": "/apis/apiextensions.k8s.io/v1",
}
CORE = "/api/v1"
ATTEMPTS = 3
RETRY_SECONDS = 1.0
FIELD_MANAGER = "faults"


class ApiFailed(Exception):
    """The API server refused."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Client:
    """Objects of one namespace, by the plural of their kind. Safe in threads: each has its own connection."""

    def __init__(self, kubeconfig: Path, namespace: str, headers: Mapping[str, str] | None = None) -> None:
        """``headers`` go with every request, such as those by which an administrator acts as somebody else."""
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        self._address, self._tls = credentials_of(kubeconfig)
        self._headers = dict(headers or {})
        self._local = threading.local()
        self._open: list[http.client.HTTPSConnection] = []

    def get(self, kind: str, name: str) -> Object:
        return self.request("GET", self.path(kind, name))

    def find(self, kind: str, name: str) -> Object | None:
        """The object, or None where there is none."""
        try:
            return self.get(kind, name)
        except ApiFailed as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def objects(self, kind: str, labels: str = "") -> list[Object]:
        query = f"?labelSelector={quote(labels)}" if labels else ""
        items: list[Object] = self.request("GET", self.path(kind) + query)["items"]
        return items

    def create(self, kind: str, document: Object) -> Object:
        return self.request("POST", self.path(kind), document)

    def apply(self, document: Object) -> Object:
        kind = f"{document['kind'].lower()}s"
        path = f"{self.path(kind, document['metadata']['name'])}?fieldManager={FIELD_MANAGER}&force=true"
        return self.request("PATCH", path, document, "application/apply-patch+yaml")

    def patch(self, kind: str, name: str, change: Object, *, status: bool = False) -> None:
        path = self.path(kind, name) + ("/status" if status else "")
        self.request("PATCH", path, change, "application/merge-patch+json")

    def delete(self, kind: str, name: str, *, propagation: str = "Background") -> None:
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": propagation}
        self.request("DELETE", self.path(kind, name), options)

    def watch(self, kind: str, version: str, seconds: int) -> Iterator[Object]:
        """Events after a resourceVersion, on a connection of their own, until the API server ends the watch."""
        connection = self._connect(timeout=seconds + 5)
        try:
            query = f"watch=1&resourceVersion={version}&timeoutSeconds={seconds}"
            connection.request("GET", f"{self.path(kind)}?{query}")
            answer = connection.getresponse()
            while line := answer.readline():
                yield json.loads(line)
        except http.client.HTTPException as error:
            raise ConnectionError(f"watch of {kind}: {error}") from error
        finally:
            connection.close()

    def close(self) -> None:
        for connection in self._open:
            connection.close()

    def path(self, kind: str, name: str = "") -> str:
        if kind == "namespaces":
            scope = f"{CORE}/namespaces"
        elif kind == "customresourcedefinitions":
            scope = f"{PREFIXES[kind]}/{kind}"
        else:
            scope = f"{PREFIXES.get(kind, CORE)}/namespaces/{self.namespace}/{kind}"
        return f"{scope}/{name}" if name else scope

    def request(self, method: str, path: str, body: Object | None = None, kind: str = "application/json") -> Any:
        """Ask; where a connection breaks, ask again: the API server may just be restarting."""
        for attempt in range(ATTEMPTS):
            try:
                return self._once(method, path, body, kind)
            except (OSError, http.client.HTTPException) as error:
                self._local.connection.close()
                if attempt == ATTEMPTS - 1:
                    raise ConnectionError(f"{method} {path}: {error}") from error
                time.sleep(RETRY_SECONDS * attempt)
        raise AssertionError

    def _once(self, method: str, path: str, body: Object | None, kind: str) -> Any:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(timeout=30)
            self._open.append(connection)
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": kind, **self._headers})
        answer = connection.getresponse()
        document = json.loads(answer.read() or b"{}")
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiFailed(answer.status, str(document.get("message", "")))
        return document

    def _connect(self, timeout: float) -> http.client.HTTPSConnection:
        server = urlsplit(self._address)
        assert server.hostname
        return http.client.HTTPSConnection(server.hostname, server.port, context=self._tls, timeout=timeout)
