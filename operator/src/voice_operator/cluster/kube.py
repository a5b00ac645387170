"""Requests to the API server: plain objects in and out, bounded threads, timeouts and answers.

The official client brings credentials, TLS and connection pools. Its typed models are left out: they cost tens of
megabytes, and what arrives is checked by our own types anyway.
"""

import asyncio
import json
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote, urlencode

import urllib3
from kubernetes import client, config

from voice_operator.api.schema import API_VERSION
from voice_operator.errors import ClusterError, Conflict, NotFound
from voice_operator.metrics import Metrics
from voice_operator.reconcile.names import KindName

FIELD_MANAGER = "voice-operator"
THREADS = 8
PAGE = 500
MAX_ANSWER_BYTES = 64 << 20
REQUEST_TIMEOUT_SECONDS = (5.0, 30.0)  # connect, read

Object = dict[str, Any]

_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True)
class Resource:
    """A kind of object, as the API server's paths name it."""

    api_version: str
    plural: str

    @property
    def prefix(self) -> str:
        """The beginning of the path."""
        return f"/api/{self.api_version}" if self.api_version == "v1" else f"/apis/{self.api_version}"


VOICE_MODELS = Resource(API_VERSION, "voicemodels")
VOICE_REVISIONS = Resource(API_VERSION, "voicerevisions")
VOICE_SERVERS = Resource(API_VERSION, "voiceservers")
JOBS = Resource("batch/v1", "jobs")
DEPLOYMENTS = Resource("apps/v1", "deployments")
CONFIG_MAPS = Resource("v1", "configmaps")
SERVICES = Resource("v1", "services")
PODS = Resource("v1", "pods")
EVENTS = Resource("events.k8s.io/v1", "events")

OWN_KINDS: dict[KindName, Resource] = {
    "VoiceServer": VOICE_SERVERS,
    "VoiceRevision": VOICE_REVISIONS,
    "VoiceModel": VOICE_MODELS,
}


class Kube:
    """The API server."""

    def __init__(self, configuration: client.Configuration, metrics: Metrics) -> None:
        configuration.connection_pool_maxsize = THREADS
        self._client = client.ApiClient(configuration)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kube")
        self._metrics = metrics

    @classmethod
    def connect(cls, metrics: Metrics) -> Self:
        """Use the pod's service account, else the kubeconfig.

        Raises:
            ClusterError: there is neither.
        """
        configuration = client.Configuration()
        try:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        except config.ConfigException:
            try:
                config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
            except config.ConfigException as error:
                raise ClusterError(
                    "connecting",
                    status=0,
                    reason="NoCredentials",
                    message=f"no service account and no usable KUBECONFIG: {error}",
                ) from error
        return cls(configuration, metrics)

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return one object.

        Raises:
            NotFound: there is none.
            ClusterError: the request failed.
        """
        return await self._request("get", resource, _path(resource, namespace, name))

    async def list(
        self, resource: Resource, namespace: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[Object]:
        """Return all objects of a namespace (None: of all), read from the API server and not from a cache."""
        query = {"limit": str(PAGE)}
        if labels:
            query["labelSelector"] = ",".join(f"{name}={value}" for name, value in labels.items())
        found: list[Object] = []
        while True:
            page = await self._request("list", resource, _path(resource, namespace), query=query)
            found.extend(page.get("items") or ())
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            query["continue"] = token

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object.

        Raises:
            Conflict: it exists.
            ClusterError: the request failed.
        """
        path = _path(resource, body["metadata"]["namespace"])
        return await self._request(
            "create", resource, path, method="POST", body=body, query={"fieldManager": FIELD_MANAGER}
        )

    async def apply(self, resource: Resource, body: Object, *, subresource: str = "") -> Object:
        """Server-side apply; fields of this field manager that ``body`` leaves out are removed."""
        metadata = body["metadata"]
        path = _path(resource, metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": FIELD_MANAGER, "force": "true"}
        return await self._request("apply", resource, path, method="PATCH", body=body, content_type=_APPLY, query=query)

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Object) -> Object:
        """Merge-patch; with metadata.resourceVersion in ``patch``, optimistic concurrency control applies."""
        return await self._request(
            "patch",
            resource,
            _path(resource, namespace, name),
            method="PATCH",
            body=patch,
            content_type=_MERGE,
            query={"fieldManager": FIELD_MANAGER},
        )

    async def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object in the foreground, after its dependants; a missing object is no error."""
        try:
            await self._request(
                "delete",
                resource,
                _path(resource, namespace, name),
                method="DELETE",
                body={"kind": "DeleteOptions", "propagationPolicy": "Foreground"},
            )
        except NotFound:
            return

    def close(self) -> None:
        """Let the threads end; running requests are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.rest_client.close()

    async def _request(
        self,
        verb: str,
        resource: Resource,
        path: str,
        *,
        method: str = "GET",
        body: Object | None = None,
        content_type: str = _JSON,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        url = path + (f"?{urlencode(query)}" if query else "")
        started, code = time.monotonic(), "<error>"
        try:
            status, data = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._send, method, url, body, content_type
            )
            code = str(status)
        finally:
            self._metrics.api_requests.labels(verb, resource.plural, code).inc()
            self._metrics.api_duration.labels(verb, resource.plural).observe(time.monotonic() - started)
        return _checked(f"{method} {url}", status, data)

    def _send(self, method: str, url: str, body: Object | None, content_type: str) -> tuple[int, bytes]:
        headers = {"Accept": _JSON, "Content-Type": content_type, "User-Agent": FIELD_MANAGER}
        # The client encodes JSON by itself; any other type wants to be given as text.
        content = json.dumps(body) if content_type == _APPLY else body
        self._client.update_params_for_auth(headers, [], ["BearerToken"], url, method, body)
        try:
            answer = self._client.rest_client.request(  # type: ignore[no-untyped-call]
                method,
                self._client.configuration.host + url,
                headers=headers,
                body=content,
                _request_timeout=REQUEST_TIMEOUT_SECONDS,
            ).response
            try:
                data = answer.read(MAX_ANSWER_BYTES + 1, decode_content=True)
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, client.ApiException) as error:
            raise ClusterError(f"{method} {url}", status=0, reason="Unreachable", message=str(error)) from error
        return answer.status, data


def _path(resource: Resource, namespace: str | None, name: str = "", subresource: str = "") -> str:
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    parts = [resource.plural, *(quote(part) for part in (name, subresource) if part)]
    return f"{resource.prefix}{scope}/{'/'.join(parts)}"


def _checked(what: str, status: int, data: bytes) -> Object:
    if len(data) > MAX_ANSWER_BYTES:
        raise ClusterError(
            what, status=status, reason="TooLarge", message=f"the answer is larger than {MAX_ANSWER_BYTES} bytes"
        )
    try:
        document = json.loads(data) if data else {}
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    if status < HTTPStatus.BAD_REQUEST:
        return document
    error = NotFound if status == HTTPStatus.NOT_FOUND else Conflict if status == HTTPStatus.CONFLICT else ClusterError
    raise error(
        what, status=status, reason=str(document.get("reason", "")), message=str(document.get("message", ""))[:1000]
    )
