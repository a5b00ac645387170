"""Which words of a known English text are said in each slice of a recording: pocketsphinx and the model in its wheel.

Each slice is recognised by itself with a grammar that takes any run of the text's words, so a wrong text is noticed:
runs that do not follow one another are not believed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import pocketsphinx

from voice_trainer.recordings.decoding import Samples

RATE: Final = 16_000  # Hz, of the model
FULL_SCALE: Final = 32767
LOUDNESS: Final = 0.06  # RMS: one level for all
JOINT: Final = 3  # words between two slices that are given to one of both, by which fits better
# A text is believed by how much better than any phones it explains a slice, in the decoder's log likelihood a second.
# Of four readers (LJSpeech, LibriSpeech) right texts have 0.11 to 0.29, wrong ones -0.12 to 0.00.
LEAST_MARGIN: Final = 0.05
SLOWEST: Final = 0.7  # words a second; a search that did not reach a word's end has fewer
WINDOW: Final = 300  # words that are looked at beyond what was reached: the time of a search is proportional to it
BEHIND: Final = 10  # words before

_FILLERS: Final = ("SIL", "<", "[", "+", "(")

Pronounce = Callable[[str], Sequence[str]]
"""Return the ARPAbet phones (without stress) of a word; empty: it is not spoken."""


@dataclass(frozen=True)
class Aligned:
    """What is said in each slice, and what of the text was found nowhere."""

    texts: tuple[str, ...]  # one for each slice; empty where that cannot be told
    missing: tuple[str, ...] = ()  # runs of words that no slice has


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
        any_phones = Path(pocketsphinx.get_model_path("en-us")) / "en-us-phone.lm.bin"
        self._decoder.add_allphone_file("phones", str(any_phones))

    def align(self, slices: Sequence[Samples]) -> Aligned:
        """Return the text of each slice.

        Args:
            slices: (samples) at 16 kHz each, in the order of the recording.
        """
        if not self._spoken:
            return Aligned(("",) * len(slices))
        runs = self._runs(slices)
        chain = _longest_chain(runs)
        believed = [run if number in chain else None for number, run in enumerate(runs)]
        for first, second in pairwise(chain):
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

    def _runs(self, slices: Sequence[Samples]) -> list[tuple[int, int] | None]:
        """Recognise each slice within the words that may come next; the window grows while nothing is believed."""
        runs: list[tuple[int, int] | None] = []
        reached = doubtful = 0
        for samples in slices:
            last = min(len(self._spoken), reached + WINDOW + doubtful * WINDOW // 3)
            run = self._run(samples, max(0, reached - BEHIND), last)
            reached, doubtful = (run[1], 0) if run else (reached, doubtful + 1)
            runs.append(run)
        return runs

    def _take_any_run(self, first: int, last: int) -> None:
        """Make the grammar "run": state n stands before the n-th word of a window; a run begins and ends anywhere."""
        count = last - first
        start, end = count + 1, count + 2
        arcs: list[tuple[object, ...]] = []
        for number in range(count):
            arcs.append((start, number, 1.0 / count))
            arcs.append((number, number + 1, 1.0, _name(self._spoken[first + number])))
            arcs.append((number + 1, end, 1.0))
        self._decoder.add_fsg("run", self._decoder.create_fsg("run", start, end, arcs))

    def _run(self, samples: Samples, first: int, last: int) -> tuple[int, int] | None:
        """Return the first recognised word of a window and the one after the last, by number; None: not believed.

        Words that are said explain the sound better than a loop of any phones, and are about as many as people say.
        """
        self._take_any_run(first, last)
        found = self._search("run", samples)
        places = [int(segment.word[1:].partition("(")[0]) for segment in found]
        seconds = len(samples) / RATE
        if not places or len(places) < SLOWEST * seconds:
            return None
        margin = self._likelihood()
        self._search("phones", samples)
        if margin - self._likelihood() < LEAST_MARGIN * seconds:
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
        if scores:
            border = max(scores, key=lambda border: scores[border])
            runs[first], runs[first + 1] = (left[0], border), (border, right[1])

    def _score(self, samples: Samples, begin: int, end: int) -> float | None:
        """Return the log likelihood of a slice, given its words; None where they do not fit."""
        arcs = [(number, number + 1, 1.0, _name(self._spoken[begin + number])) for number in range(end - begin)]
        self._decoder.add_fsg("fixed", self._decoder.create_fsg("fixed", 0, end - begin, arcs))
        found = self._search("fixed", samples)
        return self._likelihood() if len(found) == end - begin else None

    def _search(self, name: str, samples: Samples) -> list[pocketsphinx.Segment]:
        """Decode a slice by one of the grammars; return the words or phones without silence and noises."""
        self._decoder.activate_search(name)
        power = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0
        levelled = np.clip(samples * (LOUDNESS / max(power, 1e-6)), -1, 1)
        self._decoder.start_utt()
        self._decoder.process_raw((levelled * FULL_SCALE).astype("<i2").tobytes(), no_search=False, full_utt=True)
        self._decoder.end_utt()
        return [segment for segment in self._decoder.seg() or () if not segment.word.startswith(_FILLERS)]

    def _likelihood(self) -> float:
        """Return the log likelihood of the last search's result, in the decoder's own scale."""
        found = self._decoder.hyp()
        return math.log(found.best_score) if found is not None and found.best_score > 0 else -math.inf

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
        """Return the words of a run as they are written; a sign that is not spoken goes with what it follows."""
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
            in_order = before[0] < run[0] and before[1] < run[1]
            apart = overlap <= (JOINT if number == earlier + 1 else 0)
            together = words + length - max(overlap, 0)
            if in_order and apart and together > best[number][0]:
                best[number] = (together, earlier)
    chain: list[int] = []
    at = max(best, key=lambda number: best[number][0], default=None)
    while at is not None:
        chain.append(at)
        at = best[at][1]
    return chain[::-1]


def _name(place: int) -> str:
    return f"w{place}"
