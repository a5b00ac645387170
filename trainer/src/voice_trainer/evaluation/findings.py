"""Everything that stage evaluate found of one voice, and what becomes of it: the report's tables and the summary."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.gates import Origin, Verdict, decimal
from voice_trainer.evaluation.metrics import METRICS, Better
from voice_trainer.evaluation.neighbours import nearest
from voice_trainer.evaluation.prediction import PredictionComparison
from voice_trainer.evaluation.report import (
    ActiveReport,
    ClipReport,
    Difference,
    MetricReport,
    Score,
    SentenceReport,
    SimilarityReport,
)
from voice_trainer.evaluation.resynthesis import Comparison
from voice_trainer.evaluation.sentence_scores import Embedding, SentenceScores
from voice_trainer.evaluation.similarity import similarity_matrix
from voice_trainer.evaluation.spoken import Condition, SpokenSentence
from voice_trainer.evaluation.voice import FeaturedClip
from voice_trainer.job.results import Summary

Scores = Mapping[str, Estimate]


@dataclass(frozen=True)
class Findings:
    """Everything that was measured of one voice."""

    prompt: FeaturedClip
    comparisons: tuple[Comparison, ...]
    predictions: PredictionComparison
    sentences: tuple[SpokenSentence, ...]
    scores: Scores
    base_scores: Scores
    recording_scores: Scores
    verdicts: tuple[Verdict, ...]
    gates_from: Origin
    recogniser: str
    """Its name; empty: there is none of the language."""
    active: ActiveReport | None = None
    """The served revision; None: nothing is served."""
    active_scores: Scores = field(default_factory=dict)
    recorded: tuple[Embedding, ...] = ()
    """The speakers of the held-out recordings."""
    others: dict[str, Embedding] = field(default_factory=dict)
    """The speakers of other published voices, by their names."""

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(verdict.passed for verdict in self.verdicts)


def summary_of(findings: Findings, device: str) -> Summary:
    """Return the summary of the stage's manifest."""
    return {
        "passed": findings.passed,
        "scores": _means(findings.scores),
        "intervals": _intervals(findings.scores),
        "baseScores": _means(findings.base_scores),
        **({"activeScores": _means(findings.active_scores)} if findings.active_scores else {}),
        "recordingScores": _means(findings.recording_scores),
        "gates": [verdict.document() for verdict in findings.verdicts],
        "gatesFrom": findings.gates_from,
        "recogniser": findings.recogniser,
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
            active=_score(findings.active_scores.get(name)),
            difference=difference(metric.better, findings.scores.get(name), findings.active_scores.get(name)),
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
            active_pesq=_shown(one.active.scores.pesq) if one.active else "",
            active_stoi=_shown(one.active.scores.stoi) if one.active else "",
        )
        for one in comparisons
    ]


def difference(better: Better, voice: Estimate | None, active: Estimate | None) -> Difference:
    """Return whether a mean differs from the served revision's by more than both intervals explain.

    The operator's rule for ``noRegression``; without an interval nothing follows.
    """
    if voice is None or active is None or min(voice.n, active.n) < 2:
        return ""
    goodness = {"higher": 1.0, "lower": -1.0}
    if better == "near one":
        gain = abs(active.mean - 1.0) - abs(voice.mean - 1.0)
    else:
        gain = goodness[better] * (voice.mean - active.mean)
    margin = math.hypot(voice.half_width, active.half_width)
    if abs(gain) <= margin:
        return "no difference"
    return "better" if gain > 0 else "worse"


def similarity_report(findings: Findings) -> SimilarityReport:
    """Return who sounds like whom: recordings, new voice, served revision, base alone, nearest other voice."""
    groups: dict[str, Sequence[Embedding]] = {"recordings": findings.recorded}
    spoken: tuple[Condition, ...] = ("voice", "active", "base")
    for condition in spoken:
        found = [one.scores[condition].embedding for one in findings.sentences if condition in one.scores]
        if found:
            groups[condition] = [one for one in found if one is not None]
    if other := nearest(groups.get("voice", ()), findings.others):
        groups[f"nearest other voice, {other}"] = [findings.others[other]]
    cells = similarity_matrix(groups)
    return SimilarityReport(
        names=list(groups),
        counts=[len(members) for members in groups.values()],
        cells=[[_shown(cell) for cell in row] for row in cells],
    )


def sentence_reports(sentences: Sequence[SpokenSentence]) -> list[SentenceReport]:
    """Return what is known of each sentence."""
    return [
        SentenceReport(
            text=one.voice.text,
            recognised=one.voice.recognised or "",
            seconds=f"{one.voice.seconds:.2f}",
            file=one.files.get("voice", ""),
            base_file=one.files.get("base", ""),
            active_file=one.files.get("active", ""),
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
