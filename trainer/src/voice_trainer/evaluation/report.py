"""The evaluation report: one JSON document, and one page of HTML that a person can open from the bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Literal

from pydantic import Field

from voice_trainer.evaluation.plots import Curve, curves_svg
from voice_trainer.job.document import Document

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"

STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 1.5rem }
td, th { padding: .3rem .8rem .3rem 0; text-align: left; border-bottom: 1px solid #8884; vertical-align: top }
.passed { color: #2f7d4f }
.failed { color: #b3261e }
.note { border-left: 4px solid #c2571a; padding: .3rem .8rem; background: #c2571a1a }
figure { margin: 0 0 1rem }
img { width: 100%; height: 128px; background: #fff }
svg text { font-size: 11px; fill: currentColor }
svg .title { font-weight: 600 }
svg .axis { fill: none; stroke: currentColor; opacity: .4 }
audio { height: 2rem; width: 16rem }
"""


class Score(Document):
    """A metric over the held-out clips; decimal strings, ``interval`` is half the 95 % interval's width."""

    mean: str
    interval: str
    n: int


class ClipReport(Document):
    """One held-out clip, spoken again from its own tokens with and without the adapter."""

    id: str
    text: str
    pesq: str
    stoi: str
    base_pesq: str
    base_stoi: str


class Sample(Document):
    """A sentence that the voice spoke freely."""

    file: str
    text: str
    seconds: str


class Report(Document):
    """What evaluate found; ``report.json``."""

    schema_: Literal["voice.sovits.dev/report/v1"] = Field("voice.sovits.dev/report/v1", alias="schema")
    voice: str
    revision: str
    input_hash: str
    language: str
    base: dict[str, str]
    method: str
    passed: bool
    gates: list[dict[str, str | bool]]
    gates_from: str
    scores: dict[str, Score]
    base_scores: dict[str, Score]
    semantic: dict[str, str]
    clips: list[ClipReport]
    samples: list[Sample]
    prompt: dict[str, str]
    recordings: dict[str, str | int]
    training: dict[str, str]
    created_at: str


GATES_NOTES = {
    "spec": "The gates come from the VoiceModel.",
    "default": "The VoiceModel and the base name no gates; the defaults apply: PESQ ≥ 3.5 and STOI ≥ 0.85.",
    "base": "The VoiceModel names no gates, so the base's own gates apply. The base declares them for what it can do, "
    "and they may be lower than the defaults (PESQ ≥ 3.5, STOI ≥ 0.85): passing them does not mean passing those.",
}


def render_html(
    report: Report, curves: Mapping[str, Mapping[str, Curve]], spectrograms: dict[str, dict[str, str]]
) -> str:
    """Render the page; it refers to ``samples/`` beside it and to nothing else.

    Args:
        report: what was found.
        curves: by title, the curves of training.
        spectrograms: by clip, images by label.
    """
    verdict = "passed" if report.passed else "failed"
    about = f"Revision {report.revision}, language {report.language}, base {report.base['name']}, {report.created_at}"
    sections = (
        f"<h1>{escape(report.voice)}</h1><p>{escape(about)}</p>",
        f'<h2>Gates <span class="{verdict}">{verdict}</span></h2>',
        f'<p class="note">{escape(GATES_NOTES[report.gates_from])}</p>',
        _gates(report),
        f"<h2>Scores</h2><p>{escape(report.method)}</p>",
        _scores(report),
        "<h2>Spoken freely</h2>",
        _samples(report),
        "<h2>Training</h2>",
        _facts({**report.training, **report.semantic}),
        "".join(f"<figure>{curves_svg(title, drawn)}</figure>" for title, drawn in curves.items()),
        "<h2>Held-out clips</h2>",
        _clips(report, spectrograms),
        "<h2>Recordings</h2>",
        _facts({**report.recordings, "prompt clip": f"{report.prompt['id']}: {report.prompt['text']}"}),
    )
    title = escape(f"{report.voice} · evaluation")
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>'
    page = f"<head>{head}<style>{STYLE}</style></head><body>{''.join(sections)}</body>"
    return f'<!doctype html><html lang="en">{page}</html>\n'


def _gates(report: Report) -> str:
    rows = [
        (
            str(gate["metric"]),
            " ".join(f"{sign} {gate[name]}" for name, sign in (("min", "≥"), ("max", "≤")) if name in gate),
            str(gate["value"]) or "not measured",
            "passed" if gate["passed"] else "failed",
        )
        for gate in report.gates
    ]
    return _table(("metric", "gate", "value", "verdict"), rows)


def _scores(report: Report) -> str:
    rows = []
    for metric, score in report.scores.items():
        base = report.base_scores.get(metric)
        without = f"{base.mean} ± {base.interval}" if base else ""
        rows.append((metric, f"{score.mean} ± {score.interval}", without, str(score.n)))
    return _table(("metric", "with adapter (mean, 95 %)", "base alone", "clips"), rows)


def _samples(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(sample.text)}</td><td>{escape(sample.seconds)} s</td><td>{_player(sample.file)}</td></tr>"
        for sample in report.samples
    )
    return f"<table>{rows}</table>"


def _clips(report: Report, spectrograms: dict[str, dict[str, str]]) -> str:
    parts = []
    for clip in report.clips:
        name = escape(clip.id)
        scores = f"PESQ {clip.pesq} (base {clip.base_pesq}), STOI {clip.stoi} (base {clip.base_stoi})"
        players = "".join(
            f"<td>{kind}<br>{_player(f'samples/{clip.id}.{kind}.flac')}</td>" for kind in ("recording", "resynthesis")
        )
        images = "".join(f"<figure>{image}</figure>" for image in spectrograms.get(clip.id, {}).values())
        parts.append(f"<h3>{name}</h3><p>{escape(clip.text)}<br>{scores}</p><table><tr>{players}</tr></table>{images}")
    return "".join(parts)


def _facts(facts: dict[str, str | int] | dict[str, str]) -> str:
    return _table((), [(name, str(value)) for name, value in facts.items()])


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _player(file: str) -> str:
    return f'<audio controls preload="none" src="{escape(file, quote=True)}"></audio>'
