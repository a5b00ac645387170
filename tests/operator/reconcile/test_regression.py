"""What counts as worse: two revisions on the left, the scores that fell on the right."""

from dataclasses import replace
from typing import Any

import pytest

from voice_operator.reconcile.observed import ObservedRevision
from voice_operator.reconcile.regression import Regression, regressions_between

ACTIVE = ObservedRevision(
    "alice-11111111",
    "1" * 64,
    "tiny",
    "s3://x",
    "sha256:x",
    language="en",
    base_identity="embedded:tiny",
    scores={"pesq": "3.900", "stoi": "0.910", "cer": "0.050", "durationRatio": "0.850", "repetitionRate": "0.000"},
    intervals={"pesq": "0.300", "stoi": "0.010", "cer": "0.010", "durationRatio": "0.100", "repetitionRate": "0.100"},
)


def scored(**changes: Any) -> ObservedRevision:
    return replace(ACTIVE, name="alice-22222222", input_hash="2" * 64, **changes)


def with_score(metric: str, value: str) -> ObservedRevision:
    return scored(scores={**ACTIVE.scores, metric: value})


@pytest.mark.parametrize(
    ("new", "worse"),
    [
        pytest.param(scored(), [], id="the same"),
        pytest.param(with_score("pesq", "4.400"), [], id="better"),
        pytest.param(with_score("pesq", "3.476"), [], id="worse by 0.424, and chance explains 0.424"),
        pytest.param(with_score("pesq", "3.475"), ["pesq"], id="worse by 0.425"),
        pytest.param(with_score("cer", "0.040"), [], id="fewer errors"),
        pytest.param(with_score("cer", "0.070"), ["cer"], id="more errors"),
        pytest.param(with_score("durationRatio", "1.200"), [], id="as far from the speaker's pace, to the other side"),
        pytest.param(with_score("durationRatio", "0.600"), ["durationRatio"], id="much too fast"),
        pytest.param(with_score("durationRatio", "1.000"), [], id="exactly the speaker's pace"),
        pytest.param(with_score("repetitionRate", "0.150"), ["repetitionRate"], id="more loops"),
        pytest.param(with_score("dnsmos", "2.500"), [], id="nothing where only one was measured"),
        pytest.param(scored(scores={"pesq": "1.0", "stoi": "0.1"}), ["pesq", "stoi"], id="worse in two scores"),
        pytest.param(scored(scores={"pesq": "1.0"}, intervals={}), [], id="nothing without an interval of the new one"),
        pytest.param(scored(scores={}), [], id="nothing without a score"),
        pytest.param(scored(scores={"pesq": "broken"}), [], id="nothing by what is no number"),
        pytest.param(scored(scores={"pesq": "1.0"}, language="ja"), [], id="not across languages"),
        pytest.param(
            scored(scores={"pesq": "1.0", "cer": "0.9"}, recogniser="sha256:1"),
            ["pesq"],
            id="words are not compared across recognisers, and all else is",
        ),
        pytest.param(scored(scores={"pesq": "1.0"}, base_identity="sha256:b"), [], id="nor across bases"),
        pytest.param(scored(scores={"pesq": "1.0"}, evaluation_version=2), [], id="nor across ways of measuring"),
    ],
)
def test_a_revision_is_worse_in(new: ObservedRevision, worse: list[str]) -> None:
    assert [found.metric for found in regressions_between(new, ACTIVE)] == worse


def measured(text: str) -> ObservedRevision:
    """A voice of LJSpeech on the embedded base, as stage evaluate measured it: metric, mean, half of its interval."""
    rows = [row.split() for row in text.splitlines() if row.strip()]
    return scored(scores={row[0]: row[1] for row in rows}, intervals={row[0]: row[2] for row in rows})


FIRST = """
pesq 1.087 0.032
stoi 0.702 0.044
speakerSimilarity 0.807 0.053
cer 0.196 0.074
wer 0.313 0.123
dnsmos 1.988 0.116
durationRatio 1.055 0.040
noEndTokenRate 0.000 0.108
longestPause 0.071 0.028
"""
ANOTHER_SEED = """
pesq 1.088 0.057
stoi 0.615 0.114
speakerSimilarity 0.767 0.129
cer 0.180 0.079
wer 0.313 0.123
dnsmos 1.982 0.144
durationRatio 1.100 0.049
noEndTokenRate 0.000 0.108
longestPause 0.069 0.029
"""
WRONG_TEXTS = """
stoi 0.33 0.09
cer 0.26 0.06
speakerSimilarity 0.79 0.05
"""


def test_the_same_recordings_trained_again_are_no_regression_and_wrong_texts_are() -> None:
    """The figures are those of docs/evaluation.md; other held-out clips alone move STOI by 0.09."""
    first = measured(FIRST)
    assert regressions_between(measured(ANOTHER_SEED), first) == ()
    assert regressions_between(first, measured(ANOTHER_SEED)) == ()
    assert [one.metric for one in regressions_between(measured(WRONG_TEXTS), first)] == ["stoi"]


def test_an_active_revision_without_intervals_is_never_missed() -> None:
    assert regressions_between(with_score("pesq", "1.000"), replace(ACTIVE, intervals={})) == ()


def test_a_regression_names_both_scores_and_what_chance_explains() -> None:
    assert (
        str(Regression("pesq", "3.100", "3.900", 0.42426)) == "pesq is 3.100 instead of 3.900 (chance explains 0.424)"
    )
