"""Stage evaluate: resynthesise held-out clips, speak sentences, score, judge the gates, report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voice_trainer.evaluation.gates import Origin, Verdict, chosen_gates, decimal, judge
from voice_trainer.evaluation.plots import CurvePlot, plot_curves, spectrogram_png
from voice_trainer.evaluation.prediction import PredictionComparison, compare_predictions
from voice_trainer.evaluation.report import (
    REPORT_HTML,
    REPORT_JSON,
    ClipReport,
    Report,
    Sample,
    Score,
    Spectrograms,
    render_html,
)
from voice_trainer.evaluation.resynthesis import Comparison, choose_prompt, compare_held_out
from voice_trainer.evaluation.scores import Estimate, mean_scores
from voice_trainer.evaluation.synthesis import Synthesiser, encode_prompt, load_synthesiser
from voice_trainer.evaluation.voice import FeaturedClip, load_clips, load_voice
from voice_trainer.job.base import JobBase
from voice_trainer.job.document import TrainingJob
from voice_trainer.job.progress import Steps
from voice_trainer.job.results import Summary, now
from voice_trainer.job.workspace import Workspace
from voice_trainer.recordings import audio
from voice_trainer.stages.train import CURVES, read_curves
from voice_trainer.training.networks import choose_device, load_encoders

METHOD = (
    "Token-forced resynthesis: each held-out clip is decoded from its own semantic tokens with the speaker embedding "
    "of the prompt clip, aligned by at most 20 ms, and compared with the recording at 16 kHz (PESQ wide band, STOI). "
    "Means with 95 % intervals over clips. This measures the voice's sound, not its choice of words or melody."
)
SPECTROGRAMS = 3  # clips whose spectrograms the report shows; all have players


@dataclass(frozen=True)
class Findings:
    """Everything that was measured of one voice."""

    prompt: FeaturedClip
    comparisons: tuple[Comparison, ...]
    predictions: PredictionComparison
    samples: tuple[Sample, ...]
    scores: dict[str, Estimate]
    base_scores: dict[str, Estimate]
    verdicts: tuple[Verdict, ...]
    gates_from: Origin

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(verdict.passed for verdict in self.verdicts)


def evaluate(job: TrainingJob, workspace: Workspace) -> Summary:
    """Write report, samples, prompt and reference; gates that fail are a verdict in the summary, not an error.

    Raises:
        Refused: a gate names a metric that nothing measures.
    """
    base = workspace.base_of_features()
    gates, gates_from = chosen_gates(job.evaluation.gates, base.document.gates, job.evaluation.minimum_gates)
    trained, folder, seed = workspace.results("train"), workspace.folder("evaluate"), job.training.seed
    clips = load_clips(workspace)
    held_out = [clip for clip in clips if clip.clip.held_out]
    texts = job.evaluation.texts or tuple(base.document.sentences.get(job.language, ()))
    steps = Steps(workspace.progress("evaluate"), total=len(held_out) + len(texts))

    voice = load_voice(base, trained, choose_device(job.compute.device))
    prompt_clip = choose_prompt(voice, clips, seed)
    comparisons = tuple(steps.each(compare_held_out(voice, held_out, prompt_clip, seed)))
    predictions = compare_predictions(voice, [clip.features for clip in held_out])

    encoders = load_encoders(base, job.language, voice.device)
    prompt = encode_prompt(base, voice.networks, encoders, prompt_clip, job.language)
    prompt.save(folder / "prompt.safetensors")
    audio.write_flac(folder / "reference.flac", prompt_clip.training_recording(), base.document.sample_rate)
    synthesiser = load_synthesiser(base, voice.networks, encoders, prompt, job.language, seed)
    samples = tuple(steps.each(write_sample(synthesiser, folder, n, text) for n, text in enumerate(texts, start=1)))
    write_clip_samples(folder, comparisons)

    scores = mean_scores([one.adapted.scores for one in comparisons])
    base_scores = mean_scores([one.base.scores for one in comparisons])
    verdicts = judge(gates, {name: found.mean for name, found in scores.items()})
    findings = Findings(prompt_clip, comparisons, predictions, samples, scores, base_scores, verdicts, gates_from)
    write_report(folder, report_of(job, workspace, base, findings), trained / CURVES, comparisons)
    return summary_of(findings, voice.device.type)


def write_sample(synthesiser: Synthesiser, folder: Path, number: int, text: str) -> Sample:
    """Speak a sentence into ``samples/``."""
    file = f"samples/sentence-{number}.flac"
    spoken, rate = synthesiser.synthesize(text), synthesiser.sample_rate
    audio.write_flac(folder / file, spoken, rate)
    return Sample(file=file, text=text, seconds=f"{len(spoken) / rate:.2f}")


def write_clip_samples(folder: Path, comparisons: Sequence[Comparison]) -> None:
    """Write recording and adapted resynthesis of every held-out clip into ``samples/``."""
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
        method=METHOD,
        passed=findings.passed,
        gates=[verdict.document() for verdict in findings.verdicts],
        gates_from=findings.gates_from,
        scores=_score_documents(findings.scores),
        base_scores=_score_documents(findings.base_scores),
        semantic=_prediction_facts(findings.predictions),
        clips=[_clip_report(one) for one in findings.comparisons],
        samples=list(findings.samples),
        prompt={"id": prompt.id, "text": prompt.text, "seconds": f"{prompt.seconds:.2f}"},
        recordings=_single_values(workspace, "prepare"),
        training=_single_values(workspace, "train"),
        created_at=now(),
    )


def write_report(folder: Path, report: Report, curves: Path, comparisons: Sequence[Comparison]) -> None:
    """Write ``report.json`` and ``report.html``."""
    spectrograms = [
        Spectrograms(one.adapted.clip.id, spectrogram_png(one.adapted.recording), spectrogram_png(one.adapted.decoded))
        for one in comparisons[:SPECTROGRAMS]
    ]
    (folder / REPORT_JSON).write_text(report.model_dump_json(by_alias=True, indent=1) + "\n", encoding="utf-8")
    (folder / REPORT_HTML).write_text(render_html(report, loss_plots(curves), spectrograms), encoding="utf-8")


def loss_plots(curves: Path) -> list[CurvePlot]:
    """Return the plots of the training losses."""
    losses = read_curves(curves)
    return [
        plot_curves("Semantic loss (nats per token)", {"semantic": losses["semantic"]}),
        plot_curves("Mel loss", {"mel": losses["mel"]}),
        plot_curves("KL loss", {"KL": losses["kl"]}),
    ]


def summary_of(findings: Findings, device: str) -> Summary:
    """Return the summary of the stage's manifest."""
    return {
        "passed": findings.passed,
        "scores": {name: decimal(found.mean) for name, found in findings.scores.items()},
        # One clip has no interval.
        "intervals": {name: decimal(found.half_width) for name, found in findings.scores.items() if found.n > 1},
        "baseScores": {name: decimal(found.mean) for name, found in findings.base_scores.items()},
        "gates": [verdict.document() for verdict in findings.verdicts],
        "gatesFrom": findings.gates_from,
        "clips": len(findings.comparisons),
        "prompt": findings.prompt.clip.id,
        "device": device,
    }


def _score_documents(scores: dict[str, Estimate]) -> dict[str, Score]:
    return {
        name: Score(mean=decimal(found.mean), interval=decimal(found.half_width), n=found.n)
        for name, found in scores.items()
    }


def _prediction_facts(found: PredictionComparison) -> dict[str, str]:
    return {
        "held-out tokens, nats per token": f"{found.adapted.loss:.3f} (base alone {found.base.loss:.3f})",
        "held-out tokens, top-3 accuracy": f"{found.adapted.accuracy:.1%} (base alone {found.base.accuracy:.1%})",
    }


def _clip_report(one: Comparison) -> ClipReport:
    def shown(score: float | None) -> str:
        return "" if score is None else decimal(score)

    return ClipReport(
        id=one.adapted.clip.id,
        text=one.adapted.clip.text,
        pesq=shown(one.adapted.scores.pesq),
        stoi=shown(one.adapted.scores.stoi),
        base_pesq=shown(one.base.scores.pesq),
        base_stoi=shown(one.base.scores.stoi),
    )


def _single_values(workspace: Workspace, stage: str) -> dict[str, str]:
    """Return the values of a stage's summary that are neither lists nor objects."""
    manifest = workspace.manifest(stage)
    summary: dict[str, Any] = manifest.summary if manifest else {}
    return {name: str(value) for name, value in summary.items() if isinstance(value, str | int)}
