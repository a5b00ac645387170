"""A tenant that fills lists, prefixes and queues takes nothing from another one: revocations pass, memory stays."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from dev.paths import REPOSITORY
from tests.faults.client import Client
from tests.security.flood import FLOOD, LISTED, PADDED, Delay, Scene, scene
from tests.support.s3_server import s3_server
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.slow]

OBJECTS = int(os.environ.get("ATTACK_OBJECTS", "200000"))  # below one prefix
REVOKED_SECONDS = 5.0
GIVEN_UP_SECONDS = 120.0
PEAK_MIB = 200.0
VICTIMS = 8


@pytest.fixture(scope="module")
def figures(repository: Path) -> Iterator[dict[str, object]]:
    """What is measured; written also where a bound does not hold."""
    found: dict[str, object] = {"padded": PADDED, "objects": OBJECTS, "listed": LISTED, "flood": FLOOD}
    yield found
    folder = Path(os.environ.get("ATTACK_OUT", repository / "out" / "security"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flood.json").write_text(json.dumps(found, indent=1) + "\n")


@pytest.fixture(scope="module")
def unguarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A control plane without the chart's admission policies, beside the one of the other attacks."""
    state, command = tmp_path_factory.mktemp("unguarded"), [sys.executable, "-m", "dev.cluster"]
    offset = str(int(os.environ.get("VOICE_OPERATOR_PORT_OFFSET", "1000")) + 500)
    try:
        only = ["--only", "control-plane", "--port-offset", offset]
        subprocess.run([*command, "up", "--state", str(state), *only], cwd=REPOSITORY, check=True)
        yield state / "admin.kubeconfig"
    finally:
        subprocess.run([*command, "down", "--state", str(state)], cwd=REPOSITORY, check=True)


@pytest.fixture(scope="module")
def attacked(
    unguarded: Path,
    repository: Path,
    tool: Callable[[str], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Scene]:
    client, kind = Client(unguarded, "default"), "customresourcedefinitions"
    for path in sorted((repository / "crds").iterdir()):
        client.apply(yaml.safe_load(path.read_text()))
        wait_for(f"the CRD {path.stem}", lambda: (client.get(kind, path.stem).get("status") or {}).get("conditions"))  # noqa: B023
    folder = tmp_path_factory.mktemp("load")
    bucket = folder / "s3" / "voices"
    bucket.mkdir(parents=True)
    with (
        s3_server(tool("versitygw"), bucket.parent) as port,
        scene(unguarded, port, bucket, folder, VICTIMS) as found,
    ):
        yield found
    client.close()


def test_a_revocation_passes_whatever_another_tenant_does(attacked: Scene, figures: dict[str, object]) -> None:
    delays, started, peaks = dict[str, Delay](), dict[str, float](), dict[str, float]()
    gone, told = dict[str, float](), dict[str, float]()
    figures |= {"revoked_seconds": gone, "watched_seconds": told, "new_job_seconds": started, "peak_mib": peaks}

    def note(phase: str, voice: str) -> None:
        delays[phase] = attacked.revoke(voice, GIVEN_UP_SECONDS)
        gone[phase], told[phase] = delays[phase].gone, delays[phase].told
        started[phase] = attacked.new_job(f"new-{voice}", GIVEN_UP_SECONDS)
        peaks[phase] = attacked.peak()
        figures["alive"] = attacked.stays_alive()

    note("quiet", "voice0")
    attacked.fill_prefix(OBJECTS)
    attacked.list_prefix()
    time.sleep(3)
    note("12 voices at a huge prefix", "voice1")
    attacked.pad()
    note("266 padded objects", "voice2")
    time.sleep(35)  # everything was listed again meanwhile
    note("listed again", "voice3")
    figures["restart_seconds"] = attacked.restart()
    note("after a restart", "voice4")
    attacked.flood()
    note("500 urgent voices", "voice5")
    assert figures["alive"]
    assert max(started.values()) < GIVEN_UP_SECONDS, "a new voice is trained whatever happens"
    assert {phase: delay for phase, delay in delays.items() if delay.own > REVOKED_SECONDS} == {}
    assert {phase: peak for phase, peak in peaks.items() if peak > PEAK_MIB} == {}
