"""Stage prepare: validate recordings and transcripts, normalise clips, hold some out."""

from __future__ import annotations

import logging
import statistics
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sovits_core.bundle.base import BaseDocument
from sovits_core.cpus import usable_cpus
from sovits_core.errors import TextRejected
from sovits_core.text import LANGUAGES, PolyphoneReader, phonemize
from sovits_core.text.symbols import symbols
from voice_store import open_store
from voice_trainer.errors import BadData
from voice_trainer.evaluation.gates import chosen_gates
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.limits import Limits
from voice_trainer.job.results import Summary
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings import audio
from voice_trainer.recordings.clips import Clip, analysis_copy, held_out_ids, training_copy, write_clips
from voice_trainer.recordings.dataset import DatasetDigest, Recording, read_dataset, shown
from voice_trainer.recordings.decoding import DECODED_SECONDS, Decoders
from voice_trainer.recordings.findings import Finding, FindingList, write_findings
from voice_trainer.recordings.loading import Loader
from voice_trainer.recordings.polyphones import load_polyphones
from voice_trainer.recordings.vad import detect

logger = logging.getLogger(__name__)

DEFAULT_LIMITS = Limits()
CLIP_SECONDS = (0.6, 54.0)  # the family's own limits for a training clip
LOUDNESS = -16.0  # dBFS RMS
# How the Unicode names of a language's letters begin; all languages but English also take English words.
SCRIPTS = {
    "en": ("LATIN",),
    "ja": ("LATIN", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "CJK", "FULLWIDTH LATIN"),
    "ko": ("LATIN", "HANGUL", "CJK"),
    "yue": ("LATIN", "CJK", "FULLWIDTH LATIN"),
    "zh": ("LATIN", "CJK", "FULLWIDTH LATIN"),
}


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

    def phones(self, text: str) -> tuple[str, ...]:
        return phonemize(text, self.language, self.table, self.polyphones).phones


def prepare(job: TrainingJob, workspace: Workspace, limits: Limits = DEFAULT_LIMITS) -> Summary:
    """Check every clip and transcript, then write normalised copies of all of them.

    Raises:
        BadData: the dataset has problems (all are found in one pass), or too little speech.
        Refused: a gate names an unknown metric; better known now than after training.
    """
    base = workspace.base.document
    chosen_gates(job.evaluation.gates, base.gates, job.evaluation.minimum_gates)
    _require_language(job, base)
    front_end = _FrontEnd(job.language, base.symbols, load_polyphones(workspace.base, job.language))
    findings = FindingList(tell=_log)
    accepted, facts = _accept(job, front_end, workspace, findings)
    _require_enough(accepted, limits)
    clips = _normalise_all(accepted, base.sample_rate, job.training.seed, workspace)
    write_clips(workspace.folder("prepare"), clips)
    write_findings(workspace.folder("prepare"), findings.warnings)
    return {
        "clips": len(clips),
        "heldOut": sum(clip.held_out for clip in clips),
        "rejected": 0,  # a dataset with any problem is refused as a whole, so that nothing is dropped silently
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
    job: TrainingJob, front_end: _FrontEnd, workspace: Workspace, findings: FindingList
) -> tuple[list[Accepted], Summary]:
    """Check every clip, collecting all findings; return the clips in the dataset's order, its shape and its digest.

    Raises:
        BadDataset: something in it must change.
    """
    store = open_store(job.dataset.uri)
    digest = DatasetDigest()
    dataset = read_dataset(store, digest, findings, job.language)
    progress = workspace.progress("prepare")
    accepted: list[Accepted] = []
    with Decoders() as decoders:
        loader = Loader(store, workspace.scratch / "raw", decoders, digest, findings, job.language)
        for loaded in loader.clips(dataset):
            clip = _examine(loaded.recording, loaded.path, front_end, findings)
            accepted += [clip] if clip else []
            progress.report(loaded.done, 2)
    digest.require(job.dataset.digest)
    findings.require_no_refusal()
    return accepted, {"shape": dataset.shape, "datasetDigest": digest.value()}


def _log(finding: Finding) -> None:
    if finding.severity == "warning":
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
    foreign = sorted(
        {
            sign
            for sign in recording.text
            if sign.isalpha() and not unicodedata.name(sign, "").startswith(SCRIPTS[front_end.language])
        }
    )
    if foreign:
        findings.refuse(
            "UnknownSymbols",
            f"the transcript of {shown(recording.id)} has {shown(''.join(foreign))}, which are no letters of language "
            f"{front_end.language!r}; write what is said in that language",
            recording.id,
        )
        return ()
    try:
        phones = front_end.phones(recording.text) if recording.text else ()
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


def _require_enough(accepted: list[Accepted], limits: Limits) -> None:
    seconds = sum(clip.speech_seconds for clip in accepted)
    if seconds < limits.min_speech_seconds:
        raise BadData(
            f"{seconds:.1f} s of speech found in {len(accepted)} clips, "
            f"at least {limits.min_speech_seconds:.0f} s are needed: add recordings",
            reason="TooLittleSpeech",
        )
    if len(accepted) < limits.min_clips:
        raise BadData(
            f"{len(accepted)} clips found, at least {limits.min_clips} are needed to train and to evaluate: "
            "cut them at sentence ends",
            reason="TooFewClips",
        )


def _normalise_all(accepted: list[Accepted], rate: int, seed: int, workspace: Workspace) -> list[Clip]:
    """Write both copies of every clip; ffmpeg does the work in its own processes, so threads are enough."""
    held_out = held_out_ids([(clip.recording.id, clip.speech_seconds) for clip in accepted], seed)
    folder = workspace.folder("prepare")
    progress = workspace.progress("prepare")
    clips = []
    with ThreadPoolExecutor(max_workers=usable_cpus()) as pool:
        for clip in pool.map(lambda clip: _normalise(clip, rate, folder, held_out), accepted):
            clips.append(clip)
            progress.report(len(accepted) + len(clips), 2 * len(accepted), already=len(accepted))
    return clips


def _normalise(clip: Accepted, rate: int, folder: Path, held_out: frozenset[str]) -> Clip:
    samples, original_rate = audio.read_mono(clip.path)
    begin, end = clip.span
    trimmed = samples[int(begin * original_rate) : int(end * original_rate)]
    training = audio.normalise(trimmed, original_rate, rate, rms_dbfs=LOUDNESS)
    analysis = audio.resample(training, rate, audio.ANALYSIS_RATE)
    audio.write_flac(training_copy(folder, clip.recording.id), training, rate)
    audio.write_flac(analysis_copy(folder, clip.recording.id), analysis, audio.ANALYSIS_RATE)
    return Clip(
        id=clip.recording.id,
        text=clip.recording.text,
        phones=clip.phones,
        seconds=round(len(training) / rate, 3),
        speech_seconds=round(clip.speech_seconds, 2),
        snr_db=round(clip.snr_db, 1),
        rms_dbfs=round(audio.level(training), 2),
        held_out=clip.recording.id in held_out,
    )
