"""Text to audio with one voice: sentences, phones, semantic tokens, samples; numpy and ONNX Runtime only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.errors import InvalidModelInput, TextModelRejected, TextRejected
from sovits_core.synthesis.sampling import Sampler
from sovits_core.text import PhonemeSegment, phone_ids, phonemize_for_synthesis, split_sentences
from voice_inference.audio import Samples, limit_peak
from voice_inference.bundles import Voice
from voice_inference.decoding import TokenDecoder
from voice_inference.errors import Cancelled, InvalidRequest, SynthesisFailed
from voice_inference.graphs import Tensor
from voice_inference.metrics import Metrics

SENTENCE_CHARACTERS = 200  # longer sentences are cut at clauses: attention and the prompt's manner fade beyond
ENDS = frozenset(".!?")
PAUSE_SECONDS = 0.25  # between sentences
# People say 10 to 15 phones per second, and slow readers 4, so this cuts nobody short and stops endless babble.
TOKENS_PER_PHONE = 6
TOKENS_BESIDE_PHONES = 25
MOST_TOKENS = 1500  # one minute, the networks' own limit
NOISE_SCALE = 0.5

log = logging.getLogger(__name__)
IsCancelled = Callable[[], bool]
Ids = NDArray[np.int64]


class Sentence(NamedTuple):
    """What is spoken in one go."""

    phones: Ids
    spoken: tuple[PhonemeSegment, ...]
    """The parts in one language each; a full stop that was added behind them belongs to none."""


class Engine:
    """Holds no state between calls, so any number of threads may speak at the same time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def speak(
        self, voice: Voice, text: str, *, language: str, seed: int, is_cancelled: IsCancelled
    ) -> Iterator[Samples]:
        """Yield the audio of one sentence after another, each but the first with a short pause before it.

        The same voice, text, language and seed give the same samples on the same machine.

        Raises:
            InvalidRequest: the language is not offered, or there is nothing to speak.
            Cancelled: ``is_cancelled`` said so between two tokens.
            SynthesisFailed: the networks returned no proper audio.
        """
        rate = voice.base.sample_rate
        silence = np.zeros(round(PAUSE_SECONDS * rate), dtype=np.float32)
        for number, sentence in enumerate(sentences_of(text, language, voice)):
            started = time.perf_counter()
            # A sentence's randomness hangs on its place only, not on what was drawn for those before it.
            random = np.random.default_rng([seed, number])
            try:
                tokens = self._tokens(voice, sentence, random, is_cancelled)
                samples = limit_peak(_decode(voice, tokens, sentence.phones, random))
            except InvalidModelInput as error:  # logits that are no numbers
                raise SynthesisFailed(str(error)) from error
            seconds = samples.size / rate
            self._metrics.audio_seconds.inc(seconds)
            self._metrics.real_time_factor.observe((time.perf_counter() - started) / seconds)
            yield samples if number == 0 else np.concatenate([silence, samples])

    def _tokens(self, voice: Voice, sentence: Sentence, random: np.random.Generator, is_cancelled: IsCancelled) -> Ids:
        """Return the semantic tokens of a sentence, the prompt's not among them."""
        prompt, phones = voice.prompt, sentence.phones
        both = np.concatenate([prompt.phones, phones])[None]  # (1, T)
        bert = text_vectors(voice, sentence)
        start = voice.base.prefill.run({"phones": both, "bert": bert, "prompt": prompt.codes[None]}, voice.prefill)
        decoder = TokenDecoder(voice, start["keys"], start["values"])
        sampling = voice.base.document.sampling.choice()
        sampler = Sampler(sampling, random, voice.base.end_token, prompt.codes.tolist())
        logits = start["logits"][0]
        spoken: list[int] = []
        limit = most_tokens(phones.size)
        while True:
            if is_cancelled():
                raise Cancelled("The caller has gone.")
            choice = sampler.choose(logits)
            if choice.stop:
                break
            spoken.append(choice.token)
            if len(spoken) == limit:
                self._metrics.runaway_sentences.inc()
                log.info("a sentence of %d phones did not end after %d tokens", phones.size, limit)
                break
            logits = decoder.step(choice.token, prompt.codes.size + len(spoken) - 1)
        return np.array(spoken, dtype=np.int64)


def most_tokens(phones: int) -> int:
    """Return after how many tokens a sentence of so many phones is cut off."""
    return min(MOST_TOKENS, TOKENS_BESIDE_PHONES + TOKENS_PER_PHONE * phones)


def text_vectors(voice: Voice, sentence: Sentence) -> NDArray[np.float32]:
    """Return float32 (1, T, width) for the phones of prompt and sentence: zeros where the base has no text encoder."""
    prompt, base = voice.prompt, voice.base
    before = prompt.phones.size
    vectors = np.zeros((1, before + sentence.phones.size, base.prefill.shapes["bert"][2] or 0), dtype=np.float32)
    if base.text is not None:
        rows = base.text.rows(sentence.spoken)
        vectors[0, before : before + len(rows)] = rows
        if prompt.vectors is not None:
            vectors[0, :before] = prompt.vectors
    return vectors


def sentences_of(text: str, language: str, voice: Voice) -> list[Sentence]:
    """Return each sentence; pieces without a word are dropped.

    Raises:
        InvalidRequest: the base or the text front end does not offer the language, or nothing can be spoken.
        SynthesisFailed: the base's reader of polyphones did not answer.
    """
    if language not in voice.base.document.languages:
        offered = ", ".join(voice.base.document.languages)
        raise InvalidRequest(f"language {language!r} is not offered; use one of {offered}.", field="language")
    sentences, refusal = [], None
    for piece in split_sentences(text, SENTENCE_CHARACTERS):
        try:
            read = phonemize_for_synthesis(piece, language, voice.base.document.symbols, voice.base.polyphones)
        except TextRejected as error:
            refusal = refusal or error
            continue
        except TextModelRejected as error:
            raise SynthesisFailed(str(error)) from error
        ended = read.phones if read.phones[-1] in ENDS else (*read.phones, ".")
        ids = np.array(phone_ids(ended, voice.base.document.symbols), dtype=np.int64)
        sentences.append(Sentence(ids, read.segments))
    if not sentences:
        raise InvalidRequest(f"input: {refusal or 'there is nothing to speak'}.", field="input") from refusal
    return sentences


def _decode(voice: Voice, tokens: Ids, phones: Ids, random: np.random.Generator) -> Samples:
    """Return the samples (samples,) of semantic tokens."""
    channels = voice.base.decode.shapes["noise"][1]
    noise = random.standard_normal((1, channels or 0, 2 * tokens.size), dtype=np.float32) * np.float32(NOISE_SCALE)
    inputs: dict[str, Tensor] = {"codes": tokens[None], "text": phones[None], "ge": voice.prompt.ge, "noise": noise}
    samples: Samples = voice.base.decode.run(inputs, voice.decode)["wav"].reshape(-1)
    return samples
