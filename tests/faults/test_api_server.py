"""The API server itself stops and starts again."""

import time
from pathlib import Path
from typing import Any

import pytest
from tests.faults.api_server import stopped_api_server
from tests.faults.lab import RESYNC_SECONDS
from tests.faults.node import Hold

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

AWAY_SECONDS = 15


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate"])
def test_the_api_server_restarts_while_a_stage_runs(scenario: Any, admin: Path, stage: str) -> None:
    lab, hold = scenario.lab(), Hold(stage)
    lab.node.plan = hold
    lab.apply("patient")
    lab.until_running("patient", stage)
    with stopped_api_server(admin):
        hold.release()
        time.sleep(AWAY_SECONDS)
    scenario.took(lab.until_ready("patient", seconds=RESYNC_SECONDS + 60))
    lab.revoke("patient")
    scenario.took(lab.until_gone("patient"))


def test_the_api_server_restarts_after_a_revocation(scenario: Any, admin: Path) -> None:
    lab = scenario.lab()
    lab.apply("revoked")
    lab.until_ready("revoked")
    with lab.proxy.partition():  # so that the operator learns of it from the restarted server only
        lab.revoke("revoked")
        with stopped_api_server(admin):
            time.sleep(AWAY_SECONDS)
    scenario.took(lab.until_gone("revoked"))


def test_the_operator_starts_while_the_api_server_is_away(scenario: Any, admin: Path) -> None:
    lab = scenario.lab()
    lab.apply("early")
    with stopped_api_server(admin):
        lab.operator.kill()
        time.sleep(AWAY_SECONDS)
    scenario.took(lab.until_ready("early"))
