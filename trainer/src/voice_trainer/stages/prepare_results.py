"""What stage prepare leaves behind: copies of each clip where later stages and people find them, and the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voice_trainer.evaluation.recordings_report import ClipJudgement, FindingReport, RecordingsReport
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.results import now
from voice_trainer.recognition.recogniser import Recogniser
from voice_trainer.recordings.acceptance import Accepted
from voice_trainer.recordings.clips import (
    Clip,
    analysis_copy,
    denoised_copy,
    held_out_ids,
    original_copy,
    rejected_copy,
    training_copy,
)
from voice_trainer.recordings.examination import ANALYSIS, DENOISED, ORIGINAL, TRAINING, place
from voice_trainer.recordings.findings import Finding, FindingList
from voice_trainer.recordings.judgement import ExaminedClip, JudgedClip


@dataclass(frozen=True)
class Examined:
    """An accepted clip with what is known of it, and the folder with its copies."""

    accepted: Accepted
    clip: ExaminedClip
    folder: Path
    recognised: str = ""


def place_all(examined: list[Examined], rejected: frozenset[str], folder: Path, seed: int) -> list[Clip]:
    """Put the copies where later stages and people find them; return the clips that are used."""
    kept = [one for one in examined if one.clip.id not in rejected]
    held_out = held_out_ids([(one.clip.id, one.clip.speech_seconds) for one in kept], seed)
    for one in examined:
        name = one.clip.id
        if name in rejected:
            place(one.folder / TRAINING, rejected_copy(folder, name))
        else:
            place(one.folder / TRAINING, training_copy(folder, name))
            place(one.folder / ANALYSIS, analysis_copy(folder, name))
        for file, target in ((ORIGINAL, original_copy), (DENOISED, denoised_copy)):
            if (one.folder / file).is_file():
                place(one.folder / file, target(folder, name))
    return [_clip(one, is_held_out=one.clip.id in held_out) for one in kept]


def _clip(one: Examined, *, is_held_out: bool) -> Clip:
    found = one.clip.examination
    return Clip(
        id=one.clip.id,
        text=one.accepted.recording.text,
        phones=one.clip.phones,
        seconds=found.seconds,
        speech_seconds=round(one.clip.speech_seconds, 2),
        snr_db=round(found.snr_db, 1),
        rms_dbfs=found.rms_dbfs,
        true_peak_dbtp=found.true_peak_dbtp,
        limited_db=found.limited_db,
        denoised=found.denoised,
        transcribed=one.accepted.recording.transcribed,
        held_out=is_held_out,
    )


def report_of(  # noqa: PLR0917 -- all that is known
    job: TrainingJob,
    shape: str,
    recogniser: Recogniser | None,
    examined: list[Examined],
    judged: Sequence[JudgedClip],
    findings: FindingList,
) -> RecordingsReport:
    """Return the document of ``recordings.json``."""
    ids = {one.clip.id for one in examined}
    return RecordingsReport(
        voice=f"{job.voice.namespace}/{job.voice.name}",
        input_hash=job.input_hash,
        language=job.language,
        recogniser=recogniser.name if recogniser else "",
        shape=shape,
        denoise=job.dataset.denoise,
        max_rejected=job.dataset.max_rejected,
        clips=[
            _judgement(one, clip, [found for found in findings.found if found.clip == one.clip.id])
            for one, clip in zip(examined, judged, strict=True)
        ],
        findings=[_finding(found) for found in findings.found if found.clip not in ids],
        created_at=now(),
    )


def _judgement(one: Examined, judged: JudgedClip, findings: Sequence[Finding]) -> ClipJudgement:
    found, name = one.clip.examination, one.clip.id
    other = next(
        (target(Path(), name) for file, target in ((ORIGINAL, original_copy), (DENOISED, denoised_copy))
         if (one.folder / file).is_file()),
        None,
    )  # fmt: skip
    return ClipJudgement(
        id=name,
        text=one.accepted.recording.text,
        recognised=one.recognised,
        transcribed=one.accepted.recording.transcribed,
        rejected=judged.is_rejected,
        denoised=found.denoised,
        file=(rejected_copy if judged.is_rejected else training_copy)(Path(), name).as_posix(),
        other_file=other.as_posix() if other is not None else "",
        seconds=found.seconds,
        values=dict(judged.values),
        overall_before=round(found.ratings.overall, 3),
        rms_dbfs=found.rms_dbfs,
        true_peak_dbtp=found.true_peak_dbtp,
        limited_db=found.limited_db,
        limited_percent=found.limited_percent,
        findings=[_finding(finding) for finding in findings],
    )


def _finding(finding: Finding) -> FindingReport:
    return FindingReport(
        clip=finding.clip,
        reason=finding.reason,
        message=finding.sentence,
        rejected=finding.severity == "refusal",
    )
