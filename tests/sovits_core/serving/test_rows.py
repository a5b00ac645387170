"""Every row says what it would say alone, whoever has the other rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import pytest

from sovits_core.bundle.base import open_base
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.loop import StepLoop, StepSession
from sovits_core.serving.rounding import WeightBits
from sovits_core.serving.rows import StepRows
from sovits_core.serving.sessions import open_session
from sovits_core.serving.step import build_step

TINY = open_base("embedded:tiny")
SLOTS, RANK, TOKENS = 48, 4, 16


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


def session(bits: WeightBits = 32, *, own_adapters: bool) -> StepSession:
    graph = TINY.document.graphs["s1_step"]
    path = TINY.path(graph.file)
    lora = {entry.name: entry.keys for entry in graph.lora}
    model = onnx.load(path, load_external_data=False)
    return StepSession(build_step(model, path.parent, lora, bits, own_adapters=own_adapters), 1)


def alone(step: StepSession, sentence: Sentence) -> tuple[list[int], list[np.ndarray]]:
    """Greedy tokens, and the logits after each."""
    loop, tokens, scores = StepLoop(step, sentence.adapter, *sentence.cache, room=TOKENS), [], [sentence.logits]
    for number in range(TOKENS):
        tokens.append(int(scores[-1].argmax()))
        scores.append(loop.read(tokens[-1], sentence.position + number).copy())
    return tokens, scores[1:]


def together(rows: StepRows, sentences: list[Sentence], places: list[int], starts: list[int]) -> Any:
    """Sentences that have rows from a step of their own on, until each has said all of its tokens."""
    tokens: list[list[int]] = [[] for _ in sentences]
    scores = [[sentence.logits] for sentence in sentences]
    for step in range(max(starts) + TOKENS):
        for number, start in enumerate(starts):
            if start == step:
                rows.join(places[number], sentences[number].adapter, *sentences[number].cache)
        speaking = [number for number, start in enumerate(starts) if start <= step < start + TOKENS]
        for number in speaking:
            tokens[number].append(int(scores[number][-1].argmax()))
        given = {places[n]: (tokens[n][-1], sentences[n].position + step - starts[n]) for n in speaking}
        logits = rows.read(given)
        for number in speaking:
            scores[number].append(logits[places[number]].copy())
            if len(tokens[number]) == TOKENS:
                rows.leave(places[number])
    return tokens, [found[1:] for found in scores]


@pytest.mark.parametrize(
    ("bits", "places", "starts"),
    [
        pytest.param(32, [0, 1, 2, 3], [0, 0, 0, 0], id="all at once"),
        pytest.param(32, [3, 0, 2, 1], [0, 2, 5, 9], id="one after another"),
        pytest.param(32, [1, 1, 0, 0], [0, 16, 3, 25], id="rows that others had before"),
        pytest.param(8, [3, 0, 2, 1], [0, 2, 5, 9], id="eight bits"),
    ],
)
def test_every_row_says_what_it_says_alone(
    sentences: list[Sentence], bits: WeightBits, places: list[int], starts: list[int]
) -> None:
    one = session(bits, own_adapters=False)
    rows = StepRows(session(bits, own_adapters=True), rows=4, slots=SLOTS, rank=RANK)
    tokens, scores = together(rows, sentences, places, starts)
    assert len({tuple(said) for said in tokens}) == len(sentences)
    for number, sentence in enumerate(sentences):
        expected, logits = alone(one, sentence)
        assert tokens[number] == expected
        # with eight bits an activation at the edge of a level may be rounded to the other one
        allowed = 1e-5 if bits == 32 else 0.02
        for ours, theirs in zip(scores[number], logits, strict=True):
            assert np.abs(ours - theirs).max() <= allowed * np.abs(theirs).max()


def test_a_row_that_stands_still_goes_on_where_it_was(sentences: list[Sentence]) -> None:
    first, second = sentences[:2]
    expected, logits = alone(session(own_adapters=False), first)
    rows = StepRows(session(own_adapters=True), rows=2, slots=SLOTS, rank=RANK)
    for row, sentence in enumerate((first, second)):
        rows.join(row, sentence.adapter, *sentence.cache)
    for number in range(4):
        found = rows.read({0: (expected[number], first.position + number)})[0].copy()
        rows.read({1: (7, second.position + number)})
        assert np.abs(found - logits[number]).max() <= 1e-5 * np.abs(found).max()


def test_a_full_row_is_said_so_and_does_not_disturb_the_others(sentences: list[Sentence]) -> None:
    first, second = sentences[:2]
    slots = first.cache[0].shape[3] + 1
    expected, logits = alone(session(own_adapters=False), first)
    rows = StepRows(session(own_adapters=True), rows=2, slots=slots + 8, rank=RANK)
    rows.join(0, first.adapter, *first.cache)
    rows.join(1, second.adapter, *second.cache)
    free = slots + 8 - second.cache[0].shape[3]
    for number in range(free):
        rows.read({1: (7, second.position + number)})
    with pytest.raises(IndexError, match="row 1 has no room"):
        rows.read({1: (7, 0)})
    for number in range(3):
        found = rows.read({0: (expected[number], first.position + number)})[0]
        assert np.abs(found - logits[number]).max() <= 1e-5 * np.abs(found).max()


def test_what_has_no_room_is_refused(sentences: list[Sentence]) -> None:
    long = sentences[3]
    with pytest.raises(ValueError, match="leaves no room in 20 slots"):
        StepRows(session(own_adapters=True), rows=1, slots=20, rank=RANK).join(0, long.adapter, *long.cache)
    with pytest.raises(ValueError, match="the highest rank is 2"):
        StepRows(session(own_adapters=True), rows=1, slots=SLOTS, rank=2).join(0, long.adapter, *long.cache)
