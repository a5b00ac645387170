"""The audit log against who has a namespace's keys: they read their own part, and write nowhere in it."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from minio.error import S3Error
from tests.security.installation import SYSTEM, TEAM_A, TEAM_B, Installation
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.usefixtures("speech")]

FIRST = "000000000001.json"


@pytest.fixture(scope="module", autouse=True)
def logs(installation: Installation, alice: str) -> None:
    """Both namespaces have one."""
    installation.train(TEAM_B, "audited")
    for team in (TEAM_A, TEAM_B):
        wait_for(f"the log of {team}", lambda: installation.bucket.files(f"audit/{team}"))  # noqa: B023


@pytest.mark.parametrize(
    "attempt",
    [
        pytest.param(lambda s3, key: s3.put_object("voices", key, io.BytesIO(b"{}"), 2), id="overwrite"),
        pytest.param(lambda s3, key: s3.remove_object("voices", key), id="delete"),
        pytest.param(lambda s3, key: s3.put_object("voices", f"{key}-new", io.BytesIO(b"{}"), 2), id="add"),
    ],
)
@pytest.mark.parametrize("team", [TEAM_A, TEAM_B])
def test_a_namespaces_key_changes_nothing_in_a_log(
    installation: Installation, attempt: Callable[..., Any], team: str
) -> None:
    with pytest.raises(S3Error, match="AccessDenied"):
        attempt(installation.s3(TEAM_A), f"audit/{team}/{FIRST}")


def test_a_namespaces_key_reads_its_own_log_and_no_other(installation: Installation) -> None:
    keys = installation.s3(TEAM_A)
    keys.get_object("voices", f"audit/{TEAM_A}/{FIRST}").close()
    assert list(keys.list_objects("voices", prefix=f"audit/{TEAM_A}/", recursive=True))
    with pytest.raises(S3Error, match="AccessDenied"):
        keys.get_object("voices", f"audit/{TEAM_B}/{FIRST}")
    with pytest.raises(S3Error, match="AccessDenied"):
        list(keys.list_objects("voices", prefix=f"audit/{TEAM_B}/", recursive=True))


def test_its_owner_proves_it_with_the_public_key_alone(installation: Installation, tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    found = installation.administrator(SYSTEM).get("configmaps", "voice-operator-signing-key")
    key.write_text(found["data"]["ed25519.pub"])
    command = ["audit", "verify", "-n", TEAM_A, "--uri", "s3://voices/audit", "--public-key", str(key)]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [sys.executable, "-m", "voice_operator", *command],
        env=environment | installation.store_environment(TEAM_A),
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, "nothing is wrong" in done.stdout) == (0, True), done.stdout + done.stderr
