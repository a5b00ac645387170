"""Speaks one sentence: attempts at its tokens, the choice of the best, and its samples, in parts where asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sovits_core.synthesis.sampling import Sampler, Sampling
from sovits_core.text import PhonemeSegment
from sovits_core.text.lexicon import NO_ENTRIES, Lexicon
from voice_inference.bundles.adapters import Adapters
from voice_inference.bundles.sessions import Tensor
from voice_inference.bundles.voice import Voice
from voice_inference.engine.audio import Samples, limit_peak
from voice_inference.engine.batch import Batch, Start
from voice_inference.engine.checks import Fault, faults_of
from voice_inference.engine.lanes import Rank
from voice_inference.engine.listening import Listener
from voice_inference.engine.parts import PartDecoder, next_part
from voice_inference.engine.stopwatch import Stopwatch
from voice_inference.engine.tokens import NOTHING, FinishReason, Ids, IsCancelled, Utterance, max_tokens
from voice_inference.metrics import Metrics
from voice_inference.tracing import NO_TRACE, Trace

TOKENS_PER_SECOND: Final = 25
RETRIES: Final = 2  # of a sentence that has faults


class Sentence(NamedTuple):
    """What is spoken in one go."""

    text: str
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
    sentence: Sentence | None = None
    """The sentence that ends with this segment."""
    faults: tuple[Fault, ...] = ()
    """What is wrong with the sentence, after all attempts."""


@dataclass(frozen=True)
class Options:
    """How to speak."""

    early: bool = False
    """The first sentence comes in parts while it is still being spoken, the first of 0.4 s; the others are ready before
    they are due. Joined, its parts are as long as the whole and sound alike, not the same; what has been given away
    stays, and another attempt goes on after it."""
    listener: Listener | None = None
    """Who looks for missing words; needs whole sentences."""
    sampling: Sampling | None = None
    """Instead of the base's own."""
    split_method: str = ""
    """An official one (cut0 to cut5), instead of sentences."""
    lexicon: Lexicon = NO_ENTRIES
    """Readings that go before those of the front end."""
    locale: str = ""
    """How the text writes dates and numbers; empty: as the voice's texts do."""
    caller: str = ""
    """Who takes turns with others."""
    trace: Trace = NO_TRACE
    """Below which the spans of the work go."""


DEFAULTS: Final = Options()


class _Take(NamedTuple):
    """One attempt at a sentence."""

    tokens: Ids
    finish_reason: FinishReason
    faults: tuple[Fault, ...]
    samples: Samples | None
    """Where they were listened to."""


@dataclass
class Speaking:
    """One sentence in one voice; its draws are its own, so that no sentence depends on those before it."""

    voice: Voice
    adapters: Adapters
    """Of the voice, in memory for as long as it speaks."""
    batch: Batch
    """Of the voice's base."""
    sentence: Sentence
    seeds: tuple[int, ...]
    """Of the draws."""
    is_cancelled: IsCancelled
    metrics: Metrics
    options: Options = DEFAULTS

    def __post_init__(self) -> None:
        self._rank = Rank.LATER
        self._decoder = self._new_decoder()
        self._span = self.options.trace
        self._given = NOTHING  # tokens of segments that were given away

    def speak(self, pause: int, *, early: bool) -> Iterator[Segment]:
        """Yield the sentence, in parts where it is to be early; before the last of them comes the pause (samples)."""
        with self.options.trace.child("sentence", phones=self.sentence.phones.size) as span:
            self._span = span
            watch = Stopwatch()
            takes: list[_Take] = []
            self._rank = Rank.START if early else Rank.LATER
            with self._turn() if self.voice.base.bert else nullcontext():
                bert = bert_features(self.voice, self.sentence)
            while not takes or (takes[-1].faults and len(takes) <= RETRIES):
                with span.child("s1", attempt=len(takes)) as choosing:
                    utterance = self._begin(bert, attempt=len(takes))
                    try:
                        due = next_part(0)
                        while early and not takes and utterance.wait(due):
                            segment = self._part(utterance.said(due))
                            with watch.stopped():
                                yield segment
                            due = next_part(due)
                        utterance.wait()
                    finally:
                        utterance.abandon()
                    choosing.note(tokens=utterance.said().size)
                takes.append(self._take_of(utterance))
            best = min(takes, key=lambda take: len(take.faults))
            samples = self._decode(best.tokens, self._decoder.finish) if best.samples is None else best.samples
            self._count(takes, best, watch.seconds)
            span.note(tokens=best.tokens.size, attempts=len(takes), faults=len(best.faults), computed=watch.seconds)
        silence = np.zeros(pause, dtype=np.float32)
        tokens = best.tokens[self._given.size :]
        sound = np.concatenate([silence, samples])
        yield Segment(sound, pause, tokens, best.finish_reason, self.sentence, best.faults)

    def _decode(self, tokens: Ids, decode: Callable[[Ids], Samples]) -> Samples:
        """Decode by S2."""
        with self._span.child("s2", tokens=tokens.size):
            return limit_peak(decode(tokens))

    def _turn(self) -> AbstractContextManager[None]:
        """The place of whatever this sentence computes, but its tokens."""
        return self.batch.lanes.run(self.options.caller, self._rank)

    def _begin(self, bert: NDArray[np.float32], attempt: int) -> Utterance:
        """Let an attempt at the tokens be said, after those that were given away."""
        # Draws for the noise apart from these: parts that are decoded early change no token.
        rng = np.random.default_rng([*self.seeds, attempt])
        sampling = self.options.sampling or self.voice.base.document.sampling.choice()
        before = np.concatenate([self.voice.prompt.tokens, self._given])
        sampler = Sampler(sampling, rng, self.voice.base.end_token, before.tolist())
        limit = max_tokens(self.sentence.phones.size)
        utterance = Utterance(sampler, self._given, limit, self.is_cancelled)
        positions = bert.shape[1] + self.voice.prompt.tokens.size + limit
        self.batch.say(utterance, lambda: self._prefill(bert, before), positions, self.is_cancelled)
        return utterance

    def _prefill(self, bert: NDArray[np.float32], before: Ids) -> Start:
        inputs: dict[str, Tensor] = {
            "phones": np.concatenate([self.voice.prompt.phones, self.sentence.phones])[None],  # (1, T)
            "bert": bert,  # (1, T, width)
            "prompt": before[None],  # (1, P)
        }
        with self._turn():
            found = self.voice.base.prefill.run(inputs, self.adapters.prefill)
        return Start(self.adapters.step, found["logits"][0], found["keys"], found["values"], before.size)

    def _new_decoder(self) -> PartDecoder:
        rng = np.random.default_rng([*self.seeds, 0, 1])
        return PartDecoder(self.voice, self.adapters.decode, self.sentence.phones, rng, self._turn)

    def _part(self, tokens: Ids) -> Segment:
        fresh, self._given = tokens[self._given.size :], tokens
        if fresh.size == tokens.size:
            self._rank = Rank.SOUND
        samples = self._decode(tokens, self._decoder.push)
        self._rank = Rank.LATER
        return Segment(samples, 0, fresh, None)

    def _take_of(self, utterance: Utterance) -> _Take:
        tokens, prompt, phones = utterance.said(), self.voice.prompt, self.sentence.phones.size
        samples, missing = None, 0
        if self.options.listener is not None:
            samples = self._decode(tokens, self._new_decoder().finish)
            words = self.options.listener.listen(samples, self.voice.base.sample_rate, self.sentence.parts)
            missing = sum(not word.is_heard for word in words)
        pace = prompt.tokens.size / prompt.phones.size
        faults = faults_of(tokens.tolist(), utterance.finish_reason, phones=phones, pace=pace, missing=missing)
        return _Take(tokens, utterance.finish_reason, faults, samples)

    def _count(self, takes: list[_Take], best: _Take, computing: float) -> None:
        seconds = best.tokens.size / TOKENS_PER_SECOND
        self.metrics.audio_seconds.inc(seconds)
        self.metrics.real_time_factor.observe(computing / seconds)
        self.metrics.segments.labels(best.finish_reason).inc()
        for take in takes:
            for fault in set(take.faults):
                self.metrics.faults.labels(fault).inc()
        if best.faults:
            self.metrics.faulty_segments.inc()


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
