"""Text to audio with one voice: sentences, phones, semantic tokens, samples; numpy and ONNX Runtime only."""

from __future__ import annotations

import threading
import unicodedata
from collections.abc import Iterator
from weakref import WeakKeyDictionary

import numpy as np

from sovits_core.errors import InvalidModelInput, TextModelRejected, TextRejected, UnreadableLetters
from sovits_core.text import phone_ids, phonemize_for_synthesis
from voice_inference.bundles.base import Base
from voice_inference.bundles.sessions import Step
from voice_inference.bundles.voice import Voice
from voice_inference.engine.batch import Batch
from voice_inference.engine.checks import Fault
from voice_inference.engine.lanes import Lanes
from voice_inference.engine.passages import SENTENCE_PAUSE, passages, split_by
from voice_inference.engine.sentence import DEFAULTS, Options, Segment, Sentence, Speaking
from voice_inference.engine.tokens import FinishReason, IsCancelled
from voice_inference.errors import InvalidRequest, SynthesisFailed
from voice_inference.metrics import Metrics

FINAL_MARKS = frozenset(".!?")


class Engine:
    """Any number of threads may use it at the same time: sentences of one base are spoken together."""

    def __init__(self, metrics: Metrics, *, batch: int = 1, lanes: int = 1) -> None:
        """Speak at most ``batch`` sentences of a base at a time, and compute ``lanes`` networks at a time."""
        self._metrics = metrics
        self._most, self._lanes = batch, Lanes(lanes)
        self._batches: WeakKeyDictionary[Step, Batch] = WeakKeyDictionary()  # ends with the base
        self._lock = threading.Lock()
        for reason in FinishReason:  # all series exist from the start, at 0
            metrics.segments.labels(reason)
        for fault in Fault:
            metrics.faults.labels(fault)

    def synthesize(
        self,
        voice: Voice,
        text: str,
        *,
        language: str,
        seed: int,
        is_cancelled: IsCancelled,
        options: Options = DEFAULTS,
    ) -> Iterator[Segment]:
        """Yield one segment per sentence, each but the first after a pause.

        A sentence that does not end, repeats itself, or has far too few or many tokens is spoken again with other
        draws, at most twice; so is one of which the listener misses words. The best attempt is heard.
        The same voice, text, language, seed and options give the same samples on the same machine. Of a text that is
        marks alone, such as "…", there is a pause: clients that cut text into sentences ask for such a one.

        Raises:
            InvalidRequest: the language is not offered, or there is nothing to speak.
            Cancelled: ``is_cancelled`` returned true between two tokens.
            SynthesisFailed: the networks returned no proper audio.
        """
        rate, pause = voice.base.sample_rate, 0
        early = options.early and options.listener is None
        with options.trace.child("read"):
            sentences = sentences_of(text, language, voice, options)
        if not sentences:
            yield _pause(text, rate)
        adapters = voice.adapters()
        for number, sentence in enumerate(sentences):
            batch = self._batch_of(voice.base)
            speaking = Speaking(voice, adapters, batch, sentence, (seed, number), is_cancelled, self._metrics, options)
            try:
                yield from speaking.speak(pause, early=early and not number)
            except InvalidModelInput as error:  # logits that are not finite
                raise SynthesisFailed(str(error)) from error
            pause = round(sentence.pause * rate)

    def _batch_of(self, base: Base) -> Batch:
        with self._lock:
            if base.step not in self._batches:
                self._batches[base.step] = Batch(base.step.session, self._most, self._lanes, self._metrics)
            return self._batches[base.step]


def sentences_of(text: str, language: str, voice: Voice, options: Options = DEFAULTS) -> list[Sentence]:
    """Split the text into sentences with their phones; those without a word are dropped: a text of marks has none.

    With one of the official split methods its parts are taken instead of sentences. Of the options those count that
    say how a text is read.

    Raises:
        InvalidRequest: the base or the text front end does not offer the language or the locale, a word is in letters
            that nothing here reads, or there are signs and no word.
        SynthesisFailed: the base's network for polyphones failed.
    """
    document = voice.base.document
    if language not in document.languages:
        offered = ", ".join(document.languages)
        raise InvalidRequest(f"language {language!r} is not offered; use one of {offered}.", field="language")
    readings = document.readings.then(voice.lexicon).then(options.lexicon)
    method, locale = options.split_method, options.locale or voice.locale
    sentences, refusal = [], None
    for passage in split_by(method, text, language) if method else passages(text):
        try:
            phonemes = phonemize_for_synthesis(
                passage.text, language, document.symbols, voice.base.polyphones, readings, locale=locale
            )
        except UnreadableLetters as error:  # never a silent loss: one such word refuses the whole text
            raise InvalidRequest(f"input: {error}.", field="input") from error
        except TextRejected as error:
            refusal = refusal or error
            continue
        except TextModelRejected as error:
            raise SynthesisFailed(str(error)) from error
        phones = phonemes.phones if phonemes.phones[-1] in FINAL_MARKS else (*phonemes.phones, ".")
        ids = np.array(phone_ids(phones, document.symbols), dtype=np.int64)
        sentences.append(Sentence(passage.text, ids, phonemes.segments, passage.pause))
    if not sentences and not _is_marks_alone(text):
        raise InvalidRequest(f"input: {refusal or 'there is nothing to speak'}.", field="input") from refusal
    return sentences


def _is_marks_alone(text: str) -> bool:
    marks = "".join(text.split())
    return bool(marks) and all(unicodedata.category(mark).startswith("P") for mark in marks)


def _pause(text: str, rate: int) -> Segment:
    silence = np.zeros(round(SENTENCE_PAUSE * rate), dtype=np.float32)
    none = np.zeros(0, dtype=np.int64)
    return Segment(silence, 0, none, FinishReason.END_TOKEN, Sentence(text.strip(), none, (), 0.0))
