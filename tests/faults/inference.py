"""A server's pod without networks: it follows the list of voices, keeps the last one, and says what it has loaded."""

import http.server
import json
import threading
import urllib.error
import urllib.request
from typing import Any, Self

from dev.loaded_voices import report_of
from tests.support.voices import Object

POLL_SECONDS = 0.25


class Inference(http.server.ThreadingHTTPServer):
    """Asks each replica of the operator in turn, as a Service would lead it."""

    daemon_threads = True

    def __init__(self, namespace: str, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replicas: list[str] = []  # addresses; a lab that starts a replica adds it
        self.fails: dict[str, str] = {}  # voice id or revision -> why it cannot be loaded
        self._path = f"/servers/{namespace}/{server}/voices.json"
        self._loaded: list[Object] = []
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        for target in (self.serve_forever, self._follow):
            threading.Thread(target=target, name="inference", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.shutdown()
        self.server_close()

    def voices(self) -> list[Object]:
        """What it has loaded, as GET /v1/voices tells it."""
        return [report_of(voice, self.fails) for voice in self._loaded]

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            for replica in list(self.replicas):
                try:
                    with urllib.request.urlopen(f"{replica}{self._path}", timeout=2) as answer:  # noqa: S310 -- ours
                        self._loaded = json.load(answer)["voices"]
                    break
                except (urllib.error.URLError, OSError):
                    continue


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Inference

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "generation": 1, "data": self.server.voices()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output readable."""
