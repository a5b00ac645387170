"""First sound: seconds from a request to its first audio, with several clients at a time, from a real server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from dev.operator_bench.quantiles import quantile
from dev.speech_bench.server import serving
from dev.speech_bench.subjects import Subject

TEXT = "Good morning, Alice."
"""20 characters."""
ROUNDS = {1: 12, 4: 5, 16: 3}
"""By number of clients at a time."""
OFFICIAL_ROUNDS = {1: 6, 4: 2, 16: 1}
"""At the official sizes two cores speak hardly faster than one is heard."""
HEARD_SECONDS = 1.6
"""How much a client listens to: about what TEXT lasts. Random weights know no end."""
BYTES_PER_SECOND = 2 * 32_000


def measure(subject: Subject, work: Path, rounds: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return p50 and p95 by number of clients, from warm requests."""
    with serving(subject.desired_voices, work, "--queue", "64") as server:
        url = server.url
        asyncio.run(_hear(url, subject, "127.0.0.2"))  # warms it up
        rows = []
        for clients, times in rounds.items():
            seconds = [one for _ in range(times) for one in asyncio.run(_together(url, subject, clients))]
            rows.append(
                {
                    "base": subject.name,
                    "clients": clients,
                    "requests": len(seconds),
                    "p50": round(quantile(seconds, 0.5), 3),
                    "p95": round(quantile(seconds, 0.95), 3),
                }
            )
        return rows


async def _together(url: str, subject: Subject, clients: int) -> list[float]:
    # Addresses of their own, as pods have: callers take turns.
    return await asyncio.gather(*(_hear(url, subject, f"127.0.0.{2 + client}") for client in range(clients)))


async def _hear(url: str, subject: Subject, address: str) -> float:
    """Return the seconds until the first audio, after having listened for a while."""
    body = {"input": TEXT, "voice": subject.voice["id"], "response_format": "pcm", "seed": 1}
    transport = httpx.AsyncHTTPTransport(local_address=address)
    async with httpx.AsyncClient(transport=transport, timeout=300) as client:
        started, first, heard = time.perf_counter(), 0.0, 0
        async with client.stream("POST", f"{url}/v1/audio/speech", json=body) as answer:
            answer.raise_for_status()
            async for chunk in answer.aiter_raw():
                first = first or time.perf_counter() - started
                heard += len(chunk)
                if heard >= HEARD_SECONDS * BYTES_PER_SECOND:
                    break
        return first
