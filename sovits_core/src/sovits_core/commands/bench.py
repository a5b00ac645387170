"""`sovits-core bench`: speed at the official sizes, and how far the graphs are from the networks."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from sovits_core.cpus import usable_cpus
from sovits_core.errors import BenchError

HELP = "measure speed at the official sizes, with random weights"
LARGEST_THREADS = 256


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, default=Path("out/bench/core.json"), help="a picture (.svg) goes beside it")
    parser.add_argument("--threads", type=int, default=usable_cpus(), help="of torch and ONNX Runtime alike")


def run(options: argparse.Namespace) -> None:
    """Measure, print a table, and write the document and the picture."""
    if not 1 <= options.threads <= LARGEST_THREADS:
        raise BenchError(f"--threads {options.threads}: choose 1 to {LARGEST_THREADS}")
    if options.out.suffix != ".json":
        raise BenchError(f"--out {options.out}: name a .json file")
    try:
        from sovits_core.bench import report  # noqa: PLC0415 -- only this command needs torch and ONNX Runtime
        from sovits_core.bench.run import run as measure_all  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise BenchError(f"{error.name} is not installed: install sovits-core[bench]") from error
    started = time.monotonic()

    def say(line: str) -> None:
        print(f"[{time.monotonic() - started:5.0f} s] {line}", flush=True)  # noqa: T201 -- progress for its user

    document = measure_all(options.threads, say)
    document["machine"]["seconds"] = round(time.monotonic() - started)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        _write(options.out, json.dumps(document, indent=2) + "\n")
        _write(options.out.with_suffix(".svg"), report.picture(document))
    except OSError as error:
        raise BenchError(f"{options.out} cannot be written: {error.strerror}") from error
    print(report.table(document))  # noqa: T201 -- the command's output


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text)
    partial.replace(path)
