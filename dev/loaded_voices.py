"""What a server's pod that loads everything at once says about one entry of its list, for tests and benches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

REVISION = ("revision", "digest")


def report_of(entry: Mapping[str, Any], fails: Mapping[str, str]) -> dict[str, Any]:
    """An item of ``GET /v1/voices``; ``fails`` has the errors of voices (by id) and revisions that cannot be loaded."""
    report = {"id": entry["id"]} | _loaded(entry, fails.get(entry["id"], "") or fails.get(entry["revision"], ""))
    beside = entry.get("next")
    return report if beside is None else report | {"next": _loaded(beside, fails.get(beside["revision"], ""))}


def _loaded(revision: Mapping[str, Any], error: str) -> dict[str, Any]:
    return {key: revision[key] for key in REVISION} | {"state": "failed" if error else "ready", "error": error}
