"""The plot of the document: seconds to the first sound by number of clients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

COLOURS = {"tiny": "#2f6fde", "official": "#c2571a"}
INK = {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "svg.fonttype": "none"}


def draw(document: Mapping[str, Any], path: Path) -> None:
    """Plot the parts that there are; a line for p50, a dashed one for p95."""
    with mpl.rc_context(INK):
        figure = Figure(figsize=(6, 3.6), layout="constrained")
        axes = figure.subplots()
        for part, colour in COLOURS.items():
            if rows := document.get(part):
                clients = [row["clients"] for row in rows]
                axes.plot(clients, [row["p50"] for row in rows], "-o", color=colour, label=rows[0]["base"])
                axes.plot(clients, [row["p95"] for row in rows], "--", color=colour)
        axes.set(title="First sound (dashed: p95)", xlabel="clients at a time", ylabel="seconds")
        axes.set(xscale="log", yscale="log", xticks=[1, 4, 16], xticklabels=["1", "4", "16"])
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
