"""``voice-operator approve`` and ``reject``: what they ask kubectl for, and what they say where it fails."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from voice_operator.decisions import decision_patch

DIGEST = "sha256:" + "b" * 64
KUBECTL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  auth) echo '{{"status": {{"userInfo": {{"username": "rita"}}}}}}' ;;
  get) echo '{{"spec": {{"artifacts": {{"digest": "{digest}"}}}}}}' ;;
  *) {patch} ;;
esac
"""


def decide(folder: Path, *arguments: str, patch: str | None = "echo {}") -> subprocess.CompletedProcess[str]:
    """Run the command beside a kubectl that answers so; None: there is none."""
    if patch is not None:
        kubectl = folder / "kubectl"
        kubectl.write_text(KUBECTL.format(log=folder / "log", digest=DIGEST, patch=patch))
        kubectl.chmod(0o755)
    path = str(folder) if patch is None else f"{folder}:{os.environ['PATH']}"
    command = [sys.executable, "-m", "voice_operator", *arguments]
    environment = os.environ | {"PATH": path}
    return subprocess.run(command, env=environment, text=True, capture_output=True, check=False, timeout=60)


def test_a_decision_is_about_one_bundle_and_in_ones_own_name(tmp_path: Path) -> None:
    done = decide(tmp_path, "approve", "alice-1", "-n", "studio", "--context", "here", "--reason", "sounds like her")
    assert (done.returncode, done.stdout) == (0, f"alice-1 ({DIGEST}): Approved by rita\n")
    asked = (tmp_path / "log").read_text().splitlines()
    assert asked[1] == "get voicerevision alice-1 --namespace=studio --context=here --output=json"
    patch = json.loads(asked[2].partition("--patch ")[2].partition(" --namespace")[0])
    assert patch[0] == {"op": "test", "path": "/spec/artifacts/digest", "value": DIGEST}
    assert patch[1]["path"] == "/review/decisions/-"
    assert {**patch[1]["value"], "at": ""} == {
        "by": "rita",
        "decision": "Approved",
        "at": "",
        "digest": DIGEST,
        "reason": "sounds like her",
    }


def test_the_time_is_in_utc_and_to_the_second() -> None:
    now = datetime(2026, 11, 23, 6, 7, 8, 999, tzinfo=UTC)
    assert decision_patch("rita", "Rejected", DIGEST, "no", now)[1]["value"]["at"] == "2026-11-23T06:07:08Z"


def test_a_rejection_needs_a_reason(tmp_path: Path) -> None:
    done = decide(tmp_path, "reject", "alice-1", "--reason", " ")
    assert done.returncode == 2
    assert "reject needs --reason" in done.stderr
    assert not (tmp_path / "log").exists()


def test_a_refusal_is_told_in_the_api_servers_words(tmp_path: Path) -> None:
    done = decide(tmp_path, "approve", "alice-1", patch="echo 'rita may not approve' >&2; exit 1")
    assert (done.returncode, done.stderr) == (64, "voice-operator: rita may not approve\n")


def test_without_kubectl_the_command_says_what_to_do(tmp_path: Path) -> None:
    done = decide(tmp_path, "approve", "alice-1", patch=None)
    assert (done.returncode, done.stderr) == (64, "voice-operator: kubectl is not on the PATH; install it\n")
