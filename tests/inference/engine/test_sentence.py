"""A sentence with a fault is spoken again, and the best attempt is heard."""

from collections.abc import Sequence

import numpy as np
import pytest

from sovits_core.text import PhonemeSegment
from voice_inference.bundles.voice import Voice
from voice_inference.engine.checks import Fault
from voice_inference.engine.engine import Engine
from voice_inference.engine.listening import Listener, SpokenWord
from voice_inference.engine.parts import FIRST_PART, LOOKAHEAD
from voice_inference.engine.sentence import Options, Segment
from voice_inference.metrics import Metrics

TEXT = "The first sentence of this text is long enough to be heard in several parts."


class Told(Listener):
    """Misses so many words of each attempt as it is told."""

    def __init__(self, *missing: int) -> None:
        super().__init__()
        self.left = list(missing)
        self.heard: list[np.ndarray] = []

    def listen(self, samples: np.ndarray, rate: int, parts: Sequence[PhonemeSegment]) -> tuple[SpokenWord, ...]:
        assert rate == 32_000
        assert parts[0].normalized
        self.heard.append(samples)
        return (SpokenWord("word"),) * self.left.pop(0)


def speak(voice: Voice, *, listener: Listener | None = None, early: bool = False) -> tuple[list[Segment], Metrics]:
    metrics = Metrics()
    segments = Engine(metrics).synthesize(
        voice, TEXT, language="en", seed=1, is_cancelled=lambda: False, options=Options(early, listener)
    )
    return list(segments), metrics


def counted(metrics: Metrics, fault: Fault) -> float | None:
    return metrics.registry.get_sample_value("voice_inference_sentence_faults_total", {"fault": fault})


def test_a_sentence_that_lacks_a_word_is_spoken_again_with_other_draws(voice: Voice) -> None:
    listener = Told(1, 0)
    (segment,), metrics = speak(voice, listener=listener)
    (plain,), _ = speak(voice)
    assert np.array_equal(listener.heard[0], plain.samples)
    assert np.array_equal(listener.heard[1], segment.samples)
    assert not np.array_equal(plain.tokens, segment.tokens)
    assert segment.faults == ()
    assert counted(metrics, Fault.MISSING_WORDS) == 1
    assert metrics.registry.get_sample_value("voice_inference_faulty_segments_total") == 0


def test_after_three_attempts_the_best_is_heard_and_says_what_is_wrong(voice: Voice) -> None:
    listener = Told(3, 1, 2)
    (segment,), metrics = speak(voice, listener=listener)
    assert np.array_equal(segment.samples, listener.heard[1])
    assert segment.faults == (Fault.MISSING_WORDS,)
    assert counted(metrics, Fault.MISSING_WORDS) == 3
    assert metrics.registry.get_sample_value("voice_inference_faulty_segments_total") == 1


def test_a_sentence_is_not_heard_before_it_was_listened_to(voice: Voice) -> None:
    segments, _ = speak(voice, listener=Told(0), early=True)
    assert len(segments) == 1


def test_what_was_given_away_stays_and_the_next_attempt_goes_on_after_it(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,), _ = speak(voice)
    limit = 2 * FIRST_PART + 2 * LOOKAHEAD
    assert whole.tokens.size > limit
    monkeypatch.setattr("voice_inference.engine.sentence.max_tokens", lambda _: limit)
    segments, metrics = speak(voice, early=True)
    given = FIRST_PART + LOOKAHEAD
    assert [segment.tokens.size for segment in segments] == [given, limit - given]
    assert segments[0].tokens.tolist() == whole.tokens[:given].tolist()
    assert sum(segment.samples.size for segment in segments) == limit * voice.base.sample_rate // 25
    assert Fault.ENDLESS in segments[-1].faults
    assert counted(metrics, Fault.ENDLESS) == 3
