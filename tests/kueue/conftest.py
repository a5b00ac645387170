"""Kueue beside a control plane of its own, and an operator that is told of it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml
from dev.operator_process import OperatorProcess
from dev.ports import free_port
from tests.faults.bucket import Bucket
from tests.kueue.team import NODE, Team
from tests.support.control_plane import a_control_plane
from tests.support.kueue import Kueue

SYSTEM = "voice-system"


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One of their own: Kueue's webhooks judge every Job of a cluster."""
    with a_control_plane(tmp_path_factory.mktemp("control-plane"), beside=600) as kubeconfig:
        yield kubeconfig


@pytest.fixture(scope="session")
def cluster(
    control_plane: Path, tool: Callable[[str], Path], repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kueue]:
    """A cluster with our kinds and a node without a kubelet, and what installs Kueue there."""
    tools = repository / "dev" / "tools" / "kueue"
    found = Kueue(tool("kueue"), tool("kubectl"), control_plane, tmp_path_factory.mktemp("kueue"), tools)
    found.run("apply", "--server-side", "-f", str(repository / "crds"))
    found.run("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
    found.run("create", "namespace", SYSTEM)
    found.apply({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    yield found
    found.stop()


@pytest.fixture(scope="session")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Bucket:
    folder = tmp_path_factory.mktemp("bucket")
    return Bucket(f"file://{folder}", folder)


@pytest.fixture(scope="session")
def operator(
    control_plane: Path, cluster: Kueue, bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OperatorProcess]:
    """An operator of the whole cluster that is told of Kueue before there is any."""
    folder, port = tmp_path_factory.mktemp("operator"), free_port()
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}}
    config = {
        "images": {"trainer": "voice-trainer:test", "inference": "voice-inference:test"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": bucket.uri, "secretName": "voice-store"},
        "tenancy": {"datasets": ["s3://voices/datasets/{namespace}/"]},
        "stages": {stage: {"resources": resources} for stage in ("prepare", "train", "evaluate")},
        "kueue": {"enabled": True},
        "namespace": SYSTEM,
        "leaseName": "",
        "listen": f"127.0.0.1:{port}",
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    running = OperatorProcess(path, control_plane, folder / "log.txt", f"http://127.0.0.1:{port}")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def early(operator: OperatorProcess, control_plane: Path, bucket: Bucket) -> str:
    """What the operator had logged when it had trained a voice and there was no Kueue yet."""
    team = Team(control_plane, "early", bucket)
    team.start()
    team.apply("ann")
    team.until_trained("ann")
    team.stop()
    return operator.log.read_text()


@pytest.fixture(scope="session")
def kueue(cluster: Kueue, early: str) -> Kueue:
    """Kueue, installed but not started."""
    assert early
    cluster.install()
    return cluster


@pytest.fixture
def make_team(control_plane: Path, bucket: Bucket) -> Iterator[Callable[[str], Team]]:
    """Make a namespace whose node works while the test runs."""
    with ExitStack() as running:

        def make(namespace: str) -> Team:
            team = Team(control_plane, namespace, bucket)
            team.start()
            running.callback(team.stop)
            return team

        yield make
