"""Stage prepare: validate recordings and transcripts, normalise clips, hold some out."""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from sovits_core.bundle.base import BaseDocument
from sovits_core.cpus import usable_cpus
from sovits_core.errors import TextRejected
from sovits_core.text import LANGUAGES, phonemize
from voice_store import open_store
from voice_trainer.errors import BadData
from voice_trainer.evaluation.gates import chosen_gates
from voice_trainer.evaluation.recordings_report import (
    write_recordings_report,
)
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import Summary
from voice_trainer.job.workers import ItemFailed
from voice_trainer.job.workspace import Workspace
from voice_trainer.recognition.error_rates import compare_texts
from voice_trainer.recognition.recogniser import Recogniser, open_recogniser
from voice_trainer.recordings import audio
from voice_trainer.recordings.acceptance import Accepted, FrontEnd, accept
from voice_trainer.recordings.clips import (
    write_clips,
)
from voice_trainer.recordings.dataset import read_dataset
from voice_trainer.recordings.decoding import Decoders, Samples
from voice_trainer.recordings.examination import (
    ANALYSIS,
    MAX_WORKERS,
    Examiner,
    Sound,
    open_workers,
)
from voice_trainer.recordings.fetching import DatasetDigest
from voice_trainer.recordings.findings import Finding, FindingList, write_findings
from voice_trainer.recordings.judgement import ExaminedClip, judge, judge_list
from voice_trainer.recordings.loading import Loader, Transcribe
from voice_trainer.recordings.polyphones import load_polyphones
from voice_trainer.recordings.selection import require_enough_good, summary_findings
from voice_trainer.recordings.shapes import shorten
from voice_trainer.stages.prepare_results import Examined, place_all, report_of

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()
LEAST_CONFIDENCE = -1.0  # mean log probability of a token, below which Whisper's authors do not believe it


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
    polyphones = load_polyphones(workspace.base, job.language)
    front_end = FrontEnd(job.language, base.symbols, polyphones, base.readings, job.locale)
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
        work = partial(_examined, examiner, recogniser, front_end)
        examined = _examine_all(accepted, work, workspace, findings)
    judged = judge([one.clip for one in examined], job.language)
    findings.extend(judge_list([one.clip for one in examined]))
    findings.extend(finding for clip in judged for finding in clip.findings)
    left_out = require_enough_good(findings.found, total, job.dataset.max_rejected)
    kept = [one for one in examined if one.clip.id not in left_out]
    _require_enough([one.accepted for one in kept], limits, left_out=len(left_out))
    folder = workspace.folder("prepare")
    clips = place_all(examined, left_out, folder, job.training.seed)
    write_clips(folder, clips)
    write_findings(folder, findings.found)
    write_recordings_report(folder, report_of(job, facts["shape"], recogniser, examined, judged, findings))
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
            phonemize(text, job.language, locale=job.locale)
        except TextRejected as error:
            raise BadData(f"evaluation.texts: {shorten(text)}: {error}", reason="UnspeakableText") from error


def _accept(
    job: TrainingJob,
    front_end: FrontEnd,
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
            clip = accept(loaded.recording, loaded.path, front_end, findings)
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


def _examined(examiner: Examiner, recogniser: Recogniser | None, texts: FrontEnd, clip: Accepted) -> Examined | Finding:
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
    errors = None
    if written is not None:
        compared = compare_texts(recording.text, written.text, texts.language, locale=texts.locale)
        errors = 100 * compared.character_rate
    examined = ExaminedClip(recording.id, recording.key, clip.phones, clip.speech_seconds, found, errors)
    return Examined(clip, examined, folder, written.text if written else "")
