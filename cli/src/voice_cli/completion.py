"""Completion of ``voice`` in bash, zsh and fish, and of ``kubectl voice`` through kubectl's own."""

import sys

import click
from click.shell_completion import ShellComplete, get_completion_class

from voice_cli.errors import UsageError

VARIABLE = "_VOICE_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
NO_FILES = 4  # Cobra's directive: complete no names of files
DEFAULT = 0


def script(root: click.Command, shell: str) -> str:
    """Return what a shell evaluates to complete ``voice``."""
    found = get_completion_class(shell)
    if found is None:
        raise UsageError(f"{shell} is none of {', '.join(SHELLS)}")
    return found(root, {}, "voice", VARIABLE).source()


def for_kubectl() -> None:
    """Answer kubectl, which asks with the words behind ``kubectl voice``, the last one unfinished."""
    from voice_cli.commands.all import voice  # noqa: PLC0415 -- importing takes a while

    sys.stdout.write(answer(voice, sys.argv[1:]))


def answer(root: click.Command, words: list[str]) -> str:
    """Return Cobra's answer: a completion on each line with its description, then what to do besides."""
    *before, unfinished = words or [""]
    found = ShellComplete(root, {}, "voice", VARIABLE).get_completions(before, unfinished)
    plain = [one for one in found if one.type == "plain"]
    lines = [f"{one.value}\t{one.help}" if one.help else str(one.value) for one in plain]
    return "\n".join([*lines, f":{NO_FILES if plain or not found else DEFAULT}"]) + "\n"
