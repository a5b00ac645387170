"""Generation and synthesis with the torch networks; the server has its own loop over the exported graphs.

The batch functions are for the engine's issue: several requests per pass (decision 0014).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from sovits_core.errors import InvalidModelInput
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.synthesis.sampling import Sampler, Sampling

MAX_TOKENS = 1500
"""The official limit: 60 s of speech."""
NOISE_SCALE = 0.5
CACHE_BLOCK = 256
"""Slots by which the cache grows."""


@dataclass(frozen=True)
class GenerationRequest:
    """Phones and prompt of one utterance, and how to sample; its seed is its own, whoever shares its batch."""

    phones: Tensor
    """int64 (text), those of the prompt and of the target."""
    prompt: Tensor
    """int64 (P), the prompt's tokens; may be empty."""
    bert: Tensor | None = None
    """float (text, bert_dim); None means zeros."""
    sampling: Sampling = field(default_factory=Sampling)
    seed: int = 0
    max_tokens: int = MAX_TOKENS
    """Max length of an utterance without an end token."""

    def __post_init__(self) -> None:
        if self.phones.ndim != 1 or len(self.phones) == 0:
            raise InvalidModelInput(f"generation takes one row with at least one phone, got {list(self.phones.shape)}")
        if self.prompt.ndim != 1:
            raise InvalidModelInput(f"a prompt is one row of tokens, got {list(self.prompt.shape)}")
        if self.bert is not None and len(self.bert) != len(self.phones):
            raise InvalidModelInput(f"bert has {len(self.bert)} rows for {len(self.phones)} phones; give one per phone")
        if not 1 <= self.max_tokens <= MAX_TOKENS:
            raise InvalidModelInput(f"max_tokens={self.max_tokens}: choose 1 to {MAX_TOKENS}")


@torch.no_grad()
def generate(
    s1: TextToSemantic,
    phones: Tensor,
    bert: Tensor | None,
    prompt: Tensor,
    *,
    sampling: Sampling,
    seed: int,
    max_tokens: int = MAX_TOKENS,
) -> Tensor:
    """Semantic tokens of one utterance.

    Args:
        s1: in evaluation mode.
        phones: int64 (1, text), those of the prompt and of the target.
        bert: float (1, text, bert_dim), or None, which means zeros.
        prompt: int64 (1, P), the prompt's tokens; may be empty.
        sampling: how to choose; `top_k` of 1 is greedy.
        seed: of this request alone.
        max_tokens: max length of an utterance without an end token, at most 1500.

    Returns:
        int64 (1, N) with at least one token (the sampler allows no earlier end), without prompt and end token. An
        utterance without an end token has `max_tokens` tokens; the official code drops the first of 1500.

    Raises:
        InvalidModelInput: there is no phone, or the limit is out of range.
    """
    if len(phones) != 1 or len(prompt) != 1:
        raise InvalidModelInput(f"generation takes one row of phones and one of tokens, got {len(phones)}")
    feature = None if bert is None else bert[0]
    utterance = GenerationRequest(phones[0], prompt[0], feature, sampling, seed, max_tokens)
    return phones.new_tensor([[token for _, token in generate_tokens(s1, [utterance])]])


@torch.no_grad()
def generate_batch(s1: TextToSemantic, utterances: Sequence[GenerationRequest]) -> list[Tensor]:
    """Semantic tokens, int64 (N), of each utterance: as `generate` gives for each alone, in fewer passes."""
    generated: list[list[int]] = [[] for _ in utterances]
    for row, token in generate_tokens(s1, utterances):
        generated[row].append(token)
    return [utterance.phones.new_tensor(numbers) for utterance, numbers in zip(utterances, generated, strict=True)]


def generate_tokens(s1: TextToSemantic, utterances: Sequence[GenerationRequest]) -> Iterator[tuple[int, int]]:
    """GenerationRequest and token, in the order in which they are chosen; utterances that end leave the batch.

    Runs without gradient whoever asks for the next one.
    """
    if not utterances:
        return
    samplers = [
        Sampler(one.sampling, np.random.default_rng(one.seed), s1.config.end_token, one.prompt.tolist())
        for one in utterances
    ]
    counts = [0] * len(utterances)
    with torch.no_grad():
        rows = _Rows.start(s1, utterances)
    while True:
        kept: list[int] = []  # rows of the batch
        chosen: list[int] = []
        for index, (row, logits) in enumerate(zip(rows.members, rows.logits.float().cpu().numpy(), strict=True)):
            choice = samplers[row].choose(logits)
            if choice.stop:
                continue
            yield row, choice.token
            counts[row] += 1
            if counts[row] < utterances[row].max_tokens:
                kept.append(index)
                chosen.append(choice.token)
        if not kept:
            return
        with torch.no_grad():
            rows.keep(kept)
            positions = [len(utterances[row].prompt) + counts[row] - 1 for row in rows.members]
            rows.step(s1, chosen, positions)


class _Rows:
    """The unfinished utterances and their caches: (layers, rows, heads, slots, width), filled to one length."""

    def __init__(self, logits: Tensor, keys: Tensor, values: Tensor, first: Tensor) -> None:
        self.members = list(range(len(logits)))
        self.logits = logits
        self._keys, self._values = keys, values
        self._first = first  # (rows): slots before are padding
        self._length = keys.shape[3]

    @classmethod
    def start(cls, s1: TextToSemantic, utterances: Sequence[GenerationRequest]) -> "_Rows":
        phones = pad_sequence([one.phones for one in utterances], batch_first=True)
        prompts = pad_sequence([one.prompt for one in utterances], batch_first=True)
        bert = None
        if any(one.bert is not None for one in utterances):
            like = s1.bert_projection.weight
            features = [
                like.new_zeros(len(one.phones), s1.config.bert_dim) if one.bert is None else one.bert.to(like)
                for one in utterances
            ]
            bert = pad_sequence(features, batch_first=True)
        text = phones.new_tensor([len(one.phones) for one in utterances])
        audio = phones.new_tensor([len(one.prompt) for one in utterances])
        return cls(*s1.prefill_rows(phones, text, bert, prompts, audio))

    def keep(self, indices: list[int]) -> None:
        """Drop all rows of the batch but these."""
        if len(indices) == len(self.members):
            return
        kept = torch.tensor(indices, device=self._first.device)
        self.members = [self.members[index] for index in indices]
        self._keys, self._values = self._keys[:, kept], self._values[:, kept]
        self._first = self._first[kept]

    def step(self, s1: TextToSemantic, chosen: list[int], positions: list[int]) -> None:
        """Feed the token that was sampled for each row."""
        if self._length == self._keys.shape[3]:
            self._keys, self._values = (
                functional.pad(cache, (0, 0, 0, CACHE_BLOCK)) for cache in (self._keys, self._values)
            )
        token, position = self._first.new_tensor(chosen)[:, None], self._first.new_tensor(positions)
        length = torch.full_like(self._first, self._length)
        self.logits, keys, values = s1.step(token, position, self._keys, self._values, length, first=self._first)
        self._keys[:, :, :, self._length], self._values[:, :, :, self._length] = keys[:, :, :, 0], values[:, :, :, 0]
        self._length += 1


@torch.no_grad()
def synthesize(s2: Synthesizer, tokens: Tensor, text: Tensor, speaker_embedding: Tensor, *, seed: int) -> Tensor:
    """Return samples (1, 1, 2 N * hop) of tokens (1, N), the target's phones (1, M) and an embedding (1, width, 1)."""
    return s2.decode(
        tokens, text, speaker_embedding, noise_of(seed, s2.config.latent, 2 * tokens.shape[1]).to(speaker_embedding)
    )


@torch.no_grad()
def synthesize_batch(
    s2: Synthesizer,
    tokens: Sequence[Tensor],
    texts: Sequence[Tensor],
    speaker_embedding: Tensor,
    *,
    seeds: Sequence[int],
) -> list[Tensor]:
    """Samples (2 N * hop) of each utterance: as `synthesize` gives for each alone.

    The latent frames are made together, behind masks. The waveform generator has none, so that the padding of a shorter
    row would leak into its end; and it is bound by arithmetic, not by passes. So each row has a pass of its own.

    Args:
        s2: in evaluation mode.
        tokens: int64 (N) each, at least one.
        texts: int64 (M) each, the phones of the target.
        speaker_embedding: (batch, embedding, 1).
        seeds: of each utterance's noise.
    """
    lengths = [len(row) for row in tokens]
    noises = [noise_of(seed, s2.config.latent, 2 * size)[0].T for seed, size in zip(seeds, lengths, strict=True)]
    z = s2.latent_frames(
        pad_sequence(list(tokens), batch_first=True),
        pad_sequence(list(texts), batch_first=True),
        speaker_embedding,
        pad_sequence(noises, batch_first=True).transpose(1, 2).to(speaker_embedding),
        token_lengths=tokens[0].new_tensor(lengths),
        text_lengths=tokens[0].new_tensor([len(row) for row in texts]),
    )
    return [
        s2.waveform_generator(z[row : row + 1, :, : 2 * size], speaker_embedding[row : row + 1])[0, 0]
        for row, size in enumerate(lengths)
    ]


def noise_of(seed: int, channels: int, frames: int, first: int = 0) -> Tensor:
    """Scaled noise (1, channels, frames - first) of an utterance; a frame's noise does not depend on those after it."""
    drawn = np.random.default_rng(seed).standard_normal((frames, channels), dtype=np.float32)[first:]
    return NOISE_SCALE * torch.from_numpy(drawn).T[None]
