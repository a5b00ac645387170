"""SIGKILL before and after each request of a copy and of a withdrawal: nothing is seen by halves, the next ends it."""

import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.hub import TOKEN, Hub
from tests.trainer.hub.conftest import NAME, TARGET, files_of, write_bundle

from voice_trainer.hub.withdrawing import CARDS

pytestmark = pytest.mark.faults
OF_THE_HUB = {".gitattributes", "README.md"}


@pytest.fixture
def trainer(hub: Hub, tmp_path: Path) -> Callable[..., bool]:
    """Run a command in a process, killed in its n-th moment; returns whether it ended before."""

    def run(*words: str, moment: int = 0) -> bool:
        process = subprocess.Popen(
            [sys.executable, "-m", "voice_trainer", *words, "--endpoint", hub.endpoint],
            env=os.environ
            | {"HF_TOKEN": TOKEN, "HF_HUB_DISABLE_XET": "1", "VOICE_TERMINATION_LOG": str(tmp_path / "log")},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        moments = itertools.count(1)

        def kill(_: str) -> None:
            if next(moments) == moment:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

        hub.on_request = kill
        _, said = process.communicate(timeout=120)
        hub.on_request = lambda _: None
        assert process.returncode in {0, -signal.SIGKILL}, said.decode()
        return process.returncode == 0

    return run


def held(hub: Hub) -> dict[str, bytes]:
    """What the repository shows, apart from the Hub's own files."""
    files = hub.repositories[NAME].files if NAME in hub.repositories else {}
    return {name: data for name, data in files.items() if name not in OF_THE_HUB}


def test_a_copy_that_is_killed_in_any_moment_is_there_whole_or_not(
    trainer: Callable[..., bool], hub: Hub, bundle: Path, tmp_path: Path
) -> None:
    first, second = files_of(bundle), files_of(write_bundle(tmp_path / "second", revision="alice-9d01b7e4"))
    words = "copy", str(tmp_path / "second"), TARGET
    for moment in itertools.count(1):
        hub.repositories.clear()
        hub.objects.clear()
        assert trainer("copy", str(bundle), TARGET)
        ended = trainer(*words, moment=moment)
        assert held(hub) in (first, second), f"moment {moment}"
        assert trainer(*words)
        assert held(hub) == second
        assert len(hub.repositories[NAME].commits) == 2, "no commit is made twice"
        if ended:
            break
    assert moment > 8


def test_a_withdrawal_that_is_killed_in_any_moment_is_ended_by_the_next(
    trainer: Callable[..., bool], hub: Hub, bundle: Path
) -> None:
    whole = files_of(bundle)
    for moment in itertools.count(1):
        hub.repositories.clear()
        hub.objects.clear()
        assert trainer("copy", str(bundle), TARGET)
        ended = trainer("withdraw", TARGET, moment=moment)
        assert held(hub) in (whole, {}), f"moment {moment}"
        assert trainer("withdraw", TARGET)
        repository = hub.repositories[NAME]
        assert (held(hub), repository.files["README.md"]) == ({}, CARDS["revoked"])
        assert (len(repository.commits), repository.large, hub.objects) == (1, {}, {})
        if ended:
            break
    assert moment > 6
