"""Lines are what flite says, as the tokens that its sound would have."""

import shutil
from pathlib import Path

import pytest

from sovits_core.features.recording import resample
from sovits_core.text import phonemize
from tiny_base import lines
from tiny_base.acoustics import HOP, SAMPLE_RATE, analyse
from tiny_base.codes import code_labels
from tiny_base.corpus import Variation, speak
from tiny_base.encoder import tokens_in
from tiny_base.errors import PretrainError
from tiny_base.lines import build_lines
from tiny_base.sentences import compose

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")


@needs_flite
def test_lines_are_spoken_once_and_are_new_sentences_with_the_tokens_of_their_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    texts = compose(12, 8)
    found = build_lines(12, 7, texts[:3])
    said = [row.utterance.clip.text for row in found]
    assert set(said) <= set(texts[3:])
    assert len(said) > 4
    for row in found:
        voice, pitch, stretch, size = row.speaker.removeprefix("flite-").split("-")
        wav, segments = speak(row.utterance.clip.text, Variation(voice, float(pitch), float(stretch), float(size)))
        wav = wav[: len(wav) // (2 * HOP) * (2 * HOP)]
        wav16 = resample(wav, SAMPLE_RATE, 16_000)
        assert row.codes.tolist() == code_labels(analyse(wav, wav16), segments, tokens_in(len(wav16))).tolist()
        assert row.utterance.phones == phonemize(row.utterance.clip.text, "en").phones
        assert len(row.place) == len(row.codes)  # each token's phone is known
    monkeypatch.setattr(lines, "speak", None)  # from here nobody can speak
    again = build_lines(12, 7, texts[:3])
    assert [row.codes.tolist() for row in again] == [row.codes.tolist() for row in found]
    assert [row.place.tolist() for row in again] == [row.place.tolist() for row in found]


def test_lines_need_the_synthesiser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PretrainError, match="apt-get install flite"):
        build_lines(4, 7, [])
    assert not list(tmp_path.rglob("*.json"))
