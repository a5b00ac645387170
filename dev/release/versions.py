"""The version and the places that repeat it. The workspace's `pyproject.toml` decides; `make version` writes it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

from dev.errors import DevError

DECIDES = "pyproject.toml"
CHART = "charts/voice-operator/Chart.yaml"
PACKAGE = "operator/src/voice_operator/__init__.py"
LOCK = "uv.lock"
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")
# Place -> how its line looks; each has one group, the version.
TOML = re.compile(r'^version = "([^"]*)"$', re.MULTILINE)
CHART_LINES = {field: re.compile(rf"^{field}: (\S+)$", re.MULTILINE) for field in ("version", "appVersion")}
PYTHON = re.compile(r'^__version__ = "([^"]*)"$', re.MULTILINE)


def members(root: Path) -> list[str]:
    """The folders of the workspace's members."""
    workspace = tomllib.loads((root / DECIDES).read_text())["tool"]["uv"]["workspace"]
    return list(workspace["members"])


def declared(root: Path) -> dict[str, str]:
    """Every place that names the version, and what it says."""
    chart = yaml.safe_load((root / CHART).read_text())
    places = {DECIDES: project(root / DECIDES)["version"]}
    places |= {
        f"{member}/pyproject.toml": project(root / member / "pyproject.toml")["version"] for member in members(root)
    }
    places |= {f"{CHART} {field}": str(chart[field]) for field in CHART_LINES}
    found = PYTHON.search((root / PACKAGE).read_text())
    places[PACKAGE] = found[1] if found else "no __version__"
    locked = tomllib.loads((root / LOCK).read_text())["package"]
    ours = (package for package in locked if "registry" not in package["source"])
    return places | {f"{LOCK} {package['name']}": package["version"] for package in ours}


def project(path: Path) -> dict[str, str]:
    """The table that describes a package."""
    return dict(tomllib.loads(path.read_text())["project"])


def write(root: Path, version: str) -> None:
    """Write the version wherever it is written by hand; the lock file follows with `uv lock`.

    Raises:
        DevError: it is no version like 1.2.3.
    """
    if not SEMANTIC.fullmatch(version):
        raise DevError(f"{version!r} is no version", remedy="write it as 1.2.3")
    for name in (DECIDES, *(f"{member}/pyproject.toml" for member in members(root))):
        replace(root / name, TOML, version)
    for line in CHART_LINES.values():
        replace(root / CHART, line, version)
    replace(root / PACKAGE, PYTHON, version)


def replace(path: Path, line: re.Pattern[str], version: str) -> None:
    """Put the version into the one line of a file that holds it."""
    text = path.read_text()
    found = line.search(text)
    if not found:
        raise DevError(f"{path} has no line with the version", remedy="restore it from git")
    path.write_text(text[: found.start(1)] + version + text[found.end(1) :])
