"""Pages about commands, metrics and reasons, made from the programs themselves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry

from sovits_core.errors import SovitsError
from voice_store import StoreError

PROGRAMS: dict[str, tuple[str, ...]] = {
    "voice_operator": ("run", "verify", "crds"),
    "voice_trainer": ("run", "stages"),
    "voice_inference": ("serve", "key new"),
    "sovits_core": ("phones", "import-base", "export-official", "verify", "bench"),
}
REASONS = Path(__file__).resolve().parents[2] / "cli/src/voice_cli/reasons.toml"


def commands_page() -> str:
    """Return the help texts of all programs and their subcommands, as they print them."""
    lines = ["# Commands", "", "Each program as it explains itself."]
    for module, subcommands in PROGRAMS.items():
        lines += ["", f"## {module.replace('_', '-')}", "", *_help(module)]
        for name in subcommands:
            lines += ["", f"### {module.replace('_', '-')} {name}", "", *_help(module, *name.split())]
    lines += ["", "## make", "", "```", _make_help().rstrip(), "```"]
    return "\n".join(lines) + "\n"


def metrics_page(registries: dict[str, CollectorRegistry]) -> str:
    """Return every metric of the programs' registries: name, type, labels, help."""
    lines = ["# Metrics", "", "Both programs serve them at `/metrics`, in Prometheus' text format."]
    for program, registry in registries.items():
        lines += ["", f"## {program}", "", "| metric | type | labels | about |", "| --- | --- | --- | --- |"]
        for family in sorted(registry.collect(), key=lambda family: family.name):
            suffix = "_total" if family.type == "counter" else ""
            labels = ", ".join(f"`{label}`" for label in _labels(registry, family.name))
            about = family.documentation.replace("|", "\\|")
            lines.append(f"| `{family.name}{suffix}` | {family.type} | {labels} | {about} |")
    return "\n".join(lines) + "\n"


def reasons() -> dict[str, dict[str, dict[str, str]]]:
    """Return the documented condition types and reasons: group -> name -> {means, remedy}."""
    return tomllib.loads(REASONS.read_text(encoding="utf-8"))


def reasons_page() -> str:
    """Return the conditions and every reason that they may have, with the remedy."""
    lines = [
        "# Conditions and reasons",
        "",
        "`kubectl describe voice NAME` shows each condition with a reason, for programs, and a message, for people.",
        "The message names the value and the remedy; this page lists the reasons.",
    ]
    for title, entries in reasons().items():
        lines += ["", f"## {title}", "", "| name | means | remedy |", "| --- | --- | --- |"]
        lines += [
            f"| `{name}` | {entry['means']} | {entry.get('remedy', '')} |" for name, entry in sorted(entries.items())
        ]
    for title, root in {"The object store": StoreError, "Bases, texts and official files": SovitsError}.items():
        lines += ["", f"## {title}", "", "| name | means |", "| --- | --- |"]
        lines += [f"| `{error.__name__}` | {_first_line(error)} |" for error in sorted(_below(root), key=repr)]
    return "\n".join(lines) + "\n"


def reason_literals(files: Iterable[Path]) -> set[str]:
    """Return the string literals of source files that look like a reason: CamelCase of two words or more."""
    found: set[str] = set()
    for file in files:
        found |= set(re.findall(r"[\"']((?:[A-Z][a-z]+){2,})[\"']", file.read_text(encoding="utf-8")))
    return found


def _below(root: type[Exception]) -> set[type[Exception]]:
    """Return all subclasses: where an error has no reason of its own, the name of its class is the reason."""
    return set(root.__subclasses__()).union(*(_below(child) for child in root.__subclasses__()))


def _first_line(error: type[Exception]) -> str:
    return (error.__doc__ or "").splitlines()[0].replace("|", "\\|")


def _labels(registry: CollectorRegistry, name: str) -> tuple[str, ...]:
    # The registry has no public way from a family to its collector; a family without samples shows no labels.
    collector = registry._names_to_collectors.get(name)  # noqa: SLF001 -- as above
    return tuple(getattr(collector, "_labelnames", ()))


def _help(module: str, *arguments: str) -> list[str]:
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1"}
    command = [sys.executable, "-m", module, *arguments, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return ["```", done.stdout.rstrip(), "```"]


def _make_help() -> str:
    repository = Path(__file__).resolve().parents[2]
    return subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=repository, capture_output=True, text=True, check=True
    ).stdout
