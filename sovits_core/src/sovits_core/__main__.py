"""The command `sovits-core`: phones of a text, and pretraining of a tiny base."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from sovits_core.errors import PretrainError, SovitsError
from sovits_core.text import LANGUAGES, phone_ids, phonemize

USAGE_ERROR = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit code: 0, or 64 when the input must be changed."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "phones":
            _phones(options)
        else:
            _pretrain(options)
    except SovitsError as error:
        print(f"sovits-core: {error}", file=sys.stderr)  # noqa: T201 -- a command speaks to its user
        return USAGE_ERROR
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sovits-core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    phones = commands.add_parser("phones", help="print how a text is read, as JSON")
    phones.add_argument("text")
    phones.add_argument("--language", default="en", help=f"one of: {', '.join(sorted(LANGUAGES))}")
    phones.add_argument("--table", default="v2", help="symbol table for the ids: v1 or v2")
    train = commands.add_parser("pretrain", help="train a tiny base from flite's speech and free recordings")
    train.add_argument("--out", type=Path, required=True, help="folder of the bundle; replaced when done")
    train.add_argument("--config", type=Path, help="JSON of sizes and shares; the embedded base's without it")
    train.add_argument("--minutes", type=float, default=60.0, help="computing time of all stages together")
    train.add_argument("--recordings", type=Path, help="folder with ljspeech/ and librispeech/")
    return parser


def _phones(options: argparse.Namespace) -> None:
    read = phonemize(options.text, options.language)
    answer = {"normalized": read.normalized, "phones": read.phones, "ids": phone_ids(read.phones, options.table)}
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201 -- the command's output


def _pretrain(options: argparse.Namespace) -> None:
    try:
        # Only this command needs torch and the rest of the extra.
        from sovits_core.pretrain.run import pretrain  # noqa: PLC0415
        from sovits_core.pretrain.sizes import PretrainConfig  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PretrainError(f"{error.name} is not installed: install sovits-core[pretrain]") from error
    config = PretrainConfig()
    if options.config:
        try:
            config = PretrainConfig.model_validate_json(options.config.read_bytes())
        except OSError as error:
            raise PretrainError(f"the configuration {options.config} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "the document"
            raise PretrainError(f"the configuration {options.config} is not valid: {where}: {first['msg']}") from error
    if options.recordings and not options.recordings.is_dir():
        raise PretrainError(f"there is no folder {options.recordings} for --recordings")
    scores = pretrain(options.out, config, options.minutes, options.recordings)
    print(json.dumps({metric: f"{value:.3f}" for metric, value in scores.items()}))  # noqa: T201 -- the command's output


if __name__ == "__main__":
    sys.exit(main())
