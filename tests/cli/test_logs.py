"""Why there is no log to read, and the audit log as rows."""

import json
from typing import Any

import pytest

from voice_cli.audit_log import rows_of
from voice_cli.errors import CliError
from voice_cli.job_logs import missing_log

UNSCHEDULED = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU is free"}
PULLING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
RUNNING = {"running": {"startedAt": "2026-11-23T06:00:00Z"}}


def pod(phase: str, *, node: str = "", state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    found = {"phase": phase, "containerStatuses": [{"state": state}] if state else [], **status}
    return {"metadata": {"name": "alice-x"}, "spec": {"nodeName": node} if node else {}, "status": found}


@pytest.mark.parametrize(
    ("pods", "sentence"),
    [
        pytest.param([], "alice-train has no pod: it waits for one, or its pod is gone and the log with it", id="none"),
        pytest.param(
            [pod("Pending", conditions=[UNSCHEDULED])],
            "alice-x waits for a node (Unschedulable: no GPU is free)",
            id="no node",
        ),
        pytest.param([pod("Pending")], "alice-x waits for a node", id="no scheduler"),
        pytest.param(
            [pod("Pending", node="a", state=PULLING)],
            "alice-x has not started (ImagePullBackOff: no such image)",
            id="no image",
        ),
        pytest.param([pod("Running", node="a", state=RUNNING)], "", id="running"),
    ],
)
def test_a_job_without_a_log_says_why(pods: list[dict[str, Any]], sentence: str) -> None:
    assert missing_log("alice-train", pods) == sentence


def test_records_become_rows_with_who_and_why() -> None:
    act = {"act": "Approved", "time": "2026-11-23T06:00:00Z", "by": "eve", "revision": "alice-1", "reason": "good"}
    own = {"act": "Trained", "time": "2026-11-23T05:00:00Z", "requestedBy": ["ann"], "source": {"commit": "a" * 40}}
    lines = [json.dumps({"sequence": n, "voice": "alice", "act": one}) for n, one in enumerate((own, act), start=1)]
    assert rows_of(lines) == [
        ("1", "2026-11-23T05:00:00Z", "Trained", "alice", "", "operator, for ann, commit aaaaaaaaaaaa"),
        ("2", "2026-11-23T06:00:00Z", "Approved", "alice", "alice-1", "eve: good"),
    ]


@pytest.mark.parametrize("line", ["no JSON", "[]", '{"act": 1}', "{}"])
def test_what_is_no_record_is_told(line: str) -> None:
    with pytest.raises(CliError, match="no record"):
        rows_of([line])
