"""Speech under attack: half-open connections and hostile bundles cost a listener little, and the server nothing."""

import json
import os
import selectors
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from dev.operator_bench.quantiles import quantile
from tests.inference.conftest import BASE
from tests.security.bundles import Bundles, entry_of, write_list
from tests.support.speech_server import SpeechServer
from tests.support.voices import Object

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.slow]

ROUNDS = int(os.environ.get("ATTACK_ROUNDS", "12"))
REQUESTS = 10  # of each kind in a round, one after another
HALF_OPEN = 150
BUNDLES_SECONDS = 1.0  # between the attacker's publications
TEXT = "Good morning, Alice. How are you today?"
HEAD = b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
LISTENER, ATTACKER = "127.0.0.2", "127.0.0.3"
MIB = 1024 * 1024
MEMORY_MIB = 200.0  # beside what it has when nobody attacks
TIMES = 2.0  # of what it takes when nobody attacks: seconds at the median, and the server's own processor time


class HalfOpen:
    """So many connections that send half a request; each that the server closes is opened again."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="half-open", daemon=True)
        self.opened = 0

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for _ in range(HALF_OPEN):
                selector.register(self._open(), selectors.EVENT_READ)
            while not self._stopped.is_set():
                for key, _ in selector.select(timeout=0.2):
                    connection = key.fileobj
                    assert isinstance(connection, socket.socket)
                    if _is_closed(connection):
                        selector.unregister(connection)
                        connection.close()
                        selector.register(self._open(), selectors.EVENT_READ)
            for key in list(selector.get_map().values()):
                assert isinstance(key.fileobj, socket.socket)
                key.fileobj.close()

    def _open(self) -> socket.socket:
        self.opened += 1
        connection = socket.create_connection(("127.0.0.1", self._port), 30, (ATTACKER, 0))
        connection.sendall(HEAD)
        return connection


def _is_closed(connection: socket.socket) -> bool:
    try:
        return not connection.recv(4096)
    except OSError:
        return True


class Publisher:
    """Lists four hostile bundles again and again, so that the server always loads some.

    Those that are refused come under new revisions each time; the one that loads is left out every other time.
    """

    def __init__(self, path: Path, honest: Object, refused: list[Object], heavy: Object) -> None:
        self.path, self._honest, self._refused, self._heavy = path, honest, refused, heavy
        self._stopped = threading.Event()
        self._generation = 1
        self._thread: threading.Thread | None = None
        self.publish([])

    def publish(self, entries: list[Object]) -> None:
        self._generation += 1
        write_list(self.path, BASE.model_dump(), *entries, self._honest, generation=self._generation)

    def __enter__(self) -> None:
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        assert self._thread is not None
        self._thread.join(timeout=30)
        self.publish([])

    def _run(self) -> None:
        while True:
            tag = self._generation
            refused = [one | {"revision": f"{one['revision'].partition('-')[0]}-{tag}"} for one in self._refused]
            self.publish([*refused, self._heavy] if tag % 2 else refused)
            if self._stopped.wait(BUNDLES_SECONDS):
                return


@pytest.fixture
def publisher(bundles: Bundles, tmp_path: Path) -> Publisher:
    """An honest voice, and an attacker with bundles of four namespaces."""
    honest = bundles.make("studio/carol", "carol-1")
    heavy = bundles.make("team-heavy/heavy", "heavy-1", rank=128, notes=["x" * 900] * 1000)  # within all limits, just
    return Publisher(tmp_path / "voices.json", entry_of(honest), refused(bundles), entry_of(heavy))


def refused(bundles: Bundles) -> list[Object]:
    """Bundles of three namespaces whose documents are larger than any may be."""
    made = {name: bundles.make(f"team-{name}/{name}", f"{name}-1") for name in ("large", "huge", "lists")}
    (made["large"].folder / "voice.json").write_bytes(
        b'{"x": "' + b"x" * (16 * MIB) + b'", ' + json.dumps(made["large"].voice)[1:].encode()
    )
    (made["huge"].folder / "adapter_config.json").write_bytes(b" " * (110 * MIB))
    (made["lists"].folder / "voice.json").write_bytes(b"[" + b"[]," * 300_000 + b"[]]")
    return [entry_of(bundle) for bundle in made.values()]


@pytest.fixture
def figures(repository: Path) -> Iterator[dict[str, Any]]:
    """What is measured; written also where a bound does not hold."""
    found: dict[str, Any] = {"rounds": ROUNDS, "requests": ROUNDS * REQUESTS, "half_open": HALF_OPEN, "bundles": 4}
    yield found
    folder = Path(os.environ.get("ATTACK_OUT", repository / "out" / "security"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speech.json").write_text(json.dumps(found, indent=1) + "\n")


def test_speech_goes_on_whatever_somebody_else_does(
    publisher: Publisher, stored_server: Callable[[Path], SpeechServer], figures: dict[str, Any]
) -> None:
    server = stored_server(publisher.path)
    server.wait("carol", lambda: server.voices().get("studio/carol", {}).get("state") == "ready")
    listener = httpx.Client(
        base_url=f"http://127.0.0.1:{server.port}", transport=httpx.HTTPTransport(local_address=LISTENER), timeout=120
    )

    @contextmanager
    def both() -> Iterator[None]:
        with HalfOpen(server.port), publisher:
            yield

    @contextmanager
    def nothing() -> Iterator[None]:
        yield

    attacks: dict[str, Callable[[], Any]] = {
        "quiet": nothing,
        "half-open connections": lambda: HalfOpen(server.port),
        "hostile bundles": lambda: publisher,
        "both": both,
    }
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    cpu: defaultdict[str, float] = defaultdict(float)
    for _ in range(REQUESTS):
        speak(listener)  # warm
    quiet_mib = server.peak_mib()
    for _ in range(ROUNDS):  # in turn, so that whatever else the machine does falls on all alike
        for name, attack in attacks.items():
            with attack():
                time.sleep(1)
                before = server.cpu_seconds()
                seconds[name] += [speak(listener) for _ in range(REQUESTS)]
                cpu[name] += server.cpu_seconds() - before
    listener.close()
    figures["speech"] = {name: row(found, seconds["quiet"]) for name, found in seconds.items()}
    figures["server_cpu_seconds"] = {name: round(found / ROUNDS / REQUESTS, 3) for name, found in cpu.items()}
    figures["memory_mib"] = {"quiet": round(quiet_mib), "most": round(server.peak_mib())}
    log = server.log.read_text()
    figures["loads"] = {"refused": log.count("cannot be loaded"), "heavy": log.count("of team-heavy/heavy is loaded")}
    figures["restarts"] = int(server.process.poll() is not None)
    figures["load"] = os.getloadavg()[1]
    assert figures["restarts"] == 0
    assert figures["loads"]["heavy"] > 1
    assert figures["loads"]["refused"] > 3
    assert "Traceback" not in log
    assert server.peak_mib() < quiet_mib + MEMORY_MIB
    assert {name: one for name, one in figures["speech"].items() if one["p50_times"] > TIMES} == {}
    assert {name: one for name, one in cpu.items() if one > TIMES * cpu["quiet"]} == {}
    # The 99th percentile of some hundred requests is a figure, no bound: on a machine that others use, it is theirs.


def speak(client: httpx.Client) -> float:
    """Return the seconds until the whole answer is there."""
    body = {"input": TEXT, "voice": "studio/carol", "seed": 1, "response_format": "wav"}
    started = time.perf_counter()
    answer = client.post("/v1/audio/speech", json=body)
    assert answer.status_code == 200, answer.text
    return time.perf_counter() - started


def row(found: list[float], quiet: list[float]) -> dict[str, float]:
    """The 50th and the 99th percentile, in seconds and as multiples of those when nobody attacks."""
    figures: dict[str, float] = {}
    for name, fraction in (("p50", 0.5), ("p99", 0.99)):
        value = quantile(found, fraction)
        figures |= {name: round(value, 3), f"{name}_times": round(value / quantile(quiet, fraction), 2)}
    return figures
