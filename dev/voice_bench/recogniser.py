"""An independent recogniser: pocketsphinx with the US English model of its own wheel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pocketsphinx

from dev.errors import DevError
from dev.voice_bench.audio import RATE, Wave
from dev.voice_bench.texts import phones_of, plain

FRAMES_PER_SECOND = 100
FULL_SCALE = 32767
LOUDNESS = 0.06  # RMS: one level for all
NOT_PHONES = ("SIL", "+", "(", "<", "[")  # prefixes of silence and of the model's noises


@dataclass(frozen=True)
class Segment:
    """A phone (ARPAbet without stress, or SIL and noises like +NSN+) with its times in seconds."""

    phone: str
    start: float
    end: float

    @property
    def is_speech(self) -> bool:
        """Whether this is a phone rather than silence or noise."""
        return not self.phone.startswith(NOT_PHONES)


class Recogniser:
    """Three searches over one acoustic model; calls do not influence one another."""

    def __init__(self) -> None:
        self._words = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL")
        model = Path(pocketsphinx.get_model_path("en-us"))
        # The phone search has no dictionary as a constraint, so its beams and its bigrams' weight differ.
        self._phones = pocketsphinx.Decoder(
            samprate=RATE, loglevel="FATAL", lm=None, allphone=str(model / "en-us-phone.lm.bin"),
            lw=2.0, beam=1e-20, pbeam=1e-20,
        )  # fmt: skip
        self._grammars: dict[tuple[str, ...], pocketsphinx.Decoder] = {}

    def words(self, wav16: Wave) -> str:
        """Return the recognised words, in lower case; empty where there are none."""
        return _hypothesis(self._words, wav16)

    def pick(self, wav16: Wave, sentences: Sequence[str]) -> int | None:
        """Return the index of the recognised sentence of a closed set.

        Args:
            wav16: (samples) at 16 kHz.
            sentences: the closed set, no two with the same words.

        Returns:
            The index, or None where no sentence is recognised to its end.

        Raises:
            DevError: two sentences have the same words.
        """
        spoken = tuple(plain(sentence) for sentence in sentences)
        if spoken not in self._grammars:
            self._grammars[spoken] = self._closed_set(spoken)
        recognised = _hypothesis(self._grammars[spoken], wav16)
        return spoken.index(recognised) if recognised in spoken else None

    def phones(self, wav16: Wave) -> list[str]:
        """Return the phones, recognised without words or dictionary: ARPAbet, no stress, no silence."""
        return [segment.phone for segment in self.segments(wav16) if segment.is_speech]

    def segments(self, wav16: Wave) -> list[Segment]:
        """Return phones, silences and noises with their times."""
        if not wav16.any():
            return []
        decode(self._phones, wav16)
        return [
            Segment(found.word, found.start_frame / FRAMES_PER_SECOND, (found.end_frame + 1) / FRAMES_PER_SECOND)
            for found in self._phones.seg() or ()
        ]

    def _closed_set(self, sentences: tuple[str, ...]) -> pocketsphinx.Decoder:
        if len(set(sentences)) < len(sentences):
            twice = next(one for one in sentences if sentences.count(one) > 1)
            raise DevError(f"the sentence {twice!r} is twice in the closed set", remedy="change one of the two")
        decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", lm=None)
        add_pronunciations(decoder, {word for sentence in sentences for word in sentence.split()})
        alternatives = " | ".join(sentences)
        decoder.add_jsgf_string("closed", f"#JSGF V1.0; grammar closed; public <sentence> = {alternatives};")
        decoder.activate_search("closed")
        return decoder


def _hypothesis(decoder: pocketsphinx.Decoder, wav16: Wave) -> str:
    if not wav16.any():  # digital silence is not in the model's training data: it recognises "room" in it
        return ""
    decode(decoder, wav16)
    found = decoder.hyp()
    return str(found.hypstr) if found is not None else ""


def add_pronunciations(decoder: pocketsphinx.Decoder, words: Iterable[str]) -> None:
    """Extend the pronunciation lexicon by our own front end; before a search is chosen."""
    for word in words:
        if decoder.lookup_word(word) is None:
            decoder.add_word(word, " ".join(phones_of(word)), update=False)


def decode(decoder: pocketsphinx.Decoder, wav16: Wave) -> None:
    """Decode one utterance as a whole: cepstral mean and noise estimate are its own."""
    decoder.reinit_feat()  # resets the noise estimate
    level = float(np.sqrt(np.mean(np.square(wav16, dtype=np.float64))))
    pcm = (np.clip(wav16 * (LOUDNESS / level), -1.0, 1.0) * FULL_SCALE).astype("<i2").tobytes()
    decoder.start_utt()
    decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()
