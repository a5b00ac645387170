"""The command group itself."""

import click

from voice_cli import __version__
from voice_cli.errors import EXIT_CODES

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code:<3} {means}" for code, means in EXIT_CODES.items())


class InOrder(click.Group):
    """A group that lists its commands in the order of declaration: what people do first comes first."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names."""
        del ctx
        return list(self.commands)


@click.group(
    cls=InOrder,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)
@click.version_option(__version__, prog_name="kubectl voice")
def voice() -> None:
    """Voices in your cluster: from a folder of recordings to a revision that is served.

    Works through your kubectl: its contexts, its credentials, your rights. In pipes output is plain; NO_COLOR turns
    colours off on terminals. Recordings and bundles travel directly between this machine and the object store, with the
    AWS_* variables or whatever else credentials come from there.
    """
