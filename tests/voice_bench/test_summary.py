"""The document of a run: which figures it has, whose they are, and which targets they reach."""

from typing import Any

import numpy as np
import pytest
from dev.voice_bench.samples import Ending, FliteResult, Heard, ReaderResult, Sample, read_sample, spoken_sample
from dev.voice_bench.summary import document_of
from dev.voice_bench.table import markdown_tables, text_tables
from dev.voice_bench.waves import RATE
from dev.voice_bench.wording import phones_of, plain

TEXTS = ("We took the last train home.", "Turn left at the red barn.")
CENTROIDS = {"ljspeech": (1.0, 0.0, 0.0), "2033": (0.0, 1.0, 0.0), "1998": (0.0, 0.0, 1.0)}


def a_sample(text: str, *, heard: str | None = None, vector: tuple[float, ...] = CENTROIDS["ljspeech"]) -> Sample:
    """A sentence of two seconds, understood unless something else is said to be heard."""
    words = plain(text) if heard is None else heard
    found = Heard(words=words, picked=0, phones=phones_of(text), speech_end=2.0, vector=vector)
    return read_sample(text, np.ones(2 * RATE, dtype=np.float32), found, pesq=2.0, stoi=0.8)


def a_spoken(
    text: str, *, picked: int | None = 0, expected: float = 2.0, codes: tuple[int, ...] = (1, 2, 3), ended: bool = True,
    heard: str | None = None, vector: tuple[float, ...] = CENTROIDS["ljspeech"], tail: float = 0.0,
    phones_end: float = 2.0, words_end: float | None = 2.0,
) -> Sample:  # fmt: skip
    """A sentence of two seconds, spoken well unless something is said against it; `tail`: seconds of noise behind."""
    wav = np.ones(round((2 + tail) * RATE), dtype=np.float32)
    found = Heard(
        words=plain(text) if heard is None else heard,
        picked=picked, phones=phones_of(text), speech_end=phones_end, vector=vector,
    )  # fmt: skip
    sample = read_sample(text, wav, found)
    return spoken_sample(
        sample, wav, found, Ending(seconds=words_end), number=0, expected=expected, codes=codes, ended=ended
    )


def a_reader(name: str = "ljspeech", *, lora: list[Sample] | None = None, train_seconds: float = 100.0) -> ReaderResult:
    """A reader whose voice is good, unless other sentences are given."""
    own = CENTROIDS[name]
    weaker = tuple(0.8 * value for value in own)
    recordings = [a_sample(text, vector=own) for text in TEXTS]
    return ReaderResult(
        reader=name, seen=name != "2033", speech_seconds=70.0, train_seconds=train_seconds, train_cpu_seconds=90.0,
        training_loop_seconds=60.0, gates_passed=True, prompt=TEXTS[0], base_scores={"pesq": 1.5, "stoi": 0.7},
        samples={
            "recording": recordings, "copy_synthesis": recordings, "token_forced": recordings,
            "without_adapter": [a_spoken(text, vector=weaker) for text in TEXTS],
            "lora": [a_spoken(text, vector=own) for text in TEXTS] if lora is None else lora,
        },
    )  # fmt: skip


def a_flite(voice: str = "rms", *, base: list[Sample] | None = None) -> FliteResult:
    """A voice of flite that the base speaks well, unless other sentences are given."""
    good = [a_spoken(text) for text in TEXTS]
    return FliteResult(voice=voice, samples={"flite": good, "base": good if base is None else base})


@pytest.fixture
def good() -> dict[str, Any]:
    """A run in which everything went well."""
    return document_of([a_reader(), a_reader("2033")], [a_flite("slt"), a_flite("rms")], CENTROIDS)


def verdicts(document: dict[str, Any]) -> dict[str, bool]:
    return {target["name"]: target["passed"] for target in document["targets"]}


def failed(document: dict[str, Any]) -> set[str]:
    return {name for name, passed in verdicts(document).items() if not passed}


def test_the_document_has_the_figures_that_others_read(good: dict[str, Any]) -> None:
    assert {"recording", "copy_synthesis", "token_forced", "base", "lora"} <= set(good["wer"])
    assert good["closed_set"] == 1.0
    assert {"own", "nearest_other", "without_adapter"} <= set(good["similarity"])
    assert good["nearest_is_own"] == 1.0
    assert (good["duration_ratio"]["min"], good["duration_ratio"]["max"]) == (1.0, 1.0)
    assert good["train_seconds"] == 100.0
    assert {"readers", "seen", "unseen", "phone_error", "repetition_rate", "early_stop_rate", "pesq", "stoi"} <= set(
        good
    )


def test_a_good_run_reaches_every_target(good: dict[str, Any]) -> None:
    assert failed(good) == set()


def test_seen_and_unseen_readers_are_told_apart() -> None:
    babble = [a_spoken(text, heard="", picked=None, vector=CENTROIDS["ljspeech"]) for text in TEXTS]
    document = document_of([a_reader(), a_reader("2033", lora=babble)], [a_flite()], CENTROIDS)
    assert (document["seen"]["wer"]["lora"], document["unseen"]["wer"]["lora"]) == (0.0, 1.0)
    assert (document["seen"]["nearest_is_own"], document["unseen"]["nearest_is_own"]) == (1.0, 0.0)
    assert (document["closed_set"], document["unseen"]["closed_set"]) == (0.5, 0.0)


def test_the_figures_side_by_side_are_ljspeechs_whatever_the_order() -> None:
    silent = [a_spoken(text, heard="") for text in TEXTS]
    document = document_of([a_reader("2033"), a_reader(lora=silent)], [a_flite()], CENTROIDS)
    assert document["shown_reader"] == "ljspeech"
    assert document["wer"]["lora"] == 1.0


def test_the_base_is_judged_by_its_best_voice() -> None:
    silent = [a_spoken(text, heard="") for text in TEXTS]
    document = document_of([a_reader()], [a_flite("awb", base=silent), a_flite("slt")], CENTROIDS)
    assert document["base_voice"] == "slt"
    assert document["wer"]["base"] == 0.0
    assert document["base_voices"]["awb"]["wer"] == {"flite": 0.0, "base": 1.0}


BAD_SENTENCES = [
    pytest.param({"picked": 3}, {"closed set, LoRA voices"}, id="another sentence is understood"),
    pytest.param({"picked": None}, {"closed set, LoRA voices"}, id="no sentence is understood"),
    pytest.param({"heard": "fish"}, {"word error, LJSpeech LoRA voice"}, id="other words are understood"),
    pytest.param({"expected": 1.2}, {"longest sentence, of the expected seconds"}, id="it takes too long"),
    pytest.param({"expected": 4.0}, {"shortest sentence, of the expected seconds"}, id="it stops early"),
    pytest.param({"tail": 0.5}, {"sentences with a tail of noise"}, id="noise follows"),
    pytest.param({"tail": 0.5, "phones_end": 2.5}, {"sentences with a tail of noise"}, id="babble follows"),
    pytest.param({"tail": 0.5, "words_end": None}, {"sentences with a tail of noise"}, id="other words, then noise"),
    pytest.param(
        {"vector": (0.0, 0.0, 1.0)},
        {"own speaker is the nearest, LoRA voices", "similarity gained by the adapter"},
        id="somebody else speaks",
    ),
]


def test_an_unclear_last_vowel_is_no_tail_where_the_words_reach_it() -> None:
    assert not a_spoken(TEXTS[0], phones_end=1.6).noisy_tail
    assert a_spoken(TEXTS[0], phones_end=1.6, words_end=None).noisy_tail


@pytest.mark.parametrize(("fault", "targets"), BAD_SENTENCES)
def test_every_fault_of_a_voice_fails_its_own_target(fault: dict[str, Any], targets: set[str]) -> None:
    lora = [a_spoken(text, **fault) for text in TEXTS]
    document = document_of([a_reader(lora=lora), a_reader("2033")], [a_flite()], CENTROIDS)
    assert failed(document) == targets


def test_babble_of_the_base_voice_counts_too() -> None:
    endless = [a_spoken(text, expected=1.0) for text in TEXTS]
    document = document_of([a_reader(), a_reader("2033")], [a_flite(base=endless)], CENTROIDS)
    assert failed(document) == {"longest sentence, of the expected seconds"}


def test_loops_early_stops_and_runaways_are_shares_of_sentences() -> None:
    lora = [a_spoken(TEXTS[0], codes=(1, 2, 3, 4, 5) * 4, expected=4.0), a_spoken(TEXTS[1], ended=False)]
    document = document_of([a_reader(lora=lora)], [a_flite()], CENTROIDS)
    shares = {name: document[name] for name in ("repetition_rate", "early_stop_rate", "late_stop_rate", "runaway_rate")}
    assert shares == {"repetition_rate": 0.5, "early_stop_rate": 0.5, "late_stop_rate": 0.0, "runaway_rate": 0.5}


def test_slow_training_fails_by_the_kind_of_reader() -> None:
    document = document_of([a_reader(train_seconds=301), a_reader("2033", train_seconds=121)], [a_flite()], CENTROIDS)
    assert failed(document) == {"seconds to train LJSpeech", "seconds to train a LibriSpeech reader"}


def test_what_was_not_measured_has_not_passed() -> None:
    document = document_of([a_reader("2033")], [a_flite()], CENTROIDS)
    assert failed(document) == {"word error, LJSpeech LoRA voice", "seconds to train LJSpeech"}
    assert document["seen"]["closed_set"] is None
    assert "not measured" in text_tables(document)


def test_the_base_can_be_measured_alone() -> None:
    document = document_of([], [a_flite()], CENTROIDS)
    assert document["wer"] == document["wer"] | {"base": 0.0, "lora": None}
    passed = {name for name, verdict in verdicts(document).items() if verdict}
    assert passed == {
        "word error, the base's best own voice", "longest sentence, of the expected seconds",
        "shortest sentence, of the expected seconds", "sentences with a tail of noise",
    }  # fmt: skip


def test_tables_name_every_voice_and_every_target(good: dict[str, Any]) -> None:
    tables = markdown_tables(good)
    for name in ("ljspeech", "2033 (unseen)", *verdicts(good)):
        assert f"| {name} |" in tables
