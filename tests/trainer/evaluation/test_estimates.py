"""Intervals: as wide as chance is, also where every sentence is alike."""

import numpy as np
import pytest

from voice_trainer.evaluation.estimates import Estimate, mean_of, rate_of, share_of, widened


def test_the_mean_comes_with_students_interval() -> None:
    found = mean_of([1.0, None, 2.0, 3.0])
    assert found is not None
    assert (found.mean, found.n) == (2.0, 3)
    assert found.half_width == pytest.approx(4.3027 / 3**0.5, abs=1e-3)  # t(0.975, 2) = 4.3027
    assert mean_of([None]) is None
    assert mean_of([5.0]).half_width == 0.0  # type: ignore[union-attr]


def test_few_references_make_a_mean_less_sure() -> None:
    sentences = Estimate(0.8, 0.78, 0.82, 14)
    assert widened(sentences, [0.8]) == sentences, "a single one says nothing of others"
    agreeing, differing = widened(sentences, [0.8, 0.8, 0.8]), widened(sentences, [0.75, 0.8, 0.85])
    assert agreeing.half_width == pytest.approx(0.02)
    # The jackknife's error is 0.0577 (the root of two thirds of the squares' sum); t(0.975, 2) = 4.3027.
    assert differing.half_width == pytest.approx((0.02**2 + (4.3027 * 0.05774) ** 2) ** 0.5, abs=1e-4)
    assert differing.mean == 0.8


def test_a_rate_is_of_all_words_and_its_interval_of_sentences() -> None:
    found = rate_of([5, 0, 0, 0], [10, 10, 10, 10])
    assert found is not None
    assert found.mean == pytest.approx(0.125)
    assert found.low == 0.0
    assert found.high == pytest.approx(0.375)  # three of four drawn sentences are the bad one
    assert rate_of([], []) is None
    assert rate_of([0], [0]) is None
    assert rate_of([5, 0, 0, 0], [10, 10, 10, 10]) == found, "the same sentences have the same interval"


def test_an_interval_has_the_true_rate_95_times_of_100() -> None:
    rng = np.random.default_rng(1)
    words = [8] * 30
    found = [rate_of(rng.binomial(8, 0.2, 30).tolist(), words) for _ in range(200)]
    held = np.mean([one is not None and one.low <= 0.2 <= one.high for one in found])
    assert 0.89 <= held <= 0.99


def test_no_case_among_few_sentences_is_not_none_at_all() -> None:
    found = share_of([False] * 14)
    assert found is not None
    assert (found.mean, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.215, abs=0.001)  # Wilson: z^2 / (n + z^2)
    assert share_of([]) is None


def test_a_sample_without_errors_is_not_proof_of_none() -> None:
    found = rate_of([0] * 14, [9] * 14)
    assert found is not None
    assert (found.mean, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(0.030, abs=0.001)  # Wilson over 126 words
