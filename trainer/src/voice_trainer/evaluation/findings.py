"""Everything that stage evaluate found of one voice, and what becomes of it: the report's tables and the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.gates import Origin, Verdict, decimal
from voice_trainer.evaluation.metrics import METRICS, RECOGNISERS
from voice_trainer.evaluation.prediction import PredictionComparison
from voice_trainer.evaluation.report import ClipReport, MetricReport, Score, SentenceReport
from voice_trainer.evaluation.resynthesis import Comparison
from voice_trainer.evaluation.sentence_scores import SentenceScores
from voice_trainer.evaluation.voice import FeaturedClip
from voice_trainer.job.results import Summary
from voice_trainer.recordings.decoding import Samples

Scores = Mapping[str, Estimate]


@dataclass(frozen=True)
class SpokenPair:
    """One sentence, by the voice and by the base alone."""

    voice: SentenceScores
    base: SentenceScores
    sounds: tuple[Samples, Samples]
    """At the base's sample rate."""
    files: tuple[str, str] = ("", "")
    """In the stage's folder; empty: not to be played."""


@dataclass(frozen=True)
class Findings:
    """Everything that was measured of one voice."""

    prompt: FeaturedClip
    comparisons: tuple[Comparison, ...]
    predictions: PredictionComparison
    sentences: tuple[SpokenPair, ...]
    scores: Scores
    base_scores: Scores
    recording_scores: Scores
    verdicts: tuple[Verdict, ...]
    gates_from: Origin

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(verdict.passed for verdict in self.verdicts)


def summary_of(findings: Findings, language: str, device: str) -> Summary:
    """Return the summary of the stage's manifest."""
    return {
        "passed": findings.passed,
        "scores": _means(findings.scores),
        "intervals": _intervals(findings.scores),
        "baseScores": _means(findings.base_scores),
        "recordingScores": _means(findings.recording_scores),
        "gates": [verdict.document() for verdict in findings.verdicts],
        "gatesFrom": findings.gates_from,
        "recogniser": RECOGNISERS.get(language, ""),
        "clips": len(findings.comparisons),
        "sentences": len(findings.sentences),
        "prompt": findings.prompt.clip.id,
        "device": device,
    }


def metric_reports(findings: Findings) -> list[MetricReport]:
    """Return one row for each metric that was measured or that a gate names."""
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in findings.verdicts:
        verdicts.setdefault(verdict.gate.metric, []).append(verdict)
    return [
        MetricReport(
            metric=name,
            meaning=metric.meaning,
            voice=_score(findings.scores.get(name)),
            base=_score(findings.base_scores.get(name)),
            recordings=_score(findings.recording_scores.get(name)),
            bounds=[_bounds(one) for one in verdicts.get(name, ())],
            verdicts=[one.outcome for one in verdicts.get(name, ())],
            passed=all(one.passed for one in verdicts.get(name, ())) if name in verdicts else None,
        )
        for name, metric in METRICS.items()
        if name in findings.scores or name in verdicts
    ]


def clip_reports(comparisons: Sequence[Comparison]) -> list[ClipReport]:
    """Return the scores of each held-out clip."""
    return [
        ClipReport(
            id=one.adapted.clip.id,
            text=one.adapted.clip.text,
            pesq=_shown(one.adapted.scores.pesq),
            stoi=_shown(one.adapted.scores.stoi),
            base_pesq=_shown(one.base.scores.pesq),
            base_stoi=_shown(one.base.scores.stoi),
        )
        for one in comparisons
    ]


def sentence_reports(sentences: Sequence[SpokenPair]) -> list[SentenceReport]:
    """Return what is known of each sentence."""
    return [
        SentenceReport(
            text=one.voice.text,
            recognised=one.voice.recognised or "",
            seconds=f"{one.voice.seconds:.2f}",
            file=one.files[0],
            base_file=one.files[1],
            cer=_rate(one.voice),
            similarity=_shown(one.voice.similarity),
            dnsmos=_shown(one.voice.dnsmos),
            duration_ratio=_shown(one.voice.duration_ratio),
            remarks=remarks(one.voice),
        )
        for one in sentences
    ]


def remarks(sentence: SentenceScores) -> list[str]:
    """Return what is wrong with a sentence, in words."""
    found = [] if sentence.ended else ["cut off without an end"]
    return [*found, *(["repeats itself"] if sentence.repeats else [])]


def prediction_facts(found: PredictionComparison) -> dict[str, str]:
    """Return how well S1 predicts the tokens of held-out clips."""
    return {
        "held-out tokens, nats per token": f"{found.adapted.loss:.3f} (base alone {found.base.loss:.3f})",
        "held-out tokens, top-3 accuracy": f"{found.adapted.accuracy:.1%} (base alone {found.base.accuracy:.1%})",
    }


def _intervals(scores: Scores) -> dict[str, str]:
    """Return half widths; none of a single clip, nor where all are alike: zero would call any other value worse."""
    widths = {name: decimal(found.half_width) for name, found in scores.items() if found.n > 1}
    return {name: width for name, width in widths.items() if float(width) > 0}


def _means(scores: Scores) -> dict[str, str]:
    return {name: decimal(found.mean) for name, found in scores.items()}


def _score(found: Estimate | None) -> Score | None:
    if found is None:
        return None
    low, high = (decimal(found.low), decimal(found.high)) if found.n > 1 else ("", "")
    return Score(mean=decimal(found.mean), low=low, high=high, n=found.n)


def _bounds(verdict: Verdict) -> str:
    parts: list[Any] = []
    if verdict.gate.min is not None:
        parts.append(f"≥ {verdict.gate.min}")
    if verdict.gate.max is not None:
        parts.append(f"≤ {verdict.gate.max}")
    return ", ".join(parts)


def _rate(sentence: SentenceScores) -> str:
    errors = sentence.errors
    return _shown(errors.wrong_characters / errors.characters) if errors and errors.characters else ""


def _shown(score: float | None) -> str:
    return "" if score is None else decimal(score)
