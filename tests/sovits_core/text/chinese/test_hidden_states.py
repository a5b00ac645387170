"""The hidden Markov model on arrays says what jieba's own says."""

import random
import warnings
from typing import Any

import pytest

from sovits_core.text.chinese.hidden_states import HiddenStates, quick_tagger

HAN = [chr(code) for code in range(0x4E00, 0x9FA6)]


@pytest.fixture(scope="module")
def posseg() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import jieba.posseg  # noqa: PLC0415
    return jieba.posseg


@pytest.fixture(scope="module")
def model(posseg: Any) -> HiddenStates:
    return HiddenStates(posseg.char_state_tab_P, posseg.start_P, posseg.trans_P, posseg.emit_P)


def test_every_row_of_characters_gets_the_same_states(posseg: Any, model: HiddenStates) -> None:
    chance = random.Random(3)  # noqa: S311 -- rows, not secrets
    known = list(posseg.char_state_tab_P)
    rows = ["".join(chance.choices(chance.choice((known, HAN)), k=chance.randint(1, 8))) for _ in range(300)]
    for row in [*rows, *known[:300], "我们都去了", "㐀㐁", "的" * 30]:
        _, expected = posseg.viterbi(row, posseg.char_state_tab_P, posseg.start_P, posseg.trans_P, posseg.emit_P)
        assert model.of(row) == expected, row


@pytest.mark.parametrize(
    "text",
    [
        "他来到了网易杭研大厦",
        "小明硕士毕业于中国科学院计算所",
        "乒乓球拍卖完了",
        "iPhone 15 Pro手机,3.5倍。",
        "一" * 20,
        "",
    ],
)
def test_a_text_has_the_same_words_and_tags(posseg: Any, text: str) -> None:
    tagger = quick_tagger(posseg)
    assert [(pair.word, pair.flag) for pair in tagger.cut(text)] == [
        (pair.word, pair.flag) for pair in posseg.dt.cut(text)
    ]
