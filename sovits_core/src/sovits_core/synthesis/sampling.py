"""Choosing the next semantic token from logits, in the official order; NumPy only, one random generator per request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import InvalidModelInput

FIRST_STOP = 11
"""How many tokens are spoken before the end token is allowed: 0.44 s."""
COLDEST = 1e-5

Logits: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How adventurous the choice is; the defaults are those of the official API."""

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
    """One sampled token, and whether the utterance ends with it (the token then belongs to nobody)."""

    token: int
    stop: bool


class Sampler:
    """Chooses the tokens of one utterance; keeps what was said, since repetition is penalised."""

    def __init__(
        self, sampling: Sampling, rng: np.random.Generator, end_token: int, prompt: Sequence[int] = ()
    ) -> None:
        """`end_token` is the last of the vocabulary; tokens of the prompt count as said already."""
        self.sampling = sampling
        self.end_token = end_token
        self._rng = rng
        self._said = np.zeros(end_token + 1, dtype=bool)
        self._said[np.asarray(prompt, dtype=np.int64)] = True
        self._count = 0

    def choose(self, logits: Logits) -> Choice:
        """Return the next token; logits: float [vocabulary] or [1, vocabulary].

        Raises:
            InvalidModelInput: the logits are of another size or hold no number to choose by.
        """
        scores = np.asarray(logits, dtype=np.float32).reshape(-1)
        if scores.shape != (self.end_token + 1,):
            raise InvalidModelInput(f"logits must have {self.end_token + 1} entries, got {list(np.shape(logits))}")
        if not np.isfinite(scores).any() or np.isnan(scores).any():
            raise InvalidModelInput("logits must be numbers: the network produced NaN or nothing finite")
        if self._count < FIRST_STOP:
            scores = scores[: self.end_token]
        scores = penalize(scores, self._said[: len(scores)], self.sampling.repetition_penalty)
        # The official loop also stops when the end token is the most likely one, whatever was drawn.
        likeliest = int(scores.argmax())
        token = draw(filtered(scores, self.sampling), self._rng)
        self._count += 1
        self._said[token] = True
        return Choice(token, stop=self.end_token in (token, likeliest))


def penalize(scores: Logits, said: NDArray[np.bool_], penalty: float) -> Logits:
    """Make every token that was said less likely: negative scores times the penalty, others divided by it."""
    return np.where(said, np.where(scores < 0, scores * penalty, scores / penalty), scores).astype(np.float32)


def filtered(scores: Logits, sampling: Sampling) -> Logits:
    """Apply top_p, temperature and top_k, in this order; what is out becomes minus infinity."""
    if sampling.top_p < 1:
        order = np.argsort(-scores, kind="stable")
        # Upstream removes the token that crosses the threshold too, and always keeps the first.
        out = np.cumsum(softmax(scores[order])) > sampling.top_p
        out[0] = False
        scores = scores.copy()
        scores[order[out]] = -np.inf
    scores = scores / np.float32(max(sampling.temperature, COLDEST))
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
