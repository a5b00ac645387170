"""The operator as a process beside a real API server; what would need a node is done by hand here."""

import http.server
import json
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

NAMESPACE = "operator-tests"
DIGEST = "sha256:" + "a" * 64
RETRY_SECONDS = 0.2

Object = dict[str, Any]


def make_voice(name: str, **spec: Any) -> Object:
    """The smallest VoiceModel, on the tiny base, with a pinned dataset so that no object store is needed."""
    return {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "language": "en",
            "dataset": {"uri": f"s3://voices/datasets/{name}", "digest": DIGEST},
            "consent": {"holder": "Alice A.", "statement": "I agree that my voice is trained and used."},
            "base": "tiny",
        }
        | spec,
    }


class User:
    """Somebody with kubectl."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._command = [str(kubectl), "--kubeconfig", str(kubeconfig)]

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [*self._command, *arguments]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False, timeout=60)
        if check and done.returncode:
            pytest.fail(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done

    def apply(self, document: Object) -> None:
        self.run("apply", "-f", "-", stdin=yaml.safe_dump(document))

    def refused(self, document: Object) -> str:
        """Apply what must not be accepted, and return what the user is told."""
        done = self.run("apply", "-f", "-", stdin=yaml.safe_dump(document), check=False)
        assert done.returncode, f"accepted: {document}"
        return done.stderr

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> Object:
        document: Object = json.loads(self.run("get", kind, name, "-n", namespace, "-o", "json").stdout)
        return document

    def objects(self, kind: str, labels: str = "", namespace: str = NAMESPACE) -> list[Object]:
        selector = ["-l", labels] if labels else []
        found = self.run("get", kind, "-n", namespace, *selector, "-o", "json")
        items: list[Object] = json.loads(found.stdout)["items"]
        return items

    def exists(self, kind: str, name: str, namespace: str = NAMESPACE) -> bool:
        return bool(self.run("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "name").stdout)

    def patch(self, kind: str, name: str, change: Object, *, status: bool = False) -> None:
        where = ["--subresource=status"] if status else []
        self.run("patch", kind, name, "-n", NAMESPACE, "--type=merge", *where, "-p", json.dumps(change))

    def delete(self, kind: str, name: str) -> None:
        self.run("delete", kind, name, "-n", NAMESPACE, "--wait=false")

    def status(self, voice: str) -> Object:
        status: Object = self.get("voicemodel", voice).get("status") or {}
        return status

    def condition(self, voice: str, kind: str) -> Object:
        found = {condition["type"]: condition for condition in self.status(voice).get("conditions", ())}
        return found.get(kind, {"status": "", "reason": "", "message": ""})

    def jobs(self, voice: str, *, unfinished: bool = False) -> list[str]:
        found = self.objects("jobs", f"voice.sovits.dev/voice-model={voice}")
        found = [job for job in found if not job["metadata"].get("deletionTimestamp")]
        if unfinished:
            found = [job for job in found if not job["status"].get("succeeded") and not job["status"].get("failed")]
        return [job["metadata"]["name"] for job in found]

    def event_reasons(self, name: str) -> set[str]:
        events = self.objects("events.events.k8s.io")
        return {event["reason"] for event in events if event["regarding"]["name"] == name}


def wait_for(what: str, poll: Callable[[], Any], seconds: float = 30) -> Any:
    """Return the first true answer of ``poll``."""
    deadline = time.monotonic() + seconds
    while not (answer := poll()):
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
        time.sleep(RETRY_SECONDS)
    return answer


class Kubelet:
    """Ends pods as a kubelet would; the real Job controller draws its conclusions."""

    def __init__(self, user: User) -> None:
        self._user = user

    def pod_of(self, job: str) -> str:
        labels = f"batch.kubernetes.io/job-name={job}"
        return wait_for(
            f"the pod of {job}", lambda: [pod["metadata"]["name"] for pod in self._user.objects("pods", labels)]
        )[0]

    def end(self, job: str, *, exit_code: int = 0, message: str = "", reason: str = "Error") -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ended = {"exitCode": exit_code, "reason": reason if exit_code else "Completed", "message": message}
        ended |= {"startedAt": now, "finishedAt": now}
        self.report(job, "Failed" if exit_code else "Succeeded", {"terminated": ended})

    def run(self, job: str) -> None:
        self.report(job, "Running", {"running": {"startedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}})

    def cannot_start(self, job: str, reason: str, message: str) -> None:
        self.report(job, "Pending", {"waiting": {"reason": reason, "message": message}})

    def report(self, job: str, phase: str, state: Object | None = None, **status: Any) -> None:
        """Write the status of the Job's pod; ``state`` is that of its container."""
        container = {"name": "stage", "image": "trainer", "imageID": "", "ready": False, "restartCount": 0}
        containers = {} if state is None else {"containerStatuses": [container | {"state": state}]}
        status = {"phase": phase} | containers | status
        self._user.patch("pod", self.pod_of(job), {"status": status}, status=True)

    def make_ready(self, server: str, address: str) -> None:
        """Let the pods of a VoiceServer be up at ``address``."""
        labels = f"voice.sovits.dev/server={server}"
        pods = wait_for(f"the pods of {server}", lambda: self._user.objects("pods", labels))
        for pod in pods:
            up = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
            status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "conditions": [up]}
            self._user.patch("pod", pod["metadata"]["name"], {"status": status}, status=True)


class Trainer:
    """Leaves in the object store what the stages would."""

    def __init__(self, store: Path, user: User) -> None:
        self.store = store
        self._user = user

    def commit(self, voice: str, stage: str, **summary: Any) -> None:
        workspace = self._workspace(voice)
        if stage == "publish":
            bundle = self.bundle(voice)
            bundle.mkdir(parents=True)
            (bundle / "manifest.json").write_text("{}")
            summary = {"uri": f"file://{bundle}", "digest": DIGEST, "size": 2}
        (workspace / stage).mkdir(parents=True, exist_ok=True)
        manifest = {
            "schema": "voice.sovits.dev/stage/v1",
            "stage": stage,
            "inputHash": workspace.name,
            "startedAt": "2026-11-23T06:00:00Z",
            "completedAt": "2026-11-23T06:01:00Z",
            "files": {},
            "summary": summary,
            "tools": {},
        }
        (workspace / stage / "manifest.json").write_text(json.dumps(manifest))

    def progress(self, voice: str, stage: str, percent: int) -> None:
        folder = self._workspace(voice) / stage
        folder.mkdir(parents=True, exist_ok=True)
        document = {"schema": "voice.sovits.dev/progress/v1", "stage": stage, "percent": percent}
        (folder / "progress.json").write_text(json.dumps(document))

    def bundle(self, voice: str) -> Path:
        return self.store / NAMESPACE / voice / "revisions" / f"{voice}-{self._workspace(voice).name[:8]}"

    def _workspace(self, voice: str) -> Path:
        digest = wait_for(f"the input hash of {voice}", lambda: self._user.status(voice).get("inputHash"))
        return self.store / NAMESPACE / voice / str(digest)


class FakeInference(http.server.ThreadingHTTPServer):
    """Answers as an inference pod: it loads whatever the operator's own endpoint tells it to."""

    def __init__(self, operator: str) -> None:
        super().__init__(("127.0.0.1", 0), _InferenceHandler)
        self.operator = operator
        self.fails: dict[str, str] = {}

    def voices(self) -> list[Object]:
        url = f"{self.operator}/servers/{NAMESPACE}/default/voices.json"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 -- http, by us
                desired = json.load(answer)["voices"]
        except (urllib.error.URLError, OSError):
            return []
        return [self._loaded(voice) for voice in desired]

    def _loaded(self, voice: Object) -> Object:
        error = self.fails.get(voice["id"], "")
        reported = {key: voice[key] for key in ("id", "revision", "digest")}
        return reported | {"state": "failed" if error else "ready", "error": error}


class _InferenceHandler(http.server.BaseHTTPRequestHandler):
    server: FakeInference

    def do_GET(self) -> None:
        body = json.dumps({"object": "list", "generation": 1, "data": self.server.voices()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output readable."""


class Operator:
    """The operator's process."""

    def __init__(self, config: Path, kubeconfig: Path, log: Path, url: str) -> None:
        self.config = config
        self.log = log
        self.url = url
        self._environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PYTHONUNBUFFERED": "1"}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [sys.executable, "-m", "voice_operator", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        wait_for("the operator to be ready", self._is_ready, seconds=60)

    def stop(self) -> int:
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=30)

    def metrics(self) -> list[Sample]:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:  # noqa: S310 -- as above
            families = text_string_to_metric_families(answer.read().decode())
            return [sample for family in families for sample in family.samples]

    def metric(self, name: str, /, **labels: str) -> float:
        """The sum of all series of a metric that have these labels."""
        found = [s.value for s in self.metrics() if s.name == name and labels.items() <= s.labels.items()]
        assert found, f"no series {name} with {labels}"
        return sum(found)

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5):  # noqa: S310 -- as above
                return True
        except (urllib.error.URLError, OSError):
            return False


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def user(control_plane: Path, tool: Callable[[str], Path], repository: Path) -> User:
    """Somebody with kubectl on a cluster that has the CRDs and a namespace."""
    found = User(tool("kubectl"), control_plane)
    found.run("apply", "--server-side", "-f", str(repository / "crds"))
    for path in (repository / "crds").iterdir():
        established = ("wait", "--for=condition=Established", f"crd/{path.stem}", "--timeout=30s")
        # kubectl fails at once, instead of waiting, while the CRD has no conditions at all.
        wait_for(f"the CRD {path.stem}", lambda: not found.run(*established, check=False).returncode)  # noqa: B023
    found.run("create", "namespace", NAMESPACE)
    wait_for("the namespace's service account", lambda: found.exists("serviceaccount", "default"))
    return found


@pytest.fixture(scope="session")
def find_port() -> Callable[[], int]:
    return free_port


@pytest.fixture(scope="session")
def a_voice() -> Callable[..., Object]:
    return make_voice


@pytest.fixture(scope="session")
def kubelet(user: User) -> Kubelet:
    return Kubelet(user)


@pytest.fixture(scope="session")
def trainer(user: User, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    return Trainer(tmp_path_factory.mktemp("bucket"), user)


@pytest.fixture(scope="session")
def inference(operator_url: str) -> Iterator[FakeInference]:
    with FakeInference(operator_url) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="session")
def operator_url() -> str:
    return f"http://127.0.0.1:{free_port()}"


@dataclass(frozen=True)
class Scene:
    """Everybody who takes part in a voice's life."""

    user: User
    kubelet: Kubelet
    trainer: Trainer
    inference: FakeInference
    operator: Operator

    def apply(self, name: str, **spec: Any) -> None:
        self.user.apply(make_voice(name, **spec))

    def wait(self, what: str, poll: Callable[[], Any], seconds: float = 30) -> Any:
        return wait_for(what, poll, seconds)

    def wait_until_ready(self, voice: str) -> str:
        """Wait, and return the revision that is served."""
        wait_for(f"{voice} to be Ready", lambda: self.user.condition(voice, "Ready")["status"] == "True")
        return str(self.user.status(voice)["activeRevision"])

    def reach_job(self, voice: str, stage: str) -> str:
        """Wait for the Job of a stage and return its name."""

        def unfinished() -> str | None:
            running = self.user.jobs(voice, unfinished=True)
            return next((job for job in running if f"-{stage}-" in job), None)

        return str(wait_for(f"the {stage} Job of {voice}", unfinished))

    def finish(self, voice: str, stage: str, **summary: Any) -> None:
        """Let the stage's Job succeed with its manifest."""
        job = self.reach_job(voice, stage)
        self.trainer.commit(voice, stage, **summary)
        if summary.get("passed"):
            self.trainer.commit(voice, "publish")
        self.kubelet.end(job)

    def train(self, voice: str) -> None:
        """Take a voice through all its Jobs with success."""
        self.finish(voice, "prepare")
        self.finish(voice, "train")
        self.finish(voice, "evaluate", passed=True, scores={"pesq": "3.9", "stoi": "0.91"})

    def served(self) -> set[str]:
        """The names of the voices that the pods serve."""
        return {voice["id"].removeprefix(f"{NAMESPACE}/") for voice in self.inference.voices()}


@pytest.fixture(scope="session")
def settings_file(
    trainer: Trainer, inference: FakeInference, operator_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    resources = {"requests": {"cpu": "250m", "memory": "1Gi"}}
    config = {
        "images": {"trainer": "voice-trainer:test", "inference": "voice-inference:test"},
        "bases": {"tiny": {"uri": "embedded:tiny"}, "other": {"uri": "embedded:other"}},
        "storage": {"uri": f"file://{trainer.store}", "secretName": "voice-store"},
        "stages": {"prepare": {"resources": resources}},
        "inference": {"port": inference.server_port, "resources": resources},
        "watchNamespaces": [NAMESPACE],
        "namespace": NAMESPACE,
        "operatorUrl": operator_url,
        "listen": operator_url.removeprefix("http://"),
    }
    path = tmp_path_factory.mktemp("settings") / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def operator(control_plane: Path, user: User, settings_file: Path, operator_url: str) -> Iterator[Operator]:
    """The operator, running."""
    running = Operator(settings_file, control_plane, settings_file.with_name("log.txt"), operator_url)
    running.start()
    yield running
    code = running.stop()
    sys.stdout.write(running.log.read_text()[-4000:])
    assert code == 0


@pytest.fixture(scope="session")
def scene(user: User, kubelet: Kubelet, trainer: Trainer, inference: FakeInference, operator: Operator) -> Scene:
    """The operator at work, with a VoiceServer whose pods are up."""
    server = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceServer", "spec": {"base": "tiny"}}
    user.apply(server | {"metadata": {"name": "default", "namespace": NAMESPACE}})
    kubelet.make_ready("default", "127.0.0.1")
    return Scene(user, kubelet, trainer, inference, operator)
