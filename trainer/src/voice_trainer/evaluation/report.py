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


class Score(Document):
    """A metric over the held-out clips; decimal strings, ``interval`` is half the 95 % interval's width."""

    mean: str
    interval: str
    n: int


class ClipReport(Document):
    """One held-out clip, resynthesised with and without the adapter."""

    id: str
    text: str
    pesq: str
    stoi: str
    base_pesq: str
    base_stoi: str


class Sample(Document):
    """A sentence synthesised from text alone."""

    file: str
    text: str
    seconds: str


class Report(Document):
    """The findings of stage evaluate; ``report.json``."""

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
        plots=plots,
        spectrograms=images,
        gates_note=GATES_NOTES[report.gates_from],
        style=Markup(style),  # noqa: S704 -- a file of this package
        policy=content_security_policy(style),
    )
    return page.strip() + "\n"


def data_uri(png: bytes) -> str:
    """Return an image as a URI that needs no file."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def content_security_policy(style: str) -> str:
    """Allow the page's own style, images inside it and sounds beside it, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sources = f"style-src 'sha256-{digest}'; img-src data:; media-src 'self' file:"
    return f"default-src 'none'; {sources}; base-uri 'none'; form-action 'none'"
