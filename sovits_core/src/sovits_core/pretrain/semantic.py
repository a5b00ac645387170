"""Stage "semantic": S1 learns which tokens follow from phones, often as the continuation of a prompt."""

from __future__ import annotations

import random
from collections import defaultdict

import torch
from torch import nn

from sovits_core.losses import semantic_accuracy, semantic_loss
from sovits_core.models import TextToSemantic
from sovits_core.pretrain.batches import Spoken, by_length, pad, similar
from sovits_core.pretrain.stage import Stage

BATCH = 4  # small: on a CPU more steps teach more than larger ones
LONGEST = 8.0  # seconds
RATE = 1e-3
PROMPTED = 0.3


def train_semantic(stage: Stage, s1: TextToSemantic, spoken: list[Spoken], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-semantic-{stage.step}")  # noqa: S311 -- batches, not secrets
    rows = by_length([row for row in spoken if row.utterance.clip.seconds <= LONGEST])
    speakers: dict[str, list[Spoken]] = defaultdict(list)
    for row in rows:
        speakers[row.utterance.clip.speaker].append(row)
    optimizer = torch.optim.AdamW(s1.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.05)
    s1.train()
    for _ in stage.steps([optimizer]):
        batch = similar(rows, BATCH, rng)
        phones = [row.utterance.phone_ids for row in batch]
        codes = [row.codes for row in batch]
        if rng.random() < PROMPTED:
            # A voice is prompted with another recording of the same speaker.
            prompts = [rng.choice(speakers[row.utterance.clip.speaker]) for row in batch]
            phones = [torch.cat([prompt.utterance.phone_ids, own]) for prompt, own in zip(prompts, phones, strict=True)]
            codes = [torch.cat([prompt.codes, own]) for prompt, own in zip(prompts, codes, strict=True)]
        text, tokens = pad(phones), pad(codes)
        logits = s1(text.values, text.lengths, None, tokens.values, tokens.lengths)
        loss = semantic_loss(logits, tokens.values, tokens.lengths, s1.config.end_token)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(s1.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, right=semantic_accuracy(logits, tokens.values, tokens.lengths))
    s1.eval()
