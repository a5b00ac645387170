"""How often fewer bits choose the same greedy tokens, on prompts of the embedded base."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations

import numpy as np

from sovits_core.bench.measure import Agreement, greedy_agreement
from sovits_core.bench.sessions import Array, Served, Session
from sovits_core.bundle.base import open_base
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.rounding import WeightBits
from sovits_core.synthesis.sampling import Sampler
from sovits_core.text import phone_ids, phonemize

BASE = "embedded:tiny"
TOKENS = 60
PROMPT_LIMIT = 200


def tiny_agreement(threads: int, kinds: dict[str, WeightBits], count: int) -> dict[str, list[Agreement]]:
    """Speak pairs of the base's own sentences, the first as the prompt, which the exact step has spoken.

    Returns:
        For each kind and prompt, how often it chooses what 32 bits choose, on at most TOKENS tokens.
    """
    bundle = open_base(BASE)
    graphs = {
        name: (bundle.path(graph.file), [entry.model_dump() for entry in graph.lora])
        for name, graph in bundle.document.graphs.items()
    }
    prefill = Session(*graphs["s1_prefill"], threads, drop_nan_guards)
    stored = Session(*graphs["s1_step"], threads)
    exact = Served(stored, threads, 32)
    rounded = {kind: Served(stored, threads, bits) for kind, bits in kinds.items()}
    end = bundle.document.s1.end_token
    choice = (bundle.document.sampling.choice(), end)
    found: dict[str, list[Agreement]] = {kind: [] for kind in kinds}
    for inputs in _prompts(prefill, exact, end, count):
        logits, keys, values = prefill.run(inputs)
        for kind, step in rounded.items():
            loops = (exact.start(keys, values, TOKENS), step.start(keys, values, TOKENS))
            found[kind].append(greedy_agreement(loops, logits[0], inputs["prompt"][0], choice, TOKENS))
    return found


def _prompts(prefill: Session, step: Served, end: int, count: int) -> Iterator[dict[str, Array]]:
    """Inputs of the prefill: two sentences, and the tokens of the first."""
    document = open_base(BASE).document
    texts = document.sentences["en"]
    phones = [np.array(phone_ids(phonemize(text, "en").phones, document.symbols)) for text in texts]
    width = document.s1.bert_dim
    nothing = np.zeros(0, np.int64)
    sampler = Sampler(document.sampling.choice(), np.random.default_rng(0), end, [])
    spoken: dict[int, Array] = {}
    for first, second in list(permutations(range(len(texts)), 2))[:count]:
        if first not in spoken:
            spoken[first] = _speak(prefill.run(_inputs(phones[first], nothing, width)), step, sampler)
        yield _inputs(np.concatenate([phones[first], phones[second]]), spoken[first], width)


def _speak(prefilled: list[Array], step: Served, sampler: Sampler) -> Array:
    """Tokens (n,) until the end token, behind a prefill's logits, keys and values."""
    logits, keys, values = prefilled
    loop, scores = step.start(keys, values, PROMPT_LIMIT), logits[0]
    tokens: list[int] = []
    while len(tokens) < PROMPT_LIMIT and not (choice := sampler.choose(scores)).stop:
        tokens.append(choice.token)
        scores = loop.read(choice.token, len(tokens) - 1)
    return np.array(tokens, np.int64)


def _inputs(phones: Array, tokens: Array, width: int) -> dict[str, Array]:
    bert = np.zeros((1, phones.size, width), np.float32)
    return {"phones": phones[None].astype(np.int64), "bert": bert, "prompt": tokens[None]}
