"""``approve`` and ``reject``: what they ask kubectl for, and what they say where it fails."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.cli.conftest import Done, Voice

from voice_cli.decisions import decision_patch

DIGEST = "sha256:" + "b" * 64
# A kubectl that answers so; the real one decides in tests/operator/test_people_api_server.py.
KUBECTL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  auth) echo '{{"status": {{"userInfo": {{"username": "rita"}}}}}}' ;;
  get) echo '{{"metadata": {{"name": "alice-1"}}, "spec": {{"artifacts": {{"digest": "{digest}"}}}}}}' ;;
  *) {patch} ;;
esac
"""


def decide(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str, patch: str = "echo {}"
) -> tuple[Done, list[str]]:
    kubectl = folder / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL.format(log=folder / "log", digest=DIGEST, patch=patch))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kubectl.parent}:{os.environ['PATH']}")
    done = voice(*arguments)
    log = folder / "log"
    return done, log.read_text().splitlines() if log.exists() else []


def test_a_decision_is_about_one_bundle_and_in_ones_own_name(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    flags = ("-n", "studio", "--context", "here", "--reason", "sounds like her")
    done, asked = decide(voice, monkeypatch, tmp_path, "approve", "alice-1", *flags)
    assert (done.code, done.out) == (0, f"alice-1 ({DIGEST}): Approved by rita\n")
    revision = "voicerevisions.voice.sovits.dev"
    assert asked[0] == f"get --namespace=studio --context=here {revision} alice-1 --output=json"
    patch = json.loads(asked[-1].partition("--patch=")[2].partition(" --field-manager")[0])
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


def test_a_rejection_needs_a_reason(voice: Voice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done, asked = decide(voice, monkeypatch, tmp_path, "reject", "alice-1", "--reason", " ")
    assert (done.code, done.err, asked) == (2, "error: reject needs --reason: say why\n", [])


def test_a_refusal_is_told_in_the_api_servers_words(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done, _ = decide(
        voice, monkeypatch, tmp_path, "approve", "alice-1", patch="echo 'rita may not approve' >&2; exit 1"
    )
    assert (done.code, done.err) == (4, "error: rita may not approve\n")


def test_a_name_that_is_a_flag_is_refused_before_anything_is_asked(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done, asked = decide(voice, monkeypatch, tmp_path, "approve", "--", "--all")
    assert (done.code, asked) == (2, [])
    assert "'--all' is no name" in done.err


def test_without_kubectl_the_command_says_what_to_do(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = voice("approve", "alice-1")
    assert done.code == 6
    assert done.err.startswith("error: kubectl is not on the PATH; install it")
