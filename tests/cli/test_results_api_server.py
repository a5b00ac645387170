"""What people fetch, hear and read of a voice: from a real operator, a real store and a real speech server."""

import hashlib
import io
import json
import shutil
import wave
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from dev.ports import free_port
from tests.cli.conftest import Checkout, Done, Voice, make_folder
from tests.cli.studio import PREFIX, a_studio
from tests.faults.lab import Lab
from tests.faults.node import Hold
from tests.inference.conftest import BASE, BASE_URI
from tests.security.bundles import Bundles
from tests.sovits_core.official.test_voices import make_voice as make_adapter
from tests.support.scene import User
from tests.support.speech_server import SpeechServer
from tests.support.voices import Object
from tests.support.waiting import wait_for

from sovits_core.bundle.base import open_base
from voice_inference.bundles.base import load_base

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster", "bucket")]

PAGE = b"<!doctype html><p>PESQ 3.9</p>"
SAMPLES = {"samples/1.flac": b"fLaC-one", "samples/2.flac": b"fLaC-two"}
SECONDS = 60
SERVER_PODS = "voice.sovits.dev/server=default"
NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "silent"}}


@dataclass(frozen=True)
class Studio:
    """An installation whose voices are spoken by a process of the inference server."""

    lab: Lab
    speech: SpeechServer
    voice: Callable[..., Done]


class Published:
    """Leaves bundles as the trainer publishes them: an adapter that the base takes, a page, samples."""

    def __init__(self, folder: Path) -> None:
        self._bundles = Bundles(load_base(BASE_URI, BASE, threads=1), folder)
        self._adapter = make_adapter(open_base(BASE_URI), folder / "adapter")

    def files(self, document: Object) -> Mapping[str, bytes]:
        """The files that the publishing stage of this job document writes."""
        voice = document["voice"]
        bundle = self._bundles.make(f"{voice['namespace']}/{voice['name']}", document["revision"], voice=voice)
        for name in ("adapter_model.safetensors", "adapter_config.json"):
            (bundle.folder / name).write_bytes((self._adapter / name).read_bytes())
        adapter = hashlib.sha256((bundle.folder / "adapter_model.safetensors").read_bytes()).hexdigest()
        bundle.voice["adapter"] = {"sha256": adapter, "rank": 2}
        (bundle.folder / "voice.json").write_text(json.dumps(bundle.voice))
        (bundle.folder / "report.html").write_bytes(PAGE)
        written = {path.name: path.read_bytes() for path in bundle.folder.iterdir()} | SAMPLES
        listed = {
            name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in written.items()
        }
        bundle.seal({**bundle.manifest(), "files": listed})
        return {**written, "manifest.json": (bundle.folder / "manifest.json").read_bytes()}


@pytest.fixture(scope="module")
def installation(
    user: User, control_plane: Path, s3: tuple[int, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Lab, SpeechServer]]:
    """The operator, and the pod of its server as a process with the environment that the operator gives to it."""
    folder, port = tmp_path_factory.mktemp("studio"), free_port()
    published = Published(tmp_path_factory.mktemp("bundles"))
    with a_studio(control_plane, s3, folder, inference={"port": port}) as lab:
        lab.node.bundle = published.files
        deployment = lab.client.get("deployments", "default")
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        given = {one["name"]: one["value"] for one in container["env"] if "value" in one}
        mounted = wait_for("the server's list", lambda: lab.client.find("configmaps", "default-voices"))
        (folder / "voices.json").write_text(mounted["data"]["voices.json"])  # as the kubelet does
        given.pop("VOICE_S3_CREDENTIALS_DIR")
        given |= {"VOICE_VOICES": str(folder / "voices.json"), "HOME": str(folder), **lab.store_environment()}
        given["VOICE_OPERATOR_URL"] = f"{lab.operator.url}/servers/{lab.namespace}/default/voices.json"
        speech = SpeechServer(folder / "speech", given, port)
        try:
            yield lab, speech
        finally:
            speech.close()


@pytest.fixture
def studio(installation: tuple[Lab, SpeechServer], voice: Voice, monkeypatch: pytest.MonkeyPatch) -> Studio:
    lab, speech = installation
    monkeypatch.setenv("VOICE_DATASETS", PREFIX)
    return Studio(lab, speech, lambda *arguments: voice(arguments[0], "-n", lab.namespace, *arguments[1:]))


@pytest.fixture
def alice(studio: Studio, checkout: Checkout, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pushed voice that is served; returns its revision."""
    folder = make_folder(checkout.voices / "alice")
    checkout.commit("alice")
    monkeypatch.chdir(checkout.path)
    done = studio.voice("push", folder, "--wait", "--timeout", str(SECONDS))
    assert done.code == 0, done.err
    return str(studio.lab.status("alice")["activeRevision"])


def test_a_report_is_one_page(studio: Studio, alice: str) -> None:
    done = studio.voice("report", "alice")
    assert (done.code, done.err, done.out) == (0, "", f"{alice}-report.html\n")
    assert Path(done.out.strip()).read_bytes() == PAGE
    assert studio.voice("report", alice, "--out", "here/page.html").out == "here/page.html\n"
    assert [path.name for path in Path("here").iterdir()] == ["page.html"], "nothing else is fetched"


def test_a_push_fetches_reports_for_the_jobs_artifacts_and_links_them(
    studio: Studio, alice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_JOB_URL", "https://git.example.org/v/-/jobs/9")
    done = studio.voice("push", "voices/alice", "--wait", "--reports", "reports", "--summary", "voices.md")
    assert (done.code, done.out) == (0, "alice: Ready: 0 files sent, 9 were there\n")
    assert Path("reports/alice.html").read_bytes() == PAGE
    link = "https://git.example.org/v/-/jobs/9/artifacts/file/reports/alice.html"
    assert f"| alice | Ready | {alice} |" in Path("voices.md").read_text()
    assert f"| [samples and scores]({link}) |" in Path("voices.md").read_text()


def test_samples_come_into_one_folder(studio: Studio, alice: str) -> None:
    done = studio.voice("listen", "alice")
    assert (done.code, done.err) == (0, "")
    assert done.out.split() == [f"{alice}-samples/1.flac", f"{alice}-samples/2.flac"]
    assert {path.read_bytes() for path in Path(f"{alice}-samples").iterdir()} == set(SAMPLES.values())


def test_a_text_is_spoken_by_the_server(studio: Studio, alice: str) -> None:
    address = f"http://127.0.0.1:{studio.speech.port}"
    done = studio.voice("listen", "alice", "--text", "Hello there.", "--server", address)
    assert (done.code, done.err, done.out) == (0, "", "alice.wav\n")
    with wave.open(io.BytesIO(Path("alice.wav").read_bytes())) as sound:
        assert sound.getnframes() / sound.getframerate() > 0.2
    done = studio.voice("listen", "alice", "--text", "Hello there.", "--server", address, "--format", "flac")
    assert Path(done.out.strip()).read_bytes()[:4] == b"fLaC"
    refused = studio.voice("listen", "alice", "--text", "", "--server", address)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith(f"error: {studio.lab.namespace}/alice: ")


def test_a_server_that_no_forward_reaches_is_told_with_the_remedy(studio: Studio, alice: str) -> None:
    done = studio.voice("listen", "alice", "--text", "Hello there.")
    assert (done.code, done.out) == (6, "")
    pod = next(one["metadata"]["name"] for one in studio.lab.client.objects("pods", SERVER_PODS))
    assert done.err == (
        f"error: no port-forward to service/default: the API server cannot reach the pod's node (pod {pod} does not "
        "have a host assigned); give the server's address with --server\n"
    )


def test_a_bundle_arrives_and_becomes_official_files(studio: Studio, alice: str) -> None:
    done = studio.voice("export", "alice", "--official", "--base", BASE_URI)
    assert done.code == 0, done.err
    assert done.out.split() == [alice, f"{alice}-official/alice.ckpt", f"{alice}-official/alice.pth"]
    assert "which the official program cannot load" in done.err
    assert all(Path(name).stat().st_size > 100_000 for name in done.out.split()[1:])
    assert (Path(alice) / "samples" / "1.flac").read_bytes() == SAMPLES["samples/1.flac"]
    again = studio.voice("export", "alice", "--official", "--base", BASE_URI)
    assert (again.code, again.out) == (1, f"{alice}\n")
    assert again.last_line.startswith(f"error: {alice}-official/alice.ckpt exists already")
    (first, *_) = studio.lab.client.get("voicerevisions", alice)["exports"]["records"]
    assert first["digest"] == studio.lab.client.get("voicerevisions", alice)["spec"]["artifacts"]["digest"]
    log = ("audit", "--uri", f"{studio.lab.bucket.uri}/audit", "--json", "--act", "Exported")

    def recorded() -> list[str]:
        return studio.voice(*log).out.splitlines()

    act = json.loads(wait_for("the record of the export", recorded)[0])["act"]
    assert (act["revision"], act["by"], act["time"]) == (alice, first["by"], first["at"])
    assert act["reason"] == "fetched by kubectl voice export"


def test_the_audit_log_is_read_and_proved_from_the_store(studio: Studio, alice: str, tmp_path: Path) -> None:
    log = ("--uri", f"{studio.lab.bucket.uri}/audit")
    done = studio.voice("audit", *log, "--voice", "alice")
    assert (done.code, done.err) == (0, "")
    head, *rows = done.out.splitlines()
    assert head.split() == ["RECORD", "TIME", "ACT", "VOICE", "REVISION", "BY", "AND", "WHY"]
    assert {"Consented", "Trained", "Served"} <= {row.split()[2] for row in rows}
    listed = studio.voice("audit", *log, "--json", "--act", "Served").out.splitlines()
    assert [json.loads(line)["act"]["revision"] for line in listed] == [alice]
    assert studio.voice("audit", *log, "--voice", "nobody").err.endswith("has no such record\n")
    key = tmp_path / "key.pub"
    key.write_text(next(iter(studio.lab.client.get("configmaps", "voice-operator-signing-key")["data"].values())))
    assert studio.voice("audit", "verify", *log).err.startswith("error: audit verify with --uri needs --public-key: ")
    proved = studio.voice("audit", "verify", *log, "--public-key", key)
    assert (proved.code, proved.out.split(": ")[-1]) == (0, "nothing is wrong\n")
    folder = studio.lab.bucket.folder / "audit" / studio.lab.namespace
    record = min(folder.iterdir())
    kept = record.read_bytes()
    record.write_bytes(kept.replace(b"Consented", b"Served", 1))
    broken = studio.voice("audit", "verify", *log, "--public-key", key)
    record.write_bytes(kept)
    assert (broken.code, "do not trust this log" in broken.out) == (1, True)
    assert broken.last_line == "error: the log is not whole; what is above says what is wrong"


def test_an_audit_log_without_an_operator_here_names_the_other_way(studio: Studio) -> None:
    done = studio.voice("audit")
    assert done.code == 5
    assert done.last_line == "error: no operator is installed; with --uri the log is read from the object store"


def test_logs_that_no_node_serves_are_told_with_the_remedy(studio: Studio, checkout: Checkout, user: User) -> None:
    studio.lab.node.plan = Hold("train")
    assert studio.voice("push", make_folder(checkout.voices / "bea", loudness=2)).code == 0
    studio.lab.until_running("bea", "train", SECONDS)
    (pod,) = studio.lab.client.objects("pods", "voice.sovits.dev/voice-model=bea,voice.sovits.dev/stage=train")
    _bind(user, studio.lab, pod["metadata"]["name"])
    done = studio.voice("logs", "bea", "--stage", "train")
    job = pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]
    assert (done.code, done.out) == (6, "")
    assert done.err == (
        f"error: no log of {job}: the API server cannot reach the pod's node (dial tcp 127.0.0.1:10250: connect: "
        "connection refused); `kubectl voice status bea` tells what is known\n"
    )
    studio.lab.client.delete("pods", pod["metadata"]["name"])
    done = studio.voice("logs", "bea", "--stage", "evaluate")
    assert done.code == 5
    assert done.err == "error: bea has had no evaluate Job yet; `kubectl voice status bea` says what it waits for\n"
    studio.lab.node.plan = Hold()


def _bind(user: User, lab: Lab, pod: str) -> None:
    """Let a pod be on a node whose kubelet does not answer."""
    user.run("apply", "-f", "-", stdin=json.dumps(NODE))
    address = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
    user.run(
        "patch", "node", "silent", "--subresource=status", "--type=merge", f"--patch={json.dumps({'status': address})}"
    )
    target = {"apiVersion": "v1", "kind": "Node", "name": "silent"}
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
    lab.client.request("POST", lab.client.path("pods", pod) + "/binding", binding)


def test_what_waits_for_a_decision_is_heard_before_what_is_served(
    studio: Studio, checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(checkout.path)
    folder, review = checkout.voices / "amy", {"required": True, "separation": False}
    for loudness in (70, 71):
        make_folder(folder, loudness=loudness, review=review)
        checkout.commit(f"amy: recordings {loudness}")
        assert studio.voice("push", folder, "--wait", "--timeout", str(SECONDS)).out.startswith("amy: AwaitingReview")
        if loudness == 70:
            assert studio.voice("approve", "amy").code == 0
            wait_for("the first one to be served", lambda: studio.lab.status("amy").get("activeRevision"), SECONDS)
            served = studio.lab.status("amy")["activeRevision"]
            shutil.rmtree(folder)
    waits = studio.lab.status("amy")["candidateRevision"]
    done = studio.voice("listen", "amy")
    assert (done.code, done.err) == (0, f"amy: this is {waits}, which waits for a decision; {served} is served\n")
    assert done.out.split() == [f"{waits}-samples/1.flac", f"{waits}-samples/2.flac"]
    assert studio.voice("export", "amy").out == f"{served}\n"
