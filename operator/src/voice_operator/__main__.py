"""The command line: ``voice-operator run`` and ``voice-operator crds``."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from voice_operator import __version__, crds
from voice_operator.errors import OperatorError
from voice_operator.settings import CONFIG_VARIABLE, DEFAULT_CONFIG, Settings

USAGE_EXIT = 64


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments name; without one, run the operator."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["crds"]:
        crds.main(given[1:])
        return
    options = _parser().parse_args(given or ["run"])
    logging.basicConfig(
        level=options.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr
    )
    logging.getLogger("kopf").setLevel(logging.WARNING)  # it logs each watch event of each object
    try:
        settings = Settings.load(options.config)
        from voice_operator.process import run  # noqa: PLC0415 -- kopf takes seconds to import; `crds` and mistakes need not wait

        asyncio.run(run(settings))
    except OperatorError as error:
        sys.stderr.write(f"voice-operator: {error}\n")
        raise SystemExit(USAGE_EXIT) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voice-operator", description="Turns VoiceModel resources into served voices."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="watch and reconcile until told to stop")
    default = Path(os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)
    run_command.add_argument(
        "--config",
        type=Path,
        default=default,
        help=f"configuration file (default: ${CONFIG_VARIABLE} or {DEFAULT_CONFIG})",
    )
    run_command.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    commands.add_parser("crds", help="write the CustomResourceDefinitions")
    return parser


if __name__ == "__main__":
    main()
