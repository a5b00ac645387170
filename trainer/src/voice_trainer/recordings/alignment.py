"""Which words of a known English text are said in each slice of a recording: pocketsphinx and the model in its wheel.

Each slice is recognised by itself with a grammar that takes any run of the text's words, so a wrong text is noticed:
runs that do not follow one another are not believed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pocketsphinx

from voice_trainer.recordings.decoding import Samples

RATE: Final = 16_000  # Hz, of the model
FULL_SCALE: Final = 32767
LOUDNESS: Final = 0.06  # RMS: one level for all
JOINT: Final = 3  # words between two slices that are given to one of both, by which fits better
LOST_WORDS: Final = 60  # of a text in sequence; a slice that skips more is taken for a mistake

_FILLERS: Final = ("<", "[", "+", "(")

Pronounce = Callable[[str], Sequence[str]]
"""Return the ARPAbet phones (without stress) of a word; empty: it is not spoken."""


@dataclass(frozen=True)
class Aligned:
    """What is said in each slice, and what of the text was found nowhere."""

    texts: tuple[str, ...]  # one for each slice; empty where that cannot be told
    missing: tuple[str, ...] = field(default=())  # runs of words that no slice has


class Aligner:
    """Holds one text and the decoder that knows its words."""

    def __init__(self, text: str, pronounce: Pronounce) -> None:
        """Give each place of the text a word of its own, so that what is recognised names the place."""
        self.words = text.split()
        self._decoder = pocketsphinx.Decoder(samprate=RATE, loglevel="FATAL", lm=None)
        self._spoken: list[int] = []  # places of words that have a pronunciation
        for place, word in enumerate(self.words):
            found = self._pronunciations(word, pronounce)
            for number, phones in enumerate(found):
                name = _name(place) if not number else f"{_name(place)}({number + 1})"
                self._decoder.add_word(name, phones, update=False)
            self._spoken += [place] if found else []
        if self._spoken:
            self._take_any_run()

    def align(self, slices: Sequence[Samples]) -> Aligned:
        """Return the text of each slice.

        Args:
            slices: (samples) at 16 kHz each, in the order of the recording.
        """
        if not self._spoken:
            return Aligned(("",) * len(slices))
        runs = [self._run(samples) for samples in slices]
        chain = _longest_chain(runs)
        believed = [run if number in chain else None for number, run in enumerate(runs)]
        for first, second in zip(chain, chain[1:], strict=False):
            if second == first + 1:
                self._share(believed, first, slices)
        return self._texts(believed)

    def _pronunciations(self, word: str, pronounce: Pronounce) -> list[str]:
        """Return a word's pronunciations: the model's own dictionary, else the front end's."""
        plain = re.sub(r"[^a-z']", "", word.lower().replace("\u2019", "'")).strip("'")
        found = []
        if plain and not any(sign.isdigit() for sign in word):
            for name in (plain, *(f"{plain}({number})" for number in range(2, 6))):
                phones = self._decoder.lookup_word(name)
                found += [phones] if phones else []
        return found or [phones for phones in [" ".join(pronounce(word))] if phones]

    def _take_any_run(self) -> None:
        """Choose the grammar: state n stands before the n-th spoken word; a run begins and ends anywhere."""
        count = len(self._spoken)
        start, end = count + 1, count + 2
        arcs: list[tuple[object, ...]] = []
        for number, place in enumerate(self._spoken):
            arcs.append((start, number, 1.0 / count))
            arcs.append((number, number + 1, 1.0, _name(place)))
            arcs.append((number + 1, end, 1.0))
        self._decoder.add_fsg("run", self._decoder.create_fsg("run", start, end, arcs))
        self._decoder.activate_search("run")

    def _run(self, samples: Samples) -> tuple[int, int] | None:
        """Return the first recognised place and the one after the last, in counts of spoken words."""
        _decode(self._decoder, samples)
        places = [int(found.word[1:].partition("(")[0]) for found in self._decoder.seg() or () if _is_word(found.word)]
        if not places:
            return None
        return self._spoken.index(places[0]), self._spoken.index(places[-1]) + 1

    def _share(self, runs: list[tuple[int, int] | None], first: int, slices: Sequence[Samples]) -> None:
        """Give the few words between two neighbours to the one that they fit better."""
        left, right = runs[first], runs[first + 1]
        assert left is not None  # noqa: S101 -- both are links of the chain
        assert right is not None  # noqa: S101
        low, high = min(left[1], right[0]), max(left[1], right[0])
        if not 0 < high - low <= JOINT:
            return
        scores = {}
        for border in range(low, high + 1):
            if left[0] < border < right[1]:
                one = self._score(slices[first], left[0], border)
                other = self._score(slices[first + 1], border, right[1])
                if one is not None and other is not None:
                    scores[border] = one + other
        self._decoder.activate_search("run")
        if scores:
            border = max(scores, key=lambda border: scores[border])
            runs[first], runs[first + 1] = (left[0], border), (border, right[1])

    def _score(self, samples: Samples, begin: int, end: int) -> float | None:
        """Return the log likelihood of a slice, given its words; None where they do not fit."""
        arcs = [(number, number + 1, 1.0, _name(self._spoken[begin + number])) for number in range(end - begin)]
        self._decoder.add_fsg("fixed", self._decoder.create_fsg("fixed", 0, end - begin, arcs))
        self._decoder.activate_search("fixed")
        _decode(self._decoder, samples)
        found = [segment for segment in self._decoder.seg() or () if _is_word(segment.word)]
        if len(found) < end - begin:
            return None
        return float(self._decoder.hyp().best_score)

    def _texts(self, runs: Sequence[tuple[int, int] | None]) -> Aligned:
        """Return the words of each run as they are written, and those between runs that nobody has."""
        texts: list[str] = []
        missing: list[str] = []
        reached = 0  # in counts of spoken words
        for run in runs:
            if run is None:
                texts.append("")
                continue
            if run[0] > reached:
                missing.append(self._written(reached, run[0]))
            texts.append(self._written(*run))
            reached = run[1]
        if reached < len(self._spoken):
            missing.append(self._written(reached, len(self._spoken)))
        return Aligned(tuple(texts), tuple(missing))

    def _written(self, begin: int, end: int) -> str:
        """Return the words from the begin-th spoken to before the end-th; what is not spoken goes with what it follows."""
        last = self._spoken[end] if end < len(self._spoken) else len(self.words)
        first = self._spoken[begin] if begin else 0
        return " ".join(self.words[first:last])


def _longest_chain(runs: Sequence[tuple[int, int] | None]) -> list[int]:
    """Return the numbers of the slices whose runs follow one another, as many words as possible.

    Two runs may overlap by a few words, whose border is found later; nothing else may come twice or backwards.
    """
    best: dict[int, tuple[int, int | None]] = {}  # words up to here, and the slice before
    for number, run in enumerate(runs):
        if run is None:
            continue
        length = run[1] - run[0]
        best[number] = (length, None)
        for earlier, (words, _) in list(best.items())[:-1]:
            before = runs[earlier]
            assert before is not None  # noqa: S101 -- only runs are in best
            overlap = before[1] - run[0]
            fits = -LOST_WORDS * (number - earlier) <= overlap <= (JOINT if number == earlier + 1 else 0)
            if (
                fits
                and before[0] < run[0]
                and before[1] < run[1]
                and words + length - max(overlap, 0) > best[number][0]
            ):
                best[number] = (words + length - max(overlap, 0), earlier)
    chain: list[int] = []
    at = max(best, key=lambda number: best[number][0], default=None)
    while at is not None:
        chain.append(at)
        at = best[at][1]
    return chain[::-1]


def _decode(decoder: pocketsphinx.Decoder, samples: Samples) -> None:
    power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
    levelled = np.clip(samples * (LOUDNESS / max(power, 1e-6)), -1, 1)
    decoder.start_utt()
    decoder.process_raw((levelled * FULL_SCALE).astype("<i2").tobytes(), no_search=False, full_utt=True)
    decoder.end_utt()


def _name(place: int) -> str:
    return f"w{place}"


def _is_word(name: str) -> bool:
    return not name.startswith(_FILLERS) and name != "SIL" and name != "(NULL)"
