"""One tenant that floods the operator, another that revokes, and what that costs: processes, objects and figures."""

import base64
import hashlib
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dev.operator_bench.measure import memory
from dev.operator_process import OperatorProcess
from dev.ports import free_port
from tests.faults.bucket import Bucket
from tests.faults.client import Client
from tests.faults.inference import Inference
from tests.faults.node import Node
from tests.support.s3_server import KEYS
from tests.support.voice_list import VoiceLists
from tests.support.voices import Object, make_server, make_voice
from tests.support.waiting import wait_for

ATTACKER, VICTIM, SYSTEM, SERVER = "team-a", "team-b", "voice-system", "default"
PADDED = 266
PADDING_BYTES = 255 << 10  # an object may have 256 KiB of annotations
LISTED = 12  # voices whose recordings lie among too many objects
FLOOD = 500  # voices whose permission is taken away at once
LIVENESS_SECONDS = 5.0  # of the chart's probe


@dataclass(frozen=True)
class Delay:
    """From the answer to the user's request, in seconds."""

    gone: float  # until the list that servers obey is without the voice
    told: float  # until the API server's watches tell it to anybody, which depends on how busy that is

    @property
    def own(self) -> float:
        """The operator's part."""
        return self.gone - self.told


@dataclass
class Scene:
    """The operator of an installation, the victim's voices, and a bucket."""

    attacker: Client
    victim: Client
    operator: OperatorProcess
    lists: VoiceLists
    folder: Path  # of the bucket's objects

    def revoke(self, voice: str, bound_seconds: float) -> Delay:
        """Revoke one of the victim's voices; wait at most until the bound."""
        path, change = self.victim.path("voicemodels", voice), {"spec": {"consent": {"revoked": True}}}
        revoked = self.victim.request("PATCH", path, change, "application/merge-patch+json")
        started = time.monotonic()
        told = Future[float]()
        before = str(int(revoked["metadata"]["resourceVersion"]) - 1)

        def watch() -> None:
            for event in self.victim.watch("voicemodels", before, int(bound_seconds)):
                if event["object"]["metadata"].get("name") == voice:
                    told.set_result(round(time.monotonic() - started, 2))
                    return

        threading.Thread(target=watch, daemon=True).start()
        while voice in self.listed() and time.monotonic() - started < bound_seconds:
            time.sleep(0.02)
        return Delay(round(time.monotonic() - started, 2), told.result(timeout=bound_seconds))

    def listed(self) -> set[str]:
        """The victim's voices that servers are told to serve; all while the operator does not answer."""
        try:
            return {entry["id"].removeprefix(f"{VICTIM}/") for entry in self.lists.read(self.operator.url, SERVER)}
        except OSError:
            return {*self.victims}

    @property
    def victims(self) -> list[str]:
        """The names of the victim's voices."""
        return [item["metadata"]["name"] for item in self.victim.objects("voicemodels")]

    def is_ready(self, voice: str) -> bool:
        """Whether the victim's voice is served."""
        conditions = (self.victim.get("voicemodels", voice).get("status") or {}).get("conditions") or ()
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def new_job(self, voice: str, bound_seconds: float) -> float:
        """Let the victim apply a new voice; return the seconds until its first Job exists, at most the bound."""
        self.victim.create("voicemodels", _pinned(voice))
        started = time.monotonic()
        while time.monotonic() - started < bound_seconds:
            if self.victim.objects("jobs", f"voice.sovits.dev/voice-model={voice}"):
                break
            time.sleep(0.02)
        return round(time.monotonic() - started, 2)

    def peak(self) -> float:
        """The most memory that the running process had, in MiB."""
        return memory(self.operator)[1]

    def restart(self) -> float:
        """Start the operator again; return the seconds until it is ready."""
        self.operator.stop()
        started = time.monotonic()
        self.operator.start()
        return round(time.monotonic() - started, 1)

    # What the attacker does

    def pad(self) -> None:
        """As many voices as fill a list, each with annotations that no compression makes smaller."""
        pads = random.Random(1)  # noqa: S311 -- noise, no secret

        def create(number: int) -> None:
            voice = make_voice(f"padded-{number}", ATTACKER)
            noise = base64.b64encode(pads.randbytes(PADDING_BYTES * 3 // 4 - 64)).decode()
            voice["metadata"]["annotations"] = {"example.org/padding": noise}
            self.attacker.create("voicemodels", voice)

        _in_parallel(create, PADDED)

    def fill_prefix(self, count: int) -> None:
        """Put empty objects below one prefix, past the S3 server."""
        folder = self.folder / "datasets" / ATTACKER / "huge"
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number:07}.wav").touch()

    def list_prefix(self) -> None:
        """Voices whose recordings have to be listed, all below the full prefix."""
        uri = f"s3://voices/datasets/{ATTACKER}/huge"
        for number in range(LISTED):
            self.attacker.create("voicemodels", make_voice(f"huge-{number}", ATTACKER, dataset={"uri": uri}))

    def flood(self) -> None:
        """Voices without a permission, all at once: each of them is urgent."""
        consent = {"holder": "Alice A.", "statement": "I agree.", "revoked": True}
        voices = (make_voice(f"revoked-{number}", ATTACKER, consent=consent) for number in range(FLOOD))
        _in_parallel(lambda _: self.attacker.create("voicemodels", next(voices)), FLOOD)

    def stays_alive(self) -> bool:
        """Whether the kubelet would let the process go on."""
        return self.operator.is_running() and self.operator.answers("/healthz", timeout=LIVENESS_SECONDS)


@contextmanager
def scene(admin: Path, s3_port: int, bucket: Path, folder: Path, voices: int) -> Iterator[Scene]:
    """Run the operator for all namespaces, with so many voices of the victim that are served."""
    attacker, victim = Client(admin, ATTACKER), Client(admin, VICTIM)
    lists = VoiceLists(victim)
    inference = Inference(lists, SERVER)
    url = f"http://127.0.0.1:{free_port()}"
    inference.replicas = [url]
    for name in (ATTACKER, VICTIM, SYSTEM):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        victim.request("POST", victim.path("namespaces"), namespace)
    for client in (attacker, victim):
        wait_for("the service account", lambda client=client: client.find("serviceaccounts", "default"))  # type: ignore[misc]
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump(_settings(url, inference.server_port)))
    environment = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{s3_port}", **KEYS}
    operator = OperatorProcess(config, admin, folder / "operator.log", url, environment)
    node = Node(victim, Bucket("s3://voices", bucket))
    found = Scene(attacker, victim, operator, lists, bucket)
    with inference:
        node.start()
        operator.start()
        try:
            victim.apply(make_server(SERVER, VICTIM))
            names = [f"voice{number}" for number in range(voices)]
            for name in names:
                victim.create("voicemodels", _pinned(name))
            for name in names:
                wait_for(f"{name} to be served", lambda name=name: found.is_ready(name), seconds=120)  # type: ignore[misc]
            yield found
        finally:
            node.stop()
            if operator.is_running():
                operator.stop()
            for client in (attacker, victim):
                client.close()


def _pinned(name: str) -> Object:
    """A voice of recordings and a consent of its own: a revocation of another one does not cover it."""
    digest = f"sha256:{hashlib.sha256(name.encode()).hexdigest()}"
    consent = {"holder": f"{name}'s speaker", "statement": "I agree.", "evidence": f"https://example.org/{name}.pdf"}
    return make_voice(
        name, VICTIM, dataset={"uri": f"s3://voices/datasets/{VICTIM}/one", "digest": digest}, consent=consent
    )


def _settings(url: str, port: int) -> Object:
    """What the chart writes, apart from addresses."""
    settings: dict[str, Any] = {
        "images": {"trainer": "voice-trainer:test", "inference": "voice-inference:test"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": "s3://voices", "secretName": "voice-store"},
        "tenancy": {"datasets": ["s3://voices/datasets/{namespace}/"]},
        "policy": {"max": {"objectBytes": 131072}},
        "inference": {"port": port},
        "namespace": SYSTEM,
        "listen": url.removeprefix("http://"),
    }
    return settings


def _in_parallel(work: Any, count: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(count)))
