"""The demo's commands run side by side, and end together."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from dev.demo import commands
from dev.demo.commands import Commands
from dev.errors import DevError

SLOW = """
import pathlib, signal, sys, time
def interrupt(*_): raise KeyboardInterrupt
signal.signal(signal.SIGTERM, interrupt)
pathlib.Path(sys.argv[1]).write_text("running")
try:
    time.sleep(600)
except KeyboardInterrupt:
    pathlib.Path(sys.argv[1]).write_text("interrupted")
    sys.exit(130)
"""


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of the same name with commands of the tests' own."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev" / "echo.py").write_text("import sys; print(*sys.argv[1:])")
    (tmp_path / "dev" / "fail.py").write_text("import sys; sys.exit(3)")
    (tmp_path / "dev" / "slow.py").write_text(SLOW)
    monkeypatch.setattr(commands, "REPOSITORY", tmp_path)


def test_a_command_answers_with_its_standard_output() -> None:
    with Commands() as running:
        assert running.run("echo", "up", "--wait") == "up --wait"


def test_a_failure_names_the_command() -> None:
    with Commands() as running, pytest.raises(DevError, match=r"python3 -m dev.fail.* ended with 3"):
        running.run("fail")


def test_when_one_fails_the_others_are_interrupted_and_no_more_start(tmp_path: Path) -> None:
    told = tmp_path / "told"
    running = Commands()
    with ThreadPoolExecutor(max_workers=1) as pool:
        slow = pool.submit(running.run, "slow", str(told))
        while not told.exists() or not told.read_text():
            time.sleep(0.01)
        with pytest.raises(DevError, match=r"dev.fail"), running:
            running.run("fail")
        assert isinstance(slow.exception(), DevError)
    assert told.read_text() == "interrupted"
    with pytest.raises(DevError, match="not started"):
        running.run("echo")
