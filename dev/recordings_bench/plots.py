"""The plot of the document: ratings, PESQ and STOI before and after noise is removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {"pink": "#c2571a", "babble": "#2f6fde", "recorded": "#7a4aa0"}
INK = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}
SCORES = (("overall", "DNSMOS overall"), ("pesq", "PESQ"), ("stoi", "STOI"))


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Plot the part noise, where there is one."""
    if "noise" not in document:
        return
    with mpl.rc_context(INK):
        figure = Figure(figsize=(12, 3.6), layout="constrained")
        for axes, (key, title) in zip(figure.subplots(1, len(SCORES)), SCORES, strict=True):
            for noise, colour in COLOURS.items():
                rows = [row for row in document["noise"] if row["noise"] == noise]
                levels = [row["levelDb"] for row in rows]
                axes.plot(levels, [row[f"{key}Before"] for row in rows], "--", color=colour)
                axes.plot(levels, [row[f"{key}After"] for row in rows], "-o", color=colour, label=noise)
            axes.set(title=title, xlabel="speech above noise (dB)")
        axes.legend(title="dashed: before", frameon=False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
