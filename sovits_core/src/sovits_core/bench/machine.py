"""Conditions of a measurement: processor, versions, and whatever else runs."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

LOADED = 0.5
"""Load average per core above which figures are not to be trusted."""


def describe(threads: int) -> dict[str, Any]:
    """The machine as it is now; no names that lead to it."""
    load = os.getloadavg()[0]
    cores = os.cpu_count() or 1
    return {
        "cpu": _processor(),
        "cores": cores,
        "threads": threads,
        "loadAverage": round(load, 2),
        "loaded": load > LOADED * cores,
        "python": platform.python_version(),
        "versions": {name: metadata.version(name) for name in ("torch", "onnxruntime", "onnx", "numpy")},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())
