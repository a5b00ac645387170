"""``GET /v1/voices`` of servers' pods that are played: what they say is loaded."""

import http.server
import json
from typing import Any, Protocol

from tests.support.voices import Object


class LoadedVoices(Protocol):
    """What a played pod has loaded."""

    @property
    def generation(self) -> int:
        """Of the list that it has."""

    def voices(self) -> list[Object]: ...


class LoadedVoicesHandler(http.server.BaseHTTPRequestHandler):
    """Answers every GET with the voices of its server."""

    server: Any  # a server that is LoadedVoices too

    def do_GET(self) -> None:
        loaded: LoadedVoices = self.server
        voices = loaded.voices()
        body = json.dumps({"object": "list", "generation": loaded.generation, "data": voices}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output readable."""
