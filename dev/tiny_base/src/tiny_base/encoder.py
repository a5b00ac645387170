"""Stage "encoder": a small HuBERT is trained to classify semantic tokens.

Synthetic speech comes with exact phone times. Recordings have none: they get them by forced alignment with the encoder
itself during training, and are trained on from then on.

Source of the architecture: Hsu et al. 2021, HuBERT: Self-Supervised Speech Representation Learning by Masked Prediction
of Hidden Units, arXiv:2106.07447; here with known labels instead of masked prediction.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import HubertConfig, HubertModel

from sovits_core.features.alignment import viterbi
from sovits_core.features.recording import SHORTEST_HUBERT_INPUT, TRAINING_SCALE
from sovits_core.text.phones import SILENCE, sound_phones, word_ends
from tiny_base.acoustic_augmentation import augment
from tiny_base.config import HubertSizes
from tiny_base.data import Utterance, to_float
from tiny_base.errors import AlignmentFailed
from tiny_base.phones import CLASSES
from tiny_base.stage import Stage
from tiny_base.tokens import LOGITS, phone_scores, token_labels, token_vectors

FRAME = 320  # samples at 16 kHz
BATCH = 6
CROP = 75  # tokens, 3 seconds
RATE = 1e-3
ALIGN_AT = (0.35, 0.6, 0.8)  # fractions of the budget after which recordings are aligned (again)
RECORDED_PROB = 0.45  # of a crop, from the first alignment on


def hubert_config(sizes: HubertSizes) -> HubertConfig:
    """The official architecture at other sizes; nothing is masked, since the labels are known."""
    return HubertConfig(
        hidden_size=sizes.hidden,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.feed_forward,
        conv_dim=(sizes.convolution,) * 7,
        num_conv_pos_embeddings=64,
        num_conv_pos_embedding_groups=8,
        hidden_dropout=0.05,
        attention_dropout=0.05,
        activation_dropout=0.0,
        feat_proj_dropout=0.0,
        layerdrop=0.0,
        apply_spec_augment=False,
    )


class Encoder(nn.Module):
    """HuBERT with a linear head on its last layer."""

    # Hsu et al. 2021, arXiv:2106.07447

    def __init__(self, sizes: HubertSizes) -> None:
        super().__init__()
        self.hubert = HubertModel(hubert_config(sizes))
        self.head = nn.Linear(sizes.hidden, LOGITS, bias=False)

    def forward(self, wav: Tensor) -> Tensor:
        """wav: (batch, samples) at 16 kHz -> logits (batch, frames, LOGITS), 50 per second."""
        logits: Tensor = self.head(self.hubert(wav).last_hidden_state)
        return logits


def pool_pairs(logits: Tensor) -> Tensor:
    """Mean of each two frames' logits (batch, frames, LOGITS): those of tokens, (batch, frames // 2, LOGITS)."""
    count = logits.shape[1] // 2
    return logits[:, : 2 * count].reshape(len(logits), count, 2, -1).mean(2)


def forced_alignment(scores: Tensor, phones: Sequence[str], pauses: Sequence[bool]) -> list[tuple[str, float]]:
    """Return each phone and its end, in frames, by Viterbi alignment.

    Args:
        scores: (frames, classes), log probabilities.
        phones: the front end's.
        pauses: for each spoken phone, whether silence may follow it.

    Raises:
        AlignmentFailed: there are more phones than frames.
    """
    names = [SILENCE]
    for phone, pause in zip(sound_phones(phones), pauses, strict=True):
        names += [phone, SILENCE] if pause else [phone]
    path = viterbi(scores[:, [CLASSES.index(name) for name in names]], [name == SILENCE for name in names])
    if path is None:
        raise AlignmentFailed(f"{len(scores)} frames are too few for {len(names)} phones and pauses")
    return [
        (names[state], float(index + 1))
        for index, state in enumerate(path)
        if index + 1 == len(path) or path[index + 1] != state
    ]


@torch.no_grad()
def with_phone_times(encoder: Encoder, utterance: Utterance) -> Utterance:
    """The same utterance with phone times (seconds) by forced alignment with the encoder."""
    logits = encoder(to_float(utterance.wav16)[None].to(encoder.head.weight.device))[0].cpu()
    pauses = word_ends(utterance.clip.text, "en", utterance.phones)
    ends = forced_alignment(phone_scores(logits), utterance.phones, pauses)
    # A frame's centre lies 12.5 ms after its start, and represents the 10 ms around it.
    timed = [(name, (end * FRAME + 40) / 16_000) for name, end in ends]
    return replace(utterance, clip=replace(utterance.clip, phone_times=timed))


def align_recordings(encoder: Encoder, utterances: list[Utterance]) -> list[Utterance]:
    """Give phone times to those without."""
    training = encoder.training
    encoder.eval()
    found = [row if row.clip.synthetic else with_phone_times(encoder, row) for row in utterances]
    encoder.train(training)
    return found


def labels_of(utterance: Utterance) -> Tensor:
    """The aligned tokens of an utterance with phone times, int64 [tokens]."""
    return token_labels(utterance.acoustics, utterance.clip.phone_times, token_count(len(utterance.wav16)))


def token_count(samples: int) -> int:
    """The number of whole tokens in HuBERT's output for so many samples at 16 kHz."""
    return ((samples - SHORTEST_HUBERT_INPUT) // FRAME + 1) // 2


def train_encoder(stage: Stage, encoder: Encoder, utterances: list[Utterance], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-encoder-{stage.step}")  # noqa: S311 -- crops, not secrets
    usable = [row for row in utterances if len(row.wav16) >= (2 * CROP + 2) * FRAME]
    synthetic = [(row, labels_of(row)) for row in usable if row.clip.synthetic]
    recordings = [row for row in usable if not row.clip.synthetic]
    recorded: list[tuple[Utterance, Tensor]] = []
    device, count = stage.machine.device, BATCH * stage.machine.batches
    vectors = token_vectors().to(device)
    due = list(ALIGN_AT) if recordings else []
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    encoder.train()
    for _ in stage.steps([optimizer]):
        if due and stage.progress > due[0]:
            due = [share for share in due if share >= stage.progress]
            recorded = [(row, labels_of(row)) for row in align_recordings(encoder, recordings)]
        wavs, targets = [], []
        for _ in range(count):
            row, labels = rng.choice(recorded if recorded and rng.random() < RECORDED_PROB else synthetic)
            start = rng.randrange(max(1, len(labels) - CROP))
            crop = to_float(row.wav16[2 * start * FRAME : 2 * (start + CROP) * FRAME + 80])
            # Upstream scales recordings by a thousand, and prompts by one.
            wavs.append(augment(crop, rng) * rng.choice((1.0, TRAINING_SCALE)))
            targets.append(labels[start : start + CROP])
        scores = pool_pairs(encoder(torch.stack(wavs).to(device))) @ vectors.T  # (batch, CROP, tokens)
        target = torch.stack(targets).to(device)
        loss = functional.cross_entropy(scores.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, accuracy=(scores.argmax(-1) == target).float().mean())
    encoder.eval()
