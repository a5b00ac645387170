"""Text to audio with one voice: sentences, phones, semantic tokens, samples; numpy and ONNX Runtime only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import InvalidModelInput, TextModelRejected, TextRejected
from sovits_core.synthesis.sampling import Sampler
from sovits_core.text import PhonemeSegment, foreign_letters, phone_ids, phonemize_for_synthesis, split_sentences
from voice_inference.bundles.sessions import Tensor
from voice_inference.bundles.voice import Voice
from voice_inference.engine.audio import Samples, limit_peak
from voice_inference.engine.decoding import TokenDecoder
from voice_inference.errors import Cancelled, InvalidRequest, SynthesisFailed
from voice_inference.metrics import Metrics

SENTENCE_CHARACTERS = 200  # longer sentences are split at clauses: attention and the prompt's prosody fade beyond
FINAL_MARKS = frozenset(".!?")
PAUSE_SECONDS = 0.25  # between sentences
# Speech has 10 to 15 phones per second, slow speech 4, at 25 tokens per second: the limit stops loops alone.
TOKENS_PER_PHONE = 6
MIN_TOKEN_LIMIT = 25
MAX_TOKENS = 1500  # one minute, the networks' own limit
NOISE_SCALE = 0.5
LETTERS_SHOWN = 20

log = logging.getLogger(__name__)
IsCancelled = Callable[[], bool]
Ids = NDArray[np.int64]


class Sentence(NamedTuple):
    """The phones of one segment."""

    phones: Ids
    parts: tuple[PhonemeSegment, ...]
    """Runs of one language each; a full stop that was added after them belongs to none."""


class FinishReason(StrEnum):
    """How the token loop of a segment ended."""

    END_TOKEN = "end_token"  # noqa: S105 -- a semantic token, no secret
    MAX_LENGTH = "max_length"


@dataclass(frozen=True)
class Segment:
    """The audio of one sentence, to be played right after the segment before it."""

    samples: Samples
    """float32 (samples,) at the base's rate; the pause after the previous segment is part of it."""
    pause: int
    """Samples of silence at the start of ``samples``; 0 in the first segment."""
    tokens: Ids
    """int64 (T,) semantic tokens, 25 per second, without the end token."""
    finish_reason: FinishReason


class Engine:
    """Holds no state between calls, so any number of threads may use it at the same time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for reason in FinishReason:  # both series exist from the start, at 0
            metrics.segments.labels(reason)

    def synthesize(
        self, voice: Voice, text: str, *, language: str, seed: int, is_cancelled: IsCancelled
    ) -> Iterator[Segment]:
        """Yield one segment per sentence, each but the first with a short pause before it.

        The same voice, text, language and seed give the same samples on the same machine.

        Raises:
            InvalidRequest: the language is not offered, or there is nothing to speak.
            Cancelled: ``is_cancelled`` returned true between two tokens.
            SynthesisFailed: the networks returned no proper audio.
        """
        rate = voice.base.sample_rate
        silence = np.zeros(round(PAUSE_SECONDS * rate), dtype=np.float32)
        for number, sentence in enumerate(sentences_of(text, language, voice)):
            started = time.perf_counter()
            # One generator per sentence: its audio must not depend on the draws of those before it.
            rng = np.random.default_rng([seed, number])
            try:
                tokens, finish_reason = _tokens(voice, sentence, rng, is_cancelled)
                samples = limit_peak(_decode(voice, tokens, sentence.phones, rng))
            except InvalidModelInput as error:  # logits that are not finite
                raise SynthesisFailed(str(error)) from error
            seconds = samples.size / rate
            self._metrics.audio_seconds.inc(seconds)
            self._metrics.real_time_factor.observe((time.perf_counter() - started) / seconds)
            self._metrics.segments.labels(finish_reason).inc()
            pause = silence if number else silence[:0]
            yield Segment(np.concatenate([pause, samples]), pause.size, tokens, finish_reason)


def max_tokens(phones: int) -> int:
    """Return the maximum length, in tokens, of a sentence of so many phones."""
    return min(MAX_TOKENS, MIN_TOKEN_LIMIT + TOKENS_PER_PHONE * phones)


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
    for sentence in split_sentences(text, SENTENCE_CHARACTERS):
        try:
            phonemes = phonemize_for_synthesis(sentence, language, voice.base.document.symbols, voice.base.polyphones)
        except TextRejected as error:
            refusal = refusal or error
            continue
        except TextModelRejected as error:
            raise SynthesisFailed(str(error)) from error
        phones = phonemes.phones if phonemes.phones[-1] in FINAL_MARKS else (*phonemes.phones, ".")
        ids = np.array(phone_ids(phones, voice.base.document.symbols), dtype=np.int64)
        sentences.append(Sentence(ids, phonemes.segments))
    if not sentences:
        raise InvalidRequest(f"input: {refusal or 'there is nothing to speak'}.", field="input") from refusal
    return sentences


def shown(letters: str) -> str:
    """Return some letters as a message quotes them."""
    return repr(letters if len(letters) <= LETTERS_SHOWN else letters[:LETTERS_SHOWN] + "…")


def _tokens(
    voice: Voice, sentence: Sentence, rng: np.random.Generator, is_cancelled: IsCancelled
) -> tuple[Ids, FinishReason]:
    """Return the semantic tokens (T,) of a sentence, the prompt's not among them, and how the loop ended."""
    prompt, phones = voice.prompt, sentence.phones
    inputs: dict[str, Tensor] = {
        "phones": np.concatenate([prompt.phones, phones])[None],  # (1, T)
        "bert": bert_features(voice, sentence),  # (1, T, width)
        "prompt": prompt.tokens[None],  # (1, P)
    }
    prefill = voice.base.prefill.run(inputs, voice.prefill)
    decoder = TokenDecoder(voice, prefill["keys"], prefill["values"])
    sampling = voice.base.document.sampling.choice()
    sampler = Sampler(sampling, rng, voice.base.end_token, prompt.tokens.tolist())
    logits = prefill["logits"][0]
    tokens: list[int] = []
    limit = max_tokens(phones.size)
    while len(tokens) < limit:
        if is_cancelled():
            raise Cancelled("The client has disconnected.")
        choice = sampler.choose(logits)
        if choice.stop:
            return np.array(tokens, dtype=np.int64), FinishReason.END_TOKEN
        tokens.append(choice.token)
        if len(tokens) < limit:
            logits = decoder.step(choice.token, prompt.tokens.size + len(tokens) - 1)
    log.info("a sentence of %d phones has no end token after %d tokens", phones.size, limit)
    return np.array(tokens, dtype=np.int64), FinishReason.MAX_LENGTH


def _decode(voice: Voice, tokens: Ids, phones: Ids, rng: np.random.Generator) -> Samples:
    """Return the samples (samples,) of semantic tokens."""
    channels = voice.base.decode.shapes["noise"][1]
    noise = rng.standard_normal((1, channels or 0, 2 * tokens.size), dtype=np.float32) * np.float32(NOISE_SCALE)
    inputs: dict[str, Tensor] = {
        "codes": tokens[None],  # (1, T)
        "text": phones[None],  # (1, phones)
        "ge": voice.prompt.speaker_embedding,  # (1, embedding, 1)
        "noise": noise,  # (1, channels, 2 T)
    }
    samples: Samples = voice.base.decode.run(inputs, voice.decode)["wav"].reshape(-1)
    return samples
