"""Everything that takes part in a scenario: a namespace of its own, a node, a bucket, replicas, and the watcher."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.faults.api_proxy import ApiProxy, Entry
from tests.faults.bucket import Bucket
from tests.faults.client import ApiFailed, Client
from tests.faults.inference import Inference
from tests.faults.node import SERVER_LABEL, STAGE_LABEL, VOICE_LABEL, Node
from tests.faults.replica import Replica
from tests.faults.s3_proxy import S3Proxy
from tests.faults.snapshot import snapshot
from tests.support.voice_list import VoiceLists
from tests.support.voices import Object, make_server, make_voice
from tests.support.waiting import wait_for

from voice_operator.settings import Settings

SERVER = "default"
RESYNC_SECONDS = float(Settings.model_fields["resync_seconds"].default)
REVOCATION_SECONDS = 60.0  # in every fault
QUIET_SECONDS = 4.0  # without a write: longer than the pauses between passes over what runs
GRACEFUL = {0, -signal.SIGTERM}  # the second one: in the first moment of its life
DIGEST = "sha256:" + "a" * 64
CONSENT = {"holder": "Alice A.", "statement": "I agree that my voice is trained and used."}


class Lab:
    """A scene in which every connection can fail."""

    def __init__(
        self,
        *,
        admin: Path,
        namespace: str,
        folder: Path,
        bucket: Bucket,
        s3: S3Proxy,
        environment: Mapping[str, str],
        settings: Mapping[str, Any],
    ) -> None:
        self.client = Client(admin, namespace)
        self.namespace = namespace
        self.bucket = bucket
        self.s3 = s3
        self.node = Node(self.client, bucket)
        self.voice_lists = VoiceLists(self.client)
        self.inference = Inference(self.voice_lists, SERVER)
        self.replicas: list[Replica] = []
        self._violations: list[str] = []
        self._running = ExitStack()
        self._admin = admin
        self._folder = folder
        self._environment = environment
        self._settings = self._defaults() | settings
        self._replicas_file = folder / "replicas"

    @property
    def operator(self) -> Replica:
        """The first replica."""
        return self.replicas[0]

    @property
    def proxy(self) -> ApiProxy:
        """The connection of the first replica."""
        return self.operator.proxy

    def start(self, *, bound_seconds: float = REVOCATION_SECONDS) -> None:
        """Start everything, with one replica and the server `default`, whose pod is up."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.client.request("POST", self.client.path("namespaces"), namespace)
        self._running.callback(self._delete_namespace)
        wait_for("the service account", lambda: self.client.find("serviceaccounts", "default"))
        self._replicas_file.touch()
        self._start_watcher(bound_seconds)
        self._running.enter_context(self.inference)
        self.node.start()
        self._running.callback(self._stop_node)
        self.client.apply(make_server(SERVER, self.namespace))
        self.add_replica("one")
        wait_for("the server to be ready", self.server_is_ready, seconds=60)

    def add_replica(self, name: str, *, clock: float = 0, **settings: Any) -> Replica:
        """Start another replica, its clock so many seconds ahead, and wait until it is ready."""
        replica = self._launch(name, settings, clock)
        replica.wait_until_ready()
        self.replicas.append(replica)
        urls = [one.url for one in self.replicas]
        self.inference.replicas = urls
        self._replicas_file.write_text("\n".join(urls))
        return replica

    def launch_other_installation(self, name: str, **settings: Any) -> Replica:
        """Start an operator of another release on the same namespace; it may refuse to run beside this one."""
        return self._launch(name, settings)

    def store_environment(self) -> dict[str, str]:
        """The variables of a process that uses the store, by way of its proxy."""
        return dict(self._environment)

    def close(self) -> list[str]:
        """Stop everything; return what must never have happened."""
        self._running.close()
        return self._violations

    # What a user does

    def apply(self, voice: str, **spec: Any) -> None:
        one = {"uri": self.dataset("one"), "digest": DIGEST}  # one input, whatever the voice's name
        consent = CONSENT | {"evidence": f"https://example.org/{voice}.pdf"}  # a revocation of it is one of no other
        self.client.apply(make_voice(voice, self.namespace, **({"dataset": one, "consent": consent} | spec)))

    def dataset(self, name: str) -> str:
        """Where recordings of this namespace may lie."""
        return f"s3://voices/datasets/{self.namespace}/{name}"

    def edit(self, voice: str, **spec: Any) -> None:
        self.client.patch("voicemodels", voice, {"spec": spec})

    def revoke(self, voice: str) -> None:
        self.edit(voice, consent={"revoked": True})

    def delete(self, voice: str) -> None:
        self.client.delete("voicemodels", voice)

    # What a user sees

    def status(self, voice: str) -> Object:
        return (self.client.find("voicemodels", voice) or {}).get("status") or {}

    def condition(self, voice: str, kind: str) -> Object:
        found = {one["type"]: one for one in self.status(voice).get("conditions", ())}
        return found.get(kind, {"status": "", "reason": "", "message": ""})

    def is_ready(self, voice: str) -> bool:
        return bool(self.condition(voice, "Ready")["status"] == "True")

    def are_ready(self, voices: list[str]) -> set[str]:
        """Those of the voices that are Ready, from one look at all."""
        ready = set()
        for item in self.client.objects("voicemodels"):
            conditions = (item.get("status") or {}).get("conditions") or ()
            if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
                ready.add(item["metadata"]["name"])
        return ready & set(voices)

    def jobs(self, voice: str, stage: str = "") -> list[Object]:
        labels = f"{VOICE_LABEL}={voice}" + (f",{STAGE_LABEL}={stage}" if stage else "")
        return self.client.objects("jobs", labels)

    def has_finished(self, voice: str, stage: str) -> bool:
        return any(job["status"].get("succeeded") for job in self.jobs(voice, stage))

    def server_is_ready(self) -> bool:
        status = (self.client.find("voiceservers", SERVER) or {}).get("status") or {}
        return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ())

    def listed(self) -> list[Object]:
        """What the replicas tell the pods to serve, each entry once.

        Raises:
            ConnectionError: none of them answers; the pods go on with what they have.
        """
        answers = [answer for replica in self.replicas if (answer := self._answer_of(replica)) is not None]
        if not answers:
            raise ConnectionError("no replica answers")
        return list({json.dumps(entry): entry for answer in answers for entry in answer}.values())

    def _answer_of(self, replica: Replica) -> list[Object] | None:
        try:
            return self.voice_lists.read(replica.url, SERVER, timeout=2)
        except OSError:
            return None

    def config_maps(self) -> list[Object]:
        """The ConfigMaps from which pods start while the operator is away."""
        return self.client.objects("configmaps", f"{SERVER_LABEL}={SERVER}")

    def config_map_lists(self, voice: str) -> bool:
        texts = [text for one in self.config_maps() for text in (one.get("data") or {}).values()]
        return any(f'"{self.namespace}/{voice}"' in text for text in texts)

    def unlisted(self, voices: list[str]) -> set[str]:
        """Those of the voices that no pod is told to serve."""
        listed = {entry["id"].removeprefix(f"{self.namespace}/") for entry in self.listed()}
        return {*voices} - listed

    def lists(self, voice: str) -> bool:
        """Whether the pods are told to serve the voice; while nobody answers, they go on with what they have."""
        try:
            return any(entry["id"] == f"{self.namespace}/{voice}" for entry in self.listed())
        except ConnectionError:
            return True

    def snapshot(self, voice: str) -> Object:
        return snapshot(self.client, voice, self.listed())

    def remains(self, voice: str) -> list[str]:
        """What is left of a voice: objects, Jobs, and objects in the bucket."""
        kinds = ("voicemodels", "voicerevisions", "jobs", "configmaps")
        found = [
            f"{kind}/{one['metadata']['name']}"
            for kind in kinds
            for one in self.client.objects(kind, "" if kind == "voicemodels" else f"{VOICE_LABEL}={voice}")
            if kind != "voicemodels" or one["metadata"]["name"] == voice
        ]
        return found + self.bucket.files(f"{self.namespace}/{voice}")

    # Waiting, with the seconds that it took

    def seconds_until(self, what: str, poll: Callable[[], Any], seconds: float) -> float:
        """Wait for the first true answer; return how long that took."""
        started = time.monotonic()
        wait_for(what, lambda: _quietly(poll), seconds)
        return time.monotonic() - started

    def until_ready(self, voice: str, seconds: float = 60) -> float:
        return self.seconds_until(f"{voice} to be Ready", lambda: self.is_ready(voice), seconds)

    def until_running(self, voice: str, stage: str, seconds: float = 60) -> float:
        """Wait until a pod of the stage runs."""
        labels = f"{VOICE_LABEL}={voice},{STAGE_LABEL}={stage}"

        def runs() -> bool:
            return any(pod["status"]["phase"] == "Running" for pod in self.client.objects("pods", labels))

        return self.seconds_until(f"the {stage} stage of {voice}", runs, seconds)

    def until_gone(self, voice: str, seconds: float = REVOCATION_SECONDS) -> float:
        """Wait until no pod is told to serve the voice any more."""
        return self.seconds_until(f"{voice} to leave the list", lambda: not self.lists(voice), seconds)

    def seconds_until_each(self, voices: list[str], done: Callable[[], set[str]], seconds: float) -> dict[str, float]:
        """Wait until ``done`` has returned each voice; return when it first did so. Late ones are named."""
        started, reached = time.monotonic(), dict[str, float]()
        while len(reached) < len(voices):
            for voice in _quietly(done) or set():
                reached.setdefault(voice, time.monotonic() - started)
            late = sorted({*voices} - {*reached})
            assert time.monotonic() - started < seconds, f"waited {seconds} s for {', '.join(late)}"
            time.sleep(0.2)
        return reached

    def is_settled(self, voice: str) -> bool:
        """Whether the operator has acted upon the voice's last spec."""
        item = self.client.get("voicemodels", voice)
        observed = (item.get("status") or {}).get("observedGeneration")
        return bool(
            observed == item["metadata"]["generation"] and self.condition(voice, "Reconciling")["status"] == "False"
        )

    def until_settled(self, voice: str, seconds: float = 60) -> float:
        return self.seconds_until(f"{voice} to settle", lambda: self.is_settled(voice), seconds)

    def until_quiet(self, quiet: float = QUIET_SECONDS, seconds: float = 120) -> None:
        """Wait until no replica has written anything for a while, from now on."""
        time.sleep(quiet)
        wait_for("the operator to be quiet", lambda: not self._writes(since=time.monotonic() - quiet), seconds + quiet)

    def writes_at_rest(self, seconds: float) -> list[Entry]:
        """Return what is written during so many seconds after everything has settled: it should be nothing."""
        self.until_quiet()
        since = time.monotonic()
        time.sleep(seconds)
        return self._writes(since)

    def _writes(self, since: float) -> list[Entry]:
        return [entry for replica in self.replicas for entry in replica.proxy.writes(since)]

    def _defaults(self) -> dict[str, Any]:
        resources = {"requests": {"cpu": "250m", "memory": "1Gi"}}
        return {
            "images": {"trainer": "voice-trainer:test", "inference": "voice-inference:test"},
            "bases": {"tiny": {"uri": "embedded:tiny"}, "other": {"uri": "embedded:other"}},
            "storage": {"uri": self.bucket.uri, "secretName": "voice-store"},
            "tenancy": {"datasets": ["s3://voices/datasets/{namespace}/"]},
            "stages": {"prepare": {"resources": resources}},
            "inference": {"port": self.inference.server_port, "resources": resources},
            "watchNamespaces": [self.namespace],
            "namespace": self.namespace,
        }

    def _launch(self, name: str, settings: Mapping[str, Any], clock: float = 0) -> Replica:
        replica = Replica(name, self._settings | settings, self._folder, self._admin, self._environment)
        replica.set_clock(clock)
        replica.launch()
        self._running.callback(self._stop_replica, replica)
        return replica

    def _stop_replica(self, replica: Replica) -> None:
        code = replica.close()
        if code not in GRACEFUL and replica in self.replicas:
            self._violations.append(f"the replica {replica.name} ended with exit code {code}")
        if found := replica.process.bug():
            self._violations.append(f"the replica {replica.name}: {found}")

    def _stop_node(self) -> None:
        self.node.stop()
        self._violations += [f"the node: {error!r}" for error in self.node.errors]

    def _start_watcher(self, bound_seconds: float) -> None:
        assignment = {
            "kubeconfig": str(self._admin),
            "namespace": self.namespace,
            "server": SERVER,
            "replicas": str(self._replicas_file),
            "bucket_uri": self.bucket.uri,
            "bucket_folder": str(self.bucket.folder),
            "bound_seconds": bound_seconds,
            "report": str(self._folder / "watcher.json"),
        }
        command = [sys.executable, "-m", "tests.faults.watcher", json.dumps(assignment)]
        with (self._folder / "watcher.log").open("wb") as log:
            watcher = subprocess.Popen(command, stdout=log, stderr=log)
        self._running.callback(self._stop_watcher, watcher)

    def _stop_watcher(self, watcher: subprocess.Popen[bytes]) -> None:
        watcher.terminate()
        if code := watcher.wait(timeout=30):
            log = (self._folder / "watcher.log").read_text()
            self._violations.append(f"the watcher ended with exit code {code}: {log[-2000:]}")
            return
        report = json.loads((self._folder / "watcher.json").read_text())
        self._violations += report["violations"]
        if not report["checks"]:
            self._violations.append("the watcher saw no list of voices")

    def _delete_namespace(self) -> None:
        self.client.request("DELETE", self.client.path("namespaces", self.namespace))
        self.client.close()


def _quietly(poll: Callable[[], Any]) -> Any:
    """Ask while the API server may be away: no answer is none yet."""
    try:
        return poll()
    except (ConnectionError, ApiFailed):
        return None
