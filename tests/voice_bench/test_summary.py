"""The summary of a run: its figures and targets."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dev.voice_bench.audio import RATE
from dev.voice_bench.page import HEADINGS, page
from dev.voice_bench.samples import (
    FliteResult,
    Recognition,
    Sample,
    SpeakerResult,
    SpeechEnd,
    measured_recording,
    measured_synthesis,
)
from dev.voice_bench.summary import document_of
from dev.voice_bench.table import markdown_tables, text_tables
from dev.voice_bench.texts import phones_of, plain

TEXTS = ("We took the last train home.", "Turn left at the red barn.")
CENTROIDS = {"ljspeech": (1.0, 0.0, 0.0), "2033": (0.0, 1.0, 0.0), "1998": (0.0, 0.0, 1.0)}


def a_sample(
    text: str, *, recognised: str | None = None, embedding: tuple[float, ...] = CENTROIDS["ljspeech"]
) -> Sample:
    """A sentence of two seconds, recognised correctly unless other words are given."""
    words = plain(text) if recognised is None else recognised
    found = Recognition(words=words, picked=0, phones=phones_of(text), speech_end=2.0, embedding=embedding)
    return measured_recording(text, np.ones(2 * RATE, dtype=np.float32), found, pesq=2.0, stoi=0.8)


def a_synthesis(
    text: str, *, picked: int | None = 0, expected: float = 2.0, tokens: tuple[int, ...] = (1, 2, 3),
    ended: bool = True, recognised: str | None = None, embedding: tuple[float, ...] = CENTROIDS["ljspeech"],
    trailing: float = 0.0, phones_end: float = 2.0, words_end: float | None = 2.0,
) -> Sample:  # fmt: skip
    """A sentence of two seconds, good unless faults are given; `trailing`: seconds of trailing noise."""
    wav = np.ones(round((2 + trailing) * RATE), dtype=np.float32)
    found = Recognition(
        words=plain(text) if recognised is None else recognised,
        picked=picked, phones=phones_of(text), speech_end=phones_end, embedding=embedding,
    )  # fmt: skip
    sample = measured_recording(text, wav, found)
    return measured_synthesis(
        sample, wav, found, SpeechEnd(seconds=words_end), number=0, expected=expected, tokens=tokens, ended=ended
    )


def a_speaker(
    name: str = "ljspeech", *, fine_tuned: list[Sample] | None = None, train_seconds: float = 100.0
) -> SpeakerResult:
    """A speaker whose voice is good, unless other sentences are given."""
    own = CENTROIDS[name]
    weaker = tuple(0.8 * value for value in own)
    recordings = [a_sample(text, embedding=own) for text in TEXTS]
    return SpeakerResult(
        speaker=name, seen=name != "2033", speech_seconds=70.0, train_seconds=train_seconds, train_cpu_seconds=90.0,
        training_loop_seconds=60.0, gates_passed=True, prompt=TEXTS[0], base_scores={"pesq": 1.5, "stoi": 0.7},
        samples={
            "recording": recordings, "copy_synthesis": recordings, "token_forced": recordings,
            "zero_shot": [a_synthesis(text, embedding=weaker) for text in TEXTS],
            "fine_tuned": [a_synthesis(text, embedding=own) for text in TEXTS] if fine_tuned is None else fine_tuned,
        },
    )  # fmt: skip


def a_flite(voice: str = "rms", *, base: list[Sample] | None = None) -> FliteResult:
    """A voice of flite with a good base voice, unless other sentences are given."""
    good = [a_synthesis(text) for text in TEXTS]
    return FliteResult(voice=voice, samples={"flite": good, "base": good if base is None else base})


@pytest.fixture
def good() -> dict[str, Any]:
    """A run in which everything went well."""
    return document_of([a_speaker(), a_speaker("2033")], [a_flite("slt"), a_flite("rms")], CENTROIDS)


def verdicts(document: dict[str, Any]) -> dict[str, bool]:
    return {target["name"]: target["passed"] for target in document["targets"]}


def failed(document: dict[str, Any]) -> set[str]:
    return {name for name, passed in verdicts(document).items() if not passed}


def test_the_document_has_its_main_figures(good: dict[str, Any]) -> None:
    assert {"recording", "copy_synthesis", "token_forced", "base", "fine_tuned"} <= set(good["wer"])
    assert good["closed_set_accuracy"] == 1.0
    assert {"own", "nearest_other", "zero_shot"} <= set(good["secs"])
    assert good["speaker_identification_accuracy"] == 1.0
    assert (good["duration_ratio"]["min"], good["duration_ratio"]["max"]) == (1.0, 1.0)
    assert good["train_seconds"] == 100.0
    assert {"speakers", "seen", "unseen", "phone_error", "repetition_rate", "early_stop_rate", "pesq", "stoi"} <= set(
        good
    )


def test_a_good_run_reaches_every_target(good: dict[str, Any]) -> None:
    assert failed(good) == set()


def test_seen_and_unseen_speakers_are_summarised_apart() -> None:
    babble = [a_synthesis(text, recognised="", picked=None, embedding=CENTROIDS["ljspeech"]) for text in TEXTS]
    document = document_of([a_speaker(), a_speaker("2033", fine_tuned=babble)], [a_flite()], CENTROIDS)
    assert (document["seen"]["wer"]["fine_tuned"], document["unseen"]["wer"]["fine_tuned"]) == (0.0, 1.0)
    assert (
        document["seen"]["speaker_identification_accuracy"],
        document["unseen"]["speaker_identification_accuracy"],
    ) == (1.0, 0.0)
    assert (document["closed_set_accuracy"], document["unseen"]["closed_set_accuracy"]) == (0.5, 0.0)


def test_the_shown_figures_are_ljspeechs_whatever_the_order() -> None:
    silent = [a_synthesis(text, recognised="") for text in TEXTS]
    document = document_of([a_speaker("2033"), a_speaker(fine_tuned=silent)], [a_flite()], CENTROIDS)
    assert document["shown_speaker"] == "ljspeech"
    assert document["wer"]["fine_tuned"] == 1.0


def test_the_base_is_measured_by_its_best_voice() -> None:
    silent = [a_synthesis(text, recognised="") for text in TEXTS]
    document = document_of([a_speaker()], [a_flite("awb", base=silent), a_flite("slt")], CENTROIDS)
    assert document["base_voice"] == "slt"
    assert document["wer"]["base"] == 0.0
    assert document["base_voices"]["awb"]["wer"] == {"flite": 0.0, "base": 1.0}


BAD_SENTENCES = [
    pytest.param({"picked": 3}, {"closed-set accuracy, fine-tuned voices"}, id="another sentence is understood"),
    pytest.param({"picked": None}, {"closed-set accuracy, fine-tuned voices"}, id="no sentence is understood"),
    pytest.param({"recognised": "fish"}, {"word error rate, fine-tuned LJSpeech"}, id="other words are understood"),
    pytest.param({"expected": 1.2}, {"largest duration ratio"}, id="it takes too long"),
    pytest.param({"expected": 4.0}, {"smallest duration ratio"}, id="it stops early"),
    pytest.param({"trailing": 0.5}, {"sentences with trailing noise"}, id="noise follows"),
    pytest.param({"trailing": 0.5, "phones_end": 2.5}, {"sentences with trailing noise"}, id="babble follows"),
    pytest.param({"trailing": 0.5, "words_end": None}, {"sentences with trailing noise"}, id="other words, then noise"),
    pytest.param(
        {"embedding": (0.0, 0.0, 1.0)},
        {"speaker identification accuracy, fine-tuned voices", "SECS gained by fine-tuning"},
        id="another speaker",
    ),
]


def test_an_unclear_last_vowel_is_no_trailing_noise_within_the_alignment() -> None:
    assert not a_synthesis(TEXTS[0], phones_end=1.6).trailing_noise
    assert a_synthesis(TEXTS[0], phones_end=1.6, words_end=None).trailing_noise


@pytest.mark.parametrize(("fault", "targets"), BAD_SENTENCES)
def test_every_fault_of_a_voice_fails_its_own_target(fault: dict[str, Any], targets: set[str]) -> None:
    fine_tuned = [a_synthesis(text, **fault) for text in TEXTS]
    document = document_of([a_speaker(fine_tuned=fine_tuned), a_speaker("2033")], [a_flite()], CENTROIDS)
    assert failed(document) == targets


def test_babble_of_the_base_voice_counts_too() -> None:
    endless = [a_synthesis(text, expected=1.0) for text in TEXTS]
    document = document_of([a_speaker(), a_speaker("2033")], [a_flite(base=endless)], CENTROIDS)
    assert failed(document) == {"largest duration ratio"}


def test_loops_early_stops_and_maximal_lengths_are_fractions_of_sentences() -> None:
    fine_tuned = [a_synthesis(TEXTS[0], tokens=(1, 2, 3, 4, 5) * 4, expected=4.0), a_synthesis(TEXTS[1], ended=False)]
    document = document_of([a_speaker(fine_tuned=fine_tuned)], [a_flite()], CENTROIDS)
    shares = {
        name: document[name] for name in ("repetition_rate", "early_stop_rate", "late_stop_rate", "max_length_rate")
    }
    assert shares == {"repetition_rate": 0.5, "early_stop_rate": 0.5, "late_stop_rate": 0.0, "max_length_rate": 0.5}


def test_slow_training_fails_by_the_corpus_of_the_speaker() -> None:
    document = document_of([a_speaker(train_seconds=301), a_speaker("2033", train_seconds=121)], [a_flite()], CENTROIDS)
    assert failed(document) == {"seconds to train LJSpeech", "seconds to train a LibriSpeech speaker"}


def test_a_target_without_a_value_fails() -> None:
    document = document_of([a_speaker("2033")], [a_flite()], CENTROIDS)
    assert failed(document) == {"word error rate, fine-tuned LJSpeech", "seconds to train LJSpeech"}
    assert document["seen"]["closed_set_accuracy"] is None
    assert "not measured" in text_tables(document)


def test_the_base_can_be_measured_alone() -> None:
    document = document_of([], [a_flite()], CENTROIDS)
    assert document["wer"] == document["wer"] | {"base": 0.0, "fine_tuned": None}
    passed = {name for name, verdict in verdicts(document).items() if verdict}
    assert passed == {
        "word error rate, the base's best own voice", "largest duration ratio",
        "smallest duration ratio", "sentences with trailing noise",
    }  # fmt: skip


def test_tables_name_every_voice_and_every_target(good: dict[str, Any]) -> None:
    tables = markdown_tables(good)
    for name in ("ljspeech", "2033 (unseen)", *verdicts(good)):
        assert f"| {name} |" in tables


def test_the_page_has_every_speaker_and_plays_every_condition(good: dict[str, Any]) -> None:
    good |= {"base": {"name": "tiny", "digest": "sha256:0123"}, "spoken": len(TEXTS)}
    pictures = {}
    for voice in (*good["speakers"].values(), *good["base_voices"].values()):
        for condition, samples in voice["samples"].items():
            samples[0]["file"] = f"voice/{condition}.flac"
            pictures[samples[0]["file"]] = f"voice/{condition}.png"
    made = page(good, "the tables", "voice.svg", pictures)
    for expected in (*good["speakers"], *good["base_voices"], *HEADINGS.values(), "the tables"):
        assert expected in made
    assert all(f'src="{file}"' in made for pair in pictures.items() for file in pair)


def test_the_plots_have_a_row_for_every_voice_and_a_column_for_every_recorded_speaker(
    good: dict[str, Any], tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib", reason="`uv sync --group bench` installs it")
    from dev.voice_bench.plots import draw  # noqa: PLC0415 -- only where the group is installed

    draw(good, tmp_path / "voice.svg")
    plotted = (tmp_path / "voice.svg").read_text()
    assert all(plotted.count(f">{name}<") >= 2 for name in good["speakers"])
    assert ">1998<" in plotted
