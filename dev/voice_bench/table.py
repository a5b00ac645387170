"""The document as tables: plain text for the terminal, Markdown for docs/voice-quality.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

CONDITIONS = ("recording", "copy_synthesis", "token_forced", "flite", "base", "zero_shot", "fine_tuned")


def text_tables(document: Mapping[str, Any]) -> str:
    """Return the main figures as plain text."""
    blocks = [
        (
            f"recognition errors, speaker {document['shown_speaker']}, base voice {document['base_voice']}",
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
        (
            condition.replace("_", " "),
            percent(document["wer"].get(condition)),
            percent(document["phone_error"].get(condition)),
        )
        for condition in CONDITIONS
    ]
    return rows


def _voices(document: Mapping[str, Any]) -> list[Sequence[str]]:
    heads = ("voice", "word error", "closed set", "SECS", "zero-shot", "nearest other", "identification",
             "duration", "repeats", "trailing noise", "PESQ", "STOI", "training")  # fmt: skip
    rows: list[Sequence[str]] = [heads]
    groups = {f"{name}{'' if one['seen'] else ' (unseen)'}": one for name, one in document["speakers"].items()}
    for name, one in (groups | {"seen": document["seen"], "unseen": document["unseen"]}).items():
        secs, ratio = one["secs"], one["duration_ratio"]
        seconds = one["train_seconds"]
        rows.append(
            (
                name,
                percent(one["wer"]["fine_tuned"]),
                percent(one["closed_set_accuracy"]),
                number(secs["own"]),
                number(secs["zero_shot"]),
                number(secs["nearest_other"]),
                percent(one["speaker_identification_accuracy"]),
                "-" if ratio["max"] is None else f"{ratio['min']:.2f} to {ratio['max']:.2f}",
                percent(one["repetition_rate"]),
                percent(one["trailing_noise_rate"]),
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
    """Format a fraction as a percentage."""
    return "-" if value is None else f"{value:.1%}"


def number(value: float | None) -> str:
    """Format a number with two decimals."""
    return "-" if value is None else f"{value:.2f}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"| {' | '.join('---' for _ in rows[0])} |", *lines[1:]])
