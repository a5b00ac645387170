"""A real `git push` to a bare repository whose hook makes voices; nobody helps but a kubelet."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Checkout, make_folder
from tests.cli.remote import add_remote, pushing

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_two_voices_in_one_push_and_a_deleted_folder(
    scene: Any, checkout: Checkout, cluster: None, bucket: Any, repository: Path
) -> None:
    environment = add_remote(checkout, repository)
    for number, name in enumerate(("kim", "lee")):
        make_folder(checkout.voices / name, loudness=10 + number)
    commit = checkout.commit("kim and lee")
    ended = pushing(checkout, environment)
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
    shutil.rmtree(checkout.voices / "lee")
    (checkout.voices / "kim" / "notes.txt").write_text("no recording")
    checkout.commit("lee goes, kim gets notes")
    said = pushing(checkout, environment)()
    assert "kim: Ready: 0 files sent, 9 were there" in said
    assert "lee: deleted: the folder is gone; the voice stays until a person decides: `kubectl voice erase lee`" in said
    assert scene.user.condition("lee", "Ready")["status"] == "True"
    assert set(scene.user.jobs("kim")) == jobs
