"""The evaluation report: a JSON document, and one page of HTML with all that a person needs to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from pydantic import Field

from voice_trainer.evaluation.curves import CurvePlot
from voice_trainer.evaluation.page import data_uri, render_page
from voice_trainer.evaluation.recordings_report import RecordingsReport, columns
from voice_trainer.evaluation.spectrograms import Spectrogram, legend_png
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


Difference = Literal["", "better", "worse", "no difference"]
"""From the served revision, by more than both intervals explain; empty: nothing follows."""


class ActiveReport(Document):
    """The revision that was served when the voice was evaluated."""

    revision: str
    problem: str
    """Why it is not compared; empty: it is."""


class SimilarityReport(Document):
    """Mean cosines between speakers: of the recordings, and of the sentences under each condition."""

    names: list[str]
    counts: list[int]
    """Members of each group."""
    cells: list[list[str]]
    """Decimal strings; empty where there is no pair."""


class MetricReport(Document):
    """A metric of the voice, the served revision, the base alone and the recordings, and what its gates say."""

    metric: str
    meaning: str
    voice: Score | None
    active: Score | None = None
    difference: Difference = ""
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
    active_pesq: str = ""
    active_stoi: str = ""


class SentenceReport(Document):
    """A sentence synthesised from text alone; empty strings stand for what is not known."""

    text: str
    recognised: str
    seconds: str
    file: str
    base_file: str
    active_file: str = ""
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
    active: ActiveReport | None = None
    """None: nothing was served."""
    method: str
    recogniser: str
    passed: bool
    gates: list[dict[str, str | bool]]
    gates_from: str
    metrics: list[MetricReport]
    similarity: SimilarityReport = SimilarityReport(names=[], counts=[], cells=[])
    semantic: dict[str, str]
    clips: list[ClipReport]
    samples: list[SentenceReport]
    prompt: dict[str, str]
    recordings: dict[str, str | int]
    training: dict[str, str]
    created_at: str


NAMES: Final[Mapping[str, str]] = {
    "recordings": "recordings",
    "recording": "recording",
    "resynthesis": "resynthesis",
    "voice": "this voice",
    "active": "active revision",
    "base": "base alone",
}
GATES_NOTES = {
    "spec": "The gates come from the VoiceModel.",
    "default": "The VoiceModel and the base name no gates; the documented defaults apply: PESQ ≥ 3.5 and STOI ≥ 0.85, "
    "which few bases can reach. `voice-trainer calibrate` measures what a base reaches, and writes its own gates.",
    "base": "The VoiceModel names no gates, so the base's own gates apply. The base declares them for what it can do, "
    "and they may be lower than the defaults (PESQ ≥ 3.5, STOI ≥ 0.85): passing them does not mean passing those.",
}


@dataclass(frozen=True)
class Pictures:
    """What the page shows besides the report's own figures."""

    curves: Sequence[CurvePlot] = ()
    spectrograms: Mapping[str, Mapping[str, Spectrogram]] = field(default_factory=dict)
    """Of each clip that is shown: of the recording, of its resynthesis, and of its text under each condition."""
    recordings: RecordingsReport | None = None


def render_html(report: Report, pictures: Pictures, folder: Path) -> str:
    """Render the page; everything that it shows and plays is inside it.

    Args:
        report: the figures.
        pictures: curves, spectrograms and the table of the recordings.
        folder: where the sounds are that the report names; one that is missing has no player.
    """
    return render_page(
        "report.html.j2",
        script="report.js",
        media="data:",
        report=report,
        pictures=pictures,
        verdict=verdict_of(report),
        comparison=comparison_of(report),
        doubt=doubt_of(report),
        gates_note=GATES_NOTES[report.gates_from],
        names=NAMES,
        trials=trials_of(report),
        columns=columns(),
        sound=lambda file: _sound(folder / file),
        image=lambda png: data_uri("image/png", png),
        heat=heat,
        legend=data_uri("image/png", legend_png()),
    )


def _sound(path: Path) -> str:
    return data_uri("audio/flac", path.read_bytes()) if path.is_file() else ""


def trials_of(report: Report) -> list[int]:
    """Return the sentences (from 0) of the blind comparison: those that both sides can be heard with."""
    return [index for index, one in enumerate(report.samples) if one.file and (one.active_file or one.base_file)]


def heat(cosine: str) -> str:
    """Return the class of a similarity's shade, from ``heat-0`` (at most 0.5) to ``heat-9`` (from 0.95)."""
    return f"heat-{min(9, max(0, int((float(cosine) - 0.5) * 20)))}" if cosine else ""


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


def comparison_of(report: Report) -> str:
    """Return in a sentence how the voice compares with the one that is served."""
    active = report.active
    if active is None:
        return "Nothing is served yet, so there is no active revision to compare with."
    if active.problem:
        return f"Not compared with {active.revision}, which is served: {active.problem}."
    found = {kind: [one.metric for one in report.metrics if one.difference == kind] for kind in ("better", "worse")}
    parts = [f"{kind} in {', '.join(names)}" for kind, names in found.items() if names]
    rest = "no other metric differs" if parts else "no metric differs"
    return (
        f"Compared with {active.revision}, which is served: {'; '.join([*parts, rest])} by more than both 95 % "
        "intervals explain."
    )


def doubt_of(report: Report) -> str:
    """Return a sentence where the recogniser finds other words in the recordings than their texts; else nothing."""
    found = next((one.recordings for one in report.metrics if one.metric == "cer"), None)
    if found is None or float(found.mean) < SUSPICIOUS_CER:
        return ""
    return (
        f"The recogniser writes the recordings' characters otherwise than their texts do (CER {found.mean}): "
        "the texts may not be what is said."
    )
