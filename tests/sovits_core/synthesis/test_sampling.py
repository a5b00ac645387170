"""Tokens are chosen in the official order, from a generator of the request's own."""

import numpy as np
import pytest

from sovits_core.errors import InvalidModelInput
from sovits_core.synthesis.sampling import MIN_TOKENS, Choice, Sampler, Sampling, filtered, penalize

END = 5
GREEDY = Sampling(top_k=1, repetition_penalty=1.0)


def logits(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_repetition_makes_said_tokens_less_likely_whatever_their_sign() -> None:
    penalized = penalize(logits(2, -2, 2), np.array([True, True, False]), 2.0)
    assert penalized.tolist() == [1, -4, 2]


def test_tokens_of_the_prompt_count_as_said() -> None:
    sampling = Sampling(top_k=1, repetition_penalty=2.0)
    scores = logits(3, 2, 0, 0, 0, -9)
    assert Sampler(sampling, np.random.default_rng(0), END).choose(scores).token == 0
    assert Sampler(sampling, np.random.default_rng(0), END, prompt=[0]).choose(scores).token == 1


def test_what_was_chosen_is_penalised_next_time() -> None:
    sampler = Sampler(Sampling(top_k=1, repetition_penalty=2.0), np.random.default_rng(0), END)
    assert [sampler.choose(logits(3, 2, 0, 0, 0, -9)).token for _ in range(2)] == [0, 1]


def test_top_p_removes_the_token_that_crosses_the_threshold_too() -> None:
    probabilities = np.array([0.5, 0.3, 0.2])
    kept = filtered(np.log(probabilities).astype(np.float32), Sampling(top_p=0.7))
    assert np.isfinite(kept).tolist() == [True, False, False]


def test_top_p_always_keeps_the_likeliest_token() -> None:
    kept = filtered(np.log([0.1, 0.8, 0.1]).astype(np.float32), Sampling(top_p=0.05))
    assert np.isfinite(kept).tolist() == [False, True, False]


def test_top_p_looks_at_the_scores_before_the_temperature() -> None:
    # At temperature 10 the three would be nearly equal, and the second would stay below 0.9.
    scores = np.log([0.6, 0.3, 0.1]).astype(np.float32)
    kept = filtered(scores, Sampling(top_p=0.89, temperature=10.0))
    assert np.isfinite(kept).tolist() == [True, False, False]
    assert kept[0] == pytest.approx(scores[0] / 10)


def test_top_k_keeps_the_k_best_and_whoever_equals_the_last_of_them() -> None:
    kept = filtered(logits(1, 4, 3, 3), Sampling(top_k=2))
    assert np.isfinite(kept).tolist() == [False, True, True, True]


def test_temperature_zero_is_greedy() -> None:
    sampler = Sampler(Sampling(temperature=0.0, repetition_penalty=1.0), np.random.default_rng(0), END)
    assert {sampler.choose(logits(1.0, 1.1, 0.9, 0, 0, -9)).token for _ in range(20)} == {1}


def test_the_end_token_is_blocked_for_the_first_eleven() -> None:
    sampler = Sampler(GREEDY, np.random.default_rng(0), END)
    choices = [sampler.choose(logits(1, 0, 0, 0, 0, 99)) for _ in range(MIN_TOKENS + 1)]
    assert choices == [Choice(0, stop=False)] * 11 + [Choice(END, stop=True)]


def test_the_utterance_ends_when_the_end_token_is_likeliest_even_if_another_was_drawn() -> None:
    rng = np.random.default_rng(0)
    sampler = Sampler(Sampling(repetition_penalty=1.0), rng, END)
    for _ in range(MIN_TOKENS):
        sampler.choose(logits(0, 0, 0, 0, 0, 0))
    choices = [sampler.choose(logits(0, 0, 0, 0, 0, 0.01)) for _ in range(20)]
    assert all(choice.stop for choice in choices)
    assert {choice.token for choice in choices} > {END}


def test_the_same_generator_gives_the_same_tokens_and_another_gives_others() -> None:
    def speak(seed: int) -> list[int]:
        sampler = Sampler(Sampling(), np.random.default_rng(seed), END)
        return [sampler.choose(logits(1, 1.2, 0.8, 1.1, 0.9, -9)).token for _ in range(30)]

    assert speak(1) == speak(1) != speak(2)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    rng = np.random.default_rng(7)
    scores = np.append(np.log([0.6, 0.3, 0.1, 1e-9, 1e-9]), -99).astype(np.float32)
    counts = np.zeros(6)
    for _ in range(3000):
        counts[Sampler(Sampling(repetition_penalty=1.0), rng, END).choose(scores).token] += 1
    assert counts[:3] / 3000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "top_k=0"),
        ({"top_p": 0.0}, "top_p=0.0"),
        ({"top_p": 1.5}, "top_p=1.5"),
        ({"temperature": -1.0}, "temperature=-1.0"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"repetition_penalty": 0.0}, "repetition_penalty=0.0"),
    ],
)
def test_impossible_settings_are_refused_by_name(options: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidModelInput, match=message):
        Sampling(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("scores", [logits(1, 2), logits(0, 0, np.nan, 0, 0, 0), np.full(6, -np.inf, dtype=np.float32)])
def test_logits_that_cannot_be_chosen_from_are_refused(scores: np.ndarray) -> None:
    with pytest.raises(InvalidModelInput, match="logits must"):
        Sampler(Sampling(), np.random.default_rng(0), END).choose(scores)
