"""Stage "semantic": S1 learns which tokens follow from phones, often as the continuation of a prompt.

What it has to say is always right tokens; as an encoder hears them they stand in some prompts, and sometimes in what
was said before. Recordings are only prompts: at a reader's own pace a small network loses words, so what follows them
is spoken at that of the clearest synthetic voice. Two heads of the attention are shown where the phone is that is being
spoken.

A prompt has no silence at its ends, and what follows begins at once: how much silence is enough would have to be
counted, over prompts that end with any amount of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.models import TextToSemantic
from sovits_core.models.losses import PADDING_TARGET, semantic_targets
from sovits_core.models.masks import length_mask
from sovits_core.models.semantic import Layer, visible
from tiny_base.batches import Similar, Spoken, pad
from tiny_base.codes import half_of_code
from tiny_base.stage import Stage

LONGEST = 8.0  # seconds
SHORTEST_PIECE, LONGEST_PIECE = 30, 200  # tokens: what is learnt grows from phrases to sentences
GROWN = 0.6  # share of the budget after which they are as long as they come
BATCH_TOKENS = 250
FEWEST_ROWS, MOST_ROWS = 3, 6  # few: on a CPU more steps teach more than larger ones
LONGEST_PROMPT = 150  # tokens of a piece
JOINED_PROMPTS = 0.5  # of the prompts are two pieces: the trainer's prompts are up to ten seconds long
RATE = 1e-3
PROMPTED = 0.8  # of the batches follow a prompt, as voices always do
CLEAREST = "flite-rms"  # of the voices, to the recogniser
AFTER_RECORDINGS = 0.7  # of the prompted batches are that voice's after readers' prompts
HEARD_PROMPTS = 0.3  # of the prompts are as the encoder hears them; the trainer aligns them with their words
GUIDED_LAYER = 2
GUIDANCE = 1.0
LOOKS = (-1, -2, 1)  # places away, of the first heads
SHARPNESS = 3.0
EMBEDDING_DEVIATION = 0.15
# One wrong choice must not derail a sentence: some tokens that are read are anything, some rows are as heard.
WRONG_INPUT = 0.04
HEARD_INPUT = 0.3
LONGEST_ENDING = 3  # tokens of silence after the last phone; recordings go on with their room
# A voice that begins with the wrong word is lost, and what follows a prompt is the hardest to begin.
FIRST_TOKENS, FIRST_WEIGHT = 12, 3.0
# Where the words of a prompt are not what was said, its tokens are wrong too.
MISHEARD_PROMPTS = 0.2
MOST_MISHEARD = 0.6  # of such a prompt's tokens


@dataclass(frozen=True)
class Piece:
    """Consecutive phones of an utterance and their tokens."""

    phones: Tensor  # int64 [phones]
    codes: Tensor  # int64 [tokens]
    heard: Tensor  # int64 [tokens]
    place: Tensor  # int64 [tokens]: the index among phones that each token belongs to


@dataclass(frozen=True)
class Row:
    """One training example."""

    phones: Tensor  # int64 [phones], of prompt and sentence
    codes: Tensor  # int64 [tokens], of prompt and sentence
    read: Tensor  # int64 [tokens], what stands there for the network to see
    place: Tensor  # int64 [tokens + 1]: the index among phones that is spoken, for what predicts each token and the end
    prompt: int  # tokens that are not learnt from


def piece_of(row: Spoken, longest: int, rng: random.Random) -> Piece:
    """Cut whole phones of at most so many tokens (or a single phone) out of an utterance."""
    place = row.place
    size = len(place)
    changes = (place[1:] != place[:-1]).nonzero()[:, 0] + 1
    starts = [0, *changes.tolist(), size]
    if size <= longest:
        first, last = 0, size
    else:
        first = rng.choice([start for start in starts if start <= size - longest])
        last = max(start for start in starts if start <= first + longest)
        last = last if last > first else starts[starts.index(first) + 1]
    low = 0 if first == 0 else int(place[first])
    high = len(row.utterance.phones) if last == size else int(place[last - 1]) + 1
    return Piece(
        row.utterance.phone_ids[low:high], row.codes[first:last], row.heard[first:last], place[first:last] - low
    )


def joined(first: Piece, second: Piece) -> Piece:
    """Say one piece after the other."""
    return Piece(
        torch.cat([first.phones, second.phones]),
        torch.cat([first.codes, second.codes]),
        torch.cat([first.heard, second.heard]),
        torch.cat([first.place, len(first.phones) + second.place]),
    )


def example(piece: Piece, prompt: Piece | None, *, heard: bool, read_heard: bool = False) -> Row:
    """Join a prompt (or none) and what is to be said, as a voice is asked to speak.

    Args:
        piece: what is to be said.
        prompt: what was said before it.
        heard: whether the prompt is as the encoder hears it.
        read_heard: whether what is to be said is learnt after tokens as the encoder hears them.
    """
    piece = trimmed(piece, LONGEST_ENDING)
    last = torch.tensor([len(piece.phones) - 1])
    read = piece.heard if read_heard else piece.codes
    if prompt is None:
        return Row(piece.phones, piece.codes, read, torch.cat([piece.place, last]), 0)
    before = prompt.heard if heard else prompt.codes
    shift = len(prompt.phones)
    return Row(
        torch.cat([prompt.phones, piece.phones]),
        torch.cat([before, piece.codes]),
        torch.cat([before, read]),
        torch.cat([prompt.place, shift + piece.place, shift + last]),
        len(before),
    )


def trimmed(piece: Piece, ending: int) -> Piece:
    """Let a piece begin at once and end with so much silence (tokens) at most."""
    spoken = (half_of_code()[piece.codes] > 0).nonzero()[:, 0].tolist()
    first, last = (spoken[0], spoken[-1]) if spoken else (0, -1)
    kept = slice(first, last + 1 + ending)
    return replace(piece, codes=piece.codes[kept], heard=piece.heard[kept], place=piece.place[kept])


@dataclass(frozen=True)
class Corpus:
    """What is said, and what is said before it."""

    synthetic: Similar
    clearest: Similar
    recorded: Similar | None

    @classmethod
    def of(cls, spoken: Sequence[Spoken]) -> Corpus:
        """Sort utterances by who speaks; without recordings synthetic voices are prompted by themselves alone."""
        synthetic = [row for row in spoken if row.utterance.clip.synthetic]
        clearest = [row for row in synthetic if row.speaker.startswith(CLEAREST)]
        recorded = [row for row in spoken if not row.utterance.clip.synthetic]
        return cls(
            Similar(synthetic, LONGEST, 0.0),
            Similar(clearest, LONGEST, 0.0),
            Similar(recorded, LONGEST, 1.0) if recorded and clearest else None,
        )


def _rows(corpus: Corpus, progress: float, batches: int, rng: random.Random) -> list[Row]:
    size = round(SHORTEST_PIECE + (LONGEST_PIECE - SHORTEST_PIECE) * min(1.0, progress / GROWN))
    prompted = rng.random() < PROMPTED
    readers = corpus.recorded if prompted and rng.random() < AFTER_RECORDINGS else None
    said = corpus.synthetic if readers is None else corpus.clearest
    rows = []
    count = batches * max(FEWEST_ROWS, min(MOST_ROWS, BATCH_TOKENS // size))
    for row in said.draw(count, rng):
        prompt = None
        if prompted:
            speaker = row if readers is None else readers.draw(1, rng)[0]
            prompt = _prompt(readers or said, speaker, min(size, LONGEST_PROMPT), rng)
        heard, read_heard = rng.random() < HEARD_PROMPTS, rng.random() < HEARD_INPUT
        rows.append(example(piece_of(row, size, rng), prompt, heard=heard, read_heard=read_heard))
    return rows


def _prompt(similar: Similar, row: Spoken, longest: int, rng: random.Random) -> Piece:
    """Something that the speaker of a row said, and not this row where there is another one."""
    prompt = piece_of(similar.another(row, rng), longest, rng)
    if rng.random() < JOINED_PROMPTS:
        prompt = joined(piece_of(similar.another(row, rng), longest, rng), prompt)
    return trimmed(prompt, 0)


def guided_forward(
    s1: TextToSemantic, phones: Tensor, lengths: Tensor, codes: Tensor, code_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """As `TextToSemantic.forward` without BERT, and where two heads of one layer look.

    Returns:
        logits (batch, tokens + 1, vocabulary), and scores before the softmax (batch, 2, tokens + 1, phones + tokens).
    """
    text, audio = s1.embed_text(phones, None), s1.embed_audio(codes, torch.arange(codes.shape[1], device=codes.device))
    count = phones.shape[1]
    real = torch.cat([length_mask(lengths, count), length_mask(code_lengths, codes.shape[1])], dim=1)
    size = real.shape[1]
    allowed = visible(count, size, phones.device) & (
        real[:, None, :] | torch.eye(size, dtype=torch.bool, device=phones.device)
    )
    x = torch.cat([text, audio], dim=1)
    rows = torch.arange(len(x), device=x.device)
    weights = x.new_zeros(0)
    for index, layer in enumerate(cast("list[Layer]", list(s1.layers))):
        if index == GUIDED_LAYER:
            queries, keys, _ = layer.attention.split(x)
            asking = torch.cat([queries[rows, :2, lengths - 1][:, :, None], queries[:, :2, count:]], dim=2)
            scores = asking @ keys[:, :2].transpose(-1, -2) / keys.shape[-1] ** 0.5
            seen = torch.cat([allowed[rows, lengths - 1][:, None], allowed[:, count:]], dim=1)
            weights = scores.masked_fill(~seen[:, None], -1e4)
        x, _, _ = layer(x, allowed[:, None])
    logits: Tensor = s1.predict(torch.cat([x[rows, lengths - 1][:, None], x[:, count:]], dim=1))
    return logits, weights


@torch.no_grad()
def initialise(s1: TextToSemantic) -> None:
    """Let three heads of the first layer start as looks at neighbours: one back, two back, one ahead in the text.

    Text is followed by comparing what was just said with what stands where, for which neighbours must be known first; a
    transformer finds that out in thousands of steps. A rotation of the sine positions is such a look. Embeddings start
    small, so that positions are not drowned.
    """
    for embedding in (s1.text_embedding, s1.audio_embedding):
        nn.init.normal_(embedding.weight, std=EMBEDDING_DEVIATION)
    nn.init.zeros_(s1.bert_projection.bias)
    hidden, heads = s1.config.hidden, s1.config.heads
    width = hidden // heads
    attention = cast("Layer", s1.layers[0]).attention
    weight = attention.qkv.weight.view(3, heads, width, hidden)
    frequencies = s1.text_position.frequencies[: width // 2 * 2 : 2]
    for head, offset in enumerate(LOOKS[:heads]):
        weight[:2, head] = 0
        for pair, frequency in enumerate(frequencies.tolist()):
            sine, cosine = 2 * pair, 2 * pair + 1
            turn = frequency * offset
            weight[0, head, sine, sine] = weight[0, head, cosine, cosine] = SHARPNESS * math.cos(turn)
            weight[0, head, sine, cosine] = SHARPNESS * math.sin(turn)
            weight[0, head, cosine, sine] = -SHARPNESS * math.sin(turn)
            weight[1, head, sine, sine] = weight[1, head, cosine, cosine] = SHARPNESS


def train_semantic(stage: Stage, s1: TextToSemantic, spoken: list[Spoken], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-semantic-{stage.step}")  # noqa: S311 -- batches, not secrets
    corpus = Corpus.of(spoken)
    optimizer = torch.optim.AdamW(s1.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.02)
    end, device = s1.config.end_token, stage.machine.device
    s1.train()
    for _ in stage.steps([optimizer]):
        rows = _rows(corpus, stage.progress, stage.machine.batches, rng)
        phones, codes = pad([row.phones for row in rows]).to(device), pad([row.codes for row in rows])
        wrong = torch.rand(codes.values.shape) < _wrong_share(rows, codes.values.shape[1], rng)
        read = torch.where(wrong, torch.randint(end, codes.values.shape), pad([row.read for row in rows]).values)
        codes, read = codes.to(device), read.to(device)
        logits, weights = guided_forward(s1, phones.values, phones.lengths, read, codes.lengths)
        targets = semantic_targets(codes.values, codes.lengths, end)
        places = pad([row.place for row in rows]).values.to(device)
        prompts = torch.tensor([row.prompt for row in rows], device=device)
        learnt = torch.arange(targets.shape[1], device=device)[None] >= prompts[:, None]
        targets = targets.masked_fill(~learnt, PADDING_TARGET)
        loss = token_loss(logits, targets, prompts)
        pointing = _pointing_loss(weights, places, codes.lengths, phones.lengths)
        optimizer.zero_grad()
        (loss + GUIDANCE * pointing).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(s1.parameters(), 1.0)
        optimizer.step()
        known = targets != PADDING_TARGET
        stage.log(loss=loss, pointing=pointing, right=(logits.argmax(-1) == targets).sum() / known.sum())
    s1.eval()


def token_loss(logits: Tensor, targets: Tensor, first: Tensor) -> Tensor:
    """Mean cross entropy to what is known of `targets`; what comes soon after a prompt counts more.

    Args:
        logits: (batch, tokens + 1, vocabulary).
        targets: int64 (batch, tokens + 1), PADDING_TARGET where nothing is to be learnt.
        first: int64 (batch), where each sentence begins.
    """
    losses = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=PADDING_TARGET, reduction="none")
    soon = torch.arange(targets.shape[1], device=targets.device)[None] < first[:, None] + FIRST_TOKENS
    weights = torch.where(soon, FIRST_WEIGHT, 1.0) * (targets != PADDING_TARGET)
    return (weights * losses).sum() / weights.sum()


def _wrong_share(rows: list[Row], count: int, rng: random.Random) -> Tensor:
    """Probability (batch, count) of each token to be read as another one."""
    share = torch.full((len(rows), count), WRONG_INPUT)
    for index, row in enumerate(rows):
        if rng.random() < MISHEARD_PROMPTS:
            share[index, : row.prompt] = rng.uniform(WRONG_INPUT, MOST_MISHEARD)
    return share


def _pointing_loss(weights: Tensor, places: Tensor, code_lengths: Tensor, text_lengths: Tensor) -> Tensor:
    """Cross entropy of one head to the phone being spoken, and of the other to the one after it."""
    following = torch.minimum(places + 1, text_lengths[:, None] - 1)
    real = torch.arange(places.shape[1], device=places.device)[None] <= code_lengths[:, None]
    terms = [
        functional.cross_entropy(weights[:, head].flatten(0, 1), where.masked_fill(~real, PADDING_TARGET).flatten())
        for head, where in enumerate((places, following))
    ]
    return torch.stack(terms).mean()
