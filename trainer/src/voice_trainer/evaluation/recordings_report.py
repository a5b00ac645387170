"""The report on recordings that stage prepare leaves beside the clips: a JSON document, and a page with players."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from pydantic import Field

from voice_trainer.evaluation.report import content_security_policy
from voice_trainer.job.document import Document
from voice_trainer.recordings.measures import MEASURES

RECORDINGS_JSON = "recordings.json"
RECORDINGS_HTML = "recordings.html"


class FindingReport(Document):
    """What is wrong with a clip, or, where ``clip`` is empty, with the recordings as a whole."""

    clip: str
    reason: str
    message: str
    rejected: bool


class ClipJudgement(Document):
    """One clip: what was measured, what is wrong, and where its copies lie."""

    id: str
    text: str
    rejected: bool
    denoised: bool
    file: str
    """The copy that is used, or would be, below the stage's folder."""
    other_file: str
    """The same clip with its noise, or without it; empty: there is only one copy."""
    seconds: float
    values: dict[str, float]
    """By the keys of the measures."""
    overall_before: float
    """DNSMOS of the recording."""
    rms_dbfs: float
    true_peak_dbtp: float
    limited_db: float
    limited_percent: float
    findings: list[FindingReport]


class RecordingsReport(Document):
    """The findings of stage prepare; ``recordings.json``."""

    schema_: Literal["voice.sovits.dev/recordings/v1"] = Field("voice.sovits.dev/recordings/v1", alias="schema")
    voice: str
    input_hash: str
    language: str
    denoise: str
    max_rejected: int
    clips: list[ClipJudgement]
    findings: list[FindingReport]
    """Those about clips that could not be measured, and about the recordings as a whole."""
    created_at: str


def write_recordings_report(folder: Path, report: RecordingsReport) -> None:
    """Write ``recordings.json`` and ``recordings.html``; the page refers to the clips beside it and to nothing else."""
    document = report.model_dump_json(by_alias=True, indent=1)
    (folder / RECORDINGS_JSON).write_text(document + "\n", encoding="utf-8")
    (folder / RECORDINGS_HTML).write_text(render_recordings(report), encoding="utf-8")


def render_recordings(report: RecordingsReport) -> str:
    """Render the page."""
    environment = Environment(
        loader=PackageLoader("voice_trainer.evaluation"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style = files("voice_trainer.evaluation").joinpath("templates", "report.css").read_text(encoding="utf-8")
    page = environment.get_template("recordings.html.j2").render(
        report=report,
        measures=MEASURES,
        columns=list({measure.key: measure for measure in reversed(MEASURES)}.values())[::-1],
        rejected=sum(clip.rejected for clip in report.clips),
        style=Markup(style),  # noqa: S704 -- a file of this package
        policy=content_security_policy(style),
    )
    return page.strip() + "\n"


def bounds_table() -> Sequence[tuple[str, str, str, str]]:
    """Return the rows of the table of measures: title, warning beyond, left out beyond, reason."""
    return [
        (
            measure.title,
            ""
            if measure.warn is None
            else f"{'<' if measure.better == 'higher' else '>'} {measure.shown(measure.warn)}",
            ""
            if measure.refuse is None
            else f"{'<' if measure.better == 'higher' else '>'} {measure.shown(measure.refuse)}",
            measure.reason,
        )
        for measure in MEASURES
    ]
