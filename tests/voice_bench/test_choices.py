"""Sentences, speakers, and cache keys."""

from pathlib import Path

import pytest
from dev.errors import DevError
from dev.voice_bench import digests
from dev.voice_bench.digests import code_digest, files_digest, text_digest
from dev.voice_bench.progress import progress_line
from dev.voice_bench.speakers import chosen, speakers_of
from dev.voice_bench.texts import SPOKEN, phones_of, plain, sentences

from tiny_base.sentences import compose


def test_there_are_a_hundred_sentences_of_six_to_twelve_words() -> None:
    assert len({plain(text) for text in sentences()}) == 100
    assert [text for text in sentences() if not 6 <= len(plain(text).split()) <= 12] == []


def test_the_synthesized_sentences_have_every_phone_of_english() -> None:
    phones = {phone for text in sentences()[:SPOKEN] for phone in phones_of(text)}
    assert len(phones) == 39


def test_no_sentence_is_one_that_the_base_is_trained_on() -> None:
    training = {plain(text) for text in compose(5000, seed=1)}
    assert training & {plain(text) for text in sentences()} == set()


def test_phones_and_words_are_spelt_as_the_recogniser_spells_them() -> None:
    assert plain("Don\u2019t stop, Ann!") == "don't stop ann"
    assert phones_of("Don't stop!") == ("D", "OW", "N", "T", "S", "T", "AA", "P")


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for folder in ("ljspeech", "librispeech/2033", "librispeech/367"):
        (tmp_path / folder / "wavs").mkdir(parents=True)
        (tmp_path / folder / "metadata.csv").write_text("a|b\n")
    return tmp_path


def test_speakers_are_found_and_the_reserved_ones_are_unseen(recordings: Path) -> None:
    found = {speaker.name: speaker.seen for speaker in speakers_of(recordings)}
    assert found == {"ljspeech": True, "2033": False, "367": True}


def test_speakers_are_chosen_by_name_in_the_order_given(recordings: Path) -> None:
    speakers = speakers_of(recordings)
    assert [speaker.name for speaker in chosen(speakers, "367, ljspeech")] == ["367", "ljspeech"]
    assert chosen(speakers, "") == speakers
    assert chosen(speakers, "none") == ()
    with pytest.raises(DevError, match="--speakers: '99' is not there"):
        chosen(speakers, "367,99")


def test_a_folder_without_speakers_is_named_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DevError, match="remedy: name the folder") as refused:
        speakers_of(tmp_path)
    assert str(tmp_path) in str(refused.value)


def test_a_digest_follows_names_and_contents(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("x")
    second.write_text("y")
    before = files_digest([first, second], tmp_path)
    second.write_text("z")
    changed = files_digest([first, second], tmp_path)
    second.rename(tmp_path / "c")
    assert len({before, changed, files_digest([first, tmp_path / "c"], tmp_path)}) == 3
    assert text_digest("ab", "c") != text_digest("a", "bc")


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        pytest.param("text/words.cmudict", True, id="pronunciations"),
        pytest.param("engine.py", True, id="code"),
        pytest.param("bases/tiny/base.json", False, id="a base, which has a digest of its own"),
        pytest.param("__pycache__/engine.pyc", False, id="compiled code"),
    ],
)
def test_a_changed_file_of_a_member_invalidates_cached_speech(
    file: str, counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "REPOSITORY", tmp_path)
    path = tmp_path / "member" / "src" / file
    path.parent.mkdir(parents=True)
    found = []
    for content in ("before", "after"):
        path.write_text(content)
        code_digest.cache_clear()
        found.append(code_digest("member"))
    code_digest.cache_clear()
    assert (found[0] != found[1]) is counts


def test_the_remaining_time_follows_the_rate_so_far() -> None:
    assert progress_line("voice 2033", "trained", 0.25, 600) == "   25%, about 30 min left · voice 2033: trained"
