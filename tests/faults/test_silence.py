"""From a revocation to silence, at real speech servers: as always, and where each of those who tell them is away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.faults.client import ApiFailed
from tests.faults.lab import Lab
from tests.faults.replica import CLOCK
from tests.faults.s3_proxy import S3Proxy
from tests.inference.conftest import BASE, BASE_URI
from tests.security.bundles import Bundles
from tests.support.speech_server import SpeechServer
from tests.support.waiting import wait_for

from voice_inference.bundles.base import load_base

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

VOICES = tuple(f"voice{number}" for number in range(5))
BOUND_SECONDS = 60.0  # what usually takes less is a figure of docs/people.md: it depends on the machine
DOWN_SECONDS = 10.0  # for which the operator is away before somebody starts it again
KUBELET_SECONDS = 1.0  # between looks of the played kubelet; a real one takes up to 90 (docs/people.md)
BEFORE_MIDNIGHT = 20.0  # what the pods' clocks show when the last day is nearly over


class Mount:
    """What the kubelet of a pod does: it writes the ConfigMaps of the server into the pod's folder."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.changed: dict[str, float] = {}  # name of a file -> when it was written last, by the monotonic clock
        self._lab = lab
        self._folder = folder
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)
        self.sync()

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)

    def sync(self) -> None:
        for one in self._lab.config_maps():
            for name, text in (one.get("data") or {}).items():
                path = self._folder / name
                if not path.exists() or path.read_text() != text:
                    replacement = path.with_suffix(".new")
                    replacement.write_text(text)
                    replacement.replace(path)
                    self.changed[name] = time.monotonic()

    def _run(self) -> None:
        while not self._stopped.wait(KUBELET_SECONDS):
            with suppress(ApiFailed, OSError):
                self.sync()


@dataclass
class Pod:
    """A pod of the server: a real process, its mounted list, and its own way to the operator."""

    server: SpeechServer
    way: S3Proxy  # to the operator, not to a store; it cuts either
    clock: Path

    def speaks(self, voice: str) -> bool:
        """Whether somebody hears the voice now; an answer that is none fails the test."""
        code = self.server.speak(voice).status_code
        assert code in {200, 404, 503}, code
        return code == 200


@dataclass
class Pods:
    """Two pods, their voices, and who may be away."""

    lab: Lab
    pods: list[Pod]

    def id_of(self, voice: str) -> str:
        return f"{self.lab.namespace}/{voice}"

    def are_all_heard(self) -> bool:
        return all(pod.speaks(self.id_of(voice)) for pod in self.pods for voice in VOICES)

    def seconds_until_silent(self, voice: str, since: float) -> float:
        """Ask all pods again and again; return the seconds until the last of them speaks no more."""
        for pod in self.pods:
            wait_for("silence", lambda: not pod.speaks(self.id_of(voice)), BOUND_SECONDS * 2)  # noqa: B023
        seconds = time.monotonic() - since
        assert not any(pod.speaks(self.id_of(voice)) for pod in self.pods), "nothing brings it back"
        return seconds

    @contextmanager
    def nothing_away(self) -> Iterator[None]:
        yield

    @contextmanager
    def operator_killed(self) -> Iterator[None]:
        """It is dead when the consent is revoked, and somebody starts it again."""
        self.lab.operator.kill_for_good()
        timer = threading.Timer(DOWN_SECONDS, self.lab.operator.revive)
        timer.start()
        yield
        timer.join()

    def store_away(self) -> AbstractContextManager[None]:
        return self.lab.s3.mode("hang")

    @contextmanager
    def pods_cut_off(self) -> Iterator[None]:
        """No pod reaches the operator; their kubelets reach the API server."""
        with ExitStack() as cut:
            for pod in self.pods:
                cut.enter_context(pod.way.mode("cut"))
            yield


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(load_base(BASE_URI, BASE, threads=1), tmp_path_factory.mktemp("bundles"))


@pytest.fixture
def pods(scenario: Any, bundles: Bundles, tmp_path: Path) -> Iterator[Pods]:
    lab = scenario.lab(bound_seconds=BOUND_SECONDS, operatorUrl="http://voice-operator")  # a name of pods alone
    lab.node.bundle = bundles.of_job
    for voice in VOICES:
        lab.apply(voice)
    for voice in VOICES:
        lab.until_ready(voice, BOUND_SECONDS * 2)
    with ExitStack() as running:
        found = Pods(lab, [start_pod(lab, tmp_path / name, running) for name in ("first", "second")])
        wait_for("the voices", found.are_all_heard, BOUND_SECONDS * 2)
        yield found


def start_pod(lab: Lab, folder: Path, running: ExitStack) -> Pod:
    """As the kubelet does from the operator's Deployment; the addresses are those of here."""
    folder.mkdir()
    (container,) = lab.client.get("deployments", "default")["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    address = urlsplit(lab.operator.url)
    way = running.enter_context(S3Proxy(address.port or 0))
    wait_for("the list", lambda: all(map(lab.config_map_lists, VOICES)))
    running.enter_context(Mount(lab, folder))
    clock = folder / "clock"
    told = urlsplit(given["VOICE_OPERATOR_URL"])
    own = {
        "VOICE_VOICES": str(folder / "voices.json"),
        "VOICE_CACHE": str(folder / "cache"),
        "VOICE_OPERATOR_URL": f"http://127.0.0.1:{way.port}{told.path}",
        "HOME": str(folder),
        "FAULTS_CLOCK": str(clock),
    }
    kept = {name: value for name, value in given.items() if name not in {"VOICE_S3_CREDENTIALS_DIR", "VOICE_PORT"}}
    set_clock(clock, 0)
    server = SpeechServer(folder, kept | lab.store_environment() | own, paths=[CLOCK])
    running.callback(server.close)
    return Pod(server, way, clock)


def set_clock(clock: Path, seconds: float) -> None:
    """Let a pod believe that it is later than it is."""
    replacement = clock.with_suffix(".new")
    replacement.write_text(str(seconds))
    replacement.replace(clock)


CASES: dict[str, Callable[[Pods], AbstractContextManager[None]]] = {
    "nothing is away": Pods.nothing_away,
    "the object store is away": Pods.store_away,
    "the operator is dead for ten seconds": Pods.operator_killed,
    "no pod reaches the operator": Pods.pods_cut_off,
}


@pytest.mark.parametrize("case", CASES)
def test_a_revocation_silences_every_pod_while(scenario: Any, pods: Pods, case: str) -> None:
    with CASES[case](pods):
        time.sleep(3)  # whatever was under way
        for voice in VOICES:
            pods.lab.revoke(voice)
            seconds = pods.seconds_until_silent(voice, time.monotonic())
            scenario.took(seconds)
            assert seconds <= BOUND_SECONDS


def test_the_last_day_of_a_consent_silences_every_pod_while_operator_and_store_are_away(
    scenario: Any, pods: Pods
) -> None:
    """The pods know the day from the list, and obey their own clocks."""
    today = datetime.now(UTC)
    for voice in VOICES:
        pods.lab.edit(voice, consent={"expires": f"{today:%Y-%m-%d}"})
    wait_for("the day", lambda: all(pod_knows(pod, f"{today:%Y-%m-%d}") for pod in pods.pods))
    pods.lab.operator.kill_for_good()
    with pods.lab.s3.mode("hang"):
        midnight = datetime.combine(today.date() + timedelta(days=1), datetime.min.time(), UTC)
        shift = (midnight - datetime.now(UTC)).total_seconds() - BEFORE_MIDNIGHT
        for pod in pods.pods:
            set_clock(pod.clock, shift)
        ends = time.monotonic() + BEFORE_MIDNIGHT
        assert pods.are_all_heard() or time.monotonic() > ends
        for voice in VOICES:
            seconds = pods.seconds_until_silent(voice, ends)
            scenario.took(max(seconds, 0.0))
            assert seconds <= BOUND_SECONDS
    told = pods.pods[0].server.refusal(pods.id_of(VOICES[0]))
    assert f"the consent to it ended on {today:%Y-%m-%d} (UTC)" in told


def pod_knows(pod: Pod, day: str) -> bool:
    """Whether the pod has heard of the last day of all voices: from its mounted list at the latest."""
    return pod.clock.with_name("voices.json").read_text().count(day) == len(VOICES)
