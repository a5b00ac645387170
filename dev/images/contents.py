"""What is installed where this file runs, as JSON on standard output: Python's packages and Debian's.

It runs inside a finished image, by the image's own Python, and needs nothing but the standard library.
"""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

RELEASES = Path("/etc/debian-releases.sha256")
DPKG_FIELDS = ("Package", "Version", "Architecture", "source:Package", "source:Version")


def python_package(found: importlib.metadata.Distribution) -> dict[str, Any]:
    """Name, version, licence in each of the ways a package may say it, and the tags of the wheel it came from."""
    wheel = (found.read_text("WHEEL") or "").splitlines()
    said = found.metadata
    classifiers = [str(value) for value in said.get_all("Classifier") or [] if str(value).startswith("License ::")]
    return {
        "name": str(said["Name"]),
        "version": found.version,
        "license_expression": first(said.get_all("License-Expression")),
        "license": first(said.get_all("License")),
        "license_classifiers": classifiers,
        "tags": [line.partition(":")[2].strip() for line in wheel if line.startswith("Tag:")],
    }


def first(values: list[Any] | None) -> str:
    """The value of a field that stands once; empty where it is missing."""
    return str(values[0]) if values else ""


def debian_packages() -> list[dict[str, str]]:
    """Every installed Debian package with the source package it was built from; none where dpkg is missing."""
    line = "\\t".join(f"${{{name}}}" for name in ("db:Status-Status", *DPKG_FIELDS)) + "\\n"
    try:
        listed = subprocess.run(["dpkg-query", "--show", f"--showformat={line}"], check=True, capture_output=True)
    except FileNotFoundError:
        return []
    rows = [row.split("\t") for row in listed.stdout.decode().splitlines()]
    keys = ("name", "version", "architecture", "source", "source_version")
    return [dict(zip(keys, row[1:], strict=True)) for row in rows if row[0] == "installed"]


def signed_lists() -> dict[str, str]:
    """Debian's signed lists that the packages were chosen from: name to SHA-256."""
    if not RELEASES.exists():
        return {}
    rows = [row.split() for row in RELEASES.read_text().splitlines()]
    return {name.removeprefix("./"): digest for digest, name in rows}


def contents() -> dict[str, Any]:
    """Everything this file finds out."""
    system = Path("/etc/os-release")
    named = dict(line.split("=", 1) for line in system.read_text().splitlines() if "=" in line)
    found = {python_package(each)["name"].lower(): python_package(each) for each in importlib.metadata.distributions()}
    return {
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "distribution": {
            key.lower(): named.get(key, "").strip('"') for key in ("ID", "VERSION_ID", "VERSION_CODENAME")
        },
        "python": [found[name] for name in sorted(found)],
        "debian": debian_packages(),
        "signed_lists": signed_lists(),
    }


if __name__ == "__main__":
    json.dump(contents(), sys.stdout)
