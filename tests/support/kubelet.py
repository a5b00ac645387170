"""Reports pods as a kubelet would; the real Job controller draws its conclusions."""

import time
from typing import Any, Protocol

import pytest
from tests.support.voices import Object
from tests.support.waiting import wait_for


class Cluster(Protocol):
    """What a kubelet needs of the API server."""

    def objects(self, kind: str, labels: str = "") -> list[Object]: ...

    def patch(self, kind: str, name: str, change: Object, *, status: bool = False) -> None: ...


class Kubelet:
    """Ends pods, or lets them be ready."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def pod_of(self, job: str) -> str:
        labels = f"batch.kubernetes.io/job-name={job}"
        pods = wait_for(f"the pod of {job}", lambda: self._cluster.objects("pods", labels))
        return str(pods[0]["metadata"]["name"])

    def end(self, job: str, *, exit_code: int = 0, message: str = "", reason: str = "Error") -> None:
        self.end_pod(self.pod_of(job), exit_code=exit_code, message=message, reason=reason)

    def run(self, job: str) -> None:
        self.run_pod(self.pod_of(job))

    def cannot_start(self, job: str, reason: str, message: str) -> None:
        self.report(job, "Pending", {"waiting": {"reason": reason, "message": message}})

    def report(self, job: str, phase: str, state: Object | None = None, **status: Any) -> None:
        """Write the status of the Job's pod; ``state`` is that of its container."""
        self._report(self.pod_of(job), phase, state, status)

    def run_pod(self, pod: str) -> None:
        self._report(pod, "Running", {"running": {"startedAt": _now()}}, {"startTime": _now()})

    def end_pod(self, pod: str, *, exit_code: int = 0, message: str = "", reason: str = "Error") -> None:
        ended = {"exitCode": exit_code, "reason": reason if exit_code else "Completed", "message": message}
        state = {"terminated": ended | {"startedAt": _now(), "finishedAt": _now()}}
        self._report(pod, "Failed" if exit_code else "Succeeded", state)

    def make_ready(self, server: str, address: str) -> None:
        """Let the pods of a VoiceServer be up at ``address``."""
        labels = f"voice.sovits.dev/server={server}"

        def made_ready() -> bool:
            pods = [pod["metadata"] for pod in self._cluster.objects("pods", labels)]
            alive = [pod["name"] for pod in pods if not pod.get("deletionTimestamp")]
            try:
                for pod in alive:
                    self.make_pod_ready(pod, address)
            except pytest.fail.Exception:
                return False  # a pod of an earlier template went meanwhile
            return bool(alive)

        wait_for(f"the pods of {server}", made_ready)

    def make_pod_ready(self, pod: str, address: str) -> None:
        up = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [up]}
        self._cluster.patch("pods", pod, {"status": status}, status=True)

    def _report(self, pod: str, phase: str, state: Object | None, more: dict[str, Any] | None = None) -> None:
        container = {"name": "stage", "image": "trainer", "imageID": "", "ready": False, "restartCount": 0}
        containers = {} if state is None else {"containerStatuses": [container | {"state": state}]}
        status = {"phase": phase, **containers, **(more or {})}
        self._cluster.patch("pods", pod, {"status": status}, status=True)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
