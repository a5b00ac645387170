"""A known English text and the slices of its recording: each gets its own words, and a wrong text is noticed."""

from pathlib import Path

import numpy as np
import pytest

from voice_trainer.recordings import audio
from voice_trainer.recordings.alignment import Aligner
from voice_trainer.recordings.decoding import Samples
from voice_trainer.recordings.loading import pronounce
from voice_trainer.recordings.slicing import slices
from voice_trainer.recordings.vad import detect

RATE = audio.ANALYSIS_RATE


def slices_of(folder: Path, count: int) -> tuple[list[Samples], list[str]]:
    """The first clips as one recording with pauses, sliced again, and their texts."""
    rng = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    texts = []
    for line in (folder / "metadata.csv").read_text().splitlines()[:count]:
        name, text = line.split("|")
        (clip,) = (folder / "wavs").glob(f"{name}.*")
        parts += [audio.resample(*audio.read_mono(clip), RATE), 1e-4 * rng.standard_normal(RATE // 2)]
        texts.append(text)
    recording = np.concatenate(parts).astype(np.float32)
    spans = slices(detect(recording).voiced)
    return [recording[int(span.begin * RATE) : int(span.end * RATE)] for span in spans], texts


@pytest.fixture(scope="module")
def spoken(spoken_dataset: Path) -> tuple[list[Samples], list[str]]:
    return slices_of(spoken_dataset, 4)


def align(slices: list[Samples], *texts: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = Aligner(" ".join(texts), pronounce).align(slices)
    assert len(found.texts) == len(slices)
    return found.texts, found.missing


def test_each_slice_gets_its_words_as_they_are_written(spoken: tuple[list[Samples], list[str]]) -> None:
    slices, texts = spoken
    found, missing = align(slices, *texts)
    assert " ".join(found) == " ".join(texts)
    assert missing == ()
    ends = {" ".join(texts[: number + 1]) for number in range(len(texts))}
    at_ends = [" ".join(found[: number + 1]) in ends for number in range(len(found))]
    assert sum(at_ends) >= len(found) - 1, "slices end where sentences do"


def test_a_text_that_is_not_said_is_told_and_the_rest_keeps_its_words(spoken: tuple[list[Samples], list[str]]) -> None:
    slices, texts = spoken
    extra = "Nobody ever spoke this long and strange sentence about purple elephants."
    found, missing = align(slices, *texts[:2], extra, *texts[2:])
    assert missing == (extra,)
    assert " ".join(found) == " ".join(texts)


def test_speech_that_is_not_in_the_text_gets_no_words(spoken: tuple[list[Samples], list[str]]) -> None:
    slices, texts = spoken
    whole, _ = align(slices, *texts)
    lacking = " ".join(texts).replace(whole[1], "").split()
    found, _ = align(slices, *lacking)
    assert found[1] == ""
    assert found[2:] == whole[2:]


def test_another_text_fits_few_slices(spoken: tuple[list[Samples], list[str]], repository: Path) -> None:
    slices, _ = spoken
    other = " ".join((repository / "LICENSE").read_text().split()[:60])
    found, _ = align(slices, other)
    assert sum(1 for text in found if text) < len(slices) / 2


def test_what_cannot_be_spoken_has_no_place(spoken: tuple[list[Samples], list[str]]) -> None:
    slices, texts = spoken
    found, _ = align(slices, *[f"— {text} ***" for text in texts])
    assert " ".join(found) == " ".join(f"— {text} ***" for text in texts)
    assert align(slices, "— …") == (("",) * len(slices), ())


@pytest.mark.slow
def test_four_minutes_of_a_reader_are_aligned_without_a_fault(shared: Path) -> None:
    """32 clips of LJSpeech, 239 s: 31 slices, every border at the right word."""
    slices, texts = slices_of(shared / "data" / "ljspeech", 32)
    found, missing = align(slices, *texts)
    assert (" ".join(found), missing) == (" ".join(texts), ())
    ends = {" ".join(texts[: number + 1]) for number in range(len(texts))}
    assert sum(" ".join(found[: number + 1]) in ends for number in range(len(found))) >= 29
