"""Text to audio with one voice: sentences, phones, semantic tokens, samples; numpy and ONNX Runtime only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sovits_core.errors import InvalidModelInput, TextModelRejected, TextRejected, UnreadableLetters
from sovits_core.text import phone_ids, phonemize_for_synthesis
from sovits_core.text.lexicon import NO_ENTRIES, Lexicon
from voice_inference.bundles.voice import Voice
from voice_inference.engine.checks import Fault
from voice_inference.engine.passages import passages, split_by
from voice_inference.engine.sentence import DEFAULTS, Options, Segment, Sentence, Speaking
from voice_inference.engine.tokens import FinishReason, IsCancelled
from voice_inference.errors import InvalidRequest, SynthesisFailed
from voice_inference.metrics import Metrics

FINAL_MARKS = frozenset(".!?")


class Engine:
    """Holds no voice and no text between calls, so any number of threads may use it at the same time."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
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
        The same voice, text, language, seed and options give the same samples on the same machine.

        Raises:
            InvalidRequest: the language is not offered, or there is nothing to speak.
            Cancelled: ``is_cancelled`` returned true between two tokens.
            SynthesisFailed: the networks returned no proper audio.
        """
        rate, pause = voice.base.sample_rate, 0
        early = options.early and options.listener is None
        with options.trace.child("read"):
            sentences = sentences_of(text, language, voice, options.split_method, options.lexicon)
        for number, sentence in enumerate(sentences):
            speaking = Speaking(voice, sentence, (seed, number), is_cancelled, self._metrics, options)
            try:
                yield from speaking.speak(pause, early=early and not number)
            except InvalidModelInput as error:  # logits that are not finite
                raise SynthesisFailed(str(error)) from error
            pause = round(sentence.pause * rate)


def sentences_of(
    text: str, language: str, voice: Voice, split_method: str = "", lexicon: Lexicon = NO_ENTRIES
) -> list[Sentence]:
    """Split the text into sentences with their phones; those without a word are dropped.

    With one of the official split methods its parts are taken instead of sentences.

    Raises:
        InvalidRequest: the base or the text front end does not offer the language, a word is in letters that nothing
            here reads, or no sentence has a word.
        SynthesisFailed: the base's network for polyphones failed.
    """
    document = voice.base.document
    if language not in document.languages:
        offered = ", ".join(document.languages)
        raise InvalidRequest(f"language {language!r} is not offered; use one of {offered}.", field="language")
    readings = document.readings.then(voice.lexicon).then(lexicon)
    sentences, refusal = [], None
    for passage in split_by(split_method, text, language) if split_method else passages(text):
        try:
            phonemes = phonemize_for_synthesis(
                passage.text, language, document.symbols, voice.base.polyphones, readings
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
    if not sentences:
        raise InvalidRequest(f"input: {refusal or 'there is nothing to speak'}.", field="input") from refusal
    return sentences
