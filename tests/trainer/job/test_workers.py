"""Workers: processes that answer one item after another, and what becomes of an item that ends one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from voice_trainer.errors import Transient
from voice_trainer.job.children import MIB, Bounds
from voice_trainer.job.workers import ItemFailed, Workers

PROGRAM = """
import json, os, sys, time
given, made = (int(number) for number in sys.argv[1:3])
for line in sys.stdin:
    asked = json.loads(line)
    os.lseek(given, 0, 0), os.lseek(made, 0, 0)
    data = os.read(given, 1 << 20)
    answer = {"pid": os.getpid(), "variables": sorted(os.environ)}
    if asked["do"] == "echo":
        os.write(made, data[::-1])
    elif asked["do"] == "fail":
        answer = {"error": "no voice"}
    elif asked["do"] == "crash":
        os.abort()
    elif asked["do"] == "hang":
        time.sleep(60)
    elif asked["do"] == "grow":
        data = bytearray(1 << 30)
    elif asked["do"] == "lie":
        print("[1]", flush=True)
        continue
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workers]:
    monkeypatch.setattr("voice_trainer.job.workers.START_SECONDS", 3.0)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    with Workers(program, Bounds(wall_seconds=1.0, memory=256 * MIB, file_bytes=MIB)) as workers:
        yield workers


def test_one_process_answers_item_after_item_and_knows_no_key(workers: Workers) -> None:
    first, data = workers.ask({"do": "echo"}, b"voices")
    again, less = workers.ask({"do": "echo"}, b"ab")
    assert (data, less) == (b"seciov", b"ba"), "what an earlier item left is gone"
    assert first["pid"] == again["pid"]
    assert "AWS_SECRET_ACCESS_KEY" not in first["variables"]


def test_an_error_is_about_the_item_alone(workers: Workers) -> None:
    pid = workers.ask({"do": "echo"}, b"")[0]["pid"]
    with pytest.raises(ItemFailed, match="no voice"):
        workers.ask({"do": "fail"}, b"")
    assert workers.ask({"do": "echo"}, b"")[0]["pid"] == pid


@pytest.mark.parametrize(
    ("do", "why"),
    [
        pytest.param("crash", "SIGABRT", id="crashes"),
        pytest.param("hang", "more than 1 s", id="hangs"),
        pytest.param("lie", "SIGKILL", id="answers nonsense"),
    ],
)
def test_an_item_that_ends_a_process_is_told_and_the_next_one_has_another(workers: Workers, do: str, why: str) -> None:
    pid = workers.ask({"do": "echo"}, b"")[0]["pid"]
    with pytest.raises(ItemFailed, match=why):
        workers.ask({"do": do}, b"")
    assert workers.ask({"do": "echo"}, b"x")[1] == b"x"
    assert workers.ask({"do": "echo"}, b"")[0]["pid"] != pid


def test_a_program_that_cannot_run_is_no_fault_of_the_item(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import a_library_that_is_missing")
    with Workers(program, Bounds()) as workers, pytest.raises(Transient, match="program cannot run"):
        workers.ask({}, b"")
