"""A node without containers: stage pods leave in the bucket what the trainer would, server pods become ready."""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from dev.stage_results import document_name_of, results_of, stages_of
from tests.faults.bucket import Bucket
from tests.faults.client import ApiFailed, Client
from tests.support.kubelet import Kubelet
from tests.support.voices import Object

STAGE_LABEL = "voice.sovits.dev/stage"
VOICE_LABEL = "voice.sovits.dev/voice-model"
SERVER_LABEL = "voice.sovits.dev/server"
TICK_SECONDS = 0.15
ADDRESS = "127.0.0.1"
FINISHED = {"Succeeded", "Failed"}


@dataclass(frozen=True)
class StagePod:
    """A pod of a stage Job."""

    name: str
    voice: str
    stage: str
    attempt: int


@dataclass(frozen=True)
class Outcome:
    """How a pod ends; with exit code 0 it has written its manifests."""

    exit_code: int = 0
    message: str = ""


Plan = Callable[[StagePod], Outcome | None]  # None: it goes on running


class Hold:
    """A plan under which the pods of some stages run on until they are released."""

    def __init__(self, *stages: str) -> None:
        self._stages = stages

    def __call__(self, pod: StagePod) -> Outcome | None:
        return None if pod.stage in self._stages else Outcome()

    def release(self) -> None:
        self._stages = ()


class Node:
    """Looks at the pods of a namespace many times a second, in a thread of its own."""

    def __init__(self, client: Client, bucket: Bucket) -> None:
        self.plan: Plan = lambda _: Outcome()
        self.bundle: Callable[[Object], Mapping[str, bytes] | None] = lambda _: None  # the stand-in
        self.errors: list[Exception] = []
        self._client = client
        self._bucket = bucket
        self._kubelet = Kubelet(client)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="node", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(timeout=30)

    def lose(self, pod: str) -> None:
        """The pod's node is gone: the control plane marks the pod as disrupted, then deletes it."""
        disrupted = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager"}
        now = {"lastTransitionTime": "2026-01-01T00:00:00Z", "lastProbeTime": None}
        status = {"phase": "Failed", "reason": "NodeLost", "conditions": [disrupted | now]}
        self._client.patch("pods", pod, {"status": status}, status=True)
        self._client.delete("pods", pod)

    def _loop(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            try:
                for pod in self._client.objects("pods"):
                    self._advance(pod)
            except (ApiFailed, OSError):
                continue  # the pod is gone, or the API server is: the next tick looks again
            except Exception as error:  # noqa: BLE001 -- a bug here must fail the test, not hang it
                self.errors.append(error)
                return

    def _advance(self, pod: Object) -> None:
        """Take one pod a step further."""
        metadata, status = pod["metadata"], pod["status"]
        labels = metadata.get("labels") or {}
        if metadata.get("deletionTimestamp") or status["phase"] in FINISHED:
            return
        if SERVER_LABEL in labels:
            if not any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions") or ()):
                self._kubelet.make_pod_ready(metadata["name"], ADDRESS)
        elif STAGE_LABEL in labels:
            if status["phase"] == "Pending":
                self._kubelet.run_pod(metadata["name"])
            else:
                self._end(pod, labels)

    def _end(self, pod: Object, labels: dict[str, str]) -> None:
        stage = StagePod(
            pod["metadata"]["name"],
            labels[VOICE_LABEL],
            labels[STAGE_LABEL],
            int(labels["voice.sovits.dev/attempt"]),
        )
        outcome = self.plan(stage)
        if outcome is None:
            return
        if outcome.exit_code == 0:
            self._commit(pod)
        self._kubelet.end_pod(stage.name, exit_code=outcome.exit_code, message=outcome.message)

    def _commit(self, pod: Object) -> None:
        """Write what each stage of the pod's command line writes, as the job document wants it."""
        config_map = self._client.get("configmaps", document_name_of(pod))
        secret = self._client.get("secrets", document_name_of(pod))
        document = json.loads(config_map["data"]["job.json"])
        for uri, content in results_of(document, stages_of(pod), secret, self.bundle(document)).items():
            self._bucket.write(uri, content)


def stage_pods(client: Client, voice: str) -> Iterable[str]:
    """The names of a voice's pods that still run."""
    for pod in client.objects("pods", f"{VOICE_LABEL}={voice},{STAGE_LABEL}"):
        if pod["status"]["phase"] not in FINISHED and not pod["metadata"].get("deletionTimestamp"):
            yield pod["metadata"]["name"]
