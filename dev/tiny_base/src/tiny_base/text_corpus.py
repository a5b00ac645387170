"""The text-only corpus: sentences spoken by flite for S1 alone, kept as aligned tokens without audio.

Trained on the 2,300 sentences of the audio corpus alone, S1 overfits: 90% token accuracy there and 57% on new
sentences. Many sentences, each seen a few times, close most of that gap.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass

import torch
from tqdm import tqdm

from sovits_core.features.recording import resample
from sovits_core.text import phone_ids, phonemize
from tiny_base.acoustics import BANDS, SAMPLE_RATE, Acoustics, analyse
from tiny_base.batches import TokenizedUtterance
from tiny_base.corpus import Clip, Variation, cache_folder, require_flite, same_phones, speakers, synthesize
from tiny_base.data import ENCODER_RATE, Utterance, trim_to_tokens
from tiny_base.encoder import token_count
from tiny_base.sentences import compose
from tiny_base.tokens import token_labels

# The continuation of a recorded prompt is trained on the most intelligible voice, which therefore speaks most.
VOICE_WEIGHTS = {"slt": 0.17, "rms": 0.6, "awb": 0.15, "kal16": 0.08}
FORMAT = 2  # of the stored file; counted up when fields or tokens change
_NO_AUDIO = torch.zeros(0, dtype=torch.int16)
_NO_ACOUSTICS = Acoustics(torch.zeros(0, BANDS), torch.zeros(0) > 0, torch.zeros(0))


@dataclass(frozen=True)
class StoredSentence:
    """The stored part of one sentence."""

    speaker: str
    text: str
    seconds: float
    phone_times: list[tuple[str, float]]  # (ARPAbet phone without stress or "SIL", end in seconds)
    tokens: list[int]


def build_text_corpus(count: int, seed: int, exclude: Collection[str]) -> list[TokenizedUtterance]:
    """Return composed sentences as aligned tokens, some dropped; made once and reused afterwards.

    Args:
        count: how many sentences are composed and synthesized.
        seed: of the audio corpus, whose speaker variations are used here too.
        exclude: sentences of the audio corpus.

    Raises:
        MissingProgram: flite is not installed.
        SynthesisFailed: flite fails.
    """
    texts = [text for text in compose(count, seed + 1) if text not in exclude]
    key = hashlib.sha256(json.dumps([texts, seed, VOICE_WEIGHTS, FORMAT]).encode()).hexdigest()[:12]
    path = cache_folder() / f"text-corpus-{key}.json"
    if not path.exists():
        require_flite()
        variations = speakers(random.Random(seed), VOICE_WEIGHTS)  # noqa: S311 -- the corpus' variations, not a secret
        rng = random.Random(seed + 1)  # noqa: S311 -- varied voices, not a secret
        drawn = rng.choices([one for one, _ in variations], [weight for _, weight in variations], k=len(texts))
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # flite is a process of its own
            found = pool.map(_synthesized, texts, drawn)
            bar = tqdm(found, total=len(texts), desc="text corpus", unit="sentence", disable=None)
            sentences = [sentence for sentence in bar if sentence]
        partial = path.with_suffix(".partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps([asdict(sentence) for sentence in sentences]), encoding="utf-8")
        partial.replace(path)
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [_utterance(index, StoredSentence(**row)) for index, row in enumerate(stored)]


def _synthesized(text: str, variation: Variation) -> StoredSentence | None:
    """Synthesize one sentence; None where flite's phones differ in number from our front end's."""
    wav, phone_times = synthesize(text, variation)
    if not same_phones(text, phone_times):
        return None
    wav = trim_to_tokens(wav)
    wav16 = resample(wav, SAMPLE_RATE, ENCODER_RATE)
    tokens = token_labels(analyse(wav, wav16), phone_times, token_count(len(wav16)))
    ends = [(name, round(end, 4)) for name, end in phone_times]
    return StoredSentence(variation.speaker, text, len(wav) / SAMPLE_RATE, ends, tokens.tolist())


def _utterance(index: int, sentence: StoredSentence) -> TokenizedUtterance:
    phone_times = [(name, end) for name, end in sentence.phone_times]
    clip = Clip(f"text-{index:05d}", sentence.speaker, sentence.text, "", sentence.seconds, phone_times)
    phones = phonemize(sentence.text, "en").phones
    tokens = torch.tensor(sentence.tokens)
    utterance = Utterance(clip, _NO_AUDIO, _NO_AUDIO, _NO_ACOUSTICS, phones, torch.tensor(phone_ids(phones)))
    return TokenizedUtterance(utterance, tokens, tokens)
