"""The text-only corpus has the aligned tokens of the audio that flite synthesizes."""

import shutil
from pathlib import Path

import pytest

from sovits_core.features.recording import resample
from sovits_core.text import phonemize
from tiny_base import text_corpus
from tiny_base.acoustics import HOP, SAMPLE_RATE, analyse
from tiny_base.corpus import Variation, synthesize
from tiny_base.encoder import token_count
from tiny_base.errors import MissingProgram
from tiny_base.sentences import compose
from tiny_base.text_corpus import build_text_corpus
from tiny_base.tokens import token_labels

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: apt-get install flite")


@needs_flite
def test_sentences_are_synthesized_once_and_new_with_the_tokens_of_their_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    texts = compose(12, 8)
    found = build_text_corpus(12, 7, texts[:3])
    sentences = [row.utterance.clip.text for row in found]
    assert set(sentences) <= set(texts[3:])
    assert len(sentences) > 4
    for row in found:
        voice, pitch, stretch, rate = row.speaker.removeprefix("flite-").split("-")
        wav, phone_times = synthesize(
            row.utterance.clip.text, Variation(voice, float(pitch), float(stretch), float(rate))
        )
        wav = wav[: len(wav) // (2 * HOP) * (2 * HOP)]
        wav16 = resample(wav, SAMPLE_RATE, 16_000)
        assert (
            row.aligned_tokens.tolist()
            == token_labels(analyse(wav, wav16), phone_times, token_count(len(wav16))).tolist()
        )
        assert row.utterance.phones == phonemize(row.utterance.clip.text, "en").phones
        assert len(row.phone_index) == len(row.aligned_tokens)  # each token's phone is known
    monkeypatch.setattr(text_corpus, "synthesize", None)  # from here nothing can be synthesized
    again = build_text_corpus(12, 7, texts[:3])
    assert [row.aligned_tokens.tolist() for row in again] == [row.aligned_tokens.tolist() for row in found]
    assert [row.phone_index.tolist() for row in again] == [row.phone_index.tolist() for row in found]


def test_the_synthesiser_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingProgram, match="apt-get install flite"):
        build_text_corpus(4, 7, [])
    assert not list(tmp_path.rglob("*.json"))
