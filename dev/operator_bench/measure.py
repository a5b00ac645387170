"""What is measured, each as a function of a running operator; all durations are seconds."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.samples import Sample

from dev.errors import DevError
from dev.operator_bench.api import Api, in_parallel
from dev.operator_bench.population import NAMESPACE, SERVER, VOICE_LABEL, voice
from dev.operator_bench.quantiles import histogram_quantile, quantile
from dev.operator_process import OperatorProcess

POLL_SECONDS = 0.02
QUIET_SECONDS = 5.0
SETTLE_SECONDS = 600.0
REST_SECONDS = 60.0
WAITING_SECONDS = 30.0
REVOCATION_SECONDS = 60.0
JOBS_SECONDS = 600.0
SERVER_LABEL = "voice.sovits.dev/server"
HISTOGRAM = "voice_operator_event_to_job_duration_seconds_bucket"

READS = {"get", "list", "watch"}

Figures = dict[str, Any]


@dataclass(frozen=True)
class Counts:
    """Counters of one moment; ``writes`` without the Lease, which is renewed whatever happens."""

    requests: float
    writes: float
    passes: float
    depth: float

    @classmethod
    def of(cls, samples: list[Sample]) -> Counts:
        """Read them from all samples of ``/metrics``."""
        totals: dict[str, float] = defaultdict(float)
        for sample in samples:
            if sample.name == "rest_client_requests_total":
                totals["requests"] += sample.value
                if sample.labels["verb"] not in READS and sample.labels["resource"] != "leases":
                    totals["writes"] += sample.value
            elif sample.name == "controller_runtime_reconcile_total":
                totals["passes"] += sample.value
            elif sample.name == "workqueue_depth":
                totals["depth"] += sample.value
        return cls(totals["requests"], totals["writes"], totals["passes"], totals["depth"])


async def restart(operator: OperatorProcess) -> Figures:
    """Start the operator; measure until it has synced, and until nothing is left to do."""
    started = time.monotonic()
    await asyncio.to_thread(operator.start)
    synced = time.monotonic() - started
    quiet_at, counts = await quiet(operator)
    return {
        "synced_seconds": round(synced, 2),
        "quiet_seconds": round(quiet_at - started, 2),
        "passes": counts.passes,
        "requests": counts.requests,
        "requests_per_pass": round(counts.requests / max(counts.passes, 1), 2),
        "writes": counts.writes,
    }


async def quiet(operator: OperatorProcess) -> tuple[float, Counts]:
    """Wait until nothing waits and no pass begins for QUIET_SECONDS; return when that began, and the counts then.

    Raises:
        DevError: it is not quiet after SETTLE_SECONDS.
    """
    deadline = time.monotonic() + SETTLE_SECONDS
    since, counts = time.monotonic(), await _counts(operator)
    while time.monotonic() - since < QUIET_SECONDS:
        await asyncio.sleep(0.25)
        now = await _counts(operator)
        if now.depth or now.passes != counts.passes:
            since, counts = time.monotonic(), now
        if time.monotonic() > deadline:
            raise DevError(f"the operator is not quiet after {SETTLE_SECONDS:.0f} s: {now}")
    return since, counts


async def rate(operator: OperatorProcess, seconds: float) -> Figures:
    """Requests, writes and passes per minute, over so many seconds."""
    before = await _counts(operator)
    await asyncio.sleep(seconds)
    after = await _counts(operator)
    names = ("requests", "writes", "passes")
    return {
        f"{name}_per_minute": round((getattr(after, name) - getattr(before, name)) * 60 / seconds, 1) for name in names
    }


def memory(operator: OperatorProcess) -> tuple[float, float]:
    """Resident memory now, and its peak since the start, in MB (2**20 bytes)."""
    if operator.process is None:
        raise DevError("the operator was never started")
    status = Path(f"/proc/{operator.process.pid}/status").read_text()
    values = dict(line.split(":", 1) for line in status.splitlines())
    resident, peak = (int(values[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return round(resident, 1), round(peak, 1)


async def list_token(api: Api) -> str:
    """Return by which token pods ask for the server's list; empty: it is not written yet."""
    found = await api.objects("configmaps", NAMESPACE, f"{SERVER_LABEL}={SERVER}")
    texts = [one["data"]["voices.json"] for one in found if "voices.json" in one["data"]]
    return str(json.loads(texts[0]).get("token", "")) if texts else ""


async def revocations(api: Api, operator: OperatorProcess, names: list[str], *, at_once: bool) -> Figures:
    """Revoke voices, one after the other or all at once; measure until the server's list is without each."""
    url = f"{operator.url}/servers/{NAMESPACE}/{SERVER}/voices.json"
    revoked, gone = dict[str, float](), dict[str, float]()

    async def revoke(name: str) -> None:
        await api.merge("voicemodels", NAMESPACE, name, {"spec": {"consent": {"revoked": True}}})
        revoked[name] = time.monotonic()

    authorization = {"Authorization": f"Bearer {await list_token(api)}"}
    async with aiohttp.ClientSession(headers=authorization) as session:
        for group in [names] if at_once else [[name] for name in names]:
            await in_parallel(group, revoke)
            await _until_unlisted(session, url, group, gone)
    never = sum(name not in gone for name in names)
    # What never came about counts as the longest wait.
    return _quantiles([gone.get(name, revoked[name] + REVOCATION_SECONDS) - revoked[name] for name in names]) | {
        "never": never
    }


async def _until_unlisted(session: aiohttp.ClientSession, url: str, names: list[str], gone: dict[str, float]) -> None:
    """Note when each of the voices left the list; those that do not are given up after REVOCATION_SECONDS."""
    tag, deadline = "", time.monotonic() + REVOCATION_SECONDS
    while waiting := {*names} - {*gone}:
        async with session.get(url, headers={"If-None-Match": tag}) as answer:
            seen = time.monotonic()
            if answer.status == 200:
                listed = {entry["id"].removeprefix(f"{NAMESPACE}/") for entry in (await answer.json())["voices"]}
                gone.update(dict.fromkeys(waiting - listed, seen))
                tag = answer.headers.get("ETag", "")
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(POLL_SECONDS)


async def new_voices(api: Api, operator: OperatorProcess, prefix: str, count: int, *, at_once: bool) -> Figures:
    """Apply voices, one after the other's Job or all at once; measure until each has its first Job.

    Measured from outside and by the operator's own histogram.

    Raises:
        DevError: a voice has no Job after JOBS_SECONDS.
    """
    before = _buckets(await asyncio.to_thread(operator.metrics))
    applied, created = dict[str, float](), dict[str, float]()

    async def follow() -> None:
        async for event in api.watch("jobs", NAMESPACE):
            name = (event["object"]["metadata"].get("labels") or {}).get(VOICE_LABEL)
            if event["type"] == "ADDED" and name in names:
                created.setdefault(name, time.monotonic())

    async def apply(name: str) -> None:
        await api.create("voicemodels", voice(name))
        applied[name] = time.monotonic()

    names = {f"{prefix}{number:05}" for number in range(count)}
    follower, started = asyncio.create_task(follow()), time.monotonic()
    await asyncio.sleep(1)  # until the watch is open
    for group in [sorted(names)] if at_once else [[name] for name in sorted(names)]:
        await in_parallel(group, apply)
        while not created.keys() >= {*group}:
            if time.monotonic() - started > JOBS_SECONDS:
                raise DevError(f"only {len(created)} of {count} voices have a Job after {JOBS_SECONDS:.0f} s")
            await asyncio.sleep(POLL_SECONDS)
    follower.cancel()
    after = _buckets(await asyncio.to_thread(operator.metrics))
    new = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    return {
        "applied_per_second": round(count / (max(applied.values()) - min(applied.values())), 1),
        "jobs_per_second": round(count / (max(created.values()) - min(created.values())), 1),
        "outside": _quantiles([created[name] - applied[name] for name in names]),
        "histogram": {name: histogram_quantile(new, value) for name, value in (("p50", 0.5), ("p99", 0.99))},
    }


def _quantiles(seconds: list[float]) -> Figures:
    seconds = [max(0.0, one) for one in seconds]  # the answer to a request may arrive after its effect was seen
    found = {"p50": quantile(seconds, 0.5), "p99": quantile(seconds, 0.99), "max": max(seconds)}
    return {"count": len(seconds), **{name: round(value, 3) for name, value in found.items()}}


def _buckets(samples: list[Sample]) -> dict[float, float]:
    return {float(sample.labels["le"]): sample.value for sample in samples if sample.name == HISTOGRAM}


async def _counts(operator: OperatorProcess) -> Counts:
    return Counts.of(await asyncio.to_thread(operator.metrics))
