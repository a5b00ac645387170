"""Stage "semantic": S1 predicts aligned tokens from phones, most often as the continuation of a prompt.

Targets are always aligned tokens; prompts use encoder tokens with probability `ENCODER_PROMPT_PROB`, and inputs with
probability `ENCODER_INPUT_PROB`. Recordings serve as prompts only: at a recorded speaker's rate a network of this size
loses words, so continuations are those of the most intelligible synthetic voice. Two attention heads are supervised
with the phone index of each token (guided attention).

Prompts have no silence at their ends, and continuations begin at once: otherwise S1 would have to count silent tokens,
after prompts that end with any number of them.

Sources: autoregressive modelling of semantic tokens: Borsos et al. 2022, AudioLM, arXiv:2209.03143; prompts: Wang et
al. 2023, Neural Codec Language Models are Zero-Shot Text to Speech Synthesizers (VALL-E), arXiv:2301.02111. Guided
attention: Tachibana et al. 2017, Efficiently Trainable Text-to-Speech System Based on Deep Convolutional Networks with
Guided Attention, arXiv:1710.08969 (here cross entropy to known alignments instead of a diagonal prior). Token noise:
Bengio et al. 2015, Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks, arXiv:1506.03099.
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
from tiny_base.batches import LengthBucketSampler, TokenizedUtterance, pad
from tiny_base.stage import Stage
from tiny_base.tokens import state_of_token

MAX_SECONDS = 8.0
MIN_SEGMENT, MAX_SEGMENT = 30, 200  # tokens: the curriculum goes from phrases to sentences
CURRICULUM_END = 0.6  # share of the budget after which segments have their full length
BATCH_TOKENS = 250
MIN_ROWS, MAX_ROWS = 3, 6  # few: on a CPU more steps are worth more than larger batches
MAX_PROMPT = 150  # tokens of a segment
JOINED_PROMPT_PROB = 0.5  # of a prompt to be two segments: the trainer's prompts are up to ten seconds long
RATE = 1e-3
PROMPT_PROB = 0.8  # of a batch to continue prompts, as voices always do
CLEAREST_VOICE = "flite-rms"  # the most intelligible to the recogniser
RECORDED_PROMPT_PROB = 0.7  # of a prompted batch to be that voice's continuation of recorded prompts
ENCODER_PROMPT_PROB = 0.3  # of a prompt to have encoder tokens; the trainer aligns prompts with their words
GUIDED_LAYER = 2
GUIDED_ATTENTION_WEIGHT = 1.0
HEAD_OFFSETS = (-1, -2, 1)  # relative positions that the first heads are initialised to attend to
HEAD_SCALE = 3.0
EMBEDDING_DEVIATION = 0.15
# Exposure bias: one wrong sample must not derail a sentence.
TOKEN_NOISE_PROB = 0.04
ENCODER_INPUT_PROB = 0.3
MAX_FINAL_SILENCE = 3  # tokens after the last phone; recordings continue with room noise
# The tokens after a prompt are the hardest to predict, and a wrong first word spoils the sentence.
FIRST_TOKENS, FIRST_WEIGHT = 12, 3.0
# Prompt corruption: a prompt whose text does not match its audio has wrong tokens too.
PROMPT_CORRUPTION_PROB = 0.2
MAX_PROMPT_NOISE_PROB = 0.6  # of a token of such a prompt


@dataclass(frozen=True)
class Segment:
    """Consecutive phones of an utterance and their tokens."""

    phones: Tensor  # int64 [phones]
    aligned_tokens: Tensor  # int64 [tokens]
    encoder_tokens: Tensor  # int64 [tokens]
    phone_index: Tensor  # int64 [tokens]: of the phone that each token belongs to


@dataclass(frozen=True)
class Example:
    """One training example."""

    phones: Tensor  # int64 [phones], of prompt and sentence
    tokens: Tensor  # int64 [tokens], of prompt and sentence: the targets
    inputs: Tensor  # int64 [tokens], of prompt and sentence: what the network is given
    phone_index: Tensor  # int64 [tokens + 1]: of the phone of each predicted token, and of the end token
    prompt_length: int  # tokens without a target


def random_segment(row: TokenizedUtterance, longest: int, rng: random.Random) -> Segment:
    """Draw a run of whole phones of at most so many tokens (or a single phone) from an utterance."""
    phone_index = row.phone_index
    size = len(phone_index)
    changes = (phone_index[1:] != phone_index[:-1]).nonzero()[:, 0] + 1
    starts = [0, *changes.tolist(), size]
    if size <= longest:
        first, last = 0, size
    else:
        first = rng.choice([start for start in starts if start <= size - longest])
        last = max(start for start in starts if start <= first + longest)
        last = last if last > first else starts[starts.index(first) + 1]
    low = 0 if first == 0 else int(phone_index[first])
    high = len(row.utterance.phones) if last == size else int(phone_index[last - 1]) + 1
    return Segment(
        row.utterance.phone_ids[low:high],
        row.aligned_tokens[first:last],
        row.encoder_tokens[first:last],
        phone_index[first:last] - low,
    )


def concatenate(first: Segment, second: Segment) -> Segment:
    """Join two segments."""
    return Segment(
        torch.cat([first.phones, second.phones]),
        torch.cat([first.aligned_tokens, second.aligned_tokens]),
        torch.cat([first.encoder_tokens, second.encoder_tokens]),
        torch.cat([first.phone_index, len(first.phones) + second.phone_index]),
    )


def make_example(
    segment: Segment, prompt: Segment | None, *, encoder_prompt: bool, encoder_inputs: bool = False
) -> Example:
    """Join a prompt (or none) and its continuation, in the form of an inference request.

    Args:
        segment: the continuation.
        prompt: what precedes it.
        encoder_prompt: whether the prompt has encoder tokens.
        encoder_inputs: whether the continuation's inputs are encoder tokens; its targets never are.
    """
    segment = trim_silence(segment, MAX_FINAL_SILENCE)
    last = torch.tensor([len(segment.phones) - 1])
    inputs = segment.encoder_tokens if encoder_inputs else segment.aligned_tokens
    if prompt is None:
        phone_index = torch.cat([segment.phone_index, last])
        return Example(segment.phones, segment.aligned_tokens, inputs, phone_index, 0)
    prompt_tokens = prompt.encoder_tokens if encoder_prompt else prompt.aligned_tokens
    shift = len(prompt.phones)
    return Example(
        torch.cat([prompt.phones, segment.phones]),
        torch.cat([prompt_tokens, segment.aligned_tokens]),
        torch.cat([prompt_tokens, inputs]),
        torch.cat([prompt.phone_index, shift + segment.phone_index, shift + last]),
        len(prompt_tokens),
    )


def trim_silence(segment: Segment, final: int) -> Segment:
    """Remove a segment's initial silence, and all but so many tokens of its final silence."""
    spoken = (state_of_token()[segment.aligned_tokens] > 0).nonzero()[:, 0].tolist()
    first, last = (spoken[0], spoken[-1]) if spoken else (0, -1)
    kept = slice(first, last + 1 + final)
    return replace(
        segment,
        aligned_tokens=segment.aligned_tokens[kept],
        encoder_tokens=segment.encoder_tokens[kept],
        phone_index=segment.phone_index[kept],
    )


@dataclass(frozen=True)
class Corpus:
    """Sources of continuations and of prompts."""

    synthetic: LengthBucketSampler
    clearest: LengthBucketSampler
    recorded: LengthBucketSampler | None

    @classmethod
    def of(cls, rows: Sequence[TokenizedUtterance]) -> Corpus:
        """Part utterances by speaker; without recordings synthetic voices are prompted by themselves alone."""
        synthetic = [row for row in rows if row.utterance.clip.synthetic]
        clearest = [row for row in synthetic if row.speaker.startswith(CLEAREST_VOICE)]
        recorded = [row for row in rows if not row.utterance.clip.synthetic]
        return cls(
            LengthBucketSampler(synthetic, MAX_SECONDS, 0.0),
            LengthBucketSampler(clearest, MAX_SECONDS, 0.0),
            LengthBucketSampler(recorded, MAX_SECONDS, 1.0) if recorded and clearest else None,
        )


def _examples(corpus: Corpus, progress: float, batches: int, rng: random.Random) -> list[Example]:
    size = round(MIN_SEGMENT + (MAX_SEGMENT - MIN_SEGMENT) * min(1.0, progress / CURRICULUM_END))
    prompted = rng.random() < PROMPT_PROB
    recorded = corpus.recorded if prompted and rng.random() < RECORDED_PROMPT_PROB else None
    continuations = corpus.synthetic if recorded is None else corpus.clearest
    examples = []
    count = batches * max(MIN_ROWS, min(MAX_ROWS, BATCH_TOKENS // size))
    for row in continuations.draw(count, rng):
        prompt = None
        if prompted:
            speaker = row if recorded is None else recorded.draw(1, rng)[0]
            prompt = _prompt(recorded or continuations, speaker, min(size, MAX_PROMPT), rng)
        encoder_prompt, encoder_inputs = rng.random() < ENCODER_PROMPT_PROB, rng.random() < ENCODER_INPUT_PROB
        segment = random_segment(row, size, rng)
        examples.append(make_example(segment, prompt, encoder_prompt=encoder_prompt, encoder_inputs=encoder_inputs))
    return examples


def _prompt(sampler: LengthBucketSampler, row: TokenizedUtterance, longest: int, rng: random.Random) -> Segment:
    """A prompt by the speaker of a row, from another row where there is one."""
    prompt = random_segment(sampler.same_speaker(row, rng), longest, rng)
    if rng.random() < JOINED_PROMPT_PROB:
        prompt = concatenate(random_segment(sampler.same_speaker(row, rng), longest, rng), prompt)
    return trim_silence(prompt, 0)


def guided_forward(
    s1: TextToSemantic, phones: Tensor, lengths: Tensor, tokens: Tensor, token_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """As `TextToSemantic.forward` without BERT, and the attention scores of two heads of one layer.

    Returns:
        logits (batch, tokens + 1, vocabulary), and scores before the softmax (batch, 2, tokens + 1, phones + tokens).
    """
    positions = torch.arange(tokens.shape[1], device=tokens.device)
    text, audio = s1.embed_text(phones, None), s1.embed_audio(tokens, positions)
    count = phones.shape[1]
    real = torch.cat([length_mask(lengths, count), length_mask(token_lengths, tokens.shape[1])], dim=1)
    size = real.shape[1]
    allowed = visible(count, size, phones.device) & (
        real[:, None, :] | torch.eye(size, dtype=torch.bool, device=phones.device)
    )
    x = torch.cat([text, audio], dim=1)
    rows = torch.arange(len(x), device=x.device)
    scores = x.new_zeros(0)
    for index, layer in enumerate(cast("list[Layer]", list(s1.layers))):
        if index == GUIDED_LAYER:
            queries, keys, _ = layer.attention.split(x)
            guided = torch.cat([queries[rows, :2, lengths - 1][:, :, None], queries[:, :2, count:]], dim=2)
            products = guided @ keys[:, :2].transpose(-1, -2) / keys.shape[-1] ** 0.5
            mask = torch.cat([allowed[rows, lengths - 1][:, None], allowed[:, count:]], dim=1)
            scores = products.masked_fill(~mask[:, None], -1e4)
        x, _, _ = layer(x, allowed[:, None])
    logits: Tensor = s1.predict(torch.cat([x[rows, lengths - 1][:, None], x[:, count:]], dim=1))
    return logits, scores


@torch.no_grad()
def initialise(s1: TextToSemantic) -> None:
    """Attention head initialisation: three heads of the first layer attend to positions one back, two back, one ahead.

    Following the text takes a comparison of the last phones with the text around each position, for which neighbours
    must be known first; a transformer takes thousands of steps to find that. Attention to a relative position is a
    rotation of the sine embedding (Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762). Embeddings start
    small, so that positions dominate.
    """
    for embedding in (s1.text_embedding, s1.audio_embedding):
        nn.init.normal_(embedding.weight, std=EMBEDDING_DEVIATION)
    nn.init.zeros_(s1.bert_projection.bias)
    hidden, heads = s1.config.hidden, s1.config.heads
    width = hidden // heads
    attention = cast("Layer", s1.layers[0]).attention
    weight = attention.qkv.weight.view(3, heads, width, hidden)
    frequencies = s1.text_position.frequencies[: width // 2 * 2 : 2]
    for head, offset in enumerate(HEAD_OFFSETS[:heads]):
        weight[:2, head] = 0
        for pair, frequency in enumerate(frequencies.tolist()):
            sine, cosine = 2 * pair, 2 * pair + 1
            turn = frequency * offset
            weight[0, head, sine, sine] = weight[0, head, cosine, cosine] = HEAD_SCALE * math.cos(turn)
            weight[0, head, sine, cosine] = HEAD_SCALE * math.sin(turn)
            weight[0, head, cosine, sine] = -HEAD_SCALE * math.sin(turn)
            weight[1, head, sine, sine] = weight[1, head, cosine, cosine] = HEAD_SCALE


def train_semantic(stage: Stage, s1: TextToSemantic, rows: list[TokenizedUtterance], seed: int) -> None:
    """Train until the stage's budget is used."""
    rng = random.Random(f"{seed}-semantic-{stage.step}")  # noqa: S311 -- batches, not secrets
    corpus = Corpus.of(rows)
    optimizer = torch.optim.AdamW(s1.parameters(), lr=RATE, betas=(0.9, 0.98), weight_decay=0.02)
    end, device = s1.config.end_token, stage.machine.device
    s1.train()
    for _ in stage.steps([optimizer]):
        batch = _examples(corpus, stage.progress, stage.machine.batches, rng)
        phones, tokens = pad([one.phones for one in batch]).to(device), pad([one.tokens for one in batch])
        noisy = torch.rand(tokens.values.shape) < _noise_prob(batch, tokens.values.shape[1], rng)
        inputs = torch.where(noisy, torch.randint(end, tokens.values.shape), pad([one.inputs for one in batch]).values)
        tokens, inputs = tokens.to(device), inputs.to(device)
        logits, scores = guided_forward(s1, phones.values, phones.lengths, inputs, tokens.lengths)
        targets = semantic_targets(tokens.values, tokens.lengths, end)
        phone_index = pad([one.phone_index for one in batch]).values.to(device)
        prompts = torch.tensor([one.prompt_length for one in batch], device=device)
        predicted = torch.arange(targets.shape[1], device=device)[None] >= prompts[:, None]
        targets = targets.masked_fill(~predicted, PADDING_TARGET)
        loss = token_loss(logits, targets, prompts)
        guided_attention = _guided_attention_loss(scores, phone_index, tokens.lengths, phones.lengths)
        optimizer.zero_grad()
        (loss + GUIDED_ATTENTION_WEIGHT * guided_attention).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(s1.parameters(), 1.0)
        optimizer.step()
        known = targets != PADDING_TARGET
        accuracy = (logits.argmax(-1) == targets).sum() / known.sum()
        stage.log(loss=loss, guided_attention=guided_attention, accuracy=accuracy)
    s1.eval()


def token_loss(logits: Tensor, targets: Tensor, starts: Tensor) -> Tensor:
    """Mean cross entropy; the first tokens after a prompt have a higher weight.

    Args:
        logits: (batch, tokens + 1, vocabulary).
        targets: int64 (batch, tokens + 1), PADDING_TARGET where there is none.
        starts: int64 (batch), where each continuation begins.
    """
    losses = functional.cross_entropy(logits.transpose(1, 2), targets, ignore_index=PADDING_TARGET, reduction="none")
    first = torch.arange(targets.shape[1], device=targets.device)[None] < starts[:, None] + FIRST_TOKENS
    weights = torch.where(first, FIRST_WEIGHT, 1.0) * (targets != PADDING_TARGET)
    return (weights * losses).sum() / weights.sum()


def _noise_prob(batch: list[Example], count: int, rng: random.Random) -> Tensor:
    """Probability (batch, count) of each input token to be replaced by a random one."""
    probability = torch.full((len(batch), count), TOKEN_NOISE_PROB)
    for index, example in enumerate(batch):
        if rng.random() < PROMPT_CORRUPTION_PROB:
            probability[index, : example.prompt_length] = rng.uniform(TOKEN_NOISE_PROB, MAX_PROMPT_NOISE_PROB)
    return probability


def _guided_attention_loss(scores: Tensor, phone_index: Tensor, token_lengths: Tensor, text_lengths: Tensor) -> Tensor:
    """Cross entropy of one head to the phone of each token, and of the other to the following phone.

    Tachibana et al. 2017, arXiv:1710.08969, with the alignment known.
    """
    following = torch.minimum(phone_index + 1, text_lengths[:, None] - 1)
    real = torch.arange(phone_index.shape[1], device=phone_index.device)[None] <= token_lengths[:, None]
    terms = [
        functional.cross_entropy(scores[:, head].flatten(0, 1), index.masked_fill(~real, PADDING_TARGET).flatten())
        for head, index in enumerate((phone_index, following))
    ]
    return torch.stack(terms).mean()
