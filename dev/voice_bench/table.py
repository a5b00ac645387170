"""The document as tables: plain text for the terminal, Markdown for docs/voice-quality.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

KINDS = ("recording", "copy_synthesis", "token_forced", "flite", "base", "without_adapter", "lora")


def text_tables(document: Mapping[str, Any]) -> str:
    """Return everything worth a look, as plain text."""
    blocks = [
        (
            f"errors of the recogniser, reader {document['shown_reader']}, base voice {document['base_voice']}",
            _errors(document),
        ),
        ("voices", _voices(document)),
        ("targets", _targets(document)),
    ]
    return "\n\n".join(f"{title}\n{_aligned(rows)}" for title, rows in blocks)


def markdown_tables(document: Mapping[str, Any]) -> str:
    """Return the same as Markdown."""
    return "\n\n".join(_markdown(rows) for rows in (_errors(document), _voices(document), _targets(document)))


def _errors(document: Mapping[str, Any]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("", "word error", "phone error")]
    rows += [
        (kind.replace("_", " "), percent(document["wer"].get(kind)), percent(document["phone_error"].get(kind)))
        for kind in KINDS
    ]
    return rows


def _voices(document: Mapping[str, Any]) -> list[Sequence[str]]:
    heads = ("voice", "word error", "closed set", "similarity", "without", "nearest other", "nearest is own",
             "duration", "repeats", "tails", "PESQ", "STOI", "training")  # fmt: skip
    rows: list[Sequence[str]] = [heads]
    groups = {f"{name}{'' if one['seen'] else ' (unseen)'}": one for name, one in document["readers"].items()}
    for name, one in (groups | {"seen": document["seen"], "unseen": document["unseen"]}).items():
        similarity, ratio = one["similarity"], one["duration_ratio"]
        seconds = one["train_seconds"]
        rows.append(
            (
                name,
                percent(one["wer"]["lora"]),
                percent(one["closed_set"]),
                number(similarity["own"]),
                number(similarity["without_adapter"]),
                number(similarity["nearest_other"]),
                percent(one["nearest_is_own"]),
                "-" if ratio["max"] is None else f"{ratio['min']:.2f} to {ratio['max']:.2f}",
                percent(one["repetition_rate"]),
                percent(one["noisy_tail_rate"]),
                number(one["pesq"]["token_forced"]),
                number(one["stoi"]["token_forced"]),
                "-" if seconds is None else f"{seconds:.0f} s",
            )
        )
    return rows


def _targets(document: Mapping[str, Any]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = [("target", "value", "bound", "")]
    for target in document["targets"]:
        bound = f"{'at most' if target['at_most'] else 'at least'} {target['bound']:g}"
        if target["value"] is None:
            rows.append((target["name"], "", bound, "not measured"))
        else:
            rows.append((target["name"], f"{target['value']:g}", bound, "passed" if target["passed"] else "FAILED"))
    return rows


def percent(value: float | None) -> str:
    """Return a share as people read it."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """Return a figure with two digits."""
    return "-" if value is None else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"| {' | '.join('---' for _ in rows[0])} |", *lines[1:]])
