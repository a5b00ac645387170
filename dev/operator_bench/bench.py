"""One run: a control plane of its own, so many finished voices, and every measurement in turn."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import yaml

from dev.operator_bench import measure
from dev.operator_bench.api import Api, until
from dev.operator_bench.inference import Inference
from dev.operator_bench.measure import Figures
from dev.operator_bench.population import (
    NAMESPACE,
    SERVER,
    Node,
    copy_template,
    create_foreign_jobs,
    is_ready,
    server,
)
from dev.operator_process import OperatorProcess
from dev.paths import REPOSITORY
from dev.ports import free_port
from dev.terminal import run, step

PORT_OFFSET = int(os.environ.get("VOICE_OPERATOR_PORT_OFFSET", "3000"))
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}  # as in Dockerfile.operator
IN_TURN = 50  # revocations and new voices, one after the other


@dataclass(frozen=True)
class Plan:
    """How many of what."""

    voices: int
    new_voices: int
    foreign_jobs: int = 0

    @property
    def name(self) -> str:
        """As tables and plots call it."""
        return f"{self.voices:,}" + (f" + {self.foreign_jobs:,} foreign Jobs" if self.foreign_jobs else "")


@contextmanager
def control_plane(state: Path) -> Iterator[Path]:
    """Run etcd, API server and controller manager inside the block; yield an administrator's kubeconfig."""
    command = [sys.executable, "-m", "dev.cluster"]
    where = ["--state", str(state)]
    try:
        only = ["--only", "control-plane", "--port-offset", str(PORT_OFFSET)]
        run([*command, "up", *where, *only], cwd=REPOSITORY)
        yield state / "admin.kubeconfig"
    finally:
        subprocess.run([*command, "down", *where], cwd=REPOSITORY, check=True, capture_output=True)


def bench(plan: Plan, folder: Path, log: Path) -> Figures:
    """Measure one plan in an empty folder; the operator's log is appended to ``log``."""
    with control_plane(folder / "control-plane") as kubeconfig:
        return asyncio.run(_bench(plan, folder, log, kubeconfig))


async def _bench(plan: Plan, folder: Path, log: Path, kubeconfig: Path) -> Figures:
    url = f"http://127.0.0.1:{free_port()}"
    bucket = folder / "bucket"
    voices = f"{url}/servers/{NAMESPACE}/{SERVER}/voices.json"
    async with Api(kubeconfig) as api, Inference(voices, partial(measure.list_token, api)) as inference:
        await _install(api)
        config = _write_config(folder, bucket, url, inference.port)
        operator = OperatorProcess(config, kubeconfig, log, url, ENVIRONMENT)
        node = Node(api)
        try:
            with step("one voice through its life"):
                await asyncio.to_thread(operator.start)
                await node.raise_server()
                await node.train_template()
                await measure.quiet(operator)
                await asyncio.to_thread(operator.stop)
            with step(f"{plan.name} voices"):
                names = await copy_template(api, bucket, plan.voices)
                await create_foreign_jobs(api, plan.foreign_jobs)
            return await _measure(plan, api, operator, names)
        finally:
            if operator.process is not None and operator.is_running():
                await asyncio.to_thread(operator.stop)


async def _measure(plan: Plan, api: Api, operator: OperatorProcess, names: list[str]) -> Figures:
    figures: Figures = {"voices": plan.voices, "foreign_jobs": plan.foreign_jobs, "new_voices": plan.new_voices}
    with step("restart"):
        figures["restart"] = await measure.restart(operator)
    with step(f"rest, {measure.REST_SECONDS:.0f} s"):
        figures["rest"] = await measure.rate(operator, measure.REST_SECONDS)
        figures["rest_mb"], figures["start_peak_mb"] = measure.memory(operator)
    ready = sum(map(is_ready, await api.objects("voicemodels", NAMESPACE)))
    figures["ready"] = ready  # a check on what was prepared: all of them, and the template
    with step(f"revocations, {IN_TURN} in turn and {IN_TURN} at once"):
        half = min(IN_TURN, len(names) // 2)
        figures["revocation"] = await measure.revocations(api, operator, names[:half], at_once=False)
        at_once = names[half : 2 * half]
        figures["revocations_at_once"] = await measure.revocations(api, operator, at_once, at_once=True)
        await measure.quiet(operator)
    with step(f"{IN_TURN} new voices in turn"):
        figures["event_to_job"] = await measure.new_voices(api, operator, "single", IN_TURN, at_once=False)
        await measure.quiet(operator)
    with step(f"{plan.new_voices:,} new voices at once"):
        figures["event_to_job_at_once"] = await measure.new_voices(api, operator, "new", plan.new_voices, at_once=True)
        await asyncio.sleep(measure.QUIET_SECONDS)
    with step(f"their Jobs wait, {measure.WAITING_SECONDS:.0f} s"):
        figures["waiting"] = await measure.rate(operator, measure.WAITING_SECONDS)
    figures["end_mb"], figures["peak_mb"] = measure.memory(operator)
    return figures


async def _install(api: Api) -> None:
    for path in sorted((REPOSITORY / "crds").iterdir()):
        await api.create("customresourcedefinitions", yaml.safe_load(path.read_text()))
        await until(partial(_is_established, api, path.stem))
    await api.create("namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    await until(lambda: api.objects("serviceaccounts", NAMESPACE))
    await api.create("voiceservers", server())


async def _is_established(api: Api, name: str) -> bool:
    definition = await api.get("customresourcedefinitions", "", name)
    conditions = (definition.get("status") or {}).get("conditions") or ()
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


def _write_config(folder: Path, bucket: Path, url: str, port: int) -> Path:
    """Settings as the chart writes them, apart from addresses: what is measured is the product as it is installed."""
    config = {
        "images": {"trainer": "voice-trainer:bench", "inference": "voice-inference:bench"},
        "bases": {"tiny": {"uri": "embedded:tiny"}},
        "storage": {"uri": f"file://{bucket}"},
        "tenancy": {"datasets": ["s3://voices/datasets/{namespace}/"]},
        "inference": {"port": port},
        "namespace": NAMESPACE,
        "listen": url.removeprefix("http://"),
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path
