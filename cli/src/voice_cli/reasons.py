"""What each reason of a condition means, and what helps; the same table as the documentation's."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Reason:
    """One reason: what it means, and what a person can do; empty: nothing."""

    means: str
    remedy: str = ""


@cache
def all_reasons() -> dict[str, Reason]:
    """Return the reasons by name."""
    table = tomllib.loads(files("voice_cli").joinpath("reasons.toml").read_text(encoding="utf-8"))
    entries = (
        (name, entry) for title, group in table.items() if title != "Condition types" for name, entry in group.items()
    )
    return {name: Reason(entry["means"], entry.get("remedy", "")) for name, entry in entries}


def remedy_for(reason: str, voice: str) -> str:
    """Return what helps, with the voice's name filled in; empty where nothing is known."""
    found = all_reasons().get(reason)
    return "" if found is None else found.remedy.replace("NAME", voice)
