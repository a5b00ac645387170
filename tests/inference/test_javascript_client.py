"""OpenAI's own JavaScript client speaks with the server."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.inference.conftest import Desired, MakeBundle, StartProcess

FOLDER = Path(__file__).parent / "javascript"
PROGRAMS = ("node", "npm")


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The client as the lock file names it, by hash; npm keeps it in a cache of its own."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"{missing[0]} is not installed")
    folder = tmp_path / "javascript"
    shutil.copytree(FOLDER, folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if "EAI_AGAIN" in done.stderr or "ENOTFOUND" in done.stderr or "ECONNREFUSED" in done.stderr:
        pytest.skip("npm's registry cannot be reached from here")
    assert done.returncode == 0, done.stderr
    return folder


def test_it_lists_speaks_streams_and_reads_refusals(
    installed: Path, make_bundle: MakeBundle, desired: Desired, start_process: StartProcess
) -> None:
    desired.write(make_bundle().seal())
    with start_process() as process:
        environment = os.environ | {"BASE_URL": f"{process.client.base_url}/v1", "API_KEY": "none"}
        command = ["node", "client.mjs"]
        done = subprocess.run(
            command, cwd=installed, env=environment, capture_output=True, text=True, check=False, timeout=300
        )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert (found["models"], found["model"]) == (["tiny"], "tiny")
    types = {name: file["type"].partition(";")[0] for name, file in found["files"].items()}
    assert types == {
        "mp3": "audio/mpeg",
        "opus": "audio/ogg",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "wav": "audio/wav",
        "pcm": "audio/pcm",
    }
    assert all(file["bytes"] > 1000 for file in found["files"].values())
    assert found["chunks"] > 1, "it is heard in parts"
    assert (found["lastEvent"], found["object"]) == ("speech.audio.done", 200)
    assert found["noVoice"] == {
        "kind": "NotFoundError",
        "status": 404,
        "code": "voice_not_found",
        "param": "voice",
    }
    assert (found["noFormat"]["kind"], found["noFormat"]["param"]) == ("BadRequestError", "response_format")
