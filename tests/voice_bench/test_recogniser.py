"""The recogniser, on clear speech."""

import numpy as np
import pytest
from dev.voice_bench import flite, measures
from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.recogniser import Recogniser
from dev.voice_bench.texts import phones_of, plain, sentences


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@pytest.fixture(scope="module")
def spoken() -> list[Wave]:
    """The first three sentences, by flite."""
    return [flite.synthesize(text, "rms") for text in sentences()[:3]]


def test_most_words_of_clear_speech_are_recognised(recogniser: Recogniser, spoken: list[Wave]) -> None:
    found = [
        measures.errors(plain(text).split(), recogniser.words(wav).split())
        for text, wav in zip(sentences(), spoken, strict=False)
    ]
    rate = measures.total(found)
    assert rate is not None
    assert rate < 0.35


def test_the_right_one_of_a_hundred_sentences_is_picked(recogniser: Recogniser, spoken: list[Wave]) -> None:
    assert [recogniser.pick(wav, sentences()) for wav in spoken] == [0, 1, 2]


def test_earlier_recordings_change_nothing(recogniser: Recogniser, spoken: list[Wave]) -> None:
    noise = np.random.default_rng(1).standard_normal(len(spoken[0])).astype(np.float32)
    noisy = spoken[0] + 0.003 * noise
    before = (recogniser.words(noisy), recogniser.segments(noisy), recogniser.pick(noisy, sentences()))
    for wav in (0.1 * noise, spoken[1]):
        recogniser.words(wav)
        recogniser.segments(wav)
        recogniser.pick(wav, sentences())
        assert (recogniser.words(noisy), recogniser.segments(noisy), recogniser.pick(noisy, sentences())) == before


def test_noise_is_no_sentence(recogniser: Recogniser) -> None:
    noise = np.random.default_rng(0).standard_normal(2 * RATE).astype(np.float32) * 0.05
    assert recogniser.pick(noise, sentences()) is None


def test_silence_has_no_words(recogniser: Recogniser) -> None:
    silence = np.zeros(RATE, dtype=np.float32)
    assert (recogniser.words(silence), recogniser.phones(silence)) == ("", [])
    assert recogniser.pick(silence, sentences()) is None


def test_phones_are_recognised_without_words(recogniser: Recogniser, spoken: list[Wave]) -> None:
    found = measures.errors(phones_of(sentences()[0]), recogniser.phones(spoken[0]))
    assert found.rate < 0.6


def test_a_word_outside_the_lexicon_gets_our_front_ends_pronunciation(recogniser: Recogniser) -> None:
    wav = flite.synthesize("the flibberty wall", "rms")
    assert recogniser.pick(wav, ("the green wall", "the flibberty wall")) == 1
