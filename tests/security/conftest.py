"""Two tenants in an installation as SECURITY.md advises: real API server, chart, operator, store and speech server."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.chart.conftest import Chart
from tests.faults.client import ApiFailed
from tests.inference.conftest import BASE, BASE_URI
from tests.security.bundles import Bundles
from tests.security.installation import (
    SYSTEM,
    TEAM_A,
    TEAM_B,
    Installation,
    make_s3_users,
)
from tests.support.control_plane import a_control_plane
from tests.support.s3_server import s3_server
from tests.support.speech_server import SpeechServer
from tests.support.voices import make_voice
from tests.support.waiting import wait_for

from voice_inference.access.api_keys import digest_of, new_key
from voice_inference.bundles.base import load_base

VALUES: dict[str, Any] = {
    "admission": {"alsoTrusted": {"users": ["velero"]}},
    "policy": {
        "gates": [{"metric": "pesq", "min": "3.0"}],
        "max": {"gpus": 1, "epochs": 20, "timeout": "24h", "replicas": 3, "objectBytes": 65536},
        "serverNamePattern": "default|voice-.*",
    },
}
STOLEN = f"s3://voices/datasets/{TEAM_A}/alice"  # recordings of team-a


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Bundles:
    return Bundles(load_base(BASE_URI, BASE, threads=1), tmp_path_factory.mktemp("bundles"))


@pytest.fixture(scope="session")
def s3(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of an S3 server with a user for each namespace, and the folder of its buckets."""
    program, folder = tool("versitygw"), tmp_path_factory.mktemp("s3")
    (folder / "data" / "voices").mkdir(parents=True)
    (folder / "users").mkdir()
    flags = ("--iam-dir", str(folder / "users"), "--access-log", str(folder / "access.log"))
    with s3_server(program, folder / "data", *flags) as port:
        make_s3_users(program, port)
        yield port, folder / "data"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One of their own: other tests leave kinds without Helm's labels, and an operator that watches everything."""
    with a_control_plane(tmp_path_factory.mktemp("control-plane"), beside=300) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="session")
def chart(tool: Callable[[str], Path], repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Chart:
    return Chart(tool("helm"), repository / "charts" / "voice-operator", tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def installation(
    control_plane: Path,
    chart: Chart,
    s3: tuple[int, Path],
    bundles: Bundles,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installation]:
    """The installation, whose policies are in force; before them bob made a voice from recordings of team-a."""
    port, folder = s3
    running = Installation(control_plane, chart, tmp_path_factory.mktemp("installation"), port, folder)
    storage = {"storage": {"existingSecret": "keys", "endpoint": f"http://127.0.0.1:{port}"}}
    for clip in ("1.wav", "2.wav"):
        running.bucket.write(f"{STOLEN}/{clip}", b"RIFF")
    running.prepare(VALUES | storage | {"admission": {"enabled": False}})
    bob = running.person("bob", TEAM_B)
    smuggled = make_voice("smuggled", TEAM_B, dataset={"uri": STOLEN})
    wait_for("the rights of `edit`", lambda: _is_accepted(lambda: bob.apply(smuggled)))
    running.helm("upgrade", VALUES | storage)
    probe = make_voice("probe", TEAM_B, dataset={"uri": STOLEN})
    wait_for("the policies", lambda: _is_refused(lambda: bob.request("POST", _dry(bob), probe)), seconds=60)
    for node in running.nodes.values():
        node.bundle = bundles.of_job
    running.start()
    try:
        yield running
    finally:
        wrong = running.stop()
    assert wrong == []


@pytest.fixture(scope="session")
def speech(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechServer]:
    """The pod of the chart's server as a process, with the environment that the operator gives to it."""
    admin = installation.administrator(SYSTEM)
    deployment = wait_for("the server's Deployment", lambda: admin.find("deployments", "default"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = {one["name"]: one["value"] for one in container["env"] if "value" in one}
    folder = tmp_path_factory.mktemp("speech")
    mounted = wait_for("the server's list", lambda: admin.find("configmaps", "default-voices"))
    (folder / "voices.json").write_text(mounted["data"]["voices.json"])  # as the kubelet does
    here = {"VOICE_VOICES": str(folder / "voices.json"), "VOICE_CACHE": str(folder / "cache"), "HOME": str(folder)}
    environment = {name: value for name, value in given.items() if name != "VOICE_S3_CREDENTIALS_DIR"} | here
    environment |= installation.store_environment("operator")
    running = SpeechServer(folder, environment, installation.inference_port)
    yield running
    running.close()


@pytest.fixture(scope="session")
def keyed_speech(speech: SpeechServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SpeechServer]:
    """The same pod where the server has API keys; this client has the key of team-a, for its own voices."""
    folder = tmp_path_factory.mktemp("keyed")
    (folder / "keys").mkdir()
    key = new_key()
    entry = {"id": TEAM_A, "sha256": digest_of(key), "voices": [f"{TEAM_A}/*"]}
    (folder / "keys" / "team-a.json").write_text(json.dumps(entry))
    own = {"VOICE_KEYS": str(folder / "keys"), "VOICE_CACHE": str(folder / "cache"), "HOME": str(folder)}
    running = SpeechServer(folder, speech.environment | own)
    running.client.headers["Authorization"] = f"Bearer {key}"
    yield running
    running.close()


@pytest.fixture(scope="session")
def alice(installation: Installation, speech: SpeechServer) -> str:
    """The revision of team-a's voice `alice`, which the speech server speaks."""
    return installation.train(TEAM_A, "alice")


@pytest.fixture
def stored_server(bundles: Bundles, tmp_path: Path) -> Iterator[Callable[..., SpeechServer]]:
    """Start a real server that reads a list from a file and believes it: what stands behind all walls."""
    started: list[SpeechServer] = []

    def start(path: Path) -> SpeechServer:
        server = SpeechServer(tmp_path / "server", {"VOICE_VOICES": str(path), "VOICE_POLL_SECONDS": "0.1"})
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


def _dry(client: Any) -> str:
    return f"{client.path('voicemodels')}?dryRun=All"


def _is_accepted(act: Callable[[], Any]) -> bool:
    try:
        act()
    except ApiFailed:
        return False
    return True


def _is_refused(act: Callable[[], Any]) -> bool:
    return not _is_accepted(act)
