"""`sovits-core export-official`: write a voice as the two files of the official program."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sovits_core.errors import SovitsError

HELP = "write a voice as official .ckpt and .pth files"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--voice", type=Path, required=True, help="folder of a voice bundle")
    parser.add_argument("--base", help="its base: a folder, file:///…, s3://… or embedded:<name>; default: embedded")
    parser.add_argument("--out", type=Path, required=True, help="folder for <voice>.ckpt and <voice>.pth")


def run(options: argparse.Namespace) -> None:
    """Write both files, and print their paths."""
    try:
        from sovits_core.official.exporting import export_official  # noqa: PLC0415 -- needs the extra
    except ModuleNotFoundError as error:
        raise SovitsError(f"{error.name} is not installed: install sovits-core[torch]") from error
    for path in export_official(options.voice, options.base, options.out, _say):
        print(path)  # noqa: T201 -- the command's output


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 -- a command speaks to its user
