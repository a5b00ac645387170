"""The operator as a process: how it begins, and with which exit code and sentence it ends."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from tests.support.api_server import ApiServer, an_api_server, eventually

Scenario = Callable[[ApiServer, "Operator"], Awaitable[None]]
SYSTEM = "voice-system"


class Operator:
    """One process, beside the API server of the test."""

    def __init__(self, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text()

    async def is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def until_it_leads(self, server: ApiServer) -> None:
        while not (await self.is_ready() and "leading:" in self.log):
            assert self.process.returncode is None, self.log
            await asyncio.sleep(0.05)
        assert lease(server)["holderIdentity"] == "one"

    async def ended(self, seconds: float) -> int:
        return await asyncio.wait_for(self.process.wait(), timeout=seconds)


def lease(server: ApiServer) -> dict[str, Any]:
    spec: dict[str, Any] = server.objects["leases", SYSTEM, "voice-operator"]["spec"]
    return spec


@pytest.fixture
def operator_beside(tmp_path: Path, find_port: Callable[[], int]) -> Callable[[Scenario], None]:
    """Run a scenario with an API server and the operator's process."""
    config, kubeconfig, log = (tmp_path / name for name in ("config.yaml", "kubeconfig", "log.txt"))
    address = f"127.0.0.1:{find_port()}"
    settings = {
        "images": {"trainer": "t", "inference": "i"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": f"file://{tmp_path}"},
        "listen": address,
    }
    config.write_text(yaml.safe_dump(settings))

    @asynccontextmanager
    async def running(server: ApiServer) -> Any:
        known = {"clusters": [{"name": "c", "cluster": {"server": server.url}}], "users": [{"name": "u", "user": {}}]}
        contexts = [{"name": "c", "context": {"cluster": "c", "user": "u"}}]
        kubeconfig.write_text(yaml.safe_dump(known | {"contexts": contexts, "current-context": "c"}))
        environment = os.environ | {"KUBECONFIG": str(kubeconfig), "POD_NAME": "one"}
        command = (sys.executable, "-m", "voice_operator", "run", "--config", str(config))
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=output, stderr=output)
        try:
            yield Operator(process, f"http://{address}", log)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def whole(scenario: Scenario) -> None:
        async with an_api_server() as server, running(server) as operator:
            await scenario(server, operator)

    return lambda scenario: asyncio.run(asyncio.wait_for(whole(scenario), timeout=60))


Beside = Callable[[Scenario], None]


def test_a_signal_ends_it_in_peace_and_gives_the_lease_back(operator_beside: Beside) -> None:
    async def scenario(server: ApiServer, operator: Operator) -> None:
        await operator.until_it_leads(server)
        operator.process.send_signal(signal.SIGTERM)
        assert await operator.ended(seconds=4.5) == 0, operator.log
        assert lease(server)["holderIdentity"] == ""
        assert "Traceback" not in operator.log
        assert "never retrieved" not in operator.log

    operator_beside(scenario)


def test_a_watch_that_ended_ends_it_to_begin_anew(operator_beside: Beside) -> None:
    async def scenario(server: ApiServer, operator: Operator) -> None:
        await operator.until_it_leads(server)
        await eventually("the watch", lambda: any("voicemodels?watch" in url for url in server.requests), seconds=20)
        error = {"kind": "Status", "code": 500, "message": "etcdserver: leader changed"}
        server.send({"type": "ERROR", "object": error}, plural="voicemodels")
        assert await operator.ended(seconds=15) == 1
        assert operator.log.rstrip().endswith("the process ends, to begin anew")
        assert "kopf has ended: Error in the watch-stream" in operator.log
        assert lease(server)["holderIdentity"] == "", "another replica need not wait"

    operator_beside(scenario)


def test_a_lost_lease_ends_it_to_begin_anew(operator_beside: Beside) -> None:
    async def scenario(server: ApiServer, operator: Operator) -> None:
        await operator.until_it_leads(server)
        stolen = lease(server) | {"holderIdentity": "two"}
        server.put("voice-operator", plural="leases", namespace=SYSTEM, spec=stolen)
        assert await operator.ended(seconds=15) == 1
        assert "is held by two; the process ends, to begin anew" in operator.log
        assert lease(server)["holderIdentity"] == "two"

    operator_beside(scenario)


def test_it_is_ready_on_a_standby_too_and_leads_when_the_lease_is_free(operator_beside: Beside) -> None:
    async def scenario(server: ApiServer, operator: Operator) -> None:
        spec = {"holderIdentity": "two", "leaseDurationSeconds": 3600, "renewTime": "2026-01-01T00:00:00.000000Z"}
        server.put("voice-operator", plural="leases", namespace=SYSTEM, spec=spec)
        while not await operator.is_ready():
            assert operator.process.returncode is None, operator.log
            await asyncio.sleep(0.05)
        assert "leading:" not in operator.log
        free = spec | {"holderIdentity": ""}
        server.put("voice-operator", plural="leases", namespace=SYSTEM, spec=free)
        await eventually("the lead", lambda: "leading:" in operator.log, seconds=20)

    operator_beside(scenario)
