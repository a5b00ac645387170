"""Mandarin clauses to words with parts of speech, joined to the units within which tones change."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from functools import cache, lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from sovits_core.errors import MissingExtra
from sovits_core.text.chinese.hidden_states import quick_tagger
from sovits_core.text.chinese.normalization import MARKS
from sovits_core.text.chinese.readings import read_word

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

# jieba and not rjieba, its Rust twin with wheels: on words that its dictionary lacks rjieba gives no part of speech of
# the hidden Markov model (it says 很/zg where jieba says 很/d), and the tone rules ask for them.
_loading = threading.Lock()
# The model that finds words outside the dictionary takes a microsecond per step; a text of thousands of rare characters
# would keep it busy for minutes. Where this is used up, the rest is read by the dictionary alone.
_MOST_STEPS = 600_000
_ALL_STATES = range(256)
_LONGEST_JOINED = 3
_LONGEST_DOUBLED = 8  # a row of one character shall not become a word of that length


class Word(NamedTuple):
    """A word, or a single mark, with jieba's part of speech."""

    text: str
    tag: str


def segment(clauses: Iterable[str]) -> Iterator[list[Word]]:
    """Yield the words of each clause, marks as words of their own; raise MissingExtra without the `zh` extra."""
    tagger = _tagger()
    steps_left = _MOST_STEPS
    for clause in clauses:
        steps_left -= _model_steps(clause) if steps_left >= 0 else 0
        yield [Word(pair.word, pair.flag) for pair in tagger.cut(clause, HMM=steps_left >= 0)]


def word_ends(clause: str) -> list[int]:
    """Return after how many characters each word of the dictionary ends."""
    return list(accumulate(map(len, _tagger().tokenizer.cut(clause, HMM=False))))


def _model_steps(clause: str) -> int:
    """Return how many transitions jieba's hidden Markov model tries: pairs of states of neighbours outside words."""
    states = sys.modules["jieba.posseg"].char_state_tab_P
    words = list(_tagger().tokenizer.cut(clause, HMM=False))
    return sum(
        len(states.get(before, _ALL_STATES)) * len(states.get(after, _ALL_STATES))
        for before, after in pairwise(words)
        if len(before) == len(after) == 1 and after not in MARKS
    )


@lru_cache(maxsize=4096)
def first_part_length(word: str) -> int:
    """Return where a compound falls in two: at the edge of the shortest dictionary word that it contains."""
    parts = list(_tagger().tokenizer.cut_for_search(word))
    shortest = min(parts, key=len)
    return len(shortest) if word.startswith(shortest) else len(word) - len(shortest)


@cache
def _load_tagger() -> Any:
    with warnings.catch_warnings():
        # jieba 0.42 imports pkg_resources and has invalid escapes in its patterns; newer Pythons warn of both.
        warnings.simplefilter("ignore")
        try:
            import jieba  # noqa: PLC0415 -- an extra; its dictionary takes a second to load
            import jieba.posseg  # noqa: PLC0415
        except ModuleNotFoundError as error:
            raise MissingExtra("Mandarin", "zh") from error
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.dt
    if not tokenizer.initialized:
        # Its own initialisation would trust, or write, a marshalled dictionary at a name in the temporary folder that
        # anyone on the machine can put there first.
        tokenizer.FREQ, tokenizer.total = tokenizer.gen_pfdict(tokenizer.get_dict_file())
        tokenizer.initialized = True
    return quick_tagger(jieba.posseg)


def _tagger() -> Any:
    with _loading:
        return _load_tagger()


def join(words: Iterable[Word]) -> list[Word]:
    """Join words that are spoken as one: 不 and 一 with what follows, 看一看, doubled words, third tones, 儿."""
    joined = list(words)
    for step in (_join_bu, _join_yi, _join_doubled, _join_third_tones, _join_where_third_tones_meet, _join_er):
        joined = step(joined)
    return joined


def _join_if(words: list[Word], belong: Callable[[Word, Word], bool]) -> list[Word]:
    """Join each word to the one before where they belong together; the first one's part of speech stays."""
    joined: list[Word] = []
    for word in words:
        if joined and not _has_mark(joined[-1], word) and belong(joined[-1], word):
            joined[-1] = Word(joined[-1].text + word.text, joined[-1].tag)
        else:
            joined.append(word)
    return joined


def _has_mark(*words: Word) -> bool:
    return any(word.text[0] in MARKS for word in words)


def _join_bu(words: list[Word]) -> list[Word]:
    joined: list[Word] = []
    for word in words:
        if joined and joined[-1].text == "不" and not _has_mark(word):
            joined[-1] = Word("不" + word.text, word.tag)  # here the second part of speech is the word's
        else:
            joined.append(word)
    return joined


def _join_yi(words: list[Word]) -> list[Word]:
    joined: list[Word] = []
    index = 0
    while index < len(words):
        trio = words[index : index + 3]
        if len(trio) == 3 and trio[1].text == "一" and trio[0] == trio[2] and trio[0].tag == "v":
            joined.append(Word(f"{trio[0].text}一{trio[0].text}", "v"))
            index += 3
        else:
            joined.append(words[index])
            index += 1
    return _join_if(joined, lambda before, _: before.text == "一")


def _join_doubled(words: list[Word]) -> list[Word]:
    return _join_if(words, _doubles)


def _doubles(before: Word, word: Word) -> bool:
    return before.text == word.text and 2 * len(word.text) <= _LONGEST_DOUBLED


def _join_er(words: list[Word]) -> list[Word]:
    return _join_if(words, lambda _, word: word.text == "儿")


def _join_third_tones(words: list[Word]) -> list[Word]:
    return _join_pairs(words, lambda before, after: _all_third(before) and _all_third(after))


def _join_where_third_tones_meet(words: list[Word]) -> list[Word]:
    return _join_pairs(words, lambda before, after: read_word(before)[-1].tone == 3 and read_word(after)[0].tone == 3)


def _join_pairs(words: list[Word], meet: Callable[[str, str], bool]) -> list[Word]:
    """Join two neighbours that meet, if they are short together; what has just been joined takes no third."""
    joined: list[Word] = []
    just_joined = False
    for index, word in enumerate(words):
        before = words[index - 1] if index else None
        if before and not just_joined and not _has_mark(before, word) and meet(before.text, word.text):
            doubled = len(before.text) == 2 and before.text[0] == before.text[1]
            if not doubled and len(before.text) + len(word.text) <= _LONGEST_JOINED:
                joined[-1] = Word(before.text + word.text, before.tag)
                just_joined = True
                continue
        joined.append(word)
        just_joined = False
    return joined


def _all_third(word: str) -> bool:
    return all(reading.tone == 3 for reading in read_word(word))
