"""Sentences that are spoken together say what each says alone, and none of them can disturb the others."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.support.waiting import wait_for

from sovits_core.synthesis.sampling import Sampler, Sampling
from voice_inference.bundles.base import Base
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.engine.batch import POSITIONS, Batch, Start
from voice_inference.engine.engine import Engine
from voice_inference.engine.lanes import Lanes
from voice_inference.engine.sentence import Options, Segment
from voice_inference.engine.tokens import NOTHING, Utterance
from voice_inference.errors import Cancelled, SynthesisFailed
from voice_inference.metrics import Metrics

TEXTS = ("Hello there.", "The second sentence is a little longer.", "One, two. Three!", "Good night, everybody here.")
TIMEOUT_SECONDS = 120.0


@pytest.fixture
def voices(make_bundle: Any, base: Base) -> list[Voice]:
    """Of different ranks."""
    bundles = [make_bundle(f"studio/voice-{number}", rank=2 * number) for number in range(1, 5)]
    return [load_voice(bundle.folder, bundle.seal(), base) for bundle in bundles]


def speak(engine: Engine, voice: Voice, text: str, *, early: bool = False) -> list[Segment]:
    given: dict[str, Any] = {"language": "en", "seed": 1, "is_cancelled": lambda: False}
    return list(engine.synthesize(voice, text, options=Options(early=early), **given))


def prefill(voice: Voice) -> Start:
    prompt, width = voice.prompt, voice.base.prefill.shapes["bert"][2] or 0
    inputs = {"phones": prompt.phones[None], "prompt": prompt.tokens[None]}
    inputs["bert"] = np.zeros((1, prompt.phones.size, width), np.float32)
    found = voice.base.prefill.run(inputs, voice.adapters().prefill)
    return Start(voice.adapters().step, found["logits"][0], found["keys"], found["values"], prompt.tokens.size)


def utterance(voice: Voice, *, limit: int = 20, is_cancelled: Callable[[], bool] = lambda: False) -> Utterance:
    sampler = Sampler(Sampling(), np.random.default_rng(1), voice.base.end_token, voice.prompt.tokens.tolist())
    return Utterance(sampler, NOTHING, limit, is_cancelled)


@pytest.fixture
def batches(base: Base, voices: list[Voice]) -> Iterator[Callable[[int], Batch]]:
    """Batches of so many places, all of which must be free in the end."""
    made = list[tuple[Batch, int]]()

    def make(most: int) -> Batch:
        made.append((Batch(base.step.session, most, Lanes(1), Metrics()), most))
        return made[-1][0]

    yield make
    deadline = time.monotonic() + TIMEOUT_SECONDS
    for batch, most in made:
        for _ in range(2 * most):
            last = utterance(voices[2])
            batch.say(last, lambda: prefill(voices[2]), 100, lambda: time.monotonic() > deadline)
        assert last.wait()


@pytest.mark.parametrize(("most", "early"), [(2, False), (8, True)])
def test_every_sentence_is_that_of_its_voice_alone(voices: list[Voice], most: int, early: bool) -> None:
    alone = Engine(Metrics())
    requests = [(voice, text) for voice in voices for text in TEXTS[:2]] + [(voices[0], text) for text in TEXTS[2:]]
    expected = [speak(alone, *request, early=early) for request in requests]
    metrics = Metrics()
    engine = Engine(metrics, batch=most, lanes=2)
    with ThreadPoolExecutor(len(requests)) as pool:
        found = list(pool.map(lambda request: speak(engine, *request, early=early), requests))
    for ours, theirs in zip(found, expected, strict=True):
        assert [one.tokens.tolist() for one in ours] == [one.tokens.tolist() for one in theirs]
        for one, other in zip(ours, theirs, strict=True):
            assert np.array_equal(one.samples, other.samples)
    steps, rows = (
        metrics.registry.get_sample_value(f"voice_inference_{name}_total") or 0 for name in ("steps", "step_rows")
    )
    assert 1.3 <= rows / steps <= most


def test_a_sentence_joins_while_another_one_is_spoken(voices: list[Voice], batches: Any) -> None:
    """The first one ends neither earlier nor otherwise; the second does not wait for its end."""
    batch = batches(2)
    alone = utterance(voices[0], limit=400)
    batch.say(alone, lambda: prefill(voices[0]), 100, bool)
    alone.wait()
    first, second = utterance(voices[0], limit=400), utterance(voices[1], limit=12)
    batch.say(first, lambda: prefill(voices[0]), 100, bool)
    first.wait(3)
    batch.say(second, lambda: prefill(voices[1]), 100, bool)
    second.wait()
    before = first.said().size
    first.wait()
    assert before < first.said().size
    assert first.said().tolist() == alone.said().tolist()


def test_who_is_cancelled_while_waiting_for_a_place_needs_none(voices: list[Voice], batches: Any) -> None:
    batch, goes_on = batches(1), threading.Event()

    def held() -> bool:
        goes_on.wait(TIMEOUT_SECONDS)
        return False

    first, second = utterance(voices[0], is_cancelled=held), utterance(voices[1])
    with ThreadPoolExecutor(1) as pool:
        saying = pool.submit(batch.say, first, lambda: prefill(voices[0]), 100, held)
        with pytest.raises(Cancelled):
            batch.say(second, lambda: prefill(voices[1]), 100, lambda: not saying.done())
        goes_on.set()
        saying.result(TIMEOUT_SECONDS)
    assert first.wait()


def test_who_goes_while_it_is_spoken_leaves_the_place_to_others(voices: list[Voice], batches: Any) -> None:
    batch, gone = batches(1), threading.Event()
    one = utterance(voices[0], limit=1000, is_cancelled=gone.is_set)
    batch.say(one, lambda: prefill(voices[0]), 100, bool)
    one.wait(2)
    gone.set()
    with pytest.raises(Cancelled):
        one.wait()


def test_long_sentences_wait_for_one_another_in_order(voices: list[Voice], batches: Any) -> None:
    """Two that need more than half of all positions are not said together, and a short one does not overtake."""
    batch, order, goes_on = batches(4), list[str](), threading.Event()

    def say(name: str, positions: int) -> None:
        def start() -> Start:
            order.append(name)
            goes_on.wait(TIMEOUT_SECONDS)
            return prefill(voices[0])

        one = utterance(voices[0])
        batch.say(one, start, positions, bool)
        one.wait()

    with ThreadPoolExecutor(3) as pool:
        asked = list[Any]()
        for name, positions in (("first", 3 * POSITIONS), ("second", 9 * POSITIONS), ("short", 100)):
            asked.append(pool.submit(say, name, positions))
            wait_for(f"{name} to ask", lambda: batch.waiting == len(asked) - 1, TIMEOUT_SECONDS)
        assert order == ["first"]
        goes_on.set()
        for one in asked:
            one.result(TIMEOUT_SECONDS)
    assert order == ["first", "second", "short"]


def test_a_prefill_that_fails_gives_its_place_back(voices: list[Voice], batches: Any) -> None:
    def fail() -> Start:
        raise SynthesisFailed("broken")

    batch = batches(1)
    for _ in range(2):
        with pytest.raises(SynthesisFailed):
            batch.say(utterance(voices[0]), fail, 100, bool)


def test_a_sentence_that_cannot_join_ends_alone(voices: list[Voice], batches: Any) -> None:
    batch = batches(2)
    good, bad = utterance(voices[0]), utterance(voices[1])
    start = prefill(voices[1])
    batch.say(good, lambda: prefill(voices[0]), 100, bool)
    batch.say(bad, lambda: start._replace(values=start.values[..., :3]), 100, bool)
    with pytest.raises(ValueError, match="broadcast"):
        bad.wait()
    assert good.wait()


def test_a_voice_that_makes_no_numbers_fails_alone(voices: list[Voice]) -> None:
    sound = voices[0].adapters()
    silent = replace(sound, step={name: np.full_like(stack, np.nan) for name, stack in sound.step.items()})
    broken = replace(voices[0], adapters=lambda: silent)
    engine = Engine(Metrics(), batch=4)
    expected = speak(engine, voices[1], TEXTS[1])
    with ThreadPoolExecutor(2) as pool:
        failing = pool.submit(speak, engine, broken, TEXTS[1])
        going = pool.submit(speak, engine, voices[1], TEXTS[1])
        with pytest.raises(SynthesisFailed):
            failing.result(TIMEOUT_SECONDS)
        assert np.array_equal(going.result(TIMEOUT_SECONDS)[0].samples, expected[0].samples)


def test_an_error_of_the_step_ends_who_is_in_it_and_the_next_is_spoken(voices: list[Voice], batches: Any) -> None:
    batch, bad, good = batches(2), utterance(voices[0]), utterance(voices[1])
    batch.say(bad, lambda: prefill(voices[0])._replace(position=2**70), 100, bool)
    with pytest.raises(OverflowError):
        bad.wait()
    batch.say(good, lambda: prefill(voices[1]), 100, bool)
    assert good.wait()
