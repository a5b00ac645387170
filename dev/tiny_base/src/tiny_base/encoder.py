"""Stage "encoder": a small HuBERT learns to tell semantic tokens from sound.

Synthetic speech comes with exact phone times. Recordings have none, so their phones are aligned with the encoder's own
opinion on the way, and join from then on.
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
from tiny_base.codes import READINGS, code_labels, code_vectors, phone_scores
from tiny_base.data import Utterance, floats
from tiny_base.disturbances import disturbed
from tiny_base.errors import PretrainError
from tiny_base.phones import CLASSES
from tiny_base.sizes import HubertSizes
from tiny_base.stage import Stage

FRAME = 320  # samples at 16 kHz
BATCH = 6
CROP = 75  # tokens, 3 seconds
RATE = 1e-3
ALIGN_AT = (0.35, 0.6, 0.8)  # shares of the budget after which recordings are aligned (again)
RECORDED_SHARE = 0.45  # of the crops, from the first alignment on


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
    """HuBERT with linear readings of its last layer."""

    def __init__(self, sizes: HubertSizes) -> None:
        super().__init__()
        self.hubert = HubertModel(hubert_config(sizes))
        self.read = nn.Linear(sizes.hidden, READINGS, bias=False)

    def forward(self, wav: Tensor) -> Tensor:
        """wav: (batch, samples) at 16 kHz -> readings (batch, frames, READINGS), 50 per second."""
        readings: Tensor = self.read(self.hubert(wav).last_hidden_state)
        return readings


def pairs(readings: Tensor) -> Tensor:
    """Readings (batch, frames, READINGS) of tokens: the mean of two frames, (batch, frames // 2, READINGS)."""
    count = readings.shape[1] // 2
    return readings[:, : 2 * count].reshape(len(readings), count, 2, -1).mean(2)


def align(scores: Tensor, phones: Sequence[str], pauses: Sequence[bool]) -> list[tuple[str, float]]:
    """Return which phone ends when, in frames, given the phones in order.

    Args:
        scores: (frames, classes), log probabilities.
        phones: the front end's.
        pauses: for each spoken phone, whether silence may follow it.

    Raises:
        PretrainError: there are more phones than frames.
    """
    names = [SILENCE]
    for phone, pause in zip(sound_phones(phones), pauses, strict=True):
        names += [phone, SILENCE] if pause else [phone]
    path = viterbi(scores[:, [CLASSES.index(name) for name in names]], [name == SILENCE for name in names])
    if path is None:
        raise PretrainError(f"{len(scores)} frames are too few for {len(names)} phones and pauses")
    return [
        (names[state], float(index + 1))
        for index, state in enumerate(path)
        if index + 1 == len(path) or path[index + 1] != state
    ]


@torch.no_grad()
def aligned(encoder: Encoder, utterance: Utterance) -> Utterance:
    """The same utterance with phone times (seconds) as the encoder hears them."""
    readings = encoder(floats(utterance.wav16)[None].to(encoder.read.weight.device))[0].cpu()
    pauses = word_ends(utterance.clip.text, "en", utterance.phones)
    segments = align(phone_scores(readings), utterance.phones, pauses)
    # A frame's middle lies 12.5 ms after its start, and stands for the 10 ms around it.
    timed = [(name, (end * FRAME + 40) / 16_000) for name, end in segments]
    return replace(utterance, clip=replace(utterance.clip, segments=timed))


def align_recordings(encoder: Encoder, utterances: list[Utterance]) -> list[Utterance]:
    """Replace those without phone times by aligned ones."""
    training = encoder.training
    encoder.eval()
    found = [row if row.clip.synthetic else aligned(encoder, row) for row in utterances]
    encoder.train(training)
    return found


def labels_of(utterance: Utterance) -> Tensor:
    """The codes of an utterance with phone times, int64 [tokens]."""
    return code_labels(utterance.acoustics, utterance.clip.segments, tokens_in(len(utterance.wav16)))


def tokens_in(samples: int) -> int:
    """How many whole tokens HuBERT makes of so many samples at 16 kHz."""
    return ((samples - SHORTEST_HUBERT_INPUT) // FRAME + 1) // 2


def train_encoder(stage: Stage, encoder: Encoder, utterances: list[Utterance], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-encoder-{stage.step}")  # noqa: S311 -- crops, not secrets
    usable = [row for row in utterances if len(row.wav16) >= (2 * CROP + 2) * FRAME]
    synthetic = [(row, labels_of(row)) for row in usable if row.clip.synthetic]
    recordings = [row for row in usable if not row.clip.synthetic]
    recorded: list[tuple[Utterance, Tensor]] = []
    device, count = stage.machine.device, BATCH * stage.machine.batches
    vectors = code_vectors().to(device)
    due = list(ALIGN_AT) if recordings else []
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.01)
    encoder.train()
    for _ in stage.steps([optimizer]):
        if due and stage.progress > due[0]:
            due = [share for share in due if share >= stage.progress]
            recorded = [(row, labels_of(row)) for row in align_recordings(encoder, recordings)]
        wavs, targets = [], []
        for _ in range(count):
            row, labels = rng.choice(recorded if recorded and rng.random() < RECORDED_SHARE else synthetic)
            start = rng.randrange(max(1, len(labels) - CROP))
            piece = floats(row.wav16[2 * start * FRAME : 2 * (start + CROP) * FRAME + 80])
            # Upstream scales recordings by a thousand, and prompts not.
            wavs.append(disturbed(piece, rng) * rng.choice((1.0, TRAINING_SCALE)))
            targets.append(labels[start : start + CROP])
        scores = pairs(encoder(torch.stack(wavs).to(device))) @ vectors.T  # (batch, CROP, codes)
        target = torch.stack(targets).to(device)
        loss = functional.cross_entropy(scores.flatten(0, 1), target.flatten())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        stage.log(loss=loss, right=(scores.argmax(-1) == target).float().mean())
    encoder.eval()
