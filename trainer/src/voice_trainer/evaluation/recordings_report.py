"""The report on recordings that stage prepare leaves beside the clips: a JSON document, and a page with players."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from voice_trainer.evaluation.page import render_page
from voice_trainer.job.document import Document
from voice_trainer.recordings.measures import MEASURES, Measure

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
    recognised: str = ""
    """What a recogniser writes; empty: nothing, or there is none."""
    transcribed: bool = False
    """Whether the text is a recogniser's."""
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
    recogniser: str = ""
    """The installation's, by which texts were checked or written; empty: there is none of the language."""
    shape: str = ""
    """Of the dataset: which lines its list has, and what of them is used."""
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
    return render_page(
        "recordings.html.j2",
        media="'self' file:",
        report=report,
        measures=MEASURES,
        clips=sorted(report.clips, key=lambda clip: (not clip.rejected, not clip.findings)),
        severities={"refusal": "failed", "warning": "inconclusive", None: ""},
        columns=columns(),
        rejected=sum(clip.rejected for clip in report.clips),
    )


def columns() -> list[Measure]:
    """Return the measures that a table of clips has a column of; two bounds on one property are one column."""
    return list({measure.key: measure for measure in reversed(MEASURES)}.values())[::-1]


def read_recordings_report(folder: Path) -> RecordingsReport | None:
    """Read ``recordings.json`` of stage prepare; None: an earlier trainer wrote none, or another one."""
    try:
        return RecordingsReport.model_validate_json((folder / RECORDINGS_JSON).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


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
