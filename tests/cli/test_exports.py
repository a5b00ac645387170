"""``export`` is recorded before anything is fetched, in the caller's name; whom the API server refuses gets nothing."""

import json
import os
from pathlib import Path

import pytest
from tests.cli.conftest import Done, Voice

from voice_store import content_of

MANIFEST = b'{"files": {}}'
DIGEST = content_of([MANIFEST]).digest
# A kubectl that answers so; the real one decides in tests/operator/test_people_api_server.py.
KUBECTL = """#!/bin/sh
echo "$@" >> {log}
case "$1" in
  auth) echo '{{"status": {{"userInfo": {{"username": "xena"}}}}}}' ;;
  get) cat {revision} ;;
  *) {patch} ;;
esac
"""
REFUSED = (
    'echo \'Error from server (Forbidden): voicerevisions.voice.sovits.dev "alice-1" is forbidden: User "xena" '
    'cannot patch resource "voicerevisions" in API group "voice.sovits.dev" in the namespace "studio"\' >&2; '
    "exit 1"
)


def export(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, folder: Path, *flags: str, patch: str = "echo {}"
) -> tuple[Done, list[str]]:
    bundle, kubectl, log = folder / "bundle", folder / "bin" / "kubectl", folder / "log"
    for path in (bundle, kubectl.parent):
        path.mkdir()
    (bundle / "manifest.json").write_bytes(MANIFEST)
    artifacts = {"uri": bundle.as_uri(), "digest": DIGEST}
    revision = folder / "revision.json"
    revision.write_text(json.dumps({"metadata": {"name": "alice-1"}, "spec": {"artifacts": artifacts}}))
    kubectl.write_text(KUBECTL.format(log=log, revision=revision, patch=patch))
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{kubectl.parent}:{os.environ['PATH']}")
    done = voice("export", "alice-1", "-n", "studio", "--out", str(folder / "out"), *flags)
    return done, log.read_text().splitlines()


def test_the_record_is_of_the_bundle_and_in_ones_own_name(
    voice: Voice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    done, asked = export(voice, monkeypatch, tmp_path, "--reason", "for the archive")
    assert (done.code, done.err) == (0, "")
    patch = json.loads(asked[-1].partition("--patch=")[2].partition(" --field-manager")[0])
    assert patch[0] == {"op": "test", "path": "/spec/artifacts/digest", "value": DIGEST}
    assert patch[1]["path"] == "/exports/records/-"
    record = {"by": "xena", "at": "", "digest": DIGEST, "reason": "for the archive"}
    assert {**patch[1]["value"], "at": ""} == record
    assert (tmp_path / "out" / "manifest.json").read_bytes() == MANIFEST


def test_what_cannot_be_recorded_is_not_fetched(voice: Voice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    done, _ = export(voice, monkeypatch, tmp_path, patch=REFUSED)
    assert done.code != 0
    assert "xena may not patch voicerevisions in studio" in done.err
    assert "exporter" in done.err
    assert not (tmp_path / "out").exists()
