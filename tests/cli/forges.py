"""Servers that keep comments, and answer as GitLab and GitHub document it."""

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

TOKEN = "glpat-secret"
COMMIT = "c" * 40


class Kept(http.server.ThreadingHTTPServer):
    """A forge with one merge request, number 5, to which COMMIT belongs."""

    daemon_threads = True

    def __init__(self, handler: type["Forge"]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self.comments: list[dict[str, Any]] = []
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def add(self, author: dict[str, Any], body: str) -> None:
        self.comments.append({"id": 100 + len(self.comments), "author": author, "user": author, "body": body})


class Forge(http.server.BaseHTTPRequestHandler):
    server: Kept
    me: ClassVar[dict[str, Any]]

    def _do(self) -> None:
        url = urlsplit(self.path)
        self.server.requests.append(f"{self.command} {url.path}")
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, answer = 401, {"message": "401 Unauthorized"}
        if self.is_known():
            status, answer = self.answer(url.path, parse_qs(url.query), json.loads(data) if data else {})
        content = json.dumps(answer).encode()
        self.send_response(status)
        if status == 302:
            self.send_header("Location", answer["location"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_PATCH = _do  # noqa: N815 -- as http.server calls them

    def log_message(self, *_: Any) -> None:
        """Keep the output readable."""

    def page(self, query: dict[str, list[str]]) -> list[dict[str, Any]]:
        size, page = int(query["per_page"][0]), int(query["page"][0])
        return self.server.comments[(page - 1) * size : page * size]

    def write(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.server.add(self.me, body["body"])
        return 201, self.server.comments[-1]

    def rewrite(self, number: str, body: dict[str, Any]) -> tuple[int, Any]:
        one = next(one for one in self.server.comments if one["id"] == int(number))
        one["body"] = body["body"]
        return 200, one

    def is_known(self) -> bool:
        raise NotImplementedError

    def answer(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
        raise NotImplementedError


class GitLab(Forge):
    """Merge request notes: docs.gitlab.com/api/notes."""

    me: ClassVar = {"id": 7, "username": "project_42_bot"}

    def is_known(self) -> bool:
        return self.headers.get("PRIVATE-TOKEN") == TOKEN

    def answer(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
        notes, commits = "/api/v4/projects/42/merge_requests/5/notes", "/api/v4/projects/42/repository/commits"
        told: dict[str, Any] = {
            "/api/v4/user": self.me,
            f"{commits}/{COMMIT}/merge_requests": [{"id": 999, "iid": 5, "state": "merged"}],
            f"{commits}/lonely/merge_requests": [],
        }
        if path in told:
            return 200, told[path]
        if path == notes:
            return (200, self.page(query)) if self.command == "GET" else self.write(body)
        if path.startswith(f"{notes}/") and self.command == "PUT":
            return self.rewrite(path.rpartition("/")[2], body)
        if path.startswith("/api/v4/projects/13/"):
            return 302, {"location": f"{self.server.url}/elsewhere"}
        return 404, {"message": "404 Project Not Found"}


class GitHub(Forge):
    """Issue comments: docs.github.com/rest/issues/comments; a job's token may not ask who it is."""

    me: ClassVar = {"id": 41898282, "login": "github-actions[bot]", "type": "Bot"}

    def is_known(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def answer(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/user":
            return 403, {"message": "Resource not accessible by integration"}
        if path == f"/repos/school/voices/commits/{COMMIT}/pulls":
            return 200, [{"id": 999, "number": 5, "state": "closed"}]
        if path == "/repos/school/voices/issues/5/comments":
            return (200, self.page(query)) if self.command == "GET" else self.write(body)
        if path.startswith("/repos/school/voices/issues/comments/") and self.command == "PATCH":
            return self.rewrite(path.rpartition("/")[2], body)
        return 404, {"message": "Not Found"}


@contextmanager
def running(handler: type[Forge]) -> Iterator[Kept]:
    """Run one."""
    with Kept(handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def job(kept: Kept, **more: str) -> dict[str, str]:
    """The variables of a job of a push to the default branch."""
    if kept.RequestHandlerClass is GitLab:
        own = {"CI_API_V4_URL": f"{kept.url}/api/v4", "CI_PROJECT_ID": "42", "CI_COMMIT_SHA": COMMIT}
    else:
        own = {"GITHUB_API_URL": kept.url, "GITHUB_REPOSITORY": "school/voices", "GITHUB_SHA": COMMIT}
    return {"VOICE_COMMENT_TOKEN": TOKEN, **own, **more}
