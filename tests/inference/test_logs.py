"""What a server says of itself is one JSON object a line in pods, and one line for people elsewhere."""

import json
import subprocess
import sys

CODE = """
import logging, sys
from voice_inference import logs
logs.configure("warning", sys.argv[1])
log = logging.getLogger("voice_inference.test")
log.info("nobody asked for this")
try:
    raise ValueError("a\\nb")
except ValueError:
    log.exception("it\\nfailed for %s", "alice")
"""


def logged(form: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CODE, form], capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def test_json_is_an_object_a_line() -> None:
    (line,) = logged("json")
    record = json.loads(line)
    assert (record["level"], record["logger"]) == ("ERROR", "voice_inference.test")
    assert record["message"] == "it\nfailed for alice"
    assert record["exception"].endswith("ValueError: a\nb")
    assert set(record) == {"time", "level", "logger", "message", "exception"}


def test_text_is_a_line_with_its_traceback_below() -> None:
    first, *rest = logged("text")
    assert "ERROR voice_inference.test: it" in first
    assert "failed for alice" in first
    assert all(line.startswith(" ") for line in rest)
