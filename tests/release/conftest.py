"""A record as `make images` writes one, made from packages that are really installed here."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # dev/ is no installed package

from dev.images import contents  # noqa: E402 -- after the path

COMMIT = "a" * 40
LISTS = "deb.debian.org_debian_dists_bookworm_InRelease"


@pytest.fixture(scope="session")
def installed() -> dict[str, Any]:
    """What `dev/images/contents.py` prints, run as it runs inside an image."""
    code = Path(contents.__file__).read_text(encoding="utf-8")
    command = [sys.executable, "-I", "-B", "-c", code]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found | {"debian": found["debian"][:20]}  # a machine has many times as many as an image


@pytest.fixture
def record(installed: dict[str, Any]) -> dict[str, Any]:
    return {
        "image": "operator",
        "tag": "dev-1",
        "config_digest": f"sha256:{'b' * 64}",
        "started": "2026-11-29T10:00:00Z",
        "finished": "2026-11-29T10:01:00Z",
        "source": {"commit": COMMIT, "changed": [], "origin": ""},
        "files": {"uv.lock": "c" * 64, "Dockerfile.operator": "d" * 64},
        "base": {"name": "localhost/voice-operator/python:3.11", "config_digest": f"sha256:{'e' * 64}"},
        "debian_snapshot": "20261128T000000Z",
        "builder": "buildah version 1.28.2",
        "contents": copy.deepcopy(installed) | {"signed_lists": {LISTS: "f" * 64}},
    }
