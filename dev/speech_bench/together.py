"""Many clients and many voices: how much is spoken with one sentence at a time and with eight, and whether it is right.

Every answer must be, to the bit, what its revision says when nobody else speaks, also while revisions are exchanged.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import httpx

from dev.operator_bench.quantiles import quantile
from dev.speech_bench.server import Server, serving
from dev.speech_bench.subjects import Crowd, crowd, desired

VOICES, CLIENTS = 50, 16
REQUESTS = 25  # of each client, for the speeds
CHECKED_REQUESTS, RELOADS = 200, 50  # of each client, while so many revisions are exchanged
BATCHES = (1, 8)
TEXT = "Good morning, Alice. How are you?"
NAMES = {
    "audioSecondsPerSecond": "seconds of speech a second",
    "p50": "an answer takes, p50, s",
    "p99": "p99, s",
    "peakMiB": "memory at its peak, MiB",
}
BYTES_PER_SECOND = 2 * 32_000

Seen = dict[str, str]  # revision -> digest of its audio


def measure(work: Path) -> dict[str, Any]:
    """Return the speeds by sentences at a time, and what was checked."""
    people = crowd(work / "voices", VOICES, revisions=2)
    speeds = {}
    for batch in BATCHES:
        with serving(people.desired_voices, work, "--queue", "64", "--batch", str(batch)) as server:
            asyncio.run(_ask_all(server, people.ids[:1], 1, lambda *_: None))
            speeds[str(batch)] = asyncio.run(_speed(server, people))
    with serving(people.desired_voices, work, "--queue", "64", "--poll-seconds", "0.2") as server:
        exchange = _Exchange(people, work / "voices.json")
        checked = asyncio.run(_check(server, people, exchange))
    return {"voices": VOICES, "clients": CLIENTS, "speeds": speeds, "checked": checked}


class _Exchange:
    """Which revision of each voice is wanted; each change is a new document."""

    def __init__(self, people: Crowd, path: Path) -> None:
        self._people, self._path = people, path
        self._wanted = [0] * len(people.voices)
        self._generation = 1

    def want(self, revisions: Iterable[tuple[int, int]]) -> None:
        """Want other revisions (0 or 1) of some voices."""
        for voice, revision in revisions:
            self._wanted[voice] = revision
        self._generation += 1
        chosen = [pair[revision] for pair, revision in zip(self._people.voices, self._wanted, strict=True)]
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(desired(self._people.base, chosen, self._generation)), encoding="utf-8")
        partial.replace(self._path)

    def turn(self, voice: int) -> None:
        """Want the other revision of a voice."""
        self.want([(voice, 1 - self._wanted[voice])])


async def _speed(server: Server, people: Crowd) -> dict[str, float]:
    seconds, sound = list[float](), list[float]()

    def note(answer: httpx.Response, took: float) -> None:
        seconds.append(took)
        sound.append(len(answer.content) / BYTES_PER_SECOND)

    started = time.perf_counter()
    await _ask_all(server, people.ids, REQUESTS, note)
    whole = time.perf_counter() - started
    return {
        "audioSecondsPerSecond": round(sum(sound) / whole, 2),
        "p50": round(quantile(seconds, 0.5), 3),
        "p99": round(quantile(seconds, 0.99), 3),
        "peakMiB": round(server.peak),
    }


async def _check(server: Server, people: Crowd, exchange: _Exchange) -> dict[str, int]:
    """Ask for both revisions of each voice alone, and then for all of them while they are exchanged."""
    alone: Seen = {}
    async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:
        for revision in (1, 0):
            exchange.want((voice, revision) for voice in range(len(people.voices)))
            await _until_loaded(client, [pair[revision]["revision"] for pair in people.voices])
            for pair in people.voices:
                answer = await _ask(client, pair[revision]["id"])
                alone[answer.headers["x-voice-revision"]] = _digest(answer)
    counts = {"answers": 0, "failed": 0, "other": 0, "revisions": len(set(alone.values())), "exchanged": 0}

    def note(answer: httpx.Response, _: float) -> None:
        counts["answers"] += 1
        if not answer.is_success:
            counts["failed"] += 1
        elif alone[answer.headers["x-voice-revision"]] != _digest(answer):
            counts["other"] += 1

    total, rng = CLIENTS * CHECKED_REQUESTS, random.Random(0)  # noqa: S311 -- no secret
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(_ask_all(server, people.ids, CHECKED_REQUESTS, note))
        while not asking.done():
            if counts["answers"] >= (counts["exchanged"] + 1) * total / (RELOADS + 1):
                exchange.turn(rng.randrange(len(people.voices)))
                counts["exchanged"] += 1
            await asyncio.sleep(0.02)
    return counts


async def _until_loaded(client: httpx.AsyncClient, revisions: Sequence[str]) -> None:
    while True:
        loaded = {voice["revision"] for voice in (await client.get("/v1/voices")).json()["data"]}
        if loaded >= {*revisions}:
            return
        await asyncio.sleep(0.2)


async def _ask_all(
    server: Server, voices: Sequence[str], requests: int, note: Callable[[httpx.Response, float], None]
) -> None:
    """Let all clients ask for random voices, each from an address of its own: callers take turns."""

    async def ask(number: int) -> None:
        transport = httpx.AsyncHTTPTransport(local_address=f"127.0.0.{2 + number}")
        rng = random.Random(number)  # noqa: S311 -- no secret
        async with httpx.AsyncClient(base_url=server.url, transport=transport, timeout=300) as client:
            for _ in range(requests):
                started = time.perf_counter()
                answer = await _ask(client, rng.choice(voices))
                note(answer, time.perf_counter() - started)

    await asyncio.gather(*map(ask, range(CLIENTS)))


async def _ask(client: httpx.AsyncClient, voice: str) -> httpx.Response:
    body = {"input": TEXT, "voice": voice, "response_format": "pcm", "seed": 1}
    return await client.post("/v1/audio/speech", json=body)


def _digest(answer: httpx.Response) -> str:
    return hashlib.sha256(answer.content).hexdigest()
