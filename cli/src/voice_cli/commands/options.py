"""What all commands share: kubectl's flags, names that the shell completes, and how a command is declared."""

import functools
import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import click
from click.shell_completion import CompletionItem

from voice_cli.api import NAME, REVISION, VOICE, name_of
from voice_cli.errors import CliError
from voice_cli.kubectl import Kubectl
from voice_cli.output import Format, Output

FORMATS = ("text", "wide", "json", "yaml", "name")
MAX_OBJECT_NAME = 63


@dataclass(frozen=True)
class Session:
    """What a command works with."""

    kubectl: Kubectl
    output: Output


class ObjectName(click.ParamType[str]):
    """The name of a voice or a revision, completed from the cluster."""

    name = "name"

    def __init__(self, *kinds: str) -> None:
        self._kinds = kinds

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no name, before anything is asked."""
        text = str(value).rpartition("/")[2]  # as `-o name` prints it
        if len(text) > MAX_OBJECT_NAME or not NAME.fullmatch(text):
            self.fail(f"{value!r} is no name: lower-case letters, digits and '-', starting with a letter", param, ctx)
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Return the names that begin so; nothing where the cluster does not answer."""
        del param
        found: list[CompletionItem] = []
        with suppress(CliError):
            kubectl = kubectl_of({key: ctx.params.get(key) for key in KUBECTL_PARAMETERS})
            names = sorted(name_of(one) for one in kubectl.items(",".join(self._kinds)))
            found = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return found


VOICE_NAME = ObjectName(VOICE)
REVISION_NAME = ObjectName(REVISION)
ANY_NAME = ObjectName(VOICE, REVISION)

_KUBECTL_OPTIONS = (
    click.option("-n", "--namespace", metavar="NAME", help="Namespace (default: that of the context)."),
    click.option("--context", metavar="NAME", help="Context of the kubeconfig."),
    click.option("--kubeconfig", metavar="FILE", help="Kubeconfig (default: as kubectl finds it)."),
    click.option("--as", "as_", metavar="USER", help="Act as somebody else, as kubectl's --as."),
)
KUBECTL_PARAMETERS = ("namespace", "context", "kubeconfig", "as_")
_OUTPUT_OPTION = click.option(
    "-o", "--output", type=click.Choice(FORMATS), default="text", help="Form of what is printed.", show_default=True
)


def datasets_option(*, default: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option of the recordings' prefix; ``default`` says what counts without it, empty: it is required."""
    what = "Prefix of recordings, as s3://voices/datasets/{namespace}"
    given: dict[str, Any] = {"default": "", "help": f"{what} (default: {default})."}
    if not default:
        given = {"required": True, "help": f"{what}."}
    return click.option("--datasets", envvar="VOICE_DATASETS", show_envvar=True, metavar="URI", **given)


def kubectl_of(given: dict[str, Any]) -> Kubectl:
    """Return kubectl with the flags of a command line."""
    flags = [(name.rstrip("_"), given.get(name)) for name in KUBECTL_PARAMETERS[1:]]
    return Kubectl(tuple(f"--{name}={value}" for name, value in flags if value), given.get("namespace") or "")


def command(
    group: click.Group, name: str, *, formats: bool = False, cluster: bool = True
) -> Callable[[Callable[..., None]], click.Command]:
    """Declare a command whose function gets a ``Session`` first; its docstring is the help."""

    def declare(function: Callable[..., None]) -> click.Command:
        @functools.wraps(function)
        def run(**given: Any) -> None:
            kubectl = kubectl_of({key: given.pop(key) for key in KUBECTL_PARAMETERS} if cluster else {})
            form: Format = given.pop("output", "text")
            function(Session(kubectl, Output(form)), **given)

        wrapped: Callable[..., None] = run
        options = (_KUBECTL_OPTIONS if cluster else ()) + ((_OUTPUT_OPTION,) if formats else ())
        for option in reversed(options):
            wrapped = option(wrapped)
        text = inspect.cleandoc(function.__doc__ or "")
        return group.command(name, help=text, short_help=text.split("\n\n")[0].replace("\n", " "))(wrapped)

    return declare
