"""The document of a run as a table for the terminal and as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

WIDTH, ROW, LEFT, BARS = 720, 26, 190, 400
COLOURS = {"torch": "#8a8f98", "ort": "#2f6fde", "ort_fp32": "#2f6fde", "ort_int8": "#18a058"}


def table(document: Mapping[str, Any]) -> str:
    """Plain text, a figure a line."""
    machine = document["machine"]
    lines = [f"{machine['cpu']}, {machine['threads']} threads, load average {machine['loadAverage']} at the start"]
    lines += [f"  {label:<24} {value:>9} {unit}" for label, _, value, unit in _figures(document)]
    lines.append("largest difference between graph and network, relative to the answer's scale")
    lines += [f"  {name:<24} {value:>9.1e}" for name, value in document["max_difference"].items()]
    if "int8_same_greedy_tokens" in document:
        same = document["int8_same_greedy_tokens"]
        lines.append(
            f"int8 says the same {same['tokens']} greedy tokens as fp32 on {same['allTheSame']} of {same['prompts']} "
            "prompts (random weights: their logits are nearly level)"
        )
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
        largest = max((value for _, _, value, _ in figures), default=1)
        rows.append(f'<text x="16" y="{y}" font-weight="bold">{escape(title)}</text>')
        for label, kind, value, _ in figures:
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


def _figures(document: Mapping[str, Any]) -> list[tuple[str, str, float, str]]:
    """Label, kind, value and unit of every speed."""
    figures = [(f"S1 {kind}", kind, value, "tokens/s") for kind, value in document["s1_tokens_per_second"].items()]
    for version, factors in document["s2_rtf"].items():
        figures += [(f"S2 {version} {kind}", kind, value, "RTF") for kind, value in factors.items()]
    if gpu := document.get("gpu"):
        rates = gpu["s1_tokens_per_second"].items()
        figures += [(f"GPU S1 torch {kind}", f"gpu_{kind}", value, "tokens/s") for kind, value in rates]
        for version, factors in gpu["s2_rtf"].items():
            figures += [(f"GPU S2 {version} {kind}", f"gpu_{kind}", value, "RTF") for kind, value in factors.items()]
    return figures
