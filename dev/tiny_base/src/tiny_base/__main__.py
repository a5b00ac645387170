"""`python -m tiny_base`: train a tiny base from synthetic speech and free recordings."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from sovits_core.bundle.base import open_base
from sovits_core.errors import SovitsError
from tiny_base.config import TinyBaseConfig
from tiny_base.errors import InvalidInput
from tiny_base.networks import STAGES
from tiny_base.run import train_base

USAGE_ERROR = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a base; return the exit code: 0, or 64 when the input must be changed."""
    parser = argparse.ArgumentParser(prog="tiny_base", description=__doc__)
    add_arguments(parser)
    try:
        run(parser.parse_args(arguments))
    except SovitsError as error:
        print(f"tiny_base: {error}", file=sys.stderr)
        return USAGE_ERROR
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle; replaced when done")
    parser.add_argument("--config", type=Path, help="JSON of sizes and budgets (default: those of the embedded base)")
    parser.add_argument(
        "--minutes", type=float, default=120.0, help="computing time of all stages together (default 120)"
    )
    parser.add_argument(
        "--stages",
        help=f"stages to train now, by commas, and the others in another call ({','.join(STAGES)})",
    )
    parser.add_argument(
        "--start-from",
        metavar="BASE",
        help="continue from this base's weights: embedded:tiny or a folder of the same sizes",
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="auto takes a GPU where there is one, with larger batches and the wall clock as budget (default auto)",
    )
    parser.add_argument("--recordings", type=Path, help="folder with ljspeech/ and librispeech/")


def run(options: argparse.Namespace) -> None:
    """Train, and print the scores as one JSON object."""
    config = TinyBaseConfig()
    if options.config:
        try:
            config = TinyBaseConfig.model_validate_json(options.config.read_bytes())
        except OSError as error:
            raise InvalidInput(f"the configuration {options.config} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise InvalidInput(f"the configuration {options.config} is not valid: {where}: {first['msg']}") from error
    if options.recordings and not options.recordings.is_dir():
        raise InvalidInput(f"there is no folder {options.recordings} for --recordings")
    only = {"only": options.stages.split(",")} if options.stages else {}
    start = open_base(options.start_from) if options.start_from else None
    scores = train_base(
        options.out, config, options.minutes, options.recordings, start=start, device=options.device, **only
    )
    if scores is None:
        return
    print(json.dumps({metric: f"{value:.3f}" for metric, value in scores.items()}))


if __name__ == "__main__":
    sys.exit(main())
