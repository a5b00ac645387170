"""Composed sentences are different, repeatable and cover the phones."""

from sovits_core.text import phonemize
from tiny_base.phones import CLASSES
from tiny_base.sentences import compose


def test_sentences_are_different_repeatable_and_readable() -> None:
    sentences = compose(300, seed=5)
    assert len(set(sentences)) == 300
    assert sentences == compose(300, seed=5) != compose(300, seed=6)
    phones = {phone.rstrip("012") for text in sentences for phone in phonemize(text, "en").phones}
    assert set(CLASSES) - {"SIL"} <= phones
