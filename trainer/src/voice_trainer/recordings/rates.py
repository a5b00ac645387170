"""Whether texts are as long as what is said: speaking rates, beside the language's and those of the other clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from sovits_core.text.scripts import SILENT
from voice_trainer.recordings.findings import WHOLE, Finding

# Phones a second of voice, without pauses. Syllables a second: the median of texts that ten speakers of each language
# read, in the data of Coupé et al. 2019, Different languages, similar encoding efficiency, doi:10.1126/sciadv.aaw2594.
# Phones of a syllable: the front end's, in the sentences that voices are evaluated with.
USUAL_RATES: Final[Mapping[str, float]] = {
    "en": 6.33 * 2.62,
    "ja": 7.98 * 1.86,
    "ko": 7.17 * 2.43,
    "yue": 5.59 * 2.0,
    "zh": 5.84 * 2.0,
}
MIN_CLIPS: Final = 4  # that have a usual rate
MIN_SPEECH_SECONDS: Final = 1.5  # of a clip whose rate is compared: a pause counts too much in less
MIN_LISTED: Final = 10  # clips whose lengths can be correlated
MIN_SPREAD: Final = 0.2  # standard deviation of log lengths: with less there is nothing to correlate
# Seven readers of English have 0.96 to 1.00, their lists shifted by any number of lines 0.38 at most.
WARN_AGREEMENT, REFUSE_AGREEMENT = 0.75, 0.5
# A list is refused where half of its clips are also off by this factor, and not for one or two wrong lines. Right lists
# have 1.02 to 1.16, shifted ones 1.23 and more.
REFUSE_RATIO: Final = 1.2


def spoken(phones: Sequence[str]) -> int:
    """Return how many phones are spoken: no punctuation, no marks of borders and spaces."""
    return sum(phone[:1].isalpha() and phone not in SILENT for phone in phones)


def relative_rate(count: int, seconds: float, language: str) -> float | None:
    """Return how fast ``count`` phones are spoken beside the usual rate of the language; None: nothing is spoken."""
    return count / seconds / USUAL_RATES[language] if seconds > 0 else None


def rate_ratios(counts: Sequence[int], seconds: Sequence[float]) -> list[float | None]:
    """Return for each clip by which factor (1 or more) it is faster or slower than the median one; None: unknown."""
    known = [n / s if s >= MIN_SPEECH_SECONDS and n else None for n, s in zip(counts, seconds, strict=True)]
    rates = [rate for rate in known if rate is not None]
    if len(rates) < MIN_CLIPS:
        return [None] * len(known)
    usual = float(np.median(rates))
    return [None if rate is None else max(rate / usual, usual / rate) for rate in known]


def length_agreement(counts: Sequence[int], seconds: Sequence[float]) -> float | None:
    """Return how the lengths of texts and of speech go together: the correlation of their logarithms.

    None where there are few clips, or all texts or all clips are about equally long.
    """
    pairs = np.array([(n, s) for n, s in zip(counts, seconds, strict=True) if n and s > 0], dtype=np.float64)
    if len(pairs) < MIN_LISTED or (np.log(pairs).std(axis=0) < MIN_SPREAD).any():
        return None
    return float(np.corrcoef(np.log(pairs).T)[0, 1])


def judge_lengths(counts: Sequence[int], seconds: Sequence[float]) -> tuple[Finding, ...]:
    """Return a finding about the whole list where texts are not as long as what is said."""
    agreement = length_agreement(counts, seconds)
    if agreement is None or agreement >= WARN_AGREEMENT:
        return ()
    ratios = [ratio for ratio in rate_ratios(counts, seconds) if ratio is not None]
    is_refused = agreement < REFUSE_AGREEMENT and bool(ratios) and float(np.median(ratios)) > REFUSE_RATIO
    bound = REFUSE_AGREEMENT if is_refused else WARN_AGREEMENT
    sentence = (
        f"long texts are not those of long clips: their lengths go together by {agreement:.2f} (correlation, at least "
        f"{bound:.2f}); the list is shifted or shuffled, so give each clip its own text"
    )
    return (Finding(WHOLE, "TextMismatch", sentence, "refusal" if is_refused else "warning"),)
