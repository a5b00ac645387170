"""`python -m dev.speech_fuzz`: writes fuzz.json and fuzz.md into out/bench."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from dev.operator_bench.quantiles import quantile
from dev.paths import REPOSITORY, cache
from dev.speech_bench.server import Server, serving
from dev.speech_bench.subjects import Subject, untrained
from dev.speech_fuzz import attacks, contract
from dev.speech_fuzz.hostile import damaged, spoken_texts, table
from dev.speech_fuzz.witness import SPEAKING, Witness
from dev.terminal import main_of, step

QUIET_SECONDS = 20
DAMAGED = 300  # in each round; many are sound, and spoken
ROUNDS = 3  # of each attack: memory may grow in the first, and not in the later ones
CONTRACT_SECONDS = 240
ATTACKS: Mapping[str, Callable[[int], attacks.Attack]] = {
    "the table": lambda _: attacks.requests(table),
    "damaged bodies": lambda turn: attacks.requests(partial(damaged, turn, DAMAGED)),
    "texts to be spoken": lambda _: attacks.requests(spoken_texts),
    "1,000 connections": lambda _: attacks.connections,
    "cut connections": lambda _: attacks.cuts,
}


def main() -> int:
    """Attack a server of this machine in all ways; the exit code is 1 where something was not as it must be."""
    parser = argparse.ArgumentParser(prog="python -m dev.speech_fuzz", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "bench")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    work = cache() / "fuzz-speech"
    subject = untrained(work / "voice")
    key = _key(work / "keys")
    flags = ("--keys", str(work / "keys"), "--key-requests-per-minute", "0", "--threads", "1")
    with serving(subject, work, *flags) as server:
        rows = asyncio.run(_attacks(server, key, subject))
        with step("requests from the OpenAPI document"):
            report = options.out / "schemathesis.json"
            found = contract.run(server.url, key, report, examples=100, seconds=CONTRACT_SECONDS)
        log = server.log.read_text(encoding="utf-8")
    document = {"attacks": rows, "contract": found, "tracebacks": log.count("Traceback")}
    (options.out / "fuzz.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.out / "fuzz.md").write_text(markdown(document), encoding="utf-8")
    print(markdown(document))
    wrong = found["failures"] or found["errored"] or document["tracebacks"] or any(row["wrong"] for row in rows)
    return int(bool(wrong))


def _key(folder: Path) -> str:
    """Write an entry for a new key, and return the key."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "voice_inference", "key", "new", "--id", "fuzz", "--voices", "*/*"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (folder / "fuzz.json").write_text(done.stdout, encoding="utf-8")
    return done.stderr.strip().splitlines()[-1]


async def _attacks(server: Server, key: str, subject: Subject) -> list[dict[str, Any]]:
    rows = []
    with step("nothing"):
        quiet = Witness(server.url, key, subject.voice["id"])
        async with quiet.asking():
            await asyncio.sleep(QUIET_SECONDS)
    rows.append(_row("nothing", quiet, {}, [server.memory]))
    for name, attack in ATTACKS.items():
        with step(name):
            witness, memory = Witness(server.url, key, subject.voice["id"]), []
            counts: Counter[str] = Counter()
            started = time.monotonic()
            async with witness.asking():
                for turn in range(ROUNDS):
                    counts += await attack(turn)(server.url, key)
                    memory.append(server.memory)
            rows.append(_row(name, witness, counts, memory) | {"seconds": round(time.monotonic() - started, 1)})
    return rows


def _row(name: str, witness: Witness, counts: Mapping[str, int], memory: list[float]) -> dict[str, Any]:
    usual = {"answered", "closed", "408", "cut"}  # what must be so
    return {
        "attack": name,
        "sent": sum(counts.values()),
        "wrong": {what: count for what, count in counts.items() if what not in usual} | _refused(witness),
        "memory": [round(one, 1) for one in memory],
        **{
            what: {"count": len(found), "p50": round(quantile(found, 0.5), 3), "p99": round(quantile(found, 0.99), 3)}
            for what, found in witness.seconds.items()
            if found
        },
    }


def _refused(witness: Witness) -> dict[str, int]:
    return {"refused to the witness": witness.refused} if witness.refused else {}


def markdown(document: Mapping[str, Any]) -> str:
    """Return the figures as a table."""
    lines = [
        "| attack | sent | wrong | memory after each round, MiB | listing p50, p99, ms | speaking p50, p99, s |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in document["attacks"]:
        listing, speaking = row.get("list voices", {}), row.get(SPEAKING, {})
        memory = ", ".join(f"{one:.0f}" for one in row["memory"])
        lines.append(
            f"| {row['attack']} | {row['sent']} | {sum(row['wrong'].values())} | {memory} "
            f"| {1000 * listing.get('p50', 0):.0f}, {1000 * listing.get('p99', 0):.0f} "
            f"| {speaking.get('p50', 0):.2f}, {speaking.get('p99', 0):.2f} |"
        )
    found = document["contract"]
    lines += ["", f"From the OpenAPI document: {found['requests']} requests, {len(found['failures'])} failures."]
    lines += [f"- {one}" for one in itertools.islice(found["failures"], 20)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main_of(main))
