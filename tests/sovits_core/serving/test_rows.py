"""Every row says what it would say alone, whoever has the other rows."""

import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from sovits_core.bundle.base import open_base
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.loop import StepLoop
from sovits_core.serving.rounding import WeightBits
from sovits_core.serving.rows import LONG, SLOTS, Row, StepRows, StepSession
from sovits_core.serving.sessions import open_session
from sovits_core.serving.step import build_step

TINY = open_base("embedded:tiny")
TOKENS = 16


@dataclass
class Sentence:
    """One voice's adapter, the prefill of a sentence, and its place among the audio tokens."""

    adapter: dict[str, np.ndarray]
    logits: np.ndarray
    cache: tuple[np.ndarray, np.ndarray]
    position: int


@pytest.fixture(scope="module")
def sentences() -> list[Sentence]:
    """Of different voices, ranks and lengths."""
    graph = TINY.document.graphs["s1_prefill"]
    model = onnx.load(TINY.path(graph.file), load_external_data=False)
    drop_nan_guards(model)
    prefill = open_session(model, TINY.path(graph.file).parent, 1)
    shapes = {given.name: given.shape for given in prefill.get_inputs()}
    made = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        adapter = {
            entry.name: (
                0.1 * rng.standard_normal([size if isinstance(size, int) else seed + 1 for size in shapes[entry.name]])
            ).astype(np.float32)
            for entry in graph.lora
        }
        phones, prompt = rng.integers(1, 300, (1, 6 + 3 * seed)), rng.integers(0, 299, (1, 5 + seed))
        bert = np.zeros((1, phones.size, shapes["bert"][2]), np.float32)
        logits, *cache = prefill.run(None, {"phones": phones, "bert": bert, "prompt": prompt, **adapter})
        made.append(Sentence(adapter, logits[0], tuple(cache), prompt.size))
    return made


def session(bits: WeightBits = 32) -> StepSession:
    graph = TINY.document.graphs["s1_step"]
    path = TINY.path(graph.file)
    lora = {entry.name: entry.keys for entry in graph.lora}
    model = onnx.load(path, load_external_data=False)
    return StepSession(build_step(model, path.parent, lora, bits), 1)


def alone(step: StepSession, sentence: Sentence) -> tuple[list[int], list[np.ndarray]]:
    """Greedy tokens, and the logits after each."""
    loop, tokens, scores = StepLoop(step, sentence.adapter, *sentence.cache, room=TOKENS), [], [sentence.logits]
    for number in range(TOKENS):
        tokens.append(int(scores[-1].argmax()))
        scores.append(loop.read(tokens[-1], sentence.position + number).copy())
    return tokens, scores[1:]


def together(rows: StepRows, sentences: list[Sentence], starts: list[int]) -> Any:
    """Sentences that join before a step of their own, until each has said all of its tokens."""
    tokens: list[list[int]] = [[] for _ in sentences]
    scores = [[sentence.logits] for sentence in sentences]
    speaking: dict[int, Row] = {}
    for step in range(max(starts) + TOKENS):
        for number, sentence in enumerate(sentences):
            if starts[number] == step:
                speaking[number] = rows.join(sentence.adapter, *sentence.cache, room=TOKENS)
        for number in speaking:
            tokens[number].append(int(scores[number][-1].argmax()))
        given = {row: (tokens[n][-1], sentences[n].position + step - starts[n]) for n, row in speaking.items()}
        logits = rows.read(given)
        for number, row in speaking.items():
            scores[number].append(logits[row.number].copy())
        for number in [number for number in speaking if len(tokens[number]) == TOKENS]:
            rows.leave(speaking.pop(number))
    assert len(rows) == 0
    return tokens, [found[1:] for found in scores]


@pytest.mark.parametrize(
    ("bits", "starts"),
    [
        pytest.param(32, [0, 0, 0, 0], id="all at once"),
        pytest.param(32, [0, 2, 5, 9], id="one after another, of higher and higher rank"),
        pytest.param(32, [9, 5, 2, 0], id="of lower and lower rank"),
        pytest.param(32, [0, 15, 3, 18], id="places that others had before"),
        pytest.param(8, [0, 2, 5, 9], id="eight bits"),
    ],
)
def test_every_row_says_what_it_says_alone(sentences: list[Sentence], bits: WeightBits, starts: list[int]) -> None:
    step = session(bits)
    tokens, scores = together(StepRows(step, 4), sentences, starts)
    assert len({tuple(said) for said in tokens}) == len(sentences)
    for number, sentence in enumerate(sentences):
        expected, logits = alone(step, sentence)
        assert tokens[number] == expected
        # with eight bits an activation at the edge of a level may be rounded to the other one
        allowed = 1e-5 if bits == 32 else 0.02
        for ours, theirs in zip(scores[number], logits, strict=True):
            assert np.abs(ours - theirs).max() <= allowed * np.abs(theirs).max()


def test_room_grows_while_others_speak(sentences: list[Sentence]) -> None:
    first, second = sentences[:2]
    step = session()
    expected, logits = alone(step, first)
    rows = StepRows(step, 2)
    row = rows.join(first.adapter, *first.cache, room=TOKENS)
    for number, token in enumerate(expected):
        if number == TOKENS // 2:
            rows.leave(rows.join(second.adapter, *second.cache, room=2 * SLOTS))
        found = rows.read({row: (token, first.position + number)})[0]
        assert np.abs(found - logits[number]).max() <= 1e-5 * np.abs(found).max()


def test_a_full_row_is_said_so_before_anything_is_read(sentences: list[Sentence]) -> None:
    first, second = sentences[:2]
    step = session()
    expected, logits = alone(step, first)
    rows = StepRows(step, 2)
    row, full = rows.join(first.adapter, *first.cache, room=3), rows.join(second.adapter, *second.cache, room=1)
    rows.read({row: (expected[0], first.position), full: (7, second.position)})
    with pytest.raises(IndexError, match="row 1 has no room"):
        rows.read({row: (expected[1], first.position + 1), full: (7, second.position + 1)})
    rows.leave(full)
    found = rows.read({row: (expected[1], first.position + 1)})[0]
    assert np.abs(found - logits[1]).max() <= 1e-5 * np.abs(found).max()


def test_one_more_than_there_are_rows_is_refused(sentences: list[Sentence]) -> None:
    rows = StepRows(session(), 1)
    rows.join(sentences[0].adapter, *sentences[0].cache, room=1)
    with pytest.raises(ValueError, match="all 1 rows are taken"):
        rows.join(sentences[1].adapter, *sentences[1].cache, room=1)


def resident() -> float:
    """Memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE / 2**20


def test_the_memory_of_a_long_row_is_given_back_when_it_leaves(sentences: list[Sentence]) -> None:
    long, short = sentences[:2]
    step = session()
    expected, logits = alone(step, short)
    shape = list(long.cache[0].shape)
    shape[3] = 16 * LONG
    cache = (np.ones(shape, np.float32), np.ones(shape, np.float32))
    rows = StepRows(step, 2)
    first, row = rows.join(long.adapter, *cache, room=1), rows.join(short.adapter, *short.cache, room=TOKENS)
    before = resident()
    rows.leave(first)
    assert before - resident() > 0.5 * 2 * cache[0].nbytes / 2**20
    for number, token in enumerate(expected):
        found = rows.read({row: (token, short.position + number)})[0]
        assert np.abs(found - logits[number]).max() <= 1e-5 * np.abs(found).max()
