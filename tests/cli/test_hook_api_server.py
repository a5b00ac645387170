"""A real `git push` to a bare repository whose hook makes voices; nobody helps but a kubelet."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Checkout, make_folder

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


@pytest.fixture
def server(
    checkout: Checkout, cluster: None, bucket: Any, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> Checkout:
    """A checkout whose remote is a bare repository with the hook."""
    bare = checkout.path.parent / "voices.git"
    checkout.git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    shutil.copy(repository / "ci" / "hooks" / "post-receive", bare / "hooks" / "post-receive")
    checkout.git("config", "remote.origin.url", str(bare))
    program = checkout.path.parent / "bin" / "voice"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m voice_cli "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("VOICE_DATASETS", "s3://voices/datasets/{namespace}")
    return checkout


def pushing(checkout: Checkout) -> Callable[[], list[str]]:
    """Begin a push; returns what waits for its end and returns what the server said."""
    running = subprocess.Popen(
        ["git", "push", "origin", "main"],
        cwd=checkout.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )

    def ended() -> list[str]:
        said = running.communicate(timeout=60)[0]
        return [line.removeprefix("remote: ").strip() for line in said.splitlines() if line.startswith("remote:")]

    return ended


def test_two_voices_in_one_push_and_a_deleted_folder(scene: Any, server: Checkout) -> None:
    for number, name in enumerate(("kim", "lee")):
        make_folder(server.voices / name, loudness=10 + number)
    commit = server.commit("kim and lee")
    ended = pushing(server)
    for name in ("kim", "lee"):
        scene.wait(f"the push of {name}", lambda name=name: scene.user.exists("voice", name))
        scene.train(name)
    said = ended()
    assert [line for line in said if ": Ready: 9 files sent" in line] == [
        f"{name}: Ready: 9 files sent, 0 were there" for name in ("kim", "lee")
    ]
    for name in ("kim", "lee"):
        revision = scene.user.get("voicerevision", scene.user.status(name)["activeRevision"])
        assert revision["spec"]["source"]["commit"] == commit

    jobs = set(scene.user.jobs("kim"))
    shutil.rmtree(server.voices / "lee")
    (server.voices / "kim" / "notes.txt").write_text("no recording")
    server.commit("lee goes, kim gets notes")
    said = pushing(server)()
    assert "kim: Ready: 0 files sent, 9 were there" in said
    assert "lee: deleted: the folder is gone; the voice stays until a person decides: `kubectl voice erase lee`" in said
    assert scene.user.condition("lee", "Ready")["status"] == "True"
    assert set(scene.user.jobs("kim")) == jobs
