"""The same seed gives the same audio, and every segment has its tokens and its finish reason."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from sovits_core.bundle.base import LexiconWord, SamplingDocument
from sovits_core.text import Lexicon, LexiconEntry
from voice_inference.bundles.base import Base
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.engine.engine import Engine, sentences_of
from voice_inference.engine.parts import FIRST_PART, LOOKAHEAD
from voice_inference.engine.passages import PARAGRAPH_PAUSE, SENTENCE_PAUSE
from voice_inference.engine.sentence import Options, Segment
from voice_inference.engine.tokens import FinishReason, max_tokens
from voice_inference.errors import Cancelled, InvalidRequest
from voice_inference.metrics import Metrics

TOKENS_PER_SECOND = 25
EARLY = Options(early=True)


def synthesize(
    voice: Voice, text: str = "Hello there.", seed: int = 1, metrics: Metrics | None = None
) -> list[Segment]:
    engine = Engine(metrics or Metrics())
    return list(engine.synthesize(voice, text, language="en", seed=seed, is_cancelled=lambda: False))


def synthesize_samples(voice: Voice, text: str = "Hello there.", seed: int = 1) -> list[np.ndarray]:
    return [segment.samples for segment in synthesize(voice, text, seed)]


def synthesize_early(voice: Voice, text: str) -> Iterator[Segment]:
    return Engine(Metrics()).synthesize(voice, text, language="en", seed=1, is_cancelled=lambda: False, options=EARLY)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two signals' loudness in steps of 20 ms."""
    levels = [
        np.sqrt(np.square(signal[: signal.size // 640 * 640].reshape(-1, 640)).mean(axis=1)) for signal in (one, other)
    ]
    return float(np.corrcoef(*levels)[0, 1])


def count(metrics: Metrics, reason: FinishReason) -> float | None:
    return metrics.registry.get_sample_value("voice_inference_segments_total", {"finish_reason": reason})


def test_the_same_seed_gives_the_same_samples_and_another_seed_does_not(voice: Voice) -> None:
    first, again, other = synthesize_samples(voice), synthesize_samples(voice), synthesize_samples(voice, seed=2)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], other[0])


def test_a_sentence_sounds_the_same_whatever_was_said_before_it(voice: Voice) -> None:
    _, after_one = synthesize_samples(voice, "One. Hello there.")
    _, after_another = synthesize_samples(voice, "Two and three. Hello there.")
    assert np.array_equal(after_one, after_another)


def test_what_is_spoken_is_finite_audible_and_below_full_scale(voice: Voice) -> None:
    (samples,) = synthesize_samples(voice)
    assert samples.dtype == np.float32
    assert np.isfinite(samples).all()
    assert 1e-4 < np.abs(samples).max() < 1.0


def test_sentences_are_joined_by_silence(voice: Voice) -> None:
    first, second = synthesize(voice, "Hello there. Hello again.")
    assert (first.pause, second.pause) == (0, round(SENTENCE_PAUSE * voice.base.sample_rate))
    assert not second.samples[: second.pause].any()
    assert first.samples[: second.pause].any()
    assert second.samples[second.pause :].any()


def test_every_segment_has_the_tokens_that_its_samples_come_from(voice: Voice) -> None:
    metrics = Metrics()
    text = "Hello there. Hello again."
    segments = synthesize(voice, text, metrics=metrics)
    for segment, sentence in zip(segments, sentences_of(text, "en", voice), strict=True):
        assert segment.tokens.dtype == np.int64
        assert 1 <= segment.tokens.size < max_tokens(sentence.phones.size)
        assert segment.tokens.max() < voice.base.end_token
        audio = segment.samples.size - segment.pause
        assert audio == segment.tokens.size * voice.base.sample_rate // TOKENS_PER_SECOND
        assert segment.finish_reason == FinishReason.END_TOKEN
    assert (count(metrics, FinishReason.END_TOKEN), count(metrics, FinishReason.MAX_LENGTH)) == (2, 0)


def test_a_sentence_without_an_end_token_stops_at_its_maximum_length_and_is_counted(
    voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole,) = synthesize(voice)
    monkeypatch.setattr("voice_inference.engine.sentence.max_tokens", lambda _: 5)
    metrics = Metrics()
    (segment,) = synthesize(voice, metrics=metrics)
    assert segment.finish_reason == FinishReason.MAX_LENGTH
    assert segment.tokens.tolist() == whole.tokens[:5].tolist()
    assert segment.samples.size == 5 * voice.base.sample_rate // TOKENS_PER_SECOND
    assert (count(metrics, FinishReason.END_TOKEN), count(metrics, FinishReason.MAX_LENGTH)) == (0, 1)


def test_tokens_are_chosen_as_the_base_says(voice: Voice) -> None:
    certain = voice.base.document.model_copy(update={"sampling": SamplingDocument(top_k=1)})
    sure = replace(voice, base=replace(voice.base, document=certain))
    lengths = {synthesize_samples(sure, seed=seed)[0].size for seed in range(3)}
    assert len(lengths) == 1 < len({synthesize_samples(voice, seed=seed)[0].size for seed in range(3)})


def test_readings_of_the_request_go_before_those_of_the_voice_and_these_before_those_of_the_base(voice: Voice) -> None:
    entries = tuple(LexiconWord(word=word, reading="G IH1 F") for word in ("gif", "jif", "yif"))
    document = type(voice.base.document)(**dict(voice.base.document) | {"lexicon": entries})
    voices = Lexicon.of(LexiconEntry(word, "Y IH1 F", "cmu") for word in ("jif", "yif"))
    own = replace(voice, base=replace(voice.base, document=document), lexicon=voices)
    request = Lexicon.of([LexiconEntry("jif", "JH IH1 F", "cmu")])
    (sentence,) = sentences_of("gif jif yif", "en", own, Options(lexicon=request))
    spoken = [word.phones for word in sentence.parts[0].words if word.phones[0] != ","]
    assert spoken == [("G", "IH1", "F"), ("JH", "IH1", "F"), ("Y", "IH1", "F")]


def test_a_request_says_how_its_dates_are_written_and_the_voice_where_it_does_not(voice: Voice) -> None:
    british = replace(voice, locale="en-GB")
    spoken = [
        sentence.parts[0].normalized.split(",")[0]
        for reader, options in ((voice, Options()), (british, Options()), (british, Options(locale="en-US")))
        for sentence in sentences_of("12/3/2024", "en", reader, options)
    ]
    assert spoken == ["December third", "March twelfth", "December third"]


LONG = "The first sentence of this text is long enough to be heard in several parts. The second one is short."


def test_the_first_sentence_is_heard_in_parts_while_it_is_spoken(voice: Voice) -> None:
    parts = list(synthesize_early(voice, LONG))
    whole = synthesize(voice, LONG)
    rate = voice.base.sample_rate
    assert parts[0].samples.size == round(0.4 * rate)
    assert [part.finish_reason for part in parts] == [None] * (len(parts) - 2) + [FinishReason.END_TOKEN] * 2
    assert len(parts) >= 4
    # the words are the same, and their place; the sentence after it is the same to the sample
    first = np.concatenate([part.samples for part in parts[:-1]])
    assert np.concatenate([part.tokens for part in parts[:-1]]).tolist() == whole[0].tokens.tolist()
    assert first.size == whole[0].samples.size
    assert np.array_equal(parts[-1].samples, whole[1].samples)
    assert similarity(first, whole[0].samples) > 0.9


def test_parts_join_without_a_click(voice: Voice) -> None:
    parts = list(synthesize_early(voice, LONG))[:-1]
    first = np.concatenate([part.samples for part in parts])
    seams = np.cumsum([part.samples.size for part in parts])[:-1]
    steps = np.abs(np.diff(first))
    assert max(steps[seam - 1] for seam in seams) < np.quantile(steps, 0.999)


def test_a_sentence_that_ends_before_its_second_part_is_whole(voice: Voice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voice_inference.engine.sentence.max_tokens", lambda _: FIRST_PART + LOOKAHEAD)
    parts = list(synthesize_early(voice, "A sentence without an end."))
    assert [part.tokens.size for part in parts] == [FIRST_PART + LOOKAHEAD, 0]
    assert sum(part.samples.size for part in parts) == (FIRST_PART + LOOKAHEAD) * voice.base.sample_rate // 25


def test_a_pause_is_as_long_as_what_it_parts(voice: Voice) -> None:
    pauses = [segment.pause for segment in synthesize(voice, "One. Two.\n\nThree.")]
    rate = voice.base.sample_rate
    assert pauses == [0, round(SENTENCE_PAUSE * rate), round(PARAGRAPH_PAUSE * rate)]


def test_an_adapter_changes_what_is_spoken(make_bundle: Any, base: Base) -> None:
    bundles = [make_bundle(number=number, seed=7) for number in (1, 2)]
    bundles[1].adapter = {key: np.zeros_like(tensor) for key, tensor in bundles[1].adapter.items()}
    bundles[1].write()
    adapted, plain = (load_voice(bundle.folder, bundle.seal(), base) for bundle in bundles)
    assert not np.array_equal(synthesize_samples(adapted)[0], synthesize_samples(plain)[0])


def test_work_stops_between_two_tokens_when_it_is_cancelled(voice: Voice) -> None:
    answers = iter([False, False, True])
    segments = Engine(Metrics()).synthesize(voice, "Hello.", language="en", seed=1, is_cancelled=lambda: next(answers))
    with pytest.raises(Cancelled):
        next(segments)


def test_long_text_is_spoken_piece_by_piece_as_it_is_asked_for(voice: Voice) -> None:
    segments = Engine(Metrics()).synthesize(
        voice, "Hello there. " * 100, language="en", seed=1, is_cancelled=lambda: False
    )
    assert len(list(islice(segments, 2))) == 2


@pytest.mark.parametrize("text", [".", "…", "?!\n—", "***", "。"])
def test_marks_alone_are_a_pause(voice: Voice, text: str) -> None:
    (segment,) = Engine(Metrics()).synthesize(voice, text, language="en", seed=1, is_cancelled=lambda: False)
    assert segment.samples.size == voice.base.sample_rate // 4
    assert not segment.samples.any()
    assert (segment.tokens.size, segment.faults) == (0, ())


@pytest.mark.parametrize(
    ("text", "language", "field"),
    [("...", "xx", "language"), ("😀 !", "en", "input"), ("\n\n", "en", "input")],
)
def test_what_cannot_be_spoken_is_refused_with_the_field(voice: Voice, text: str, language: str, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        sentences_of(text, language, voice)
    assert refused.value.field == field


def test_pieces_without_a_word_are_dropped_and_every_sentence_ends(voice: Voice) -> None:
    with_noise, plain = (sentences_of(text, "en", voice) for text in ("Hello there. ... !!!", "Hello there"))
    noisy, clean = ([sentence.phones.tolist() for sentence in found] for found in (with_noise, plain))
    assert noisy == clean
