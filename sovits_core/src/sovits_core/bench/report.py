"""The document of a run as a table for the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

WIDTH, ROW, LEFT, BARS = 720, 26, 190, 400
COLOURS = {
    "torch": "#8a8f98", "stored": "#7aa5ea", "served": "#2f6fde",
    "fp32": "#2f6fde", "int8": "#18a058", "int4": "#b0c418",
}  # fmt: skip

WEIGHTS = {"random": "random weights: their logits are nearly level", "tiny": "the tiny base"}


def table(document: Mapping[str, Any]) -> str:
    """Plain text, a figure a line."""
    machine = document["machine"]
    lines = [f"{machine['cpu']}, {machine['threads']} threads, load average {machine['loadAverage']} at the start"]
    lines += [f"  {label:<24} {value:>9} {unit}{_times(times)}" for label, _, value, unit, times in _figures(document)]
    lines.append("largest difference between graph and network, relative to the answer's scale")
    lines += [f"  {name:<24} {value:>9.1e}" for name, value in document["max_difference"].items()]
    for weights, kinds in document.get("same_greedy_tokens", {}).items():
        lines += [
            f"{kind}: all greedy tokens of fp32 on {same['allTheSame']} of {same['prompts']} prompts, and "
            f"{same['sameChoices'] / same['choices']:.1%} of {same['choices']} choices ({WEIGHTS[weights]})"
            for kind, same in kinds.items()
        ]
    if machine["loaded"]:
        lines.append("warning: the machine was busy when this began; repeat it on an idle one")
    return "\n".join(lines)


def picture(document: Mapping[str, Any]) -> str:
    """An SVG with two groups of bars: tokens per second, where more is better, and real-time factors, where less is."""
    rows: list[str] = []
    y = 40
    for title, wanted in (
        ("S1, tokens per second (25 are one second of speech)", "tokens/s"),
        ("S2, real-time factor", "RTF"),
    ):
        figures = [figure for figure in _figures(document) if figure[3] == wanted]
        largest = max((value for _, _, value, _, _ in figures), default=1)
        rows.append(f'<text x="16" y="{y}" font-weight="bold">{escape(title)}</text>')
        for label, kind, value, _, _ in figures:
            y += ROW
            width = max(1, round(BARS * value / largest))
            rows.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(label)}</text>')
            rows.append(
                f'<rect x="{LEFT}" y="{y - 14}" width="{width}" height="18" fill="{COLOURS.get(kind, "#b46cd6")}"/>'
            )
            rows.append(f'<text x="{LEFT + width + 8}" y="{y}">{value:g}</text>')
        y += 2 * ROW
    note = f"{document['machine']['cpu']}, {document['machine']['threads']} threads"
    rows.append(f'<text x="16" y="{y - ROW // 2}" fill="#666">{escape(note)}</text>')
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" font-family="sans-serif" font-size="13">'
    )
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *rows, "</svg>"]) + "\n"


def _times(times: float | None) -> str:
    return "" if times is None else f"  {times:.2f} x"


def _figures(document: Mapping[str, Any]) -> list[tuple[str, str, float, str, float | None]]:
    """Label, kind, value and unit of every speed, and how many times the stored graph's (or one row's) it is."""
    figures: list[tuple[str, str, float, str, float | None]] = []
    for filled, kinds in document["s1_tokens_per_second"].items():
        figures += [
            (f"S1 {kind}, {filled} positions", kind, found["median"], "tokens/s", found["times"])
            for kind, found in kinds.items()
        ]
    for kind, rows in document["s1_rows_tokens_per_second"].items():
        figures += [
            (f"S1 {kind}, {count} rows", kind, found["median"], "tokens/s", found["times"])
            for count, found in rows.items()
        ]
    for version, kinds in document["s2_rtf"].items():
        figures += [
            (f"S2 {version} {kind}", kind, found["median"], "RTF", found["times"]) for kind, found in kinds.items()
        ]
    if gpu := document.get("gpu"):
        rates = gpu["s1_tokens_per_second"].items()
        figures += [(f"GPU S1 torch {kind}", f"gpu_{kind}", value, "tokens/s", None) for kind, value in rates]
        for version, factors in gpu["s2_rtf"].items():
            figures += [
                (f"GPU S2 {version} {kind}", f"gpu_{kind}", value, "RTF", None) for kind, value in factors.items()
            ]
    return figures
