"""What differs between two VoiceRevisions: origin, data, training, scores; pure."""

from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

from voice_cli.api import Object

LESS_IS_BETTER = frozenset({"cer", "wer", "noEndTokenRate", "repetitionRate", "longestPause"})
SHOWN_DIGITS = 19  # of a digest: sha256: and twelve


class Difference(NamedTuple):
    """One thing that differs."""

    what: str
    first: str
    second: str
    note: str = ""


FIELDS = (  # path in the spec, and what it means where it differs
    ("voiceModel", ""),
    ("source.commit", ""),
    ("source.author", ""),
    ("language", ""),
    ("locale", ""),
    ("dataset.uri", ""),
    ("dataset.digest", "other recordings"),
    ("dataset.fingerprint", "other recordings"),
    ("dataset.denoise", ""),
    ("base.name", "another base: scores are of different scales"),
    ("base.digest", ""),
    ("training.rank", ""),
    ("training.epochs", ""),
    ("training.batchSize", ""),
    ("training.learningRate", ""),
    ("training.learningRateS1", ""),
    ("training.learningRateS2", ""),
    ("training.patience", ""),
    ("training.precision", ""),
    ("training.seed", ""),
    ("algorithm.training", "another version of fine-tuning"),
    ("algorithm.text", "another version of the text front end"),
    ("algorithm.evaluation", "scores of different versions are not comparable"),
    ("consent.evidence", ""),
    ("consent.expires", ""),
    ("trainerImage", ""),
    ("artifacts.digest", "samples lie in samples/ of each bundle: `kubectl voice listen REVISION`"),
    ("artifacts.size", ""),
)


def differences_of(first: Object, second: Object) -> list[Difference]:
    """Return what differs, in the order of FIELDS, then the scores."""
    one, other = first.get("spec") or {}, second.get("spec") or {}
    found = []
    for path, note in FIELDS:
        left, right = _shown(_at(one, path)), _shown(_at(other, path))
        if left != right:
            found.append(Difference(path, left, right, note))
    return [*found, *_scores(one, other)]


def _scores(one: Object, other: Object) -> Iterator[Difference]:
    left, right = (spec.get("evaluation") or {} for spec in (one, other))
    scores = [side.get("scores") or {} for side in (left, right)]
    widths = [side.get("intervals") or {} for side in (left, right)]
    for metric in sorted(scores[0] | scores[1]):
        values = [str(side.get(metric, "")) for side in scores]
        if values[0] == values[1]:
            continue
        shown = [
            f"{value} ± {side[metric]}" if value and metric in side else value
            for value, side in zip(values, widths, strict=True)
        ]
        note = _verdict(metric, values, [str(side.get(metric, "")) for side in widths])
        yield Difference(f"score {metric}", shown[0], shown[1], note)


def _verdict(metric: str, values: list[str], widths: list[str]) -> str:
    """Return whether the second is better, by more than both 95 % intervals explain."""
    try:
        gain = Decimal(values[1]) - Decimal(values[0])
        noise = sum((Decimal(width) for width in widths if width), Decimal(0))
    except InvalidOperation:
        return ""
    if metric == "durationRatio":
        return ""  # 1 is best, and neither direction is a gain
    if abs(gain) <= noise:
        return "within the 95 % intervals"
    return "better" if (gain > 0) != (metric in LESS_IS_BETTER) else "worse"


def _at(spec: Object, path: str) -> object:
    found: object = spec
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _shown(value: object) -> str:
    text = "" if value is None else str(value)
    return text[:SHOWN_DIGITS] + "…" if text.startswith("sha256:") else text
