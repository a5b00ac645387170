"""Choosing the next semantic token from logits, in the official order; NumPy only, one random generator per request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import InvalidModelInput

MIN_TOKENS = 11
"""Before the end token is allowed: 0.44 s."""
MIN_TEMPERATURE = 1e-5

Logits: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """Sampling parameters; the defaults are those of the official API."""

    top_k: int = 15
    top_p: float = 1.0
    temperature: float = 1.0
    repetition_penalty: float = 1.35

    def __post_init__(self) -> None:
        if self.top_k < 1:
            raise InvalidModelInput(f"top_k={self.top_k} must be at least 1; use 1 for the most likely token")
        if not 0 < self.top_p <= 1:
            raise InvalidModelInput(f"top_p={self.top_p} must be above 0 and at most 1")
        if not 0 <= self.temperature < float("inf"):
            raise InvalidModelInput(f"temperature={self.temperature} must be 0 or above")
        if not 0 < self.repetition_penalty < float("inf"):
            raise InvalidModelInput(f"repetition_penalty={self.repetition_penalty} must be above 0; use 1 for none")


@dataclass(frozen=True)
class Choice:
    """One sampled token, and whether the utterance ends with it (the token is then dropped)."""

    token: int
    stop: bool


class Sampler:
    """Chooses the tokens of one utterance; keeps which were generated, since repetition is penalised."""

    def __init__(
        self, sampling: Sampling, rng: np.random.Generator, end_token: int, prompt: Sequence[int] = ()
    ) -> None:
        """`end_token` is the last of the vocabulary; tokens of the prompt count as generated."""
        self.sampling = sampling
        self.end_token = end_token
        self._rng = rng
        self._generated = np.zeros(end_token + 1, dtype=bool)
        self._generated[np.asarray(prompt, dtype=np.int64)] = True
        self._count = 0

    def choose(self, logits: Logits) -> Choice:
        """Return the next token; logits: float [vocabulary] or [1, vocabulary].

        Raises:
            InvalidModelInput: the logits are of another size, NaN or nowhere finite.
        """
        scores = np.asarray(logits, dtype=np.float32).reshape(-1)
        if scores.shape != (self.end_token + 1,):
            raise InvalidModelInput(f"logits must have {self.end_token + 1} entries, got {list(np.shape(logits))}")
        if not np.isfinite(scores).any() or np.isnan(scores).any():
            raise InvalidModelInput("logits must be numbers: the network produced NaN or nothing finite")
        if self._count < MIN_TOKENS:
            scores = scores[: self.end_token]
        scores = penalize(scores, self._generated[: len(scores)], self.sampling.repetition_penalty)
        # The official loop also stops when the end token is the most likely one, whatever was drawn.
        most_likely = int(scores.argmax())
        token = draw(filtered(scores, self.sampling), self._rng)
        self._count += 1
        self._generated[token] = True
        return Choice(token, stop=self.end_token in (token, most_likely))


def penalize(scores: Logits, generated: NDArray[np.bool_], penalty: float) -> Logits:
    """Penalise tokens that were generated before: negative scores times the penalty, others divided by it.

    Keskar et al. 2019, CTRL, arXiv:1909.05858, with the sign rule of the official code.
    """
    return np.where(generated, np.where(scores < 0, scores * penalty, scores / penalty), scores).astype(np.float32)


# Holtzman et al. 2019, arXiv:1904.09751 (top p); Fan et al. 2018, arXiv:1805.04833 (top k); as
# GPT_SoVITS/AR/models/utils.py
def filtered(scores: Logits, sampling: Sampling) -> Logits:
    """Apply top_p, temperature and top_k, in this order; what is out becomes minus infinity."""
    if sampling.top_p < 1:
        order = np.argsort(-scores, kind="stable")
        # Upstream removes the token that crosses the threshold too, and always keeps the first.
        out = np.cumsum(softmax(scores[order])) > sampling.top_p
        out[0] = False
        scores = scores.copy()
        scores[order[out]] = -np.inf
    scores = scores / np.float32(max(sampling.temperature, MIN_TEMPERATURE))
    kth = np.partition(scores, -min(sampling.top_k, len(scores)))[-min(sampling.top_k, len(scores))]
    return np.where(scores < kth, -np.inf, scores).astype(np.float32)


def softmax(scores: Logits) -> Logits:
    """Turn scores into probabilities along the last axis."""
    exponentials = np.exp(scores - scores.max())
    probabilities: Logits = (exponentials / exponentials.sum()).astype(np.float32)
    return probabilities


def draw(scores: Logits, rng: np.random.Generator) -> int:
    """Draw one token: the largest ratio of its probability to an exponential random number."""
    return int(np.argmax(softmax(scores) / rng.standard_exponential(len(scores))))
