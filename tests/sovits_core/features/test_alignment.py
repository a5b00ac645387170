"""Forced alignment: the nearest tokens that follow the phones of a text, and none where they do not fit."""

import pytest
import torch

from sovits_core.features.alignment import align_tokens, trim_silence, viterbi
from sovits_core.text import phonemize
from sovits_core.text.phones import word_ends

PHONE_TOKENS = {"SIL": ((0,),), "K": ((1,), (2,)), "AE": ((3, 4), (5, 6)), "T": ((7,), (8,))}
CAT = ("K", "AE1", "T", ".")


def near(tokens: list[int]) -> torch.Tensor:
    """Distances (tokens, 9) of a recording whose nearest codebook entries are these; all others are equally far."""
    distances = torch.ones(len(tokens), 9)
    distances[torch.arange(len(tokens)), torch.tensor(tokens)] = 0
    return distances


@pytest.mark.parametrize(
    ("tokens", "aligned"),
    [
        ([0, 1, 2, 4, 5, 7, 8, 0], [0, 1, 2, 4, 5, 7, 8, 0]),  # no phone is confused
        ([1, 3, 7], [1, 3, 7]),  # no silence, and one state of a phone is enough
        ([1, 2, 7, 5, 7, 0], [1, 2, 3, 5, 7, 0]),  # "KTAT": a confused phone is replaced by the text's
        ([2, 2, 2, 4, 7, 8, 0], [1, 2, 2, 4, 7, 8, 0]),  # the first state of a phone comes before its second
    ],
)
def test_the_text_replaces_phones_that_the_encoder_confused(tokens: list[int], aligned: list[int]) -> None:
    found = align_tokens(near(tokens), CAT, [False, False, True], PHONE_TOKENS)
    assert found is not None
    assert found.tolist() == aligned


def test_silence_stands_where_a_pause_may_be() -> None:
    tokens = [1, 2, 3, 0, 0, 7, 8]
    never = align_tokens(near(tokens), CAT, [False, False, True], PHONE_TOKENS)
    then = align_tokens(near(tokens), CAT, [False, True, True], PHONE_TOKENS)
    assert never is not None
    assert then is not None
    assert 0 not in never.tolist()
    assert then.tolist() == tokens


def test_silence_is_trimmed_from_the_ends_and_stays_between_words() -> None:
    silent, sound = 0, 3
    tokens = torch.tensor([silent, silent, sound, silent, sound, silent])
    assert trim_silence(tokens, PHONE_TOKENS).tolist() == [sound, silent, sound]
    assert trim_silence(tokens[:2], PHONE_TOKENS).tolist() == [silent, silent]


def test_words_that_do_not_fit_are_not_aligned() -> None:
    assert align_tokens(near([1, 7]), CAT, [False, False, True], PHONE_TOKENS) is None
    assert align_tokens(near([1, 3, 7, 0]), ("K", "AE1", "ZH"), [False, False, True], PHONE_TOKENS) is None


def test_viterbi_finds_the_best_path_through_every_required_state() -> None:
    generator = torch.Generator().manual_seed(3)
    optional = [True, False, True, True, False, True]
    scores = torch.randn(5, 6, generator=generator)

    def paths(step: int, state: int) -> list[list[int]]:
        if step == len(scores):
            return [[]] if all(optional[state + 1 :]) else []
        following = [after for after in range(max(state, 0), 6) if after == state or all(optional[state + 1 : after])]
        return [[after, *rest] for after in following for rest in paths(step + 1, after)]

    best = max(paths(0, -1), key=lambda path: float(sum(scores[step, state] for step, state in enumerate(path))))
    assert viterbi(scores, optional) == best


def test_a_pause_stands_between_words_only() -> None:
    text = "Don't, he said, be late."
    last = [index for index, end in enumerate(word_ends(text, "en", phonemize(text, "en").phones)) if end]
    assert last == [3, 5, 8, 10, 13]  # D OW N T, HH IY, S EH D, B IY, L EY T
