"""Who sounds like whom: mean cosines between groups of embeddings."""

import numpy as np
import pytest

from voice_trainer.evaluation.sentence_scores import Embedding, unit
from voice_trainer.evaluation.similarity import similarity_matrix


def speakers(count: int, seed: int) -> list[Embedding]:
    rng = np.random.default_rng(seed)
    return [unit(rng.normal(size=16)) for _ in range(count)]


def test_cells_are_means_over_pairs_of_different_members() -> None:
    one, two = speakers(4, seed=1), speakers(3, seed=2)
    (own, across), (back, other) = similarity_matrix({"one": one, "two": two})
    assert across == back == pytest.approx(np.mean([first @ second for first in one for second in two]))
    pairs = [one[first] @ one[second] for first in range(4) for second in range(4) if first != second]
    assert own == pytest.approx(np.mean(pairs))
    assert other is not None


def test_where_there_is_no_pair_there_is_no_number() -> None:
    one = speakers(1, seed=3)
    assert similarity_matrix({"one": one, "none": []}) == ((None, None), (None, None))
    assert similarity_matrix({"one": one, "same": list(one)})[0][1] == pytest.approx(1.0)
