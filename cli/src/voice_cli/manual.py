"""The manual, from the same source as the help: Markdown for the documentation, roff for ``man``."""

import re
from collections.abc import Iterator

import click

from voice_cli import __version__
from voice_cli.errors import EXIT_CODES

PLUGIN = "kubectl voice"
SHARED = frozenset({"namespace", "context", "kubeconfig", "as_", "help"})  # options that every command has


def markdown(root: click.Group) -> str:
    """Return a section for each command, with its options, and the tables of what all commands share."""
    lines = ["| command | |", "| --- | --- |"]
    lines += [f"| [`{name}`](#{name}) | {_cell(one.get_short_help_str(300))} |" for name, one in root.commands.items()]
    for name, one in root.commands.items():
        lines += ["", f"### {name}", "", f"    {_usage(name, one)}", "", *_paragraphs(one)]
        if options := list(_options(one)):
            lines += ["", "| option | |", "| --- | --- |"]
            lines += [f"| `{_cell(flags)}` | {_cell(text)} |" for flags, text in options]
    lines += ["", "### Options of all commands", "", "| option | |", "| --- | --- |"]
    lines += [f"| `{_cell(flags)}` | {_cell(text)} |" for flags, text in _shared(root)]
    lines += ["", "### Exit codes", "", "| code | |", "| --- | --- |"]
    lines += [f"| {code} | {_cell(text)} |" for code, text in EXIT_CODES.items()]
    return "\n".join(lines) + "\n"


def man_page(root: click.Group) -> str:
    """Return kubectl-voice(1)."""
    lines = [f'.TH KUBECTL-VOICE 1 "" "voice-cli {__version__}" "voice-operator"', ".SH NAME"]
    lines += ["kubectl-voice \\- voices in a Kubernetes cluster, from recordings to speech", ".SH SYNOPSIS"]
    lines += [
        ".B kubectl voice",
        ".I COMMAND",
        "[\\fIOPTIONS\\fR]",
        ".SH DESCRIPTION",
        *_roff(root.help or ""),
        ".SH COMMANDS",
    ]
    for name, one in root.commands.items():
        lines += [f".SS {_escaped(_usage(name, one))}", *_roff("\n\n".join(_paragraphs(one)))]
        lines += [part for flags, text in _options(one) for part in (".TP", f".B {_escaped(flags)}", _escaped(text))]
    lines += [".SH OPTIONS OF ALL COMMANDS"]
    lines += [part for flags, text in _shared(root) for part in (".TP", f".B {_escaped(flags)}", _escaped(text))]
    lines += [".SH EXIT STATUS"]
    lines += [part for code, text in EXIT_CODES.items() for part in (".TP", f".B {code}", _escaped(text))]
    return "\n".join(lines) + "\n"


def _usage(name: str, one: click.Command) -> str:
    arguments = [parameter for parameter in one.params if isinstance(parameter, click.Argument)]
    shown = [f"[{part.human_readable_name}]" if not part.required else part.human_readable_name for part in arguments]
    dots = ["..." if part.nargs == -1 else "" for part in arguments]
    words = [f"{word}{dot}" for word, dot in zip(shown, dots, strict=True)]
    return " ".join([PLUGIN, name, *words, "[OPTIONS]"])


def _paragraphs(one: click.Command) -> list[str]:
    parts = [" ".join(part.split()) for part in (one.help or "").split("\n\n")]
    return [line for number, part in enumerate(parts) for line in ([""] if number else []) + [part]]


def _options(one: click.Command) -> Iterator[tuple[str, str]]:
    for parameter in one.params:
        if isinstance(parameter, click.Option) and parameter.name not in SHARED:
            yield _row(parameter, one)


def _shared(root: click.Group) -> list[tuple[str, str]]:
    one = next(iter(root.commands.values()))
    return [
        _row(parameter, one)
        for parameter in one.params
        if isinstance(parameter, click.Option) and parameter.name in SHARED
    ]


def _row(option: click.Option, one: click.Command) -> tuple[str, str]:
    record = option.get_help_record(click.Context(one, info_name=one.name))
    flags, text = record or ("", "")
    return flags, re.sub(r"\s+", " ", text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _escaped(text: str) -> str:
    shown = text.replace("\\", "\\\\").replace("-", "\\-")
    return f"\\&{shown}" if shown.startswith((".", "'")) else shown


def _roff(text: str) -> list[str]:
    parts = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return [line for part in parts for line in (".PP", _escaped(part))]
