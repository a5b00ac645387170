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
from typing import Any, NamedTuple

from dev.operator_bench.quantiles import quantile
from dev.paths import REPOSITORY, cache
from dev.speech_bench.server import Server, serving
from dev.speech_bench.subjects import untrained
from dev.speech_fuzz import attacks, contract
from dev.speech_fuzz.hostile import damaged, spoken_texts, table
from dev.speech_fuzz.witness import LISTING, SPEAKING, Witness
from dev.terminal import main_of, step

QUIET_SECONDS = 20  # before each attack, and after the last one
MIN_ANSWERS = 100  # of each kind to the witness in an attack: fewer have no 99th percentile
MAX_SECONDS = 120  # of an attack, whatever the witness has by then
MOST = 2.0  # times as long as in quiet, at the 99th percentile
DAMAGED = 300  # in each round; many are sound, and spoken
ROUNDS = 3  # of each attack, at least: memory may grow in the first, and not in the later ones
CONTRACT_SECONDS = 240
KINDS = (LISTING, SPEAKING)


class Asking(NamedTuple):
    """Whom the witness asks, as whom, for which voice."""

    url: str
    key: str
    voice: str


class Plan(NamedTuple):
    """How long everything takes."""

    quiet_seconds: float
    rounds: int
    answers: int
    contract_seconds: int


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
    parser.add_argument("--brief", action="store_true", help="one round of each attack: to see that it works")
    options = parser.parse_args()
    plan = Plan(2, 1, 0, 20) if options.brief else Plan(QUIET_SECONDS, ROUNDS, MIN_ANSWERS, CONTRACT_SECONDS)
    options.out.mkdir(parents=True, exist_ok=True)
    work = cache() / "fuzz-speech"
    subject = untrained(work / "voice")
    key, witness_key = (_key(work / "keys", name) for name in ("fuzz", "witness"))
    flags = ("--keys", str(work / "keys"), "--key-requests-per-minute", "0", "--threads", "1")
    with serving(subject.desired_voices, work, *flags) as server:
        rows = asyncio.run(_attacks(server, key, Asking(server.url, witness_key, subject.voice["id"]), plan))
        with step("requests from the OpenAPI document"):
            report = options.out / "schemathesis.json"
            found = contract.run(server.url, key, report, examples=100, seconds=plan.contract_seconds)
        log = server.log.read_text(encoding="utf-8")
    document = {"attacks": rows, "contract": found, "tracebacks": log.count("Traceback")}
    (options.out / "fuzz.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (options.out / "fuzz.md").write_text(markdown(document), encoding="utf-8")
    print(markdown(document))
    wrong = found["failures"] or found["errored"] or document["tracebacks"] or any(row["wrong"] for row in rows)
    return int(bool(wrong))


def _key(folder: Path, name: str) -> str:
    """Write an entry for a new key, and return the key."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "voice_inference", "key", "new", "--id", name, "--voices", "*/*"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (folder / f"{name}.json").write_text(done.stdout, encoding="utf-8")
    return done.stderr.strip().splitlines()[-1]


async def _attacks(server: Server, key: str, asking: Asking, plan: Plan) -> list[dict[str, Any]]:
    """Attack in turn. It is quiet before each attack and after the last one: a machine is not as fast all the while."""
    quiet, rows = Witness(*asking), []
    await _rest(quiet, plan)
    for name, attack in ATTACKS.items():
        with step(name):
            witness, memory = Witness(*asking), []
            counts: Counter[str] = Counter()
            started = time.monotonic()
            async with witness.asking():
                for turn in itertools.count():
                    counts += await attack(turn)(server.url, key)
                    memory.append(server.memory)
                    is_over = witness.fewest >= plan.answers or time.monotonic() - started > MAX_SECONDS
                    if turn + 1 >= plan.rounds and is_over:
                        break
            rows.append(_row(name, witness, counts, memory) | {"seconds": round(time.monotonic() - started, 1)})
        await _rest(quiet, plan)
    return compared([_row("nothing", quiet, {}, [server.memory]), *rows])


async def _rest(quiet: Witness, plan: Plan) -> None:
    with step("nothing"):
        async with quiet.asking():
            await asyncio.sleep(plan.quiet_seconds)


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with how many times as long as in the first one, which is quiet, a request takes at p99.

    What takes more than ``MOST`` times as long is wrong.
    """
    quiet, *others = rows
    found = [quiet]
    for row in others:
        times = {
            what: round(row[what]["p99"] / quiet[what]["p99"], 2) for what in KINDS if what in row and what in quiet
        }
        slow = {f"p99 of {what}: {ratio} times as long": 1 for what, ratio in times.items() if ratio > MOST}
        found.append(row | {"times": times, "wrong": row["wrong"] | slow})
    return found


def _row(name: str, witness: Witness, counts: Mapping[str, int], memory: list[float]) -> dict[str, Any]:
    usual = {"answered", "closed", "408", "cut"}  # what must be so
    return {
        "attack": name,
        "sent": sum(counts.values()),
        "wrong": {what: count for what, count in counts.items() if what not in usual} | _refused(witness),
        "memory": [round(one, 1) for one in memory],
        **{
            what: {"count": len(found), "p50": round(quantile(found, 0.5), 4), "p99": round(quantile(found, 0.99), 4)}
            for what, found in witness.seconds.items()
            if found
        },
    }


def _refused(witness: Witness) -> dict[str, int]:
    return {"refused to the witness": witness.refused} if witness.refused else {}


def markdown(document: Mapping[str, Any]) -> str:
    """Return the figures as a table."""
    heads = ["attack", "sent", "wrong", "memory after each round, MiB", "listing p50, p99, ms", "speaking p50, p99, s"]
    heads += ["answers to the witness", "p99 of both, times the quiet one"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for row in document["attacks"]:
        listing, speaking = (row.get(what, {}) for what in KINDS)
        times = ", ".join(f"{row['times'].get(what, 0):.2f}" for what in KINDS) if "times" in row else ""
        memory = ", ".join(f"{one:.0f}" for one in row["memory"])
        lines.append(
            f"| {row['attack']} | {row['sent']} | {sum(row['wrong'].values())} | {memory} "
            f"| {1000 * listing.get('p50', 0):.0f}, {1000 * listing.get('p99', 0):.0f} "
            f"| {speaking.get('p50', 0):.2f}, {speaking.get('p99', 0):.2f} "
            f"| {speaking.get('count', 0)} | {times} |"
        )
    lines += [
        "",
        *(
            f"- {row['attack']}: {what} ({count})"
            for row in document["attacks"]
            for what, count in row["wrong"].items()
        ),
    ]
    found = document["contract"]
    lines += ["", f"From the OpenAPI document: {found['requests']} requests, {len(found['failures'])} failures."]
    lines += [f"- {one}" for one in itertools.islice(found["failures"], 20)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main_of(main))
