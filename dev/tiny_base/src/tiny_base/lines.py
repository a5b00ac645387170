"""Lines: sentences that flite speaks for the text model alone, kept as tokens without their sound.

S1 learns by heart what it meets often. Trained on the 2,300 sentences of the corpus it came to choose 90% of their
tokens right, and 57% of the tokens of sentences it had never met. Many lines, each met a few times, teach it to read.
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
from tiny_base.batches import Spoken
from tiny_base.codes import code_labels
from tiny_base.corpus import Clip, Variation, cache_folder, require_flite, same_phones, speak, speakers
from tiny_base.data import ENCODER_RATE, Utterance, in_whole_tokens
from tiny_base.encoder import tokens_in
from tiny_base.sentences import compose

# What follows a reader's prompt is learnt from the clearest voice, so that it speaks most lines.
WEIGHTS = {"slt": 0.17, "rms": 0.6, "awb": 0.15, "kal16": 0.08}
FORMAT = 1  # counted up when codes get another meaning
_SILENT = torch.zeros(0, dtype=torch.int16)
_UNHEARD = Acoustics(torch.zeros(0, BANDS), torch.zeros(0) > 0, torch.zeros(0))


@dataclass(frozen=True)
class Line:
    """What is kept of a sentence."""

    speaker: str
    text: str
    seconds: float
    segments: list[tuple[str, float]]  # (ARPAbet phone without stress or "SIL", end in seconds)
    codes: list[int]


def build_lines(count: int, seed: int, known: Collection[str]) -> list[Spoken]:
    """Return what flite says of so many composed sentences, some dropped; made once and reused afterwards.

    Args:
        count: how many sentences it tries.
        seed: of the corpus, whose disguises speak here too.
        known: sentences to leave out, because the corpus has them.

    Raises:
        PretrainError: flite is missing, or fails.
    """
    texts = [text for text in compose(count, seed + 1) if text not in known]
    key = hashlib.sha256(json.dumps([texts, seed, WEIGHTS, FORMAT]).encode()).hexdigest()[:12]
    path = cache_folder() / f"lines-{key}.json"
    if not path.exists():
        require_flite()
        who = speakers(random.Random(seed), WEIGHTS)  # noqa: S311 -- the corpus' own disguises, not a secret
        rng = random.Random(seed + 1)  # noqa: S311 -- varied voices, not a secret
        chosen = rng.choices([one for one, _ in who], [weight for _, weight in who], k=len(texts))
        with ThreadPoolExecutor(os.cpu_count()) as pool:  # flite is a process of its own
            spoken = tqdm(pool.map(_line, texts, chosen), total=len(texts), desc="lines", unit="line", disable=None)
            lines = [line for line in spoken if line]
        partial = path.with_suffix(".partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps([asdict(line) for line in lines]), encoding="utf-8")
        partial.replace(path)
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [_spoken(index, Line(**line)) for index, line in enumerate(stored)]


def _line(text: str, variation: Variation) -> Line | None:
    """Speak one sentence; None where flite reads it with other phones than our front end."""
    wav, segments = speak(text, variation)
    if not same_phones(text, segments):
        return None
    wav = in_whole_tokens(wav)
    wav16 = resample(wav, SAMPLE_RATE, ENCODER_RATE)
    codes = code_labels(analyse(wav, wav16), segments, tokens_in(len(wav16)))
    ends = [(name, round(end, 4)) for name, end in segments]
    return Line(variation.speaker, text, len(wav) / SAMPLE_RATE, ends, codes.tolist())


def _spoken(index: int, line: Line) -> Spoken:
    segments = [(name, end) for name, end in line.segments]
    clip = Clip(f"line-{index:05d}", line.speaker, line.text, "", line.seconds, segments)
    phones = phonemize(line.text, "en").phones
    codes = torch.tensor(line.codes)
    utterance = Utterance(clip, _SILENT, _SILENT, _UNHEARD, phones, torch.tensor(phone_ids(phones)))
    return Spoken(utterance, codes, codes)
