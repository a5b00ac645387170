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
        pytest.param(scored(scores={"pesq": "1.0"}, base_identity="sha256:b"), [], id="nor across bases"),
        pytest.param(scored(scores={"pesq": "1.0"}, evaluation_version=2), [], id="nor across ways of measuring"),
    ],
)
def test_a_revision_is_worse_in(new: ObservedRevision, worse: list[str]) -> None:
    assert [found.metric for found in regressions_between(new, ACTIVE)] == worse


def test_an_active_revision_without_intervals_is_never_missed() -> None:
    assert regressions_between(with_score("pesq", "1.000"), replace(ACTIVE, intervals={})) == ()


def test_a_regression_names_both_scores_and_what_chance_explains() -> None:
    assert (
        str(Regression("pesq", "3.100", "3.900", 0.42426)) == "pesq is 3.100 instead of 3.900 (chance explains 0.424)"
    )
