"""Who sounds like whom: mean cosines between the speaker embeddings of recordings and of spoken sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from voice_trainer.evaluation.sentence_scores import Embedding

Matrix = tuple[tuple[float | None, ...], ...]


def similarity_matrix(groups: Mapping[str, Sequence[Embedding]]) -> Matrix:
    """Return the mean cosine between the members of each two groups, in their order.

    On the diagonal it is over pairs of different members: how much a speaker sounds like themselves. None stands where
    there is no pair.
    """
    members = list(groups.values())
    return tuple(tuple(_mean_cosine(row, column) for column in members) for row in members)


def _mean_cosine(row: Sequence[Embedding], column: Sequence[Embedding]) -> float | None:
    if not row or not column:
        return None
    total = float(np.sum(row, axis=0) @ np.sum(column, axis=0))
    if row is not column:
        return total / (len(row) * len(column))
    if len(row) < 2:
        return None
    return (total - len(row)) / (len(row) * (len(row) - 1))  # without each member's own 1
