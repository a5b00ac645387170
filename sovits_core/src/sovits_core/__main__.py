"""The command `sovits-core`: phones of a text, official files in and out, and speed at the official sizes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sovits_core.commands import bench, export_official, import_base, phones, verify
from sovits_core.errors import SovitsError

COMMANDS = {
    "phones": phones,
    "import-base": import_base,
    "export-official": export_official,
    "verify": verify,
    "bench": bench,
}
USAGE_ERROR = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; return the exit code: 0, or 64 when the input must be changed."""
    options = _parser().parse_args(arguments)
    try:
        COMMANDS[options.command].run(options)
    except SovitsError as error:
        print(f"sovits-core: {error}", file=sys.stderr)  # noqa: T201 -- a command speaks to its user
        return USAGE_ERROR
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="sovits-core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=command.HELP, description=command.__doc__))
    return parser


if __name__ == "__main__":
    sys.exit(main())
