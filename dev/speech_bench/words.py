"""Missing words: how many sentences lack one, without and with `verify`, and how well the listener notices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from dev.speech_bench.subjects import Subject
from dev.voice_bench.texts import plain as plain_words
from dev.voice_bench.texts import sentences
from sovits_core.text import phonemize
from voice_inference.bundles.base import load_base
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.engine.engine import Engine
from voice_inference.engine.listening import LANGUAGE, Listener
from voice_inference.engine.sentence import Options, Segment
from voice_inference.metrics import Metrics

TEXTS, SEEDS = 30, 20


class HeardSentence(NamedTuple):
    """A sentence, and its words that are not heard."""

    text: str
    missing: tuple[str, ...]


def measure(subject: Subject) -> dict[str, Any]:
    """Speak 30 sentences with 20 seeds each, plainly and with a listener; another listener scores both."""
    voice = _voice(subject)
    scorer, verifier = Listener(), Listener()
    plain: list[HeardSentence] = []
    verified: list[HeardSentence] = []
    for text in sentences()[:TEXTS]:
        for seed in range(SEEDS):
            segment = _speak(voice, text, seed, None)
            plain.append(HeardSentence(text, _missing(scorer, voice, text, segment.samples)))
            again = _speak(voice, text, seed, verifier)
            verified.append(HeardSentence(text, _missing(scorer, voice, text, again.samples)))
    return {
        "sentences": len(plain),
        "lackingAWord": {"plain": _share(plain, _any), "verify": _share(verified, _any)},
        "lackingFirstOrLast": {"plain": _share(plain, _first_or_last), "verify": _share(verified, _first_or_last)},
        "noticed": _noticed(scorer, voice),
    }


def _noticed(scorer: Listener, voice: Voice) -> dict[str, float]:
    """Return the share of missing words that are noticed: each sentence is spoken without one of its words."""
    found: dict[str, list[bool]] = {"first": [], "within": [], "last": []}
    for text in sentences()[:TEXTS]:
        words = text.rstrip(".?!").split()
        for place, index in (("first", 0), ("within", len(words) // 2), ("last", len(words) - 1)):
            shorter = " ".join(words[:index] + words[index + 1 :]) + text[-1]
            samples = _speak(voice, shorter, 0, None).samples
            if not _missing(scorer, voice, shorter, samples):  # what is left was said
                found[place].append(bool(_missing(scorer, voice, text, samples)))
    return {place: round(sum(noticed) / len(noticed), 3) for place, noticed in found.items() if noticed}


def _speak(voice: Voice, text: str, seed: int, listener: Listener | None) -> Segment:
    (segment,) = Engine(Metrics()).synthesize(
        voice, text, language=LANGUAGE, seed=seed, is_cancelled=lambda: False, options=Options(listener=listener)
    )
    return segment


def _missing(listener: Listener, voice: Voice, text: str, samples: NDArray[np.float32]) -> tuple[str, ...]:
    words = listener.listen(samples, voice.base.sample_rate, phonemize(text, LANGUAGE).segments)
    return tuple(one.word for one in words if not one.is_heard)


def _any(heard: HeardSentence) -> bool:
    return bool(heard.missing)


def _first_or_last(heard: HeardSentence) -> bool:
    words = plain_words(heard.text).split()
    return bool(heard.missing) and (heard.missing[0] == words[0] or heard.missing[-1] == words[-1])


def _share(rows: Sequence[HeardSentence], lacking: Callable[[HeardSentence], bool]) -> float:
    return round(sum(map(lacking, rows)) / len(rows), 4)


def _voice(subject: Subject) -> Voice:
    base = load_base(subject.base["uri"], BaseReference(**subject.base), threads=1)
    folder = Path(urlsplit(subject.voice["uri"]).path)
    return load_voice(folder, VoiceReference(**subject.voice), base)
