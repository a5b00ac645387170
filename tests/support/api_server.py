"""A small API server in the test's own process: it fails as the test wants, which no real one does on request."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

Object = dict[str, Any]
KINDS = {
    "v1": {"namespaces": "Namespace"},
    "apiextensions.k8s.io/v1": {"customresourcedefinitions": "CustomResourceDefinition"},
    "batch/v1": {"jobs": "Job"},
    "coordination.k8s.io/v1": {"leases": "Lease"},
    "voice.sovits.dev/v1alpha1": {
        "voicemodels": "VoiceModel",
        "voicerevisions": "VoiceRevision",
        "voiceservers": "VoiceServer",
    },
}
CLUSTER_SCOPED = {"v1", "apiextensions.k8s.io/v1"}  # of these versions everything that is here
PATH = re.compile(r"/(?:api|apis/[^/]+)/[^/]+(?:/namespaces/([^/]+))?/([^/]+)(?:/(.+))?")


@dataclass
class ApiServer:
    """What the API server's documentation promises of lists and watches, and a switch for each way to break it."""

    version: int = 100
    compacted: int = 0  # watches from before this version are answered with 410
    mute: bool = False  # watches stay open and silent
    loses: Callable[[Object], bool] = lambda _: False  # events that no watch gets
    answers: list[int] = field(default_factory=list)  # HTTP statuses of the next requests, instead of what they ask for
    refuses: Callable[[web.Request], bool] = lambda _: False  # requests that are answered with 500
    forbids: Callable[[web.Request], str] = lambda _: ""  # requests that are answered with 403, and why
    requests: list[str] = field(default_factory=list)
    webhook: Callable[[Object], None] = lambda _: None  # changes what clients write
    between_pages: Callable[[], None] = lambda: None
    url: str = ""
    objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)  # by plural, namespace, name
    _events: list[tuple[int, str, Object]] = field(default_factory=list)  # version, plural, event
    _snapshots: dict[str, tuple[int, list[Object]]] = field(default_factory=dict)
    _rounds: int = 0  # watches of earlier rounds end
    _connections: set[asyncio.Transport] = field(default_factory=set)

    def put(self, name: str, *, plural: str = "jobs", namespace: str = "studio", **about: Any) -> Object:
        """Create or change an object."""
        key = (plural, namespace, name)
        metadata = {"namespace": namespace, "name": name, "uid": f"uid-{name}", "resourceVersion": self._next()}
        known = key in self.objects
        self.objects[key] = {"metadata": metadata | about.pop("metadata", {})} | about
        self._tell(plural, "MODIFIED" if known else "ADDED", self.objects[key])
        return self.objects[key]

    def delete(self, name: str, *, plural: str = "jobs", namespace: str = "studio") -> None:
        item = self.objects.pop((plural, namespace, name))
        last = item | {"metadata": item["metadata"] | {"resourceVersion": self._next()}}
        self._tell(plural, "DELETED", last)

    def send(self, event: Object, plural: str = "jobs") -> None:
        """Send an event of any kind to the watches of now."""
        self._next()
        self._tell(plural, event["type"], event["object"])

    def bookmark(self, plural: str = "jobs") -> int:
        """Tell the watches the present version, and return it."""
        self._tell(plural, "BOOKMARK", {"metadata": {"resourceVersion": self._next()}})
        return self.version

    def expire(self) -> None:
        """Compact the history: no watch may begin before now."""
        self.compacted = self.version

    def end_watches(self) -> None:
        """End all watches in order, as an API server does after the seconds that it was asked for."""
        self._rounds += 1

    def disconnect(self) -> None:
        """Cut the connections of all watches."""
        for transport in self._connections:
            transport.abort()

    def watched(self) -> list[str]:
        """The versions that watches have begun at."""
        return [url.split("resourceVersion=")[1].split("&")[0] for url in self.requests if "watch=true" in url]

    def listed(self) -> int:
        """How many lists began."""
        return sum("watch=true" not in url and "limit=" in url and "continue=" not in url for url in self.requests)

    def _next(self) -> str:
        self.version += 1
        return str(self.version)

    def _tell(self, plural: str, kind: str, item: Object) -> None:
        event = {"type": kind, "object": json.loads(json.dumps(item))}
        if not self.loses(event):
            self._events.append((self.version, plural, event))

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request.raw_path)
        if (refusal := self._refusal(request)) is not None:
            return refusal
        path = PATH.fullmatch(request.path)
        if path is None:
            return web.json_response(_discovery(request.path))
        namespace, plural, name = path.groups()
        if request.method != "GET":
            return self._write((plural, namespace, name), await request.json(), merging=request.method == "PATCH")
        if name is not None:
            found = self.objects.get((plural, str(namespace), name))
            missing = {"reason": "NotFound", "message": "there is none"}
            return web.json_response(found or missing, status=200 if found else 404)
        if "watch" in request.query:
            return await self._watch(request, plural, namespace)
        return self._list(request, plural, namespace)

    def _refusal(self, request: web.Request) -> web.Response | None:
        if message := self.forbids(request):
            return web.json_response({"code": 403, "reason": "Forbidden", "message": message}, status=403)
        if not self.answers and not self.refuses(request):
            return None
        status = self.answers.pop(0) if self.answers else 500
        return web.json_response({"code": status, "reason": "Made", "message": "as the test wants"}, status=status)

    def _write(self, key: tuple[str, str, str | None], item: Object, *, merging: bool) -> web.Response:
        """Create, replace what has the resource version that the client read, or merge; a webhook has the last word."""
        plural, namespace, path = key
        name, _, subresource = (path or item["metadata"]["name"]).partition("/")
        known = self.objects.get((plural, namespace, name), {"metadata": {"namespace": namespace, "name": name}})
        metadata = known["metadata"]
        if not merging and item["metadata"].get("resourceVersion") != metadata.get("resourceVersion"):
            return web.json_response({"reason": "Conflict", "message": "somebody else was faster"}, status=409)
        about = metadata if subresource else metadata | item.get("metadata", {})
        changed = json.loads(json.dumps((known if merging else {}) | item | {"metadata": about}))
        self.webhook(changed)
        if changed != known:
            changed["metadata"] |= {"resourceVersion": self._next(), "uid": metadata.get("uid", f"uid-{name}")}
            changed["metadata"].setdefault("creationTimestamp", "2026-11-20T00:00:00Z")
            self.objects[plural, namespace, name] = changed
            self._tell(plural, "MODIFIED" if "uid" in metadata else "ADDED", changed)
        return web.json_response(changed)

    def _list(self, request: web.Request, plural: str, namespace: str | None) -> web.Response:
        label = request.query.get("labelSelector", "")
        token = request.query.get("continue", "")
        if token and token not in self._snapshots:
            return web.json_response({"reason": "Expired", "message": "the token is too old"}, status=410)
        if token:
            version, items = self._snapshots.pop(token)
        else:
            version = self.version
            items = [
                json.loads(json.dumps(item))
                for (kind, where, _), item in sorted(self.objects.items())
                if kind == plural and _selects(namespace, label, item)
            ]
        limit = int(request.query.get("limit", "500"))
        metadata = {"resourceVersion": str(version)}
        if len(items) > limit:
            metadata["continue"] = f"token-{len(self.requests)}"
            self._snapshots[metadata["continue"]] = version, items[limit:]
            self.between_pages()
        return web.json_response({"metadata": metadata, "items": items[:limit]})

    async def _watch(self, request: web.Request, plural: str, namespace: str | None) -> web.StreamResponse:
        label = request.query.get("labelSelector", "")
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        begin, sent, round_ = int(request.query["resourceVersion"]), 0, self._rounds
        if begin < self.compacted:
            gone = {"code": 410, "reason": "Expired", "message": "too old resource version"}
            await answer.write(_line({"type": "ERROR", "object": gone}))
            return answer
        assert isinstance(request.transport, asyncio.Transport)
        self._connections.add(request.transport)
        try:
            while self._rounds == round_:
                for version, kind, event in [] if self.mute else self._events[sent:]:
                    sent += 1
                    chosen = event["type"] in {"BOOKMARK", "ERROR"} or _selects(namespace, label, event["object"])
                    if version > begin and kind == plural and chosen:
                        await answer.write(_line(event))
                await asyncio.sleep(0.002)
        except ConnectionError:
            pass
        finally:
            self._connections.discard(request.transport)
        return answer


def _line(event: Object) -> bytes:
    return json.dumps(event).encode() + b"\n"


def _selects(namespace: str | None, label: str, item: Object) -> bool:
    name, _, value = label.partition("=")
    labels = item["metadata"].get("labels") or {}
    labelled = not label or (name in labels and value in {"", labels[name]})
    return namespace in {None, item["metadata"]["namespace"]} and labelled


def _discovery(path: str) -> Object:
    """Answer as /api, /apis, and a group's own path do."""
    groups = []
    for known in KINDS:
        name, _, version = known.rpartition("/")
        found = {"groupVersion": known, "version": version}
        groups.append({"name": name, "versions": [found], "preferredVersion": found})
    version = path.removeprefix("/api/").removeprefix("/apis/")
    about = {"singularName": "", "namespaced": version not in CLUSTER_SCOPED, "verbs": ["list", "watch", "patch"]}
    resources = [{"name": plural, "kind": kind} | about for plural, kind in KINDS.get(version, {}).items()]
    return {"versions": ["v1"], "groups": groups, "resources": resources}


@asynccontextmanager
async def serving(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Answer every request so; gives the server's address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def an_api_server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    async with serving(server.answer) as server.url:
        yield server


async def eventually(what: str, poll: Callable[[], Any], seconds: float = 5) -> None:
    """Wait until ``poll`` is true."""
    try:
        async with asyncio.timeout(seconds):
            while not poll():  # noqa: ASYNC110 -- whatever it is, nobody tells
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"waited {seconds} s for {what}")
