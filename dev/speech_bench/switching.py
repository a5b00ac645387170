"""What a switch costs: one voice again and again, a random one of a thousand, and a random one not in memory."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from dev.operator_bench.quantiles import quantile
from dev.speech_bench.server import Server, serving
from dev.speech_bench.subjects import crowd

VOICES = (1, 100, 1000)
REQUESTS, ROUNDS = 50, 4  # in turn, of each kind
TEXT = "Good morning, Alice."
NAMES = {"same": "the same voice again", "random": "a random voice", "unread": "a random voice that is not in memory"}


def measure(work: Path) -> dict[str, Any]:
    """Return memory by number of voices, and seconds of a request by kind, from servers of the tiny base."""
    memory, people = {}, crowd(work / "voices", VOICES[-1], revisions=1)
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for count in VOICES[:-1]:
        some = crowd(work / "voices", count, revisions=1)
        with serving(some.desired_voices, work / "few") as server:
            _until_loaded(server, count)
            memory[str(count)] = round(server.memory)
    with (
        serving(people.desired_voices, work / "all") as resident,
        serving(people.desired_voices, work / "few", "--adapter-memory-mib", "1") as reading,
    ):
        for server in (resident, reading):
            _until_loaded(server, VOICES[-1])
        memory[str(VOICES[-1])] = round(resident.memory)
        memory[f"{VOICES[-1]}, adapters in files"] = round(reading.memory)
        rng = random.Random(0)  # noqa: S311 -- no secret
        kinds: dict[str, tuple[Server, Callable[[], str]]] = {
            "same": (resident, lambda: people.ids[0]),
            "random": (resident, lambda: rng.choice(people.ids)),
            "unread": (reading, lambda: rng.choice(people.ids)),
        }
        for turn in range(ROUNDS + 1):
            for name, (server, choose) in kinds.items():
                found = _ask(server, choose)
                seconds[name] += found if turn else []  # the first round warms them up
    return {
        "memoryMiB": memory,
        "seconds": {
            name: {"p50": round(quantile(found, 0.5), 4), "p99": round(quantile(found, 0.99), 4)}
            for name, found in seconds.items()
        },
    }


def _ask(server: Server, choose: Callable[[], str]) -> list[float]:
    """Return the seconds until the first sound of some requests."""
    found = []
    with httpx.Client(base_url=server.url, timeout=300) as client:
        for _ in range(REQUESTS):
            body = {"input": TEXT, "voice": choose(), "response_format": "pcm", "seed": 1}
            started = time.perf_counter()
            with client.stream("POST", "/v1/audio/speech", json=body) as answer:
                answer.raise_for_status()
                next(answer.iter_raw())
                found.append(time.perf_counter() - started)
    return found


def _until_loaded(server: Server, count: int) -> None:
    while True:
        voices = httpx.get(f"{server.url}/v1/voices", timeout=60).json()["data"]
        if sum(voice["state"] == "ready" for voice in voices) == count:
            return
        time.sleep(0.5)
