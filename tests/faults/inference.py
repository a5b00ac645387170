"""The pods of servers without networks: they follow the lists of voices, keep the last ones, and say what is loaded."""

import http.server
import threading
from typing import Self

from dev.loaded_voices import report_of
from tests.support.loaded_voices import LoadedVoicesHandler
from tests.support.voice_list import VoiceLists
from tests.support.voices import Object

POLL_SECONDS = 0.25


class Inference(http.server.ThreadingHTTPServer):
    """Asks each replica of the operator in turn, as a Service would lead it."""

    daemon_threads = True

    def __init__(self, lists: VoiceLists, server: str) -> None:
        super().__init__(("127.0.0.1", 0), LoadedVoicesHandler)
        self.replicas: list[str] = []  # addresses; a lab that starts a replica adds it
        self.fails: dict[str, str] = {}  # voice id or revision -> why it cannot be loaded
        self.servers = [server]  # one answer for the pods of all: whatever one of them must serve
        self._lists = lists
        self._loaded: dict[str, list[Object]] = {}
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        for target in (self.serve_forever, self._follow):
            threading.Thread(target=target, name="inference", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.shutdown()
        self.server_close()

    @property
    def generation(self) -> int:
        """Of the newest list that it has read."""
        return self._lists.generation

    def voices(self) -> list[Object]:
        """What it has loaded, as GET /v1/voices tells it."""
        return [report_of(voice, self.fails) for voices in self._loaded.values() for voice in voices]

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_SECONDS):
            for server in self.servers:
                voices = self._read(server)
                if voices is not None:
                    self._loaded[server] = voices

    def _read(self, server: str) -> list[Object] | None:
        for replica in self.replicas:
            try:
                return self._lists.read(replica, server, timeout=2)
            except OSError:
                continue
        return None
