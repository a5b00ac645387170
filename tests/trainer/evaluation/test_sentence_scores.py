"""Sentences: measured in processes of their own; another speaker, wrong words, loops and endless speech are told."""

import subprocess
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sovits_core.synthesis.repetition import most_repeated
from voice_trainer.evaluation.estimates import Estimate
from voice_trainer.evaluation.gates import Verdict
from voice_trainer.evaluation.sentence_scores import (
    Measures,
    Meter,
    Speaker,
    open_meter,
    recording_estimates,
    score,
    sentence_estimates,
    speaker_of,
    spoken_phones,
)
from voice_trainer.evaluation.sentences import sentences_for
from voice_trainer.evaluation.synthesis import Synthesis
from voice_trainer.job.document import Gate, TrainingJob
from voice_trainer.recognition.folder import read_folder
from voice_trainer.recordings import audio
from voice_trainer.recordings.audio import ANALYSIS_RATE
from voice_trainer.recordings.clips import Clip
from voice_trainer.recordings.decoding import Samples

OpenMeter = Callable[..., AbstractContextManager[Meter]]
TEXTS = sentences_for("en", (), 6)


@pytest.fixture(scope="module")
def a_meter(session_job: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> OpenMeter:
    """Open what measures, for a language and with a recogniser or without one."""

    def meter(language: str, recogniser: dict[str, str] | None = None) -> AbstractContextManager[Meter]:
        job = TrainingJob.model_validate(session_job | {"language": language, "recogniser": recogniser})
        return open_meter(job, tmp_path_factory.mktemp("scratch"), None)

    return meter


def flite(folder: Path, voice: str) -> list[Samples]:
    waves = []
    for number, text in enumerate(TEXTS):
        path = folder / f"{voice}-{number}.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, capture_output=True)
        samples, rate = audio.read_mono(path)
        waves.append(audio.resample(samples, rate, ANALYSIS_RATE))
    return waves


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory, a_meter: OpenMeter) -> dict[str, list[Measures]]:
    folder = tmp_path_factory.mktemp("flite")
    with a_meter("en") as meter:
        return {voice: list(meter.measure_all(flite(folder, voice))) for voice in ("slt", "rms")}


def a_synthesis(text: str, **changes: object) -> Synthesis:
    known = {
        "samples": np.zeros(ANALYSIS_RATE, dtype=np.float32),
        "tokens": tuple(range(50)),
        "ended": True,
        "phones": ("HH", "AH0", "."),
        "normalized": text,
    }
    return Synthesis(**known | changes)  # type: ignore[arg-type]


def estimates(measures: list[Measures], texts: tuple[str, ...], speaker: Speaker) -> dict[str, Estimate]:
    pairs = zip(texts, measures, strict=True)
    return sentence_estimates(
        [score(text, a_synthesis(text), ANALYSIS_RATE, one, speaker, "en") for text, one in pairs]
    )


def passes(metric: str, found: dict[str, Estimate], **bound: str) -> bool:
    return Verdict(Gate.model_validate({"metric": metric, **bound}), found[metric]).passed


def test_another_speaker_fails_similarity_and_wrong_texts_fail_intelligibility(
    measured: dict[str, list[Measures]],
) -> None:
    clips = [
        Clip(
            id=text,
            text=text,
            phones=("HH", "AH0"),
            seconds=2,
            speech_seconds=1,
            snr_db=40,
            rms_dbfs=-16,
            held_out=True,
        )
        for text in TEXTS
    ]
    speaker = speaker_of(measured["slt"][:3], clips)
    own = estimates(measured["slt"][3:], TEXTS[3:], speaker)
    other = estimates(measured["rms"][3:], TEXTS[3:], speaker)
    shifted = estimates(measured["slt"][3:], TEXTS[:3], speaker)
    assert passes("speakerSimilarity", own, min="0.8")
    assert not passes("speakerSimilarity", other, min="0.8")
    assert passes("cer", own, max="0.4")
    assert not passes("cer", shifted, max="0.4")
    assert passes("cer", other, max="0.4"), "another voice that is understood"
    assert 1.0 < own["dnsmos"].mean < 5.0


def test_recordings_that_differ_make_similarity_less_sure(measured: dict[str, list[Measures]]) -> None:
    alike = speaker_of(measured["slt"][:3], [])
    mixed = speaker_of([*measured["slt"][:2], measured["rms"][0]], [])
    sure, unsure = (estimates(measured["slt"][3:], TEXTS[3:], one)["speakerSimilarity"] for one in (alike, mixed))
    assert unsure.half_width > 2 * sure.half_width


def test_recordings_have_the_same_measures(measured: dict[str, list[Measures]]) -> None:
    found = recording_estimates(measured["slt"], TEXTS, "en")
    assert found["speakerSimilarity"].mean > 0.8
    assert found["cer"].mean < 0.4
    assert found["cer"].n == len(TEXTS)


def test_a_language_without_a_recogniser_has_all_else(tmp_path: Path, a_meter: OpenMeter) -> None:
    with a_meter("ja") as meter:
        (found,) = meter.measure_all(flite(tmp_path, "slt")[:1])
    assert found.recognised is None
    assert found.dnsmos is not None
    assert found.embedding is not None
    scores = estimates([found], ("x",), Speaker(found.embedding, 0.1))
    assert not {"cer", "wer"} & scores.keys()
    assert scores["speakerSimilarity"].mean == pytest.approx(1.0)


def test_a_recogniser_gives_every_language_of_its_own_error_rates(
    tmp_path: Path, a_meter: OpenMeter, whisper_folder: Path, whisper_sentence: str
) -> None:
    digest = read_folder(whisper_folder.as_uri(), tmp_path).digest
    with a_meter("zh", {"uri": whisper_folder.as_uri(), "digest": digest}) as meter:
        assert meter.recogniser.startswith("Whisper ")
        (found,) = meter.measure_all(flite(tmp_path, "slt")[:1])
    assert found.recognised == whisper_sentence
    spoken = a_synthesis("今天天气不好")
    one = score(spoken.normalized, spoken, ANALYSIS_RATE, found, Speaker(None, 0.1), meter.language)
    assert one.errors is not None
    assert 0 < one.errors.character_rate < 0.3


def test_silence_is_measured_and_has_no_speaker(a_meter: OpenMeter) -> None:
    with a_meter("en") as meter:
        (found,) = meter.measure_all([np.zeros(ANALYSIS_RATE, dtype=np.float32)])
    assert (found.recognised, found.dnsmos, found.embedding, found.speech_seconds) == ("", None, None, 0.0)


def test_pauses_are_between_speech(measured: dict[str, list[Measures]], tmp_path: Path, a_meter: OpenMeter) -> None:
    wave = flite(tmp_path, "slt")[0]
    half = np.zeros(ANALYSIS_RATE // 2, dtype=np.float32)
    with a_meter("ja") as meter:
        (found,) = meter.measure_all([np.concatenate([half, wave, half, wave, half])])
    assert 0.5 <= found.longest_pause <= 1.0, "and what flite is silent at the end and at the start"
    assert measured["slt"][0].longest_pause < 0.3


SOUND = Measures("hello", 3.0, np.array([1.0, 0.0]), 0.2, 0.0)
SPEAKER = Speaker(np.array([1.0, 0.0]), 0.1)


def test_loops_and_endless_sentences_are_counted() -> None:
    loop = a_synthesis("hello", tokens=(1, 2, 3, 4) * 4)
    endless = a_synthesis("hello", ended=False)
    spoken = [a_synthesis("hello"), loop, endless, a_synthesis("hello")]
    found = sentence_estimates([score("Hello.", one, ANALYSIS_RATE, SOUND, SPEAKER, "en") for one in spoken])
    assert found["repetitionRate"].mean == found["noEndTokenRate"].mean == 0.25
    assert found["durationRatio"].mean == pytest.approx(1.0)  # 0.2 s for two phones of 0.1 s
    assert found["cer"].mean == 0.0


def test_what_repeats() -> None:
    assert most_repeated((5,) * 40) == 0, "a long silence is no loop"
    assert most_repeated(tuple(range(40))) == 1
    assert spoken_phones(("HH", "AH0", ",", "SP", "SP2", "UNK", "!")) == 2


def test_named_sentences_come_first_and_none_twice() -> None:
    assert sentences_for("en", ("One.", TEXTS[1], "One."), 4) == ("One.", TEXTS[1], TEXTS[0], TEXTS[2])
    assert sentences_for("en", tuple("abc"), 2) == ("a", "b", "c"), "all named ones are spoken"
    assert sentences_for("xx", (), 4) == ()
    assert all(len(sentences_for(language, (), 99)) >= 16 for language in ("zh", "yue", "ja", "ko"))
