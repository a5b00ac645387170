"""Requests to the API server: plain objects in and out, with bounded connections, timeouts and answers.

aiohttp carries the requests, kopf reads the credentials (docs/decisions/0012): both are there for the watches already.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import kopf
from yarl import URL

from voice_operator.api.schema import API_VERSION
from voice_operator.cluster.answers import read_bounded
from voice_operator.errors import AnswerTooLarge, ClusterError, Conflict, NotFound
from voice_operator.metrics import Metrics
from voice_operator.reconcile.names import KindName

FIELD_MANAGER = "voice-operator"
CONNECTIONS = 8
PAGE = 500
MAX_ANSWER_BYTES = 64 << 20
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)  # seconds
CREDENTIALS_SECONDS = 60.0

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


ERRORS: dict[int, type[ClusterError]] = {HTTPStatus.NOT_FOUND: NotFound, HTTPStatus.CONFLICT: Conflict}


class Kube:
    """The API server."""

    def __init__(self, load_credentials: Callable[[], kopf.ConnectionInfo], metrics: Metrics) -> None:
        self._load_credentials = load_credentials
        self._credentials = load_credentials()
        self._loaded_at = time.monotonic()
        self._session: aiohttp.ClientSession | None = None
        self._metrics = metrics

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return one object.

        Raises:
            NotFound: there is none.
            ClusterError: the request failed.
        """
        return await self._request("get", resource, _path(resource, namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        labels: Mapping[str, str] | None = None,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """Return all objects of a namespace (None: of all), read from the API server and not from a cache."""
        query = {"limit": str(PAGE)}
        for selector, pairs in (("labelSelector", labels), ("fieldSelector", fields)):
            if pairs:
                query[selector] = ",".join(f"{name}={value}" for name, value in pairs.items())
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

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

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
            status, data = await self._send(method, url, body, content_type)
            code = str(status)
        finally:
            self._metrics.api_requests.labels(verb, resource.plural, code).inc()
            self._metrics.api_duration.labels(verb, resource.plural).observe(time.monotonic() - started)
        return _checked(f"{method} {url}", status, data)

    async def _send(self, method: str, url: str, body: Object | None, content_type: str) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        headers = self._authorization() | {"Accept": _JSON, "Content-Type": content_type, "User-Agent": FIELD_MANAGER}
        content = None if body is None else json.dumps(body).encode()
        address = URL(self._credentials.server.rstrip("/") + url, encoded=True)
        try:
            async with self._connections().request(
                method, address, headers=headers, data=content, allow_redirects=False
            ) as answer:
                data = await read_bounded(answer, MAX_ANSWER_BYTES)
        except AnswerTooLarge as error:
            raise ClusterError(f"{method} {url}", reason="TooLarge", message=str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = str(error) or type(error).__name__
            raise ClusterError(f"{method} {url}", reason="Unreachable", message=message) from error
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._loaded_at = float("-inf")  # the next request reads the credentials anew
        return answer.status, data

    def _authorization(self) -> dict[str, str]:
        """Return the header that proves who asks, from files that are read again every minute: tokens are rotated."""
        if time.monotonic() - self._loaded_at > CREDENTIALS_SECONDS:
            self._credentials = self._load_credentials()
            self._loaded_at = time.monotonic()
        return self._credentials.as_http_headers()

    def _connections(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=CONNECTIONS, ssl=self._credentials.as_ssl_context()),
                timeout=TIMEOUT,
                proxy=self._credentials.proxy_url,
                trust_env=self._credentials.trust_env,
            )
        return self._session


def _path(resource: Resource, namespace: str | None, name: str = "", subresource: str = "") -> str:
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    parts = [resource.plural, *(quote(part) for part in (name, subresource) if part)]
    return f"{resource.prefix}{scope}/{'/'.join(parts)}"


def _checked(request: str, status: int, data: bytes) -> Object:
    """Return the object that the API server sent, or raise its Status as an error."""
    try:
        document = json.loads(data) if data else {}
    except ValueError:
        document = {}
    if not isinstance(document, dict):
        document = {}
    if status < HTTPStatus.BAD_REQUEST:
        return document
    error = ERRORS.get(status, ClusterError)
    reason = str(document.get("reason") or f"HTTP status {status}")
    raise error(request, reason=reason, message=str(document.get("message", ""))[:1000])
