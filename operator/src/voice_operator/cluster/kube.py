"""Requests to the API server: plain objects in and out, with bounded connections, timeouts and answers.

aiohttp carries the requests, kopf reads the credentials (docs/decisions/0012): both are there for the watches already.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

import aiohttp
import kopf
from yarl import URL

from voice_operator.api.schema import API_VERSION
from voice_operator.cluster.answers import read_bounded
from voice_operator.errors import AnswerTooLarge, ClusterError, Conflict, Expired, NotFound
from voice_operator.metrics import Metrics
from voice_operator.reconcile.names import KindName
from voice_operator.reconcile.times import CLOCK_TOLERANCE

FIELD_MANAGER = "voice-operator"
CONNECTIONS = 16
LIST_CONNECTIONS = 4  # of their own: long answers must not keep short requests waiting
UNBOUNDED = 0  # connections of watches, which stay open, and of leases, which must not wait for others
PAGE = 500  # objects in an answer, at most
FIRST_PAGE = 50  # while it is not known how large they are
PAGE_BYTES = 2 << 20  # of an answer, about: parsed, it takes several times as much
MAX_ANSWER_BYTES = 16 << 20  # an object has at most 1.5 MiB
TIMEOUT = aiohttp.ClientTimeout(
    total=45, connect=20, sock_connect=5, sock_read=20
)  # seconds; a wait for a connection included
WATCH_SECONDS = 300  # the API server ends a watch after this time
SILENCE_SECONDS = 90.0  # of a watch; the API server sends a bookmark each minute
WATCH_TIMEOUT = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30, sock_connect=5, sock_read=SILENCE_SECONDS)
MAX_EVENT_BYTES = 4 << 20  # an object has at most 1.5 MiB
CREDENTIALS_SECONDS = 60.0
MAX_RETRY_AFTER_SECONDS = 30.0
THROTTLED_ATTEMPTS = 4

Object = dict[str, Any]

_JSON = "application/json"
_MERGE = "application/merge-patch+json"
_APPLY = "application/apply-patch+yaml"
_PLAIN = {"Accept-Encoding": "identity"}  # compressing large answers would keep the API server busy


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
SECRETS = Resource("v1", "secrets")
SERVICES = Resource("v1", "services")
PODS = Resource("v1", "pods")
EVENTS = Resource("events.k8s.io/v1", "events")
LEASES = Resource("coordination.k8s.io/v1", "leases")
AUTOSCALERS = Resource("autoscaling/v2", "horizontalpodautoscalers")
WORKLOADS = Resource("kueue.x-k8s.io/v1beta2", "workloads")  # Kueue 0.15 or newer
DISRUPTION_BUDGETS = Resource("policy/v1", "poddisruptionbudgets")

OWN_KINDS: dict[KindName, Resource] = {
    "VoiceServer": VOICE_SERVERS,
    "VoiceRevision": VOICE_REVISIONS,
    "VoiceModel": VOICE_MODELS,
}


ERRORS: dict[int, type[ClusterError]] = {
    HTTPStatus.NOT_FOUND: NotFound,
    HTTPStatus.CONFLICT: Conflict,
    HTTPStatus.GONE: Expired,
}


@dataclass(frozen=True)
class Page:
    """A part of a list; all parts have the resource version of the first."""

    items: list[Object]
    version: int


@dataclass(frozen=True)
class _Call:
    """A request, and what metrics call it."""

    verb: str
    resource: Resource
    path: str
    method: str = "GET"
    body: Object | None = None
    content_type: str = _JSON
    query: Mapping[str, str] | None = None

    @property
    def url(self) -> str:
        """The path with the query."""
        return self.path + (f"?{urlencode(self.query)}" if self.query else "")


class Kube:
    """The API server."""

    def __init__(self, load_credentials: Callable[[], kopf.ConnectionInfo], metrics: Metrics) -> None:
        self._load_credentials = load_credentials
        self._credentials = load_credentials()
        self._loaded_at = time.monotonic()
        self._sessions: dict[int, aiohttp.ClientSession] = {}
        self._metrics = metrics
        self._throttled_until = 0.0
        self.skew = timedelta()  # of this machine's clock, ahead of the API server's; of some seconds: none
        self._page_sizes: dict[Resource, int] = {}  # objects in the next answer
        self.fence: Callable[[], None] = lambda: None  # called before each write; raises where this process may not

    async def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """Return one object.

        Raises:
            NotFound: there is none.
            ClusterError: the request failed.
        """
        return await self._object(_Call("get", resource, _path(resource, namespace, name)))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        labels: Mapping[str, str | None] | None = None,
        *,
        fields: Mapping[str, str] | None = None,
    ) -> list[Object]:
        """Return all objects of a namespace (None: of all), read from the API server and not from a cache."""
        return [item async for page in self.pages(resource, namespace, labels, fields) for item in page.items]

    async def pages(
        self,
        resource: Resource,
        namespace: str | None = None,
        labels: Mapping[str, str | None] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Page]:
        """Yield all objects of a namespace (None: of all) as one consistent state, PAGE at a time or fewer.

        Pages have as many objects as make about PAGE_BYTES. One that is too large is asked for again with fewer, and
        after one that was too slow the next list begins with fewer: no object keeps the others from being listed.
        ``labels`` have to be equal; with None as value the label only has to be there.

        Raises:
            Expired: the list took longer than the API server keeps its state.
            ClusterError: the request failed.
        """
        query = _selector(labels)
        if fields:
            query["fieldSelector"] = ",".join(f"{name}={value}" for name, value in fields.items())
        while True:
            page = await self._page(resource, _path(resource, namespace), query)
            metadata = page.get("metadata") or {}
            version = str(metadata.get("resourceVersion", ""))
            if not version.isdecimal():  # taken for an empty list of version 0, it would make the cache forget all
                message = f"a list without a resourceVersion ({version!r}); is this the API server?"
                raise ClusterError(f"GET {_path(resource, namespace)}", reason="InvalidAnswer", message=message)
            yield Page(page.pop("items", None) or [], int(version))
            if not metadata.get("continue"):
                return
            query["continue"] = metadata["continue"]

    async def _page(self, resource: Resource, path: str, query: Mapping[str, str]) -> Object:
        """Return a part of a list, and note how many objects the next one should have."""
        while True:
            size = self._page_sizes.get(resource, FIRST_PAGE)
            try:
                status, data = await self._ask(_Call("list", resource, path, query={"limit": str(size), **query}))
            except ClusterError as error:
                self._page_sizes[resource] = max(size // 4, 1)
                if error.reason != "TooLarge" or size == 1:
                    raise
                continue
            page = _checked(f"GET {path}", status, data)
            fitting = PAGE_BYTES * max(len(page.get("items") or ()), 1) // len(data)
            self._page_sizes[resource] = max(min(fitting, 2 * size, PAGE), 1)
            return page

    async def watch(
        self, resource: Resource, namespace: str | None, labels: Mapping[str, str | None] | None, version: str
    ) -> AsyncIterator[Object]:
        """Yield the events after resource version ``version``, bookmarks included, until the API server ends the watch.

        Raises:
            Expired: the version is too old; list again.
            ClusterError: the watch failed, or was silent for SILENCE_SECONDS.
        """
        query = {"watch": "true", "allowWatchBookmarks": "true", "resourceVersion": version}
        query |= {"timeoutSeconds": str(WATCH_SECONDS)} | _selector(labels)
        url = f"{_path(resource, namespace)}?{urlencode(query)}"
        await self._wait_while_throttled()
        try:
            async with self._open("GET", url, timeout=WATCH_TIMEOUT, connections=UNBOUNDED) as answer:
                self._note_status(answer)
                if answer.status >= HTTPStatus.BAD_REQUEST:
                    _checked(f"GET {url}", answer.status, await read_bounded(answer, MAX_ANSWER_BYTES))
                async for line in _lines(answer):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        failure = event["object"]
                        _checked(f"GET {url}", int(failure.get("code", 500)), json.dumps(failure).encode())
                    yield event
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, AnswerTooLarge) as error:
            message = str(error) or type(error).__name__
            raise ClusterError(f"GET {url}", reason="Unreachable", message=message) from error

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object.

        Raises:
            Conflict: it exists.
            ClusterError: the request failed.
        """
        path = _path(resource, body["metadata"]["namespace"])
        query = {"fieldManager": FIELD_MANAGER}
        return await self._object(_Call("create", resource, path, "POST", body, query=query))

    async def apply(
        self, resource: Resource, body: Object, *, subresource: str = "", manager: str = FIELD_MANAGER
    ) -> Object:
        """Server-side apply; fields of this field manager that ``body`` leaves out are removed."""
        metadata = body["metadata"]
        path = _path(resource, metadata["namespace"], metadata["name"], subresource)
        query = {"fieldManager": manager, "force": "true"}
        return await self._object(_Call("apply", resource, path, "PATCH", body, _APPLY, query))

    async def merge(
        self, resource: Resource, namespace: str, name: str, patch: Object, *, subresource: str = ""
    ) -> Object:
        """Merge-patch; with metadata.resourceVersion in ``patch``, optimistic concurrency control applies."""
        path, query = _path(resource, namespace, name, subresource), {"fieldManager": FIELD_MANAGER}
        return await self._object(_Call("patch", resource, path, "PATCH", patch, _MERGE, query))

    async def replace(self, resource: Resource, body: Object) -> Object:
        """Write a whole object; with metadata.resourceVersion, optimistic concurrency control applies."""
        metadata = body["metadata"]
        path = _path(resource, metadata["namespace"], metadata["name"])
        return await self._object(_Call("update", resource, path, "PUT", body))

    async def delete(self, resource: Resource, namespace: str, name: str) -> Object | None:
        """Delete an object in the foreground, after its dependants; return its last state, or None: it is gone."""
        options = {"kind": "DeleteOptions", "propagationPolicy": "Foreground"}
        try:
            deleted = await self._object(_Call("delete", resource, _path(resource, namespace, name), "DELETE", options))
        except NotFound:
            return None
        return deleted if "metadata" in deleted and deleted["metadata"].get("name") else None

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()

    async def _object(self, call: _Call) -> Object:
        """Return the object of the answer."""
        status, data = await self._ask(call)
        return _checked(f"{call.method} {call.url}", status, data)

    async def _ask(self, call: _Call) -> tuple[int, bytes]:
        """Return status and body of the answer; where there are too many requests, ask again later."""
        # Requests for leases wait for nothing: they have a priority level of their own at the API server, and no time.
        is_lease = call.resource == LEASES
        for attempt in range(1, THROTTLED_ATTEMPTS + 1):
            if not is_lease:
                await self._wait_while_throttled()
                if call.method != "GET":
                    self.fence()  # after the wait, in which the lease may have ended
            started, code = time.monotonic(), "<error>"
            try:
                connections = UNBOUNDED if is_lease else LIST_CONNECTIONS if call.verb == "list" else CONNECTIONS
                status, data = await self._send(call, connections)
                code = str(status)
            finally:
                self._metrics.api_requests.labels(call.verb, call.resource.plural, code).inc()
                duration = self._metrics.api_duration.labels(call.verb, call.resource.plural)
                duration.observe(time.monotonic() - started)
            if status != HTTPStatus.TOO_MANY_REQUESTS or attempt == THROTTLED_ATTEMPTS or is_lease:
                break
        return status, data

    async def _wait_while_throttled(self) -> None:
        """Wait as long as the API server asked all its clients to, in its last answer with 429."""
        while (seconds := self._throttled_until - time.monotonic()) > 0:  # noqa: ASYNC110 -- it may become longer
            await asyncio.sleep(seconds)

    def _note_status(self, answer: aiohttp.ClientResponse) -> None:
        """Note what an answer says about later requests."""
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._loaded_at = float("-inf")  # the next request reads the credentials anew
        self.skew = _skew(answer.headers.get("Date", ""), datetime.now(UTC)) or self.skew
        if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            until = time.monotonic() + _retry_after(answer.headers.get("Retry-After", ""))
            self._throttled_until = max(self._throttled_until, until)

    async def _send(self, call: _Call, connections: int) -> tuple[int, bytes]:
        """Return status and body of the answer."""
        content, request = None if call.body is None else json.dumps(call.body).encode(), f"{call.method} {call.url}"
        try:
            async with self._open(call.method, call.url, content, call.content_type, connections=connections) as answer:
                self._note_status(answer)
                data = await read_bounded(answer, MAX_ANSWER_BYTES)
        except AnswerTooLarge as error:
            raise ClusterError(request, reason="TooLarge", message=str(error)) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            message = str(error) or type(error).__name__
            raise ClusterError(request, reason="Unreachable", message=message) from error
        return answer.status, data

    def _open(
        self,
        method: str,
        url: str,
        content: bytes | None = None,
        content_type: str = _JSON,
        *,
        timeout: aiohttp.ClientTimeout | None = None,
        connections: int = CONNECTIONS,
    ) -> Any:  # aiohttp's type is private
        about = {"Accept": _JSON, "Content-Type": content_type, "User-Agent": FIELD_MANAGER} | _PLAIN
        headers = self._authorization() | about
        address = URL(self._credentials.server.rstrip("/") + url, encoded=True)
        return self._session(connections).request(
            method, address, headers=headers, data=content, allow_redirects=False, timeout=timeout or TIMEOUT
        )

    def _authorization(self) -> dict[str, str]:
        """Return the header that proves who asks, from files that are read again every minute: tokens are rotated."""
        if time.monotonic() - self._loaded_at > CREDENTIALS_SECONDS:
            self._credentials = self._load_credentials()
            self._loaded_at = time.monotonic()
        return self._credentials.as_http_headers()

    def _session(self, connections: int) -> aiohttp.ClientSession:
        """Return the session with so many connections at most."""
        if connections not in self._sessions:
            self._sessions[connections] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=connections, ssl=self._credentials.as_ssl_context()),
                proxy=self._credentials.proxy_url,
                trust_env=self._credentials.trust_env,
            )
        return self._sessions[connections]


def _selector(labels: Mapping[str, str | None] | None) -> dict[str, str]:
    if not labels:
        return {}
    return {"labelSelector": ",".join(name if value is None else f"{name}={value}" for name, value in labels.items())}


def _retry_after(header: str) -> float:
    """Return the seconds that a Retry-After header asks for; the API server sends whole seconds."""
    return min(float(header), MAX_RETRY_AFTER_SECONDS) if header.isdecimal() else 1.0


def _skew(header: str, now: datetime) -> timedelta | None:
    """Return by how much a clock is ahead of the one that wrote a Date header, to the second; None: that has none."""
    try:
        ahead = now - parsedate_to_datetime(header).astimezone(UTC)
    except ValueError:
        return None
    return ahead if abs(ahead) > CLOCK_TOLERANCE else timedelta()


async def _lines(answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Yield the lines of a stream.

    Raises:
        AnswerTooLarge: a line is longer than MAX_EVENT_BYTES.
    """
    pending = b""
    async for chunk in answer.content.iter_any():
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line
        if len(pending) > MAX_EVENT_BYTES:
            raise AnswerTooLarge(f"{answer.url}: a watch event is larger than {MAX_EVENT_BYTES} bytes")


def _path(resource: Resource, namespace: str | None, name: str = "", subresource: str = "") -> str:
    scope = f"/namespaces/{quote(namespace)}" if namespace else ""
    parts = [resource.plural, *(quote(part) for part in (name, subresource) if part)]
    return f"{resource.prefix}{scope}/{'/'.join(parts)}"


def _checked(request: str, status: int, data: bytes) -> Object:
    """Return the object that the API server sent, or raise its Status as an error.

    Raises:
        ClusterError: it refused, or sent something else: taken for an empty list, that would make the cache forget all.
    """
    try:
        document = json.loads(data) if data else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        if status < HTTPStatus.BAD_REQUEST:
            raise ClusterError(request, reason="InvalidAnswer", message=f"{len(data)} bytes that are no JSON object")
        document = {}
    if status < HTTPStatus.BAD_REQUEST:
        return document
    error = ERRORS.get(status, ClusterError)
    reason = str(document.get("reason") or f"HTTP status {status}")
    raise error(request, reason=reason, message=str(document.get("message", ""))[:1000])
