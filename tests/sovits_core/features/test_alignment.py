"""Codes that say given words: in their order, as near to what is heard as may be, and none where they do not fit."""

import pytest
import torch

from sovits_core.features.alignment import align_codes, best_path, without_silence
from sovits_core.text import phonemize
from sovits_core.text.spoken import word_ends
from tiny_base.tokens import SUBPHONE_STATES, TOKENS, phone_tokens

CODES_OF = {"SIL": ((0,),), "K": ((1,), (2,)), "AE": ((3, 4), (5, 6)), "T": ((7,), (8,))}
CAT = ("K", "AE1", "T", ".")


def heard(codes: list[int]) -> torch.Tensor:
    """Distances (tokens, 9) of a recording in which these codes are the nearest; the others are alike."""
    distances = torch.ones(len(codes), 9)
    distances[torch.arange(len(codes)), torch.tensor(codes)] = 0
    return distances


@pytest.mark.parametrize(
    ("codes", "aligned"),
    [
        ([0, 1, 2, 4, 5, 7, 8, 0], [0, 1, 2, 4, 5, 7, 8, 0]),  # nothing is misheard
        ([1, 3, 7], [1, 3, 7]),  # no silence, and nothing follows a beginning
        ([1, 2, 7, 5, 7, 0], [1, 2, 3, 5, 7, 0]),  # "KTAT": a phone of its own is put in the wrong one's place
        ([2, 2, 2, 4, 7, 8, 0], [1, 2, 2, 4, 7, 8, 0]),  # a phone begins before it goes on
    ],
)
def test_what_is_misheard_is_said_by_the_words(codes: list[int], aligned: list[int]) -> None:
    found = align_codes(heard(codes), CAT, [False, False, True], CODES_OF)
    assert found is not None
    assert found.tolist() == aligned


def test_silence_stands_where_a_pause_may_be() -> None:
    codes = [1, 2, 3, 0, 0, 7, 8]
    never = align_codes(heard(codes), CAT, [False, False, True], CODES_OF)
    then = align_codes(heard(codes), CAT, [False, True, True], CODES_OF)
    assert never is not None
    assert then is not None
    assert 0 not in never.tolist()
    assert then.tolist() == codes


def test_silence_is_cut_off_the_ends_and_stays_between_words() -> None:
    silent, spoken = (next(code for code, one in enumerate(CODES) if one.half == half) for half in (0, 1))
    codes = torch.tensor([silent, silent, spoken, silent, spoken, silent])
    assert without_silence(codes, phone_tokens()).tolist() == [spoken, silent, spoken]
    assert without_silence(codes[:2], phone_tokens()).tolist() == [silent, silent]


def test_words_that_do_not_fit_are_not_aligned() -> None:
    assert align_codes(heard([1, 7]), CAT, [False, False, True], CODES_OF) is None
    assert align_codes(heard([1, 3, 7, 0]), ("K", "AE1", "ZH"), [False, False, True], CODES_OF) is None


def test_a_path_is_the_best_of_all_that_pass_every_required_state() -> None:
    generator = torch.Generator().manual_seed(3)
    optional = [True, False, True, True, False, True]
    scores = torch.randn(5, 6, generator=generator)

    def paths(step: int, state: int) -> list[list[int]]:
        if step == len(scores):
            return [[]] if all(optional[state + 1 :]) else []
        following = [after for after in range(max(state, 0), 6) if after == state or all(optional[state + 1 : after])]
        return [[after, *rest] for after in following for rest in paths(step + 1, after)]

    best = max(paths(0, -1), key=lambda path: float(sum(scores[step, state] for step, state in enumerate(path))))
    assert best_path(scores, optional) == best


def test_the_tiny_base_has_codes_for_every_phone_and_every_code_says_one() -> None:
    codes_of = phone_tokens()
    assert sorted(code for parts in codes_of.values() for part in parts for code in part) == list(range(len(TOKENS)))
    assert {SUBPHONE_STATES[TOKENS[code].state] for code in codes_of["OY"][1]} == {"OY2"}


def test_a_pause_stands_between_words_only() -> None:
    text = "Don't, he said, be late."
    last = [index for index, end in enumerate(word_ends(text, "en", phonemize(text, "en").phones)) if end]
    assert last == [3, 5, 8, 10, 13]  # D OW N T, HH IY, S EH D, B IY, L EY T
