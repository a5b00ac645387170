"""Requests made from the server's own OpenAPI document by schemathesis, valid ones and others."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

# A text may be refused for its letters, and a field because of another one: no JSON schema says so. And what reads as
# the type is taken, such as "true" for true: clients of api_v2 send that.
UNSAYABLE: Final = "positive_data_acceptance,negative_data_rejection"


def run(url: str, key: str, report: Path, *, examples: int, seconds: int) -> dict[str, Any]:
    """Return how many requests there were and which failures; ``seconds`` bounds the whole run."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"]
    command += ["--phases", "examples,coverage,fuzzing", "--checks", "all", "--exclude-checks", UNSAYABLE]
    command += ["--max-examples", str(examples), "--max-time", str(seconds), "--continue-on-failure", "--seed", "1"]
    command += ["--header", f"Authorization: Bearer {key}", "--request-timeout", "60", "--no-color"]
    command += ["--report", "json", "--report-json-path", str(report), "--generation-database", "none"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=report.parent)
    report.with_suffix(".log").write_text(done.stdout + done.stderr, encoding="utf-8")
    document = json.loads(report.read_text(encoding="utf-8"))
    return {
        "requests": document["test_cases"]["generated"],
        "operations": document["operations"]["tested"],
        "errored": document["test_cases"]["errored"],
        "failures": [f"{one['title']}: {', '.join(map(str, one['operations']))}" for one in document["failures"]],
    }
