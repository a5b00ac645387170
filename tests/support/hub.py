"""A Hugging Face Hub on this machine: the part of its HTTP API that uploads, commits and lists files of models."""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_a_token_of_a_test"
LARGE = (".safetensors", ".flac")


@dataclass
class Repository:
    """What a repository holds, and how it came to."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.safetensors filter=lfs\n"})
    commits: list[str] = field(default_factory=list)
    large: dict[str, bytes] = field(default_factory=dict)  # of all commits, by SHA-256


@dataclass
class Hub:
    """The Hub's state; ``fail`` answers requests whose path matches with a status, as often as it says."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    fail: dict[str, tuple[int, int]] = field(default_factory=dict)
    endpoint: str = ""
    on_request: Callable[[str], None] = lambda _: None  # before and after each is handled, with its method and path

    def failure(self, path: str) -> int:
        """The status to answer with instead; 0: none."""
        for pattern, (status, times) in self.fail.items():
            if times and re.search(pattern, path):
                self.fail[pattern] = (status, times - 1)
                return status
        return 0


@contextmanager
def a_hub() -> Iterator[Hub]:
    """Serve an empty Hub."""
    hub = Hub()

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: Hub

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def _handle(self) -> None:
        body = self._body()
        path = self.path.partition("?")[0]
        self.state.requests.append(f"{self.command} {path}")
        if status := self.state.failure(path):
            return self._answer({"error": "made to fail"}, status)
        if not path.startswith("/objects/") and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid credentials"}, 401)
        for pattern, answer in ROUTES:
            if found := re.fullmatch(pattern, f"{self.command} {path}"):
                self.state.on_request(f"{self.command} {path}")
                result, status = answer(self.state, body, *found.groups())
                self.state.on_request(f"{self.command} {path}")
                return self._answer(result, status)
        return self._answer({"error": f"no route for {self.command} {path}"}, 501)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, result: Any, status: int) -> None:
        data = json.dumps(result).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status == HTTPStatus.NOT_FOUND:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.end_headers()
        self.wfile.write(data)


Answer = tuple[Any, int]


def _create(hub: Hub, body: bytes) -> Answer:
    asked = json.loads(body)
    name = "/".join(part for part in (asked.get("organization"), asked["name"]) if part)
    if name in hub.repositories:
        return {"error": "You already created this model repo", "url": f"{hub.endpoint}/{name}"}, 409
    hub.repositories[name] = Repository(private=bool(asked.get("private") or asked.get("visibility") == "private"))
    return {"url": f"{hub.endpoint}/{name}", "name": name}, 200


def _preupload(hub: Hub, body: bytes, name: str) -> Answer:
    files = [
        {
            "path": one["path"],
            "uploadMode": "lfs" if one["path"].endswith(LARGE) else "regular",
            "shouldIgnore": False,
        }
        for one in json.loads(body)["files"]
    ]
    return {"files": files}, 200


def _batch(hub: Hub, body: bytes, name: str) -> Answer:
    def one(asked: dict[str, Any]) -> dict[str, Any]:
        if asked["oid"] in hub.objects:
            return asked
        return asked | {"actions": {"upload": {"href": f"{hub.endpoint}/objects/{asked['oid']}"}}}

    return {"transfer": "basic", "objects": [one(asked) for asked in json.loads(body)["objects"]]}, 200


def _put(hub: Hub, body: bytes, oid: str) -> Answer:
    if hashlib.sha256(body).hexdigest() != oid:
        return {"error": "another digest"}, 422
    hub.objects[oid] = body
    return {}, 200


def _commit(hub: Hub, body: bytes, name: str) -> Answer:
    """Apply all lines of a commit, or none."""
    repository = hub.repositories[name]
    files, summary = dict(repository.files), ""
    for line in body.splitlines():
        entry = json.loads(line)
        value = entry["value"]
        if entry["key"] == "header":
            summary = value["summary"]
        elif entry["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif entry["key"] == "lfsFile":
            if value["oid"] not in hub.objects:
                return {"error": f"no object {value['oid']}"}, 400
            files[value["path"]] = repository.large[value["oid"]] = hub.objects[value["oid"]]
        elif entry["key"] == "deletedFile":
            del files[value["path"]]
    repository.files = files
    repository.commits.append(summary)
    oid = hashlib.sha1(f"{name}{len(repository.commits)}".encode()).hexdigest()  # noqa: S324 -- as git
    return {"commitUrl": f"{hub.endpoint}/{name}/commit/{oid}", "commitOid": oid, "success": True}, 200


def _tree(hub: Hub, body: bytes, name: str) -> Answer:
    if name not in hub.repositories:
        return {"error": "Repository not found"}, 404

    def one(path: str, data: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 -- git's own
        lfs = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
        return {"type": "file", "path": path, "size": len(data), "oid": blob} | (
            {"lfs": lfs} if path.endswith(LARGE) else {}
        )

    return [one(path, data) for path, data in sorted(hub.repositories[name].files.items())], 200


def _squash(hub: Hub, body: bytes, name: str) -> Answer:
    hub.repositories[name].commits[:] = [json.loads(body)["message"]]
    return {}, 200


def _large(hub: Hub, body: bytes, name: str) -> Answer:
    def one(oid: str, data: bytes) -> dict[str, Any]:
        about = {"fileOid": oid, "filename": "unknown", "oid": oid, "size": len(data)}
        return about | {"pushedAt": "2026-11-23T06:07:00.000Z", "ref": None}

    return [one(oid, data) for oid, data in sorted(hub.repositories[name].large.items())], 200


def _delete_large(hub: Hub, body: bytes, name: str) -> Answer:
    for oid in json.loads(body)["deletions"]["sha"]:
        del hub.repositories[name].large[oid], hub.objects[oid]
    return {}, 200


def _valid(hub: Hub, body: bytes) -> Answer:
    return {"errors": [], "warnings": []}, 200


ROUTES = (
    (r"POST /api/repos/create", _create),
    (r"POST /api/validate-yaml", _valid),
    (r"POST /api/models/([^/]+/[^/]+)/preupload/main", _preupload),
    (r"POST /([^/]+/[^/]+)\.git/info/lfs/objects/batch", _batch),
    (r"PUT /objects/([0-9a-f]{64})", _put),
    (r"POST /api/models/([^/]+/[^/]+)/commit/main", _commit),
    (r"GET /api/models/([^/]+/[^/]+)/tree/main", _tree),
    (r"POST /api/models/([^/]+/[^/]+)/super-squash/main", _squash),
    (r"GET /api/models/([^/]+/[^/]+)/lfs-files", _large),
    (r"POST /api/models/([^/]+/[^/]+)/lfs-files/batch", _delete_large),
)
