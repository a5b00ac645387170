"""Stage evaluate: resynthesise held-out clips, speak sentences, measure them, judge the gates, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from voice_trainer.evaluation.active import ActiveVoice, NotCompared, load_active
from voice_trainer.evaluation.curves import read_curves
from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.findings import (
    Findings,
    clip_reports,
    metric_reports,
    prediction_facts,
    sentence_reports,
    similarity_report,
    summary_of,
)
from voice_trainer.evaluation.gates import Verdict, chosen_gates, judge
from voice_trainer.evaluation.metrics import METRICS
from voice_trainer.evaluation.neighbours import embeddings_of
from voice_trainer.evaluation.prediction import compare_predictions
from voice_trainer.evaluation.recordings_report import read_recordings_report
from voice_trainer.evaluation.report import REPORT_HTML, REPORT_JSON, ActiveReport, Pictures, Report, render_html
from voice_trainer.evaluation.resynthesis import Comparison, choose_prompt, compare_held_out
from voice_trainer.evaluation.scores import mean_scores
from voice_trainer.evaluation.sentence_scores import open_meter, recording_estimates, sentence_estimates, speaker_of
from voice_trainer.evaluation.sentences import sentences_for
from voice_trainer.evaluation.spectrograms import spectrograms
from voice_trainer.evaluation.spoken import Condition, Speakers, SpokenSentence
from voice_trainer.evaluation.voice import load_clips, load_voice
from voice_trainer.job.base import JobBase
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.limits import Limits
from voice_trainer.job.progress import Steps
from voice_trainer.job.results import Summary, now
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings import audio
from voice_trainer.recordings.decoding import Samples
from voice_trainer.stages.train import EPOCHS
from voice_trainer.training.networks import choose_device, load_encoders

METHOD: Final = (
    "PESQ and STOI: each held-out clip is decoded from its own semantic tokens with the speaker embedding of the "
    "prompt clip, aligned by at most 20 ms, and compared with the recording at 16 kHz; they measure the voice's sound, "
    "not its choice of words or melody. All other metrics are of sentences that nobody recorded, spoken from text "
    "alone as a server speaks them. Intervals are 95 %: Student's t over clips or sentences, for error rates a "
    "bootstrap over sentences, for shares Wilson's."
)
SHOWN_CLIPS: Final = 3  # held-out clips with players and spectrograms, and whose texts are also spoken
PLAYED: Final = 6  # sentences with players, besides those that the job names
DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True)
class ShownClip:
    """A held-out clip with all that is played of it; 16 kHz, and the base's rate where it is spoken."""

    comparison: Comparison
    spoken: Mapping[Condition, Samples]


def evaluate(job: TrainingJob, workspace: Workspace, limits: Limits = DEFAULT_LIMITS) -> Summary:
    """Write report, samples, prompt and reference; gates that fail are a verdict in the summary, not an error.

    Raises:
        Refused: a gate names a metric that nothing measures, or the installation's recogniser cannot be used.
    """
    base = workspace.base_of_features()
    gates, gates_from = chosen_gates(
        job.evaluation.gates,
        base.document.gates,
        job.evaluation.minimum_gates,
        language=job.language,
        has_folder=job.recogniser is not None,
    )
    trained, folder, seed = workspace.results("train"), workspace.folder("evaluate"), job.training.seed
    clips = load_clips(workspace)
    held_out = [clip for clip in clips if clip.clip.held_out]
    named = job.evaluation.texts or tuple(base.document.sentences.get(job.language, ()))
    texts = sentences_for(job.language, named, limits.most_sentences)
    first = max(len(job.evaluation.texts), min(limits.sentences, len(texts)))
    steps = Steps(workspace.progress("evaluate"), total=len(held_out) + first)

    device = choose_device(job.compute.device)
    voice = load_voice(base, trained, device)
    served = load_active(job.active, base, job.language, workspace.scratch, device)
    active = served if isinstance(served, ActiveVoice) else None
    prompt = choose_prompt(voice, clips, seed)
    comparisons = tuple(steps.each(compare_held_out(voice, held_out, prompt, seed, active)))
    predictions = compare_predictions(voice, [clip.features for clip in held_out])
    clip_scores = mean_scores([one.adapted.scores for one in comparisons])
    write_clip_samples(folder, comparisons)

    encoders = load_encoders(base, job.language, voice.device)
    speech = Speakers(base, voice, encoders, prompt, job.language, seed, active, locale=job.locale)
    speech.prompt.save(folder / "prompt.safetensors")
    audio.write_flac(folder / "reference.flac", prompt.training_recording(), base.document.sample_rate)
    shown = tuple(ShownClip(one, speech.waveforms(one.adapted.clip.text)) for one in comparisons[:SHOWN_CLIPS])
    for one in shown:
        speech.write(folder, f"{one.comparison.adapted.clip.id}.spoken", one.spoken)
    with open_meter(job, workspace.scratch, encoders.speaker) as meter:
        recorded = list(meter.measure_all(clip.recording() for clip in held_out))
        speaker = speaker_of(recorded, [clip.clip for clip in clips])
        others = embeddings_of(job.neighbours, meter, workspace.scratch)
        sentences = speech.measured(steps.each(texts[:first]), meter, speaker)
        while True:
            scores = clip_scores | sentence_estimates([one.voice for one in sentences])
            verdicts = judge(gates, scores)
            more = texts[len(sentences) : len(sentences) + limits.more_sentences]
            if not more or not any(map(is_undecided, verdicts)):
                break
            sentences += speech.measured(more, meter, speaker)
    findings = Findings(
        prompt=prompt,
        comparisons=comparisons,
        predictions=predictions,
        sentences=write_sentences(speech, folder, sentences, played=max(PLAYED, len(job.evaluation.texts))),
        scores=scores,
        base_scores=mean_scores([one.base.scores for one in comparisons]) | estimates_of(sentences, "base"),
        recording_scores=recording_estimates(
            recorded, [clip.clip.text for clip in held_out], job.language, locale=job.locale
        ),
        verdicts=verdicts,
        gates_from=gates_from,
        recogniser=meter.recogniser,
        active=active_report(served),
        active_scores=mean_scores([one.active.scores for one in comparisons if one.active])
        | estimates_of(sentences, "active"),
        others=others,
        recorded=tuple(one.embedding for one in recorded if one.embedding is not None),
    )
    write_report(folder, report_of(job, workspace, base, findings), workspace, shown, speech.rate)
    return summary_of(findings, voice.device.type)


def estimates_of(sentences: Sequence[SpokenSentence], condition: Condition) -> dict[str, Estimate]:
    """Return the metrics of the sentences under one condition; none, where nothing was spoken under it."""
    found = [one.scores[condition] for one in sentences if condition in one.scores]
    return sentence_estimates(found) if found else {}


def active_report(served: ActiveVoice | NotCompared | None) -> ActiveReport | None:
    """Return what the report says of the served revision; None: nothing is served."""
    if served is None:
        return None
    return ActiveReport(revision=served.revision, problem=served.reason if isinstance(served, NotCompared) else "")


def is_undecided(verdict: Verdict) -> bool:
    """Return whether more sentences may decide a gate."""
    return verdict.outcome == "inconclusive" and METRICS[verdict.gate.metric].source == "sentences"


def write_sentences(
    speech: Speakers, folder: Path, sentences: Sequence[SpokenSentence], *, played: int
) -> tuple[SpokenSentence, ...]:
    """Write the first ``played`` sentences into ``samples/``."""
    written = (
        replace(one, files=speech.write(folder, f"sentence-{number}", one.sounds))
        for number, one in enumerate(sentences[:played], start=1)
    )
    return (*written, *sentences[played:])


def write_clip_samples(folder: Path, comparisons: Sequence[Comparison]) -> None:
    """Write the recording and the adapted resynthesis of every held-out clip into ``samples/``."""
    for one in comparisons:
        name, rate = one.adapted.clip.id, audio.ANALYSIS_RATE
        audio.write_flac(folder / f"samples/{name}.recording.flac", one.adapted.recording, rate)
        audio.write_flac(folder / f"samples/{name}.resynthesis.flac", one.adapted.decoded, rate)


def report_of(job: TrainingJob, workspace: Workspace, base: JobBase, findings: Findings) -> Report:
    """Return ``report.json``'s document."""
    prompt = findings.prompt.clip
    return Report(
        voice=f"{job.voice.namespace}/{job.voice.name}",
        revision=job.revision,
        input_hash=job.input_hash,
        language=job.language,
        base={"name": base.document.name, "digest": base.digest},
        active=findings.active,
        method=METHOD,
        recogniser=findings.recogniser,
        passed=findings.passed,
        gates=[verdict.document() for verdict in findings.verdicts],
        gates_from=findings.gates_from,
        metrics=metric_reports(findings),
        similarity=similarity_report(findings),
        semantic=prediction_facts(findings.predictions),
        clips=clip_reports(findings.comparisons),
        samples=sentence_reports(findings.sentences),
        prompt={"id": prompt.id, "text": prompt.text, "seconds": f"{prompt.seconds:.2f}"},
        recordings=_single_values(workspace, "prepare"),
        training=_single_values(workspace, "train"),
        created_at=now(),
    )


def write_report(folder: Path, report: Report, workspace: Workspace, shown: Sequence[ShownClip], rate: int) -> None:
    """Write ``report.json`` and ``report.html``; ``rate`` is that of what is spoken."""
    trained, prepared = workspace.results("train"), workspace.results("prepare")
    kept = report.training.get("keptEpoch", "")
    pictures = Pictures(
        curves=read_curves(trained / EPOCHS, int(kept) if kept else None),
        spectrograms={one.comparison.adapted.clip.id: pictures_of(one, rate) for one in shown},
        recordings=read_recordings_report(prepared),
    )
    (folder / REPORT_JSON).write_text(report.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    (folder / REPORT_HTML).write_text(render_html(report, pictures, folder), encoding="utf-8")


def pictures_of(clip: ShownClip, rate: int) -> dict[str, Any]:
    """Return the spectrograms of a clip: the recording, its resynthesis, and the text under each condition."""
    one = clip.comparison.adapted
    sounds = {"recording": one.recording, "resynthesis": one.decoded}
    sounds |= {name: audio.resample(samples, rate, audio.ANALYSIS_RATE) for name, samples in clip.spoken.items()}
    return dict(zip(sounds, spectrograms(list(sounds.values())), strict=True))


def _single_values(workspace: Workspace, stage: str) -> dict[str, str]:
    """Return the values of a stage's summary that are neither lists nor objects."""
    manifest = workspace.manifest(stage)
    summary: dict[str, Any] = manifest.summary if manifest else {}
    return {name: str(value) for name, value in summary.items() if isinstance(value, str | int)}
