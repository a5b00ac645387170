"""``completion`` and ``man``: for the shell and for the reader."""

import sys

import click

from voice_cli.commands.options import Session, command
from voice_cli.commands.root import voice
from voice_cli.completion import SHELLS, script
from voice_cli.manual import man_page


@command(voice, "completion", cluster=False)
@click.argument("shell", type=click.Choice(SHELLS))
def completion(_session: Session, *, shell: str) -> None:
    """Print what completes `voice` in a shell: `eval "$(voice completion bash)"`.

    `kubectl voice` is completed by kubectl's own completion, as long as `kubectl_complete-voice` is on the PATH.
    """
    sys.stdout.write(script(voice, shell) + "\n")


@command(voice, "man", cluster=False)
def man(_session: Session) -> None:
    """Print the manual page: `voice man | man -l -`."""
    sys.stdout.write(man_page(voice))
