"""The command line: ``voice-operator run``, ``verify``, ``audit`` and ``crds``; people have ``kubectl voice``."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import get_args

from voice_operator import __version__, crds
from voice_operator.environment import PREFIX, Environment
from voice_operator.errors import LeadershipLost, OperatorError, WatchStalled
from voice_operator.logs import configure
from voice_operator.manifests.pod_check import check_pods
from voice_operator.settings import Settings
from voice_operator.signing import read_public_key

USAGE_EXIT = 64
RESTART_EXIT = 1
WRONG_EXIT = 1


def main(arguments: list[str] | None = None) -> None:
    """Run the command that the arguments name; without one, run the operator."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["crds"]:
        crds.main(given[1:])
        return
    try:
        if given[:1] == ["audit"]:
            from voice_operator import audit_command  # noqa: PLC0415 -- the store's client; `crds` and mistakes need not wait

            raise SystemExit(audit_command.main(given[1:]))
        options = _parser().parse_args(given or ["run"])
        environment = Environment.load(
            config=options.config, log_level=options.log_level, log_format=options.log_format
        )
        configure(environment.log_level, environment.log_format)
        settings = Settings.load(environment.config, namespace=environment.namespace)
        check_pods(settings)
        if options.command == "verify":
            raise SystemExit(_verify(settings, options))
        from voice_operator.process import run  # noqa: PLC0415 -- kopf takes seconds to import; `crds` and mistakes need not wait

        asyncio.run(run(settings, environment.identity))
    except (LeadershipLost, WatchStalled) as error:
        logging.getLogger(__name__).error("%s; the process ends, to begin anew", error)  # noqa: TRY400 -- expected
        raise SystemExit(RESTART_EXIT) from None
    except OperatorError as error:
        sys.stderr.write(f"voice-operator: {error}\n")
        raise SystemExit(USAGE_EXIT) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def _verify(settings: Settings, options: argparse.Namespace) -> int:
    """Print what is found about a revision; return 0 unless something is wrong."""
    from voice_operator.verify import verify  # noqa: PLC0415 -- as above

    public = None if options.public_key is None else read_public_key(options.public_key)
    verdict = asyncio.run(verify(settings, options.namespace, options.revision, public))
    sys.stdout.write(verdict.json() if options.json else verdict.text())
    return 0 if verdict.valid else WRONG_EXIT


def _add_environment(command: argparse.ArgumentParser) -> None:
    for name in ("config", "log_level", "log_format"):
        field = Environment.model_fields[name]
        flag, choices = f"--{name.replace('_', '-')}", get_args(field.annotation) or None
        default = f"default: ${PREFIX}{name.upper()}, else {field.default}"
        command.add_argument(flag, choices=choices, help=f"{field.description} ({default})")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="voice-operator", description="Turns VoiceModel resources into served voices."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    run_command = commands.add_parser("run", help="watch and reconcile until told to stop")
    verify_command = commands.add_parser("verify", help="show who made a VoiceRevision, and whether it is sealed")
    verify_command.add_argument("revision", help="name of the VoiceRevision")
    verify_command.add_argument("-n", "--namespace", default="default", help="its namespace (default: %(default)s)")
    verify_command.add_argument(
        "--public-key", type=Path, help="file with the key of the seals, instead of the cluster's"
    )
    verify_command.add_argument("--json", action="store_true", help="print JSON")
    for command in (run_command, verify_command):
        _add_environment(command)
    commands.add_parser("crds", help="write the CustomResourceDefinitions")
    commands.add_parser("audit", help="print what was done to voices, or prove that the log of it is whole")
    return parser


if __name__ == "__main__":
    main()
