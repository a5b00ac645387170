"""CHANGELOG.md in the form of keepachangelog.com: versions as headings, what changed for users below. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEADING = re.compile(r"^## \[(?P<version>[^\]]+)\](?: - (?P<day>\d{4}-\d{2}-\d{2}))?[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Entry:
    """What one version changed."""

    version: str
    day: str
    """As 2026-11-29; empty where none is given."""
    text: str


def entries(changelog: str) -> dict[str, Entry]:
    """Every version of the changelog, by its name; `Unreleased` is one."""
    found = list(HEADING.finditer(changelog))
    ends = [heading.start() for heading in found[1:]] + [len(changelog)]
    parts = ((heading, changelog[heading.end() : end].strip()) for heading, end in zip(found, ends, strict=True))
    return {heading["version"]: Entry(heading["version"], heading["day"] or "", text) for heading, text in parts}
