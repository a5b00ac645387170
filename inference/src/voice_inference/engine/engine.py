"""Text to audio with one voice: sentences, phones, semantic tokens, samples; numpy and ONNX Runtime only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import InvalidModelInput, TextModelRejected, TextRejected
from sovits_core.text import PhonemeSegment, foreign_letters, phone_ids, phonemize_for_synthesis
from voice_inference.bundles.voice import Voice
from voice_inference.engine.audio import Samples, limit_peak
from voice_inference.engine.parts import PartDecoder, next_part
from voice_inference.engine.reading import passages
from voice_inference.engine.tokens import FinishReason, Ids, IsCancelled, TokenStream
from voice_inference.errors import InvalidRequest, SynthesisFailed
from voice_inference.metrics import Metrics

FINAL_MARKS = frozenset(".!?")
TOKENS_PER_SECOND = 25
LETTERS_SHOWN = 20


class Sentence(NamedTuple):
    """What is spoken in one go."""

    phones: Ids
    parts: tuple[PhonemeSegment, ...]
    """Runs of one language each; a full stop that was added after them belongs to none."""
    pause: float
    """Seconds of silence before the next one."""


@dataclass(frozen=True)
class Segment:
    """Audio of one sentence or of a part of one, to be played right after the segment before it."""

    samples: Samples
    """float32 (samples,) at the base's rate; the pause after the previous sentence is part of it."""
    pause: int
    """Samples of silence at the start of ``samples``; 0 in the first segment, and within a sentence."""
    tokens: Ids
    """int64 (T,) semantic tokens of the sentence since the last segment, 25 per second, without the end token."""
    finish_reason: FinishReason | None
    """None while the sentence goes on."""


class _Draws(NamedTuple):
    """The random generators of a sentence; apart, so that parts that are decoded early change no token."""

    tokens: np.random.Generator
    noise: np.random.Generator


class Engine:
    """Holds no state between calls, so any number of threads may use it at the same time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for reason in FinishReason:  # both series exist from the start, at 0
            metrics.segments.labels(reason)

    def synthesize(
        self, voice: Voice, text: str, *, language: str, seed: int, is_cancelled: IsCancelled, early: bool = False
    ) -> Iterator[Segment]:
        """Yield one segment per sentence, each but the first after a pause.

        With ``early`` the first sentence comes in parts while it is still being spoken, the first of 0.4 s; the others
        are ready before they are due. Joined, its parts are as long as the whole and sound alike, not the same.
        The same voice, text, language, seed and ``early`` give the same samples on the same machine.

        Raises:
            InvalidRequest: the language is not offered, or there is nothing to speak.
            Cancelled: ``is_cancelled`` returned true between two tokens.
            SynthesisFailed: the networks returned no proper audio.
        """
        rate, pause = voice.base.sample_rate, 0
        for number, sentence in enumerate(sentences_of(text, language, voice)):
            # Generators of its own: a sentence's audio must not depend on the draws of those before it.
            draws = _Draws(np.random.default_rng([seed, number]), np.random.default_rng([seed, number, 1]))
            try:
                yield from self._speak(voice, sentence, draws, is_cancelled, pause, early=early and not number)
            except InvalidModelInput as error:  # logits that are not finite
                raise SynthesisFailed(str(error)) from error
            pause = round(sentence.pause * rate)

    def _speak(
        self,
        voice: Voice,
        sentence: Sentence,
        draws: _Draws,
        is_cancelled: IsCancelled,
        pause: int,
        *,
        early: bool,
    ) -> Iterator[Segment]:
        started, waited = time.perf_counter(), 0.0
        stream = TokenStream(voice, sentence.phones, bert_features(voice, sentence), draws.tokens, is_cancelled)
        decoder = PartDecoder(voice, sentence.phones, draws.noise)
        given = 0  # tokens of segments before
        due = next_part(0)
        for said in stream:
            if early and said == due:
                tokens = stream.said
                samples = limit_peak(decoder.push(tokens))
                asked = time.perf_counter()
                yield Segment(samples, 0, tokens[given:], None)
                waited += time.perf_counter() - asked  # for this caller's next turn
                given, due = said, next_part(said)
        tokens = stream.said
        samples = limit_peak(decoder.finish(tokens))
        seconds = tokens.size / TOKENS_PER_SECOND
        self._metrics.audio_seconds.inc(seconds)
        self._metrics.real_time_factor.observe((time.perf_counter() - started - waited) / seconds)
        self._metrics.segments.labels(stream.finish_reason).inc()
        silence = np.zeros(pause, dtype=np.float32)
        yield Segment(np.concatenate([silence, samples]), pause, tokens[given:], stream.finish_reason)


def bert_features(voice: Voice, sentence: Sentence) -> NDArray[np.float32]:
    """Return float32 (1, T, width) for the phones of prompt and sentence: zeros where the base has no BERT."""
    prompt, base = voice.prompt, voice.base
    start = prompt.phones.size
    features = np.zeros((1, start + sentence.phones.size, base.prefill.shapes["bert"][2] or 0), dtype=np.float32)
    if base.bert is not None:
        encoded = base.bert.features(sentence.parts)
        features[0, start : start + len(encoded)] = encoded
        if prompt.bert_features is not None:
            features[0, :start] = prompt.bert_features
    return features


def sentences_of(text: str, language: str, voice: Voice) -> list[Sentence]:
    """Split the text into sentences with their phones; those without a word are dropped.

    Raises:
        InvalidRequest: the base or the text front end does not offer the language, or no sentence has a word.
        SynthesisFailed: the base's network for polyphones failed.
    """
    if language not in voice.base.document.languages:
        offered = ", ".join(voice.base.document.languages)
        raise InvalidRequest(f"language {language!r} is not offered; use one of {offered}.", field="language")
    if foreign := foreign_letters(text, language):
        raise InvalidRequest(
            f"input has {shown(foreign)}, which no word of language {language!r} is written with; "
            "write what is to be spoken in that language.",
            field="input",
        )
    sentences, refusal = [], None
    for passage in passages(text):
        try:
            phonemes = phonemize_for_synthesis(
                passage.text, language, voice.base.document.symbols, voice.base.polyphones
            )
        except TextRejected as error:
            refusal = refusal or error
            continue
        except TextModelRejected as error:
            raise SynthesisFailed(str(error)) from error
        phones = phonemes.phones if phonemes.phones[-1] in FINAL_MARKS else (*phonemes.phones, ".")
        ids = np.array(phone_ids(phones, voice.base.document.symbols), dtype=np.int64)
        sentences.append(Sentence(ids, phonemes.segments, passage.pause))
    if not sentences:
        raise InvalidRequest(f"input: {refusal or 'there is nothing to speak'}.", field="input") from refusal
    return sentences


def shown(letters: str) -> str:
    """Return some letters as a message quotes them."""
    return repr(letters if len(letters) <= LETTERS_SHOWN else letters[:LETTERS_SHOWN] + "…")
