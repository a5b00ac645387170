"""`python -m dev.operator_bench`: memory, delays and API requests of the operator, by how many voices there are."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from dev.operator_bench.bench import Plan, bench
from dev.operator_bench.measure import Figures
from dev.operator_bench.plots import draw
from dev.operator_bench.table import markdown
from dev.paths import REPOSITORY
from dev.terminal import main_of, say

SIZES = (100, 1_000, 5_000)
NEW_VOICES = 1_000
FOREIGN_JOBS = 8_000
WITH_FOREIGN_JOBS = 1_000  # voices beside them


def main() -> int:
    """Measure every plan, and write `operator.json`, `operator.md` and `operator.png`."""
    options = _options()
    options.out.mkdir(parents=True, exist_ok=True)
    plans = [Plan(size, options.new) for size in options.sizes]
    if options.foreign:
        plans.append(Plan(WITH_FOREIGN_JOBS, options.new, options.foreign))
    host = {"cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 2)}
    if os.getloadavg()[0] > (os.cpu_count() or 1) / 2:
        say(f"warning: load average {host['load_average']}: delays will be too long")
    runs: list[Figures] = []
    for plan in plans:
        say(f"==> {plan.name} voices")
        with tempfile.TemporaryDirectory(prefix="operator-bench-") as folder:
            runs.append({"name": plan.name} | bench(plan, Path(folder), options.out / "operator.log"))
        _write({"machine": host, "runs": runs}, options.out)  # each time: nothing is lost to a later part
    print(markdown(runs))
    return 0


def _write(document: Figures, out: Path) -> None:
    (out / "operator.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (out / "operator.md").write_text(markdown(document["runs"]) + "\n", encoding="utf-8")
    draw(document["runs"], out / "operator.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, default=SIZES, help="numbers of voices (default: 100,1000,5000)")
    parser.add_argument("--new", type=int, default=NEW_VOICES, help="voices applied at once (default: %(default)s)")
    parser.add_argument(
        "--foreign",
        type=int,
        default=FOREIGN_JOBS,
        help=f"Jobs of others beside {WITH_FOREIGN_JOBS:,} voices, in a run of its own; 0: none (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=REPOSITORY / "out" / "bench", help="where results go (default: out/bench)"
    )
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(size) for size in text.split(","))


if __name__ == "__main__":
    sys.exit(main_of(main))
