"""Other programs are started without the job's secrets and within limits, and end with all that they started."""

import os
import re
import sys
import time
from pathlib import Path

import pytest

from voice_trainer.job import children
from voice_trainer.job.children import MIB, Bounds, ChildFailed, ChildTimedOut


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-c", code]


def test_a_program_gets_no_variable_of_the_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "VOICE_S3_CREDENTIALS_DIR", "VOICE_X", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "hunter2")
    said = children.run(python("import os; print(*os.environ.items())")).decode()
    assert "hunter2" not in said
    assert set(re.findall(r"\('(\w+)',", said)) <= {"PATH", "LANG", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LC_CTYPE"}


def test_it_has_a_session_of_its_own_and_gets_what_it_is_given() -> None:
    said = children.run(python("import os, sys; print(os.getsid(0), sys.stdin.read())"), b"data").decode().split()
    assert said[0] != str(os.getsid(0))
    assert said[1] == "data"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("b = bytearray(2**30)", "MemoryError", id="memory"),
        pytest.param("while True: pass", "SIGXCPU|SIGKILL", id="processor"),
        pytest.param("print('x' * 2**21)", "SIGXFSZ|File too large", id="output"),
        pytest.param("f = [open('/dev/null') for _ in range(99)]", "Too many open files", id="files"),
    ],
)
def test_beyond_a_limit_it_fails(code: str, said: str) -> None:
    # The limits come a moment after the start.
    bounds = Bounds(wall_seconds=20, cpu_seconds=1, memory=256 * MIB, file_bytes=MIB, open_files=32)
    with pytest.raises(ChildFailed, match=said):
        children.run(python(f"import time\ntime.sleep(0.2)\n{code}"), bounds=bounds)


def test_beyond_its_time_it_is_killed_with_all_that_it_started(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        "import subprocess, time;"
        "p = subprocess.Popen(['sleep', '60']);"
        f"open({str(pid_file)!r}, 'w').write(str(p.pid));"
        "time.sleep(60)"
    )
    with pytest.raises(ChildTimedOut, match="more than 1 s"):
        children.run(python(code), bounds=Bounds(wall_seconds=1.0))
    pid = int(pid_file.read_text())
    deadline = time.monotonic() + 5
    while _runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_it_said_last_is_why_it_failed() -> None:
    with pytest.raises(ChildFailed, match=r"^the end$"):
        children.run(python("import sys; sys.exit('much\\nthe end')"))
    with pytest.raises(ChildFailed, match="exit status 3"):
        children.run(python("raise SystemExit(3)"))
