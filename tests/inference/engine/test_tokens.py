"""One thread says tokens, another waits for as many as it needs."""

import threading

import numpy as np
import pytest

from sovits_core.errors import InvalidModelInput
from sovits_core.synthesis.sampling import MIN_TOKENS, Sampler, Sampling
from voice_inference.engine.tokens import NOTHING, FinishReason, Ids, Utterance
from voice_inference.errors import Cancelled

END = 9
TIMEOUT_SECONDS = 60.0


def utterance(limit: int = 30, said: Ids = NOTHING, **given: object) -> Utterance:
    sampler = Sampler(Sampling(top_k=1), np.random.default_rng(0), END, said.tolist())
    return Utterance(sampler, said, limit, **given)  # type: ignore[arg-type]


def logits(token: int) -> np.ndarray:
    return np.eye(END + 1, dtype=np.float32)[token]


def test_who_waits_for_some_tokens_is_woken_by_the_last_of_them() -> None:
    one, answers = utterance(), []
    reader = threading.Thread(target=lambda: answers.append((one.wait(3), one.said(3).tolist())))
    reader.start()
    for token in (1, 2, 3, 4):
        assert one.say(logits(token)) == token
    reader.join(TIMEOUT_SECONDS)
    assert answers == [(True, [1, 2, 3])]
    assert one.said().tolist() == [1, 2, 3, 4]


def test_the_end_token_ends_it_for_who_waits_for_more() -> None:
    one = utterance()
    for _ in range(MIN_TOKENS):
        assert one.say(logits(1)) == 1
    assert one.say(logits(END)) is None
    assert not one.wait(MIN_TOKENS + 1)
    assert one.wait()
    assert one.finish_reason is FinishReason.END_TOKEN
    assert one.said().tolist() == [1] * MIN_TOKENS


def test_it_ends_with_the_last_token_that_there_is_room_for() -> None:
    one = utterance(limit=5, said=np.array([3, 3, 3]))
    assert one.room == 2
    assert [one.say(logits(2)), one.say(logits(1))] == [2, None]
    assert one.wait(5)
    assert one.said().tolist() == [3, 3, 3, 2, 1]
    assert one.finish_reason is FinishReason.MAX_LENGTH


def test_without_room_nothing_is_said() -> None:
    one = utterance(limit=1, said=np.array([3]))
    assert one.say(logits(2)) is None
    assert one.wait()
    assert one.said().tolist() == [3]


def test_an_error_is_raised_where_it_is_waited_for() -> None:
    one = utterance()
    assert one.say(np.full(END + 1, np.nan, np.float32)) is None
    with pytest.raises(InvalidModelInput):
        one.wait(1)


def test_who_is_gone_is_told_nothing_more() -> None:
    gone, left = utterance(is_cancelled=lambda: True), utterance()
    left.abandon()
    for one in (gone, left):
        assert one.say(logits(1)) is None
        with pytest.raises(Cancelled):
            one.wait()
