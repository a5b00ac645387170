"""The trainer as a process of its own that is killed, with all that it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence


def killed_after(seconds: float, words: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Run the trainer, and kill it after so long; return whether it had not ended by itself, which it must do well."""
    process = subprocess.Popen(
        [sys.executable, "-m", "voice_trainer", *words],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        _, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, said.decode()
    return False
