"""Labels and codebook: sub-phone states, pitch bins and onset offsets."""

import torch

from sovits_core.models import Synthesizer
from tiny_base.acoustics import Acoustics
from tiny_base.config import TinyBaseConfig
from tiny_base.tokens import (
    LOGITS,
    SUBPHONE_STATES,
    TOKENS,
    phone_tokens,
    read_projection,
    token_labels,
    token_vectors,
    write_codebook,
    write_projection,
)


def test_a_token_is_the_sub_phone_state_and_the_pitch_bin_at_its_centre() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.linspace(4.7, 5.3, 20))
    labels = token_labels(acoustics, [("SIL", 0.08), ("AA", 0.24), ("S", 0.4)], 10)
    named = [
        (SUBPHONE_STATES[token.state], token.pitch_bin, token.onset_offset)
        for token in (TOKENS[label] for label in labels.tolist())
    ]
    assert named[:2] == [("SIL", None, False)] * 2
    assert named[2:6] == [("AA1", 0, False), ("AA1", 1, False), ("AA2", 1, None), ("AA2", 1, None)]
    assert named[6:] == [("S1", None, False), ("S1", None, False), ("S2", None, None), ("S2", None, None)]


def test_a_token_has_the_onset_offset_of_a_phone_that_begins_with_its_second_frame() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.full((20,), 5.0))
    labels = token_labels(acoustics, [("SIL", 0.06), ("AA", 0.22), ("S", 0.4)], 10)
    named = [
        (SUBPHONE_STATES[token.state], token.onset_offset) for token in (TOKENS[label] for label in labels.tolist())
    ]
    assert named[:3] == [("SIL", False), ("AA1", True), ("AA1", False)]
    assert named[4:7] == [("AA2", None), ("S1", True), ("S1", False)]


def test_a_phone_shorter_than_a_token_gets_one_and_the_next_begins_later() -> None:
    acoustics = Acoustics(torch.zeros(20, 58), torch.ones(20, dtype=torch.bool), torch.full((20,), 5.0))
    labels = token_labels(acoustics, [("AA", 0.08), ("T", 0.105), ("S", 0.4)], 10)
    named = [
        (SUBPHONE_STATES[token.state], token.onset_offset) for token in (TOKENS[label] for label in labels.tolist())
    ]
    assert named[1:4] == [("AA2", None), ("T1", False), ("S1", False)]


def test_the_nearest_codebook_vector_has_the_highest_score(smallest: TinyBaseConfig) -> None:
    s2 = Synthesizer(smallest.s2)
    write_codebook(s2)
    head = torch.randn(LOGITS, 88)
    write_projection(s2, head)
    features = torch.randn(1, 88, 12)
    scores = (features.transpose(1, 2).unflatten(1, (-1, 2)).mean(2) @ head.T) @ token_vectors().T
    assert s2.quantize(features).tolist() == scores.argmax(-1).tolist()
    again = torch.zeros(LOGITS, 88)
    read_projection(s2, again)
    torch.testing.assert_close(again, head)


def test_each_phone_has_tokens_and_each_token_stands_for_one_phone() -> None:
    tokens = phone_tokens()
    assert sorted(token for states in tokens.values() for state in states for token in state) == list(
        range(len(TOKENS))
    )
    assert {SUBPHONE_STATES[TOKENS[token].state] for token in tokens["OY"][1]} == {"OY2"}
