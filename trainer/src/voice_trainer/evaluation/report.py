"""The evaluation report: a JSON document, and a page of HTML that people open from the bundle."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import Field

from voice_trainer.evaluation.plots import CurvePlot
from voice_trainer.job.document import Document

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
SUSPICIOUS_CER = 0.9  # of held-out recordings: right texts have 0.12 to 0.40, those of the next clip 1.19


class Score(Document):
    """A mean as decimal strings, with its 95 % interval where there is one, over ``n`` clips or sentences."""

    mean: str
    low: str
    high: str
    n: int


class MetricReport(Document):
    """A metric of the voice, of the base alone and of the held-out recordings, and what its gates say."""

    metric: str
    meaning: str
    voice: Score | None
    base: Score | None
    recordings: Score | None
    bounds: list[str]
    verdicts: list[str]
    """Of each bound: passed, failed or inconclusive."""
    passed: bool | None
    """None: no gate names it."""


class ClipReport(Document):
    """One held-out clip, resynthesised with and without the adapter."""

    id: str
    text: str
    pesq: str
    stoi: str
    base_pesq: str
    base_stoi: str


class SentenceReport(Document):
    """A sentence synthesised from text alone; empty strings stand for what is not known."""

    text: str
    recognised: str
    seconds: str
    file: str
    base_file: str
    cer: str
    similarity: str
    dnsmos: str
    duration_ratio: str
    remarks: list[str]


class Report(Document):
    """The findings of stage evaluate; ``report.json``."""

    schema_: Literal["voice.sovits.dev/report/v2"] = Field("voice.sovits.dev/report/v2", alias="schema")
    voice: str
    revision: str
    input_hash: str
    language: str
    base: dict[str, str]
    method: str
    recogniser: str
    passed: bool
    gates: list[dict[str, str | bool]]
    gates_from: str
    metrics: list[MetricReport]
    semantic: dict[str, str]
    clips: list[ClipReport]
    samples: list[SentenceReport]
    prompt: dict[str, str]
    recordings: dict[str, str | int]
    training: dict[str, str]
    created_at: str


GATES_NOTES = {
    "spec": "The gates come from the VoiceModel.",
    "default": "The VoiceModel and the base name no gates; the documented defaults apply: PESQ ≥ 3.5 and STOI ≥ 0.85, "
    "which few bases can reach. `voice-trainer calibrate` measures what a base reaches, and writes its own gates.",
    "base": "The VoiceModel names no gates, so the base's own gates apply. The base declares them for what it can do, "
    "and they may be lower than the defaults (PESQ ≥ 3.5, STOI ≥ 0.85): passing them does not mean passing those.",
}


@dataclass(frozen=True)
class Spectrograms:
    """PNGs of one held-out clip."""

    clip_id: str
    recording: bytes
    resynthesis: bytes


def render_html(report: Report, plots: Sequence[CurvePlot], spectrograms: Sequence[Spectrograms]) -> str:
    """Render the page; it refers to ``samples/`` and ``reference.flac`` beside it and to nothing else."""
    environment = Environment(
        loader=PackageLoader("voice_trainer.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("voice_trainer.evaluation").joinpath("templates", "report.css").read_text(encoding="utf-8")
    images = {
        one.clip_id: {"recording": data_uri(one.recording), "resynthesis": data_uri(one.resynthesis)}
        for one in spectrograms
    }
    page = environment.get_template("report.html.j2").render(
        report=report,
        verdict=verdict_of(report),
        doubt=doubt_of(report),
        plots=plots,
        spectrograms=images,
        gates_note=GATES_NOTES[report.gates_from],
        style=Markup(style),  # noqa: S704 -- a file of this package
        policy=content_security_policy(style),
    )
    return page.strip() + "\n"


def verdict_of(report: Report) -> str:
    """Return the verdict in a sentence."""
    if not report.gates:
        return "No gates: any score passes."
    failed = [one.metric for one in report.metrics if one.passed is False]
    unsure = [one.metric for one in report.metrics if "inconclusive" in one.verdicts]
    text = f"Not reached: {', '.join(failed)}." if failed else "All gates are reached."
    if unsure:
        text += (
            f" Inconclusive, decided by the mean: {', '.join(unsure)}; the 95 % interval has values on both sides of "
            "the bound."
        )
    return text


def doubt_of(report: Report) -> str:
    """Return a sentence where the recogniser finds other words in the recordings than their texts; else nothing."""
    found = next((one.recordings for one in report.metrics if one.metric == "cer"), None)
    if found is None or float(found.mean) < SUSPICIOUS_CER:
        return ""
    return (
        f"The recogniser writes the recordings' characters otherwise than their texts do (CER {found.mean}): "
        "the texts may not be what is said."
    )


def data_uri(png: bytes) -> str:
    """Return an image as a URI that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def content_security_policy(style: str) -> str:
    """Allow the page's own style, images inside it and sounds beside it, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sources = f"style-src 'sha256-{digest}'; img-src data:; media-src 'self' file:"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
