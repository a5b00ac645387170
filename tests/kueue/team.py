"""A namespace with voices whose Jobs Kueue admits, and the node that plays their pods as a kubelet would."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.bucket import Bucket
from tests.faults.client import ApiFailed, Client
from tests.faults.node import STAGE_LABEL, VOICE_LABEL, Node
from tests.support.voices import Object, make_voice
from tests.support.waiting import wait_for

NODE = "queue-node"
TERMINATED = 143  # the trainer's exit code for SIGTERM
GPU_STAGES = {"train", "evaluate"}
STORY_SECONDS = 60


@dataclass
class Run:
    """One pod on a GPU, from its start to its end, in seconds of this process's clock."""

    voice: str
    stage: str
    attempt: int
    began: float
    ended: float | None = None
    evicted: bool = False


class BoundNode(Node):
    """Gives each stage pod a node before it runs it, so that the API server waits for its end when it is deleted."""

    def __init__(self, client: Client, bucket: Bucket) -> None:
        super().__init__(client, bucket)
        self.runs: dict[str, Run] = {}  # by the pod's name, those on GPUs
        self.binds = True  # False: pods wait for a node

    def _advance(self, pod: Object) -> None:
        metadata, status = pod["metadata"], pod["status"]
        if STAGE_LABEL not in (metadata.get("labels") or {}):
            super()._advance(pod)
        elif metadata.get("deletionTimestamp"):
            self._terminate(pod)
        elif not pod["spec"].get("nodeName"):
            if self.binds:
                self._bind(metadata["name"])
        else:
            super()._advance(pod)
            self._note(pod)
            if status["phase"] == "Running" and self._phase(metadata["name"]) == "Succeeded":
                self._ended(metadata["name"])

    def _terminate(self, pod: Object) -> None:
        """End a pod as SIGTERM ends the trainer, and let it go."""
        name = pod["metadata"]["name"]
        if pod["status"]["phase"] == "Running":
            asked = self.runs.get(name)
            if asked is not None:
                asked.evicted = True
            self._kubelet.end_pod(name, exit_code=TERMINATED, message="interrupted by SIGTERM")
            self._ended(name)
        options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
        self._client.request("DELETE", self._client.path("pods", name), options)

    def _bind(self, name: str) -> None:
        target = {"apiVersion": "v1", "kind": "Node", "name": NODE}
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
        self._client.request("POST", f"{self._client.path('pods', name)}/binding", binding)

    def _note(self, pod: Object) -> None:
        labels, name = pod["metadata"]["labels"], pod["metadata"]["name"]
        if labels[STAGE_LABEL] in GPU_STAGES and name not in self.runs:
            attempt = int(labels["voice.sovits.dev/attempt"])
            self.runs[name] = Run(labels[VOICE_LABEL], labels[STAGE_LABEL], attempt, time.monotonic())

    def _ended(self, name: str) -> None:
        if name in self.runs and self.runs[name].ended is None:
            self.runs[name].ended = time.monotonic()

    def _phase(self, name: str) -> str:
        pod = self._client.find("pods", name)
        return "Succeeded" if pod is None else str(pod["status"]["phase"])


class Team:
    """One namespace, as its people see it."""

    def __init__(self, kubeconfig: Path, namespace: str, bucket: Bucket) -> None:
        self.client, self.namespace = Client(kubeconfig, namespace), namespace
        self.node = BoundNode(self.client, bucket)

    def start(self) -> None:
        """Make the namespace and let its node work."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        self.client.request("POST", self.client.path("namespaces"), namespace)
        wait_for("the service account", lambda: self.client.find("serviceaccounts", "default"))
        self.node.start()

    def stop(self) -> None:
        self.node.stop()
        self.client.close()
        assert not self.node.errors, self.node.errors

    def apply(self, voice: str, **spec: Any) -> None:
        self.client.apply(make_voice(voice, self.namespace, **spec))

    def edit(self, voice: str, **spec: Any) -> None:
        self.client.patch("voicemodels", voice, {"spec": spec})

    def delete(self, voice: str) -> None:
        """Delete the voice, and wait until nothing of it waits in a queue or runs."""
        with suppress(ApiFailed):
            self.client.delete("voicemodels", voice)
        wait_for(f"{voice} to go", lambda: not self.jobs(voice), STORY_SECONDS)

    def status(self, voice: str) -> Object:
        return (self.client.find("voicemodels", voice) or {}).get("status") or {}

    def ready(self, voice: str) -> Object:
        """The condition Ready."""
        conditions = self.status(voice).get("conditions", ())
        return next((one for one in conditions if one["type"] == "Ready"), {"reason": "", "message": ""})

    def stage(self, voice: str, name: str) -> Object:
        stages = self.status(voice).get("stages", ())
        return next((one for one in stages if one["name"] == name), {"failures": {}, "state": ""})

    def jobs(self, voice: str) -> list[Object]:
        return self.client.objects("jobs", f"{VOICE_LABEL}={voice}")

    def job(self, voice: str, stage: str) -> Object:
        """The newest unfinished Job of a stage; waits for it."""

        def found() -> Object | None:
            jobs = self.client.objects("jobs", f"{VOICE_LABEL}={voice},{STAGE_LABEL}={stage}")
            alive = [one for one in jobs if not one["metadata"].get("deletionTimestamp")]
            done = {"succeeded", "failed"}
            return next((one for one in reversed(alive) if not done & {*(one.get("status") or {})}), None)

        job: Object = wait_for(f"the {stage} Job of {voice}", found, STORY_SECONDS)
        return job

    def workload(self, job: Object) -> Object:
        """Kueue's Workload of a Job; waits for it."""
        uid = f"kueue.x-k8s.io/job-uid={job['metadata']['uid']}"
        found: list[Object] = wait_for("the Workload", lambda: self.client.objects("workloads", uid), STORY_SECONDS)
        return found[0]

    def until(self, voice: str, reason: str, words: str = "", seconds: float = STORY_SECONDS) -> str:
        """Wait for the reason of Ready, and these words in its message; return it."""
        last: Object = {}

        def reached() -> bool:
            last.update(self.ready(voice))
            return bool(last["reason"] == reason and words in last["message"])

        try:
            wait_for(f"{voice}: {reason} {words}", reached, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {json.dumps(last)}") from None
        return str(last["message"])

    def until_running(self, voice: str, stage: str, seconds: float = STORY_SECONDS) -> str:
        """Wait until a pod of the stage runs and the voice says so; return its Job's name."""

        def runs() -> bool:
            words = self.ready(voice)["message"]
            return f"-{stage}-" in words and "is running" in words

        wait_for(f"{voice} to run {stage}", runs, seconds)
        return str(self.job(voice, stage)["metadata"]["name"])

    def until_trained(self, voice: str, seconds: float = 2 * STORY_SECONDS) -> None:
        """Wait until the voice is published."""
        labels = f"{VOICE_LABEL}={voice}"
        wait_for(f"{voice} to be trained", lambda: self.client.objects("voicerevisions", labels), seconds)

    def job_names(self, voice: str, stage: str) -> set[str]:
        found = self.client.objects("jobs", f"{VOICE_LABEL}={voice},{STAGE_LABEL}={stage}")
        return {job["metadata"]["name"] for job in found}

    def wait(self, what: str, poll: Callable[[], Any], seconds: float = STORY_SECONDS) -> Any:
        return wait_for(what, poll, seconds)
