"""The one place where whatever goes wrong becomes a sentence on standard error and an exit code."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from voice_cli.errors import CliError, ClusterRefused, NotFound, Unavailable, UsageError
from voice_store import AccessDenied, CredentialsMissing, StoreError, StoreUnavailable
from voice_store import NotFound as NoSuchFile
from voice_store.printable import printable

INTERRUPTED = 130
PLUGIN = "kubectl-voice"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process with its exit code."""
    raise SystemExit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    from voice_cli.commands.all import voice  # noqa: PLC0415 -- importing takes a while, and completion asks often

    is_plugin = Path(sys.argv[0]).name.startswith(PLUGIN)
    try:
        # Exit codes come as return values: of --help, of completion.
        code = voice.main(
            arguments,
            prog_name="kubectl voice" if is_plugin else "voice",
            standalone_mode=False,
            complete_var="_VOICE_COMPLETE",
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; what was begun in the cluster goes on")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter's own flush fails
        return 0
    except CliError as error:
        _say(str(error))
        return error.exit_code
    except (StoreError, OSError) as error:
        found = cli_error_of(error)
        _say(str(found))
        return found.exit_code
    return code if isinstance(code, int) else 0


def cli_error_of(error: StoreError | OSError) -> CliError:
    """Return what an error of the object store or of this machine's files means to the caller."""
    if isinstance(error, OSError):
        named = f"{error.filename}: " if error.filename else ""
        return UsageError(f"{named}{error.strerror or error}")
    if isinstance(error, NoSuchFile):
        return NotFound(str(error))
    if isinstance(error, StoreUnavailable):
        return Unavailable(str(error))
    if isinstance(error, AccessDenied | CredentialsMissing):
        return ClusterRefused(str(error))
    return UsageError(str(error))


def _say(message: str) -> None:
    lines = [printable(line) for line in message.splitlines()]
    sys.stderr.write("error: " + "\nerror: ".join(lines) + "\n")
