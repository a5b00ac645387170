"""The operator as a process beside a real API server, for every folder; what would need a node is done by hand here."""

import hashlib
import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml
from dev.loaded_voices import report_of
from dev.operator_process import OperatorProcess
from dev.ports import free_port
from dev.stage_results import prover_of
from tests.faults.client import ApiFailed, Client
from tests.support import voices
from tests.support.alert_receiver import WRITTEN_SECRET, Receiver, a_receiver_in_a_thread
from tests.support.kubelet import Kubelet
from tests.support.loaded_voices import LoadedVoicesHandler
from tests.support.voice_list import VoiceLists
from tests.support.voices import Object, make_server
from tests.support.waiting import wait_for

from voice_trainer.job.receipts import Prover, digest_of_bytes

NAMESPACE = "operator-tests"
make_voice = partial(voices.make_voice, namespace=NAMESPACE)


STEPS = {"prepare": ("prepare",), "train": ("features", "train"), "evaluate": ("evaluate", "publish")}
CHAIN = [stage for stages in STEPS.values() for stage in stages]


SHORT_NAMES = {"voice": "voicemodels", "vrev": "voicerevisions", "vserver": "voiceservers"}


def plural_of(kind: str) -> str:
    """Return the plural of a kind that may be named as kubectl allows."""
    name = kind.partition(".")[0]
    return SHORT_NAMES.get(name) or (name if name.endswith("s") else f"{name}s")


class User:
    """Somebody with kubectl, who looks without it: a process for each of some thousand looks takes minutes."""

    def __init__(self, kubectl: Path, kubeconfig: Path) -> None:
        self._command = [str(kubectl), "--kubeconfig", str(kubeconfig)]
        self._kubeconfig = kubeconfig
        self._clients: dict[str, Client] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def _client(self, namespace: str) -> Client:
        if namespace not in self._clients:
            self._clients[namespace] = Client(self._kubeconfig, namespace)
        return self._clients[namespace]

    def run(self, *arguments: str, stdin: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [*self._command, *arguments]
        done = subprocess.run(command, input=stdin, text=True, capture_output=True, check=False, timeout=60)
        if check and done.returncode:
            pytest.fail(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done

    def apply(self, document: Object) -> None:
        self.run("apply", "-f", "-", stdin=json.dumps(document))  # YAML 1.1 and 1.2 read "2e-4" differently

    def refused(self, document: Object) -> str:
        """Apply what must not be accepted, and return what the user is told."""
        done = self.run("apply", "-f", "-", stdin=json.dumps(document), check=False)
        assert done.returncode, f"accepted: {document}"
        return done.stderr

    def get(self, kind: str, name: str, namespace: str = NAMESPACE) -> Object:
        with _told(f"get {kind} {name}"):
            return self._client(namespace).get(plural_of(kind), name)

    def objects(self, kind: str, labels: str = "", namespace: str = NAMESPACE) -> list[Object]:
        with _told(f"get {kind} -l {labels}"):
            return self._client(namespace).objects(plural_of(kind), labels)

    def exists(self, kind: str, name: str, namespace: str = NAMESPACE) -> bool:
        with _told(f"get {kind} {name}"):
            return self._client(namespace).find(plural_of(kind), name) is not None

    def patch(self, kind: str, name: str, change: Object, *, status: bool = False) -> None:
        with _told(f"patch {kind} {name}"):
            self._client(NAMESPACE).patch(plural_of(kind), name, change, status=status)

    def delete(self, kind: str, name: str) -> None:
        with _told(f"delete {kind} {name}"):
            try:
                self._client(NAMESPACE).delete(plural_of(kind), name)
            except ApiFailed as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise

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


@contextmanager
def _told(action: str) -> Iterator[None]:
    """Fail the test with what the API server answers."""
    try:
        yield
    except ApiFailed as error:
        pytest.fail(f"{action}: {error}")


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
            digest = hashlib.sha256(workspace.name.encode()).hexdigest()  # as different as what was trained
            summary = {"uri": f"file://{bundle}", "digest": f"sha256:{digest}", "size": 2}
        (workspace / stage).mkdir(parents=True, exist_ok=True)
        manifest = {
            "schema": "voice.sovits.dev/stage/v1",
            "stage": stage,
            "inputHash": workspace.name,
            "evaluationHash": self._evaluation_hash(voice) if stage in {"evaluate", "publish"} else "",
            "startedAt": "2026-11-23T06:00:00Z",
            "completedAt": "2026-11-23T06:01:00Z",
            "files": {},
            "summary": summary,
            "tools": {},
        }
        content = json.dumps(manifest).encode()
        (workspace / stage / "manifest.json").write_bytes(content)
        self._prove(voice, stage, content)

    def prover(self, voice: str, stage: str) -> Prover:
        """What signs for the newest attempt of a stage."""
        job = next(job for job, stages in STEPS.items() if stage in stages)
        name = f"{voice}-{self._workspace(voice).name[:8]}-{job}"
        document = json.loads(self._user.get("configmap", name)["data"]["job.json"])
        return prover_of(document, self._user.get("secret", name))

    def _prove(self, voice: str, stage: str, manifest: bytes) -> None:
        """Leave the receipt of the stage's newest attempt, and the results of stages that no test asks for."""
        workspace = self._workspace(voice)
        job = next(job for job, stages in STEPS.items() if stage in stages)
        if not self._user.exists("secret", f"{voice}-{workspace.name[:8]}-{job}"):
            return  # no Job was ever made for it
        if stage == "train":
            self.commit(voice, "features")
        written = {other: workspace / other / "manifest.json" for other in CHAIN[: CHAIN.index(stage)]}
        inputs = {other: digest_of_bytes(path.read_bytes()) for other, path in written.items() if path.exists()}
        receipt = self.prover(voice, stage).receipt(stage, digest_of_bytes(manifest), inputs)
        (workspace / stage / "receipt.json").write_bytes(receipt)

    def progress(self, voice: str, stage: str, percent: int) -> None:
        folder = self._workspace(voice) / stage
        folder.mkdir(parents=True, exist_ok=True)
        document = {"schema": "voice.sovits.dev/progress/v1", "stage": stage, "percent": percent}
        (folder / "progress.json").write_text(json.dumps(document))

    def bundle(self, voice: str) -> Path:
        return self.store / NAMESPACE / voice / "revisions" / f"{voice}-{self._workspace(voice).name[:8]}"

    def _evaluation_hash(self, voice: str) -> str:
        """As the job document of the evaluation has it; a voice that none was ever written for has none."""
        name = f"{voice}-{self._workspace(voice).name[:8]}-evaluate"
        if not self._user.exists("configmap", name):
            return ""
        return str(json.loads(self._user.get("configmap", name)["data"]["job.json"])["evaluationHash"])

    def _workspace(self, voice: str) -> Path:
        digest = wait_for(f"the input hash of {voice}", lambda: self._user.status(voice).get("inputHash"))
        return self.store / NAMESPACE / voice / str(digest)


class FakeInference(http.server.ThreadingHTTPServer):
    """Answers as an inference pod: it loads whatever the operator's own endpoint tells it to."""

    def __init__(self, operator: str, lists: VoiceLists) -> None:
        super().__init__(("127.0.0.1", 0), LoadedVoicesHandler)
        self.operator = operator
        self._lists = lists
        self.fails: dict[str, str] = {}
        self.servers = ["default"]  # all of them are this one process
        self.is_cut_off = False  # then nobody tells it of newer lists

    @property
    def generation(self) -> int:
        return 1 if self.is_cut_off else self._lists.generation

    def voices(self) -> list[Object]:
        return [report_of(voice, self.fails) for voice in self.listed()]

    def listed(self) -> list[Object]:
        """The entries of the operator's lists."""
        return [voice for server in self.servers for voice in self._desired(server)]

    def _desired(self, server: str) -> list[Object]:
        try:
            return self._lists.read(self.operator, server)
        except OSError:
            return []


@pytest.fixture(scope="session")
def user(control_plane: Path, tool: Callable[[str], Path], repository: Path) -> Iterator[User]:
    """Somebody with kubectl on a cluster that has the CRDs and a namespace."""
    found = User(tool("kubectl"), control_plane)
    found.run("apply", "--server-side", "-f", str(repository / "crds"))
    for path in (repository / "crds").iterdir():
        established = ("wait", "--for=condition=Established", f"crd/{path.stem}", "--timeout=30s")
        # kubectl fails at once, instead of waiting, while the CRD has no conditions at all.
        wait_for(f"the CRD {path.stem}", lambda: not found.run(*established, check=False).returncode)  # noqa: B023
    found.run("create", "namespace", NAMESPACE)
    wait_for("the namespace's service account", lambda: found.exists("serviceaccount", "default"))
    yield found
    found.close()


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
def inference(operator_url: str, control_plane: Path) -> Iterator[FakeInference]:
    client = Client(control_plane, NAMESPACE)
    with FakeInference(operator_url, VoiceLists(client)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
    client.close()


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
    operator: OperatorProcess

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
        wait_for(f"the status of {voice} about {job}", lambda: self.user.status(voice).get("inputHash", "")[:8] in job)
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
def alert_receiver() -> Iterator[Receiver]:
    """A server that is told of all alerts."""
    with a_receiver_in_a_thread() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def settings_file(
    trainer: Trainer,
    inference: FakeInference,
    alert_receiver: Receiver,
    operator_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp("settings") / "config.yaml"
    secret = path.with_name("hmac")
    secret.write_text(WRITTEN_SECRET)
    hook = {"name": "hook", "kind": "webhook", "url": alert_receiver.url, "hmacFile": str(secret)}
    resources = {"requests": {"cpu": "250m", "memory": "1Gi"}}
    config = {
        "images": {"trainer": "voice-trainer:test", "inference": "voice-inference:test"},
        "bases": {"tiny": {"uri": "embedded:tiny"}, "other": {"uri": "embedded:other"}},
        "storage": {"uri": f"file://{trainer.store}", "secretName": "voice-store"},
        "tenancy": {"datasets": ["s3://voices/datasets/{namespace}/"]},
        "stages": {"prepare": {"resources": resources}},
        "inference": {"port": inference.server_port, "resources": resources},
        "hub": {"tokenSecret": "voice-hub"},
        "watchNamespaces": [NAMESPACE],
        "namespace": NAMESPACE,
        "alerts": {"targets": [hook]},
        "operatorUrl": operator_url,
        "listen": operator_url.removeprefix("http://"),
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="session")
def operator(control_plane: Path, user: User, settings_file: Path, operator_url: str) -> Iterator[OperatorProcess]:
    """The operator, running."""
    running = OperatorProcess(settings_file, control_plane, settings_file.with_name("log.txt"), operator_url)
    running.start()
    yield running
    code = running.stop()
    sys.stdout.write(running.log.read_text()[-4000:])
    assert code == 0


@pytest.fixture(scope="session")
def scene(user: User, kubelet: Kubelet, trainer: Trainer, inference: FakeInference, operator: OperatorProcess) -> Scene:
    """The operator at work, with a VoiceServer whose pods are up."""
    user.apply(make_server("default", NAMESPACE))
    kubelet.make_ready("default", "127.0.0.1")
    return Scene(user, kubelet, trainer, inference, operator)
