"""Stage prepare: validate recordings and transcripts, normalise clips, hold some out."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sovits_core.bundle.base import BaseDocument
from sovits_core.cpus import usable_cpus
from sovits_core.errors import TextRejected, UnreadableLetters
from sovits_core.text import LANGUAGES, PolyphoneReader, phonemize
from sovits_core.text.lexicon import Lexicon
from sovits_core.text.symbols import symbols
from voice_store import open_store
from voice_trainer.errors import BadData
from voice_trainer.evaluation.gates import chosen_gates
from voice_trainer.evaluation.recordings_report import (
    ClipJudgement,
    FindingReport,
    RecordingsReport,
    write_recordings_report,
)
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import Summary, now
from voice_trainer.job.workers import ItemFailed
from voice_trainer.job.workspace import Workspace
from voice_trainer.recognition.error_rates import compare_texts
from voice_trainer.recognition.recogniser import Recogniser, open_recogniser
from voice_trainer.recordings import audio
from voice_trainer.recordings.clips import (
    Clip,
    analysis_copy,
    denoised_copy,
    held_out_ids,
    original_copy,
    rejected_copy,
    training_copy,
    write_clips,
)
from voice_trainer.recordings.dataset import DatasetDigest, Recording, read_dataset, shown
from voice_trainer.recordings.decoding import DECODED_SECONDS, Decoders, Samples
from voice_trainer.recordings.examination import (
    ANALYSIS,
    DENOISED,
    MAX_WORKERS,
    ORIGINAL,
    TRAINING,
    Examiner,
    Sound,
    open_workers,
    place,
)
from voice_trainer.recordings.findings import Finding, FindingList, write_findings
from voice_trainer.recordings.judgement import ExaminedClip, JudgedClip, judge
from voice_trainer.recordings.loading import Loader, Transcribe
from voice_trainer.recordings.polyphones import load_polyphones
from voice_trainer.recordings.selection import require_enough_good, summary_findings
from voice_trainer.recordings.vad import detect

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()
CLIP_SECONDS = (0.6, 54.0)  # the family's own limits for a training clip
LEAST_CONFIDENCE = -1.0  # mean log probability of a token, below which Whisper's authors do not believe it


@dataclass(frozen=True)
class Accepted:
    """A clip without problems, not yet normalised."""

    recording: Recording
    path: Path
    phones: tuple[str, ...]
    speech_seconds: float
    snr_db: float
    span: tuple[float, float]  # seconds; the silence outside it is cut off


@dataclass(frozen=True)
class _FrontEnd:
    """Converts transcripts to phones."""

    language: str
    table: str
    polyphones: PolyphoneReader | None
    lexicon: Lexicon

    def phones(self, text: str) -> tuple[str, ...]:
        return phonemize(text, self.language, self.table, self.polyphones, self.lexicon).phones


def prepare(job: TrainingJob, workspace: Workspace, limits: Limits = DEFAULT_LIMITS) -> Summary:
    """Check every clip and transcript, then write normalised copies of all of them.

    Raises:
        BadData: the dataset has problems (all are found in one pass), or too little speech.
        Refused: a gate names what is not measured, better known now than after training, or the installation's
            recogniser cannot be used.
    """
    base = workspace.base.document
    has_folder = job.recogniser is not None
    chosen_gates(
        job.evaluation.gates, base.gates, job.evaluation.minimum_gates, language=job.language, has_folder=has_folder
    )
    _require_language(job, base)
    with ExitStack() as running:
        recogniser = None
        if has_folder:  # the built-in one writes too much otherwise to be believed
            kept = finished_clips(workspace) / "written"
            recogniser = running.enter_context(open_recogniser(job, workspace.scratch, kept))
        return _prepare(job, workspace, limits, recogniser)


def _prepare(job: TrainingJob, workspace: Workspace, limits: Limits, recogniser: Recogniser | None) -> Summary:
    base = workspace.base.document
    front_end = _FrontEnd(job.language, base.symbols, load_polyphones(workspace.base, job.language), base.readings)
    findings = FindingList(tell=_log)
    accepted, facts = _accept(job, front_end, workspace, findings, recogniser)
    total = len({clip.recording.id for clip in accepted} | findings.refused_clips)
    left_out = require_enough_good(findings.found, total, job.dataset.max_rejected)
    accepted = [clip for clip in accepted if clip.recording.id not in left_out]
    _require_enough(accepted, limits, left_out=len(left_out))
    with open_workers() as workers:
        examiner = Examiner(
            workers,
            finished_clips(workspace),
            language=job.language,
            denoise=job.dataset.denoise,
            rate=base.sample_rate,
        )
        work = partial(_examined, examiner, recogniser, job.language)
        examined = _examine_all(accepted, work, workspace, findings)
    judged = judge([one.clip for one in examined])
    findings.extend(finding for clip in judged for finding in clip.findings)
    left_out = require_enough_good(findings.found, total, job.dataset.max_rejected)
    kept = [one for one in examined if one.clip.id not in left_out]
    _require_enough([one.accepted for one in kept], limits, left_out=len(left_out))
    folder = workspace.folder("prepare")
    clips = _place_all(examined, left_out, folder, job.training.seed)
    write_clips(folder, clips)
    write_findings(folder, findings.found)
    write_recordings_report(folder, _report(job, recogniser, examined, judged, findings))
    return {
        "clips": len(clips),
        "heldOut": sum(clip.held_out for clip in clips),
        "rejected": len(left_out),
        "denoised": sum(clip.denoised for clip in clips),
        "transcribed": sum(clip.transcribed for clip in clips),
        "recogniser": recogniser.name if recogniser else "",
        "findings": summary_findings(findings.found),
        "seconds": f"{sum(clip.seconds for clip in clips):.1f}",
        "speechSeconds": f"{sum(clip.speech_seconds for clip in clips):.1f}",
        "snrDb": f"{statistics.median(clip.snr_db for clip in clips):.1f}",
        "rmsDbfs": f"{statistics.mean(clip.rms_dbfs for clip in clips):.2f}",
        "warnings": len(findings.warnings),
        **facts,
    }


def _require_language(job: TrainingJob, base: BaseDocument) -> None:
    offered = sorted(set(base.languages) & set(LANGUAGES))
    if job.language not in offered:
        raise BadData(
            f"language {job.language!r} is not spoken by the base {base.name!r}; it speaks: {', '.join(offered)}",
            reason="UnsupportedLanguage",
        )
    for text in job.evaluation.texts:
        try:
            phonemize(text, job.language)
        except TextRejected as error:
            raise BadData(f"evaluation.texts: {shown(text)}: {error}", reason="UnspeakableText") from error


def _accept(
    job: TrainingJob,
    front_end: _FrontEnd,
    workspace: Workspace,
    findings: FindingList,
    recogniser: Recogniser | None,
) -> tuple[list[Accepted], Summary]:
    """Check every clip, collecting all findings; return the clips in the dataset's order, its shape and its digest."""
    store = open_store(job.dataset.uri)
    digest = DatasetDigest()
    transcribe = _transcriber(recogniser) if recogniser else None
    dataset = read_dataset(store, digest, findings, job.language, transcribes=transcribe is not None)
    progress = workspace.progress("prepare")
    accepted: list[Accepted] = []
    with Decoders() as decoders:
        loader = Loader(store, workspace.scratch / "raw", decoders, digest, findings, job.language, transcribe)
        for loaded in loader.clips(dataset):
            clip = _examine(loaded.recording, loaded.path, front_end, findings)
            accepted += [clip] if clip else []
            progress.report(loaded.done, 2)
    digest.require(job.dataset.digest)
    return accepted, {"shape": dataset.shape, "datasetDigest": digest.value()}


def _transcriber(recogniser: Recogniser) -> Transcribe:
    def transcribe(samples: Samples) -> str:
        written = recogniser.write(samples)
        return written.text if written is not None and written.confidence >= LEAST_CONFIDENCE else ""

    return transcribe


def _log(finding: Finding) -> None:
    logger.warning("%s [%s]", finding.sentence, finding.reason)


def _examine(recording: Recording, path: Path, front_end: _FrontEnd, findings: FindingList) -> Accepted | None:
    """Return the clip, or ``None`` after adding what is wrong with it to the findings."""
    phones = _phones(recording, front_end, findings)
    samples, rate = audio.read_mono(path)
    seconds = len(samples) / rate
    if not CLIP_SECONDS[0] <= seconds <= CLIP_SECONDS[1]:
        findings.refuse(
            "ClipTooShort" if seconds < CLIP_SECONDS[0] else "ClipTooLong",
            f"{recording.key} has {_clip_length(seconds)}, a clip has {CLIP_SECONDS[0]} to {CLIP_SECONDS[1]:.0f} s; "
            "cut or join clips at sentence ends",
            recording.id,
        )
        return None
    speech = detect(audio.resample(samples, rate, audio.ANALYSIS_RATE))
    if not speech.voiced.any():
        findings.refuse(
            "SilentClip",
            f"{recording.key} has no speech in {seconds:.1f} s; record it again or delete it",
            recording.id,
        )
        return None
    return Accepted(recording, path, phones, speech.seconds, speech.snr_db, speech.span())


def _clip_length(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < DECODED_SECONDS else f"at least {DECODED_SECONDS:.0f} s"


def _phones(recording: Recording, front_end: _FrontEnd, findings: FindingList) -> tuple[str, ...]:
    """Return the phones of the transcript; anything that the front end would drop or not know is a problem."""
    try:
        phones = front_end.phones(recording.text) if recording.text else ()
    except UnreadableLetters as error:
        findings.refuse("UnknownSymbols", f"the transcript of {shown(recording.id)}: {error}", recording.id)
        return ()
    except TextRejected as error:
        findings.refuse("UnspeakableText", f"the transcript of {shown(recording.id)}: {error}", recording.id)
        return ()
    if unknown := sorted(set(phones) - set(symbols(front_end.table))):
        findings.refuse(
            "UnknownSymbols",
            f"the transcript of {shown(recording.id)} has the unknown phones {', '.join(unknown)[:100]}",
            recording.id,
        )
    return phones


def _require_enough(accepted: list[Accepted], limits: Limits, *, left_out: int = 0) -> None:
    seconds = sum(clip.speech_seconds for clip in accepted)
    after = f" after {left_out} unusable ones are left out" if left_out else ""
    if seconds < limits.min_speech_seconds:
        raise BadData(
            f"{seconds:.1f} s of speech found in {len(accepted)} clips{after}, "
            f"at least {limits.min_speech_seconds:.0f} s are needed: add recordings",
            reason="TooLittleSpeech",
        )
    if len(accepted) < limits.min_clips:
        raise BadData(
            f"{len(accepted)} clips found{after}, at least {limits.min_clips} are needed to train and to evaluate: "
            "cut them at sentence ends",
            reason="TooFewClips",
        )


def finished_clips(workspace: Workspace) -> Path:
    """Return where clips lie that are done, by their content: an attempt that was killed repeats none of them."""
    return workspace.scratch / "examined"


@dataclass(frozen=True)
class Examined:
    """An accepted clip with what is known of it, and the folder with its copies."""

    accepted: Accepted
    clip: ExaminedClip
    folder: Path
    recognised: str = ""


def _examine_all(
    accepted: list[Accepted],
    work: Callable[[Accepted], Examined | Finding],
    workspace: Workspace,
    findings: FindingList,
) -> list[Examined]:
    """Work on every clip; processes do the work, so threads are enough. Clips that no process survives are told."""
    progress = workspace.progress("prepare")
    started = time.monotonic()
    examined: list[Examined] = []
    with ThreadPoolExecutor(max_workers=min(usable_cpus(), MAX_WORKERS)) as pool:
        for number, result in enumerate(pool.map(work, accepted), start=1):
            if isinstance(result, Examined):
                examined.append(result)
            else:
                findings.extend([result])
            pace = number / (time.monotonic() - started)
            progress.report(
                len(accepted) + number, 2 * len(accepted), already=len(accepted), metrics={"clipsPerSecond": pace}
            )
    return examined


def _examined(examiner: Examiner, recogniser: Recogniser | None, language: str, clip: Accepted) -> Examined | Finding:
    samples, rate = audio.read_mono(clip.path)
    recording = clip.recording
    try:
        found, folder = examiner.examine(Sound(samples, rate, clip.span, clip.snr_db))
    except ItemFailed as error:
        sentence = f"{recording.key}: it could not be measured ({error}); export it again as WAV or FLAC"
        return Finding(recording.id, "UnreadableClip", sentence, "refusal")
    written = None
    if recogniser is not None and not recording.transcribed:
        written = recogniser.write(audio.read_flac(folder / ANALYSIS))
    errors = None if written is None else 100 * compare_texts(recording.text, written.text, language).character_rate
    examined = ExaminedClip(recording.id, recording.key, clip.phones, clip.speech_seconds, found, errors)
    return Examined(clip, examined, folder, written.text if written else "")


def _place_all(examined: list[Examined], rejected: frozenset[str], folder: Path, seed: int) -> list[Clip]:
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


def _report(
    job: TrainingJob,
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
