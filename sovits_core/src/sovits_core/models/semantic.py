"""S1: from phones and the tokens so far to the next semantic token, an autoregressive transformer."""

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import TextToSemanticConfig
from sovits_core.models.masks import length_mask


# Vaswani et al. 2017, arXiv:1706.03762; the gain of Li et al. 2018, Transformer TTS, arXiv:1809.08895
class ScaledPosition(nn.Module):
    """Sine positions with a learnt gain; text and audio count from zero, each with a gain of its own."""

    frequencies: Tensor
    even: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        # the usual transformer table: sine on even channels, cosine on odd ones
        frequencies = torch.exp(torch.arange(0, width, 2, dtype=torch.float32) * (-math.log(10000.0) / width))
        self.register_buffer("frequencies", frequencies.repeat_interleave(2), persistent=False)
        self.register_buffer("even", torch.arange(width) % 2 == 0, persistent=False)

    def forward(self, positions: Tensor) -> Tensor:
        """positions: integers (..., time) -> (..., time, width)."""
        angles = positions[..., None].to(self.frequencies.dtype) * self.frequencies  # (..., time, width)
        # both waves for every channel: interleaving two halves would need a reshape that ONNX refuses for no positions
        return self.scale * torch.where(self.even, angles.sin(), angles.cos())


class SelfAttention(nn.Module):
    """Attention with one fused projection, so that one LoRA pair adapts queries, keys and values."""

    def __init__(self, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        for projection in (self.qkv, self.out):
            nn.init.xavier_uniform_(projection.weight)
            nn.init.zeros_(projection.bias)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (batch, time, hidden) -> queries, keys, values, each (batch, heads, time, hidden / heads)."""
        width = x.size(2) // self.heads
        parts = self.qkv(x).reshape(x.size(0), x.size(1), 3, self.heads, width)
        queries, keys, values = parts.permute(2, 0, 3, 1, 4).unbind(0)
        return queries, keys, values

    def forward(self, x: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (batch, time, hidden), allowed: bool, broadcast to (batch, heads, time, time).

        Returns the result and the keys and values for a cache.
        """
        queries, keys, values = self.split(x)
        dropout = self.dropout if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2)), keys, values

    def step(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Attend from one new position to a cache, without copying it.

        Concatenating the cache would copy all of it for every token; the scores are far smaller, so they are joined.
        There is no time axis: linear layers of two dimensions are one node each in a graph.

        Args:
            x: (batch, hidden).
            keys: (batch, heads, slots, width), as are the values.
            values: see keys.
            bias: (batch, 1, 1, slots), zero for a visible slot, minus infinity for others.

        Returns:
            The result (batch, hidden) and the new key and value (batch, heads, 1, width).
        """
        parts = self.qkv(x).reshape(x.size(0), 3 * self.heads, 1, x.size(1) // self.heads)
        query, new_key, new_value = parts.split(self.heads, dim=1)  # each (batch, heads, 1, width)
        scale = 1 / math.sqrt(query.shape[-1])
        cached = (query @ keys.transpose(-1, -2)) * scale + bias  # (batch, heads, 1, slots)
        new = (query @ new_key.transpose(-1, -2)) * scale  # (batch, heads, 1, 1)
        weights = torch.cat([cached, new], dim=-1).softmax(dim=-1)
        mixed = weights[..., :-1] @ values + weights[..., -1:] * new_value  # (batch, heads, 1, width)
        return self.out(mixed.reshape(x.shape)), new_key, new_value


class FeedForward(nn.Module):
    """Two linear layers with a rectifier between them."""

    def __init__(self, hidden: int, inner: int, dropout: float) -> None:
        super().__init__()
        self.up = nn.Linear(hidden, inner)
        self.down = nn.Linear(inner, hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x: (..., hidden) -> (..., hidden)."""
        result: Tensor = self.down(self.dropout(self.up(x).relu()))
        return result


class Layer(nn.Module):
    """One transformer layer; the norms come after the additions."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.attention = SelfAttention(config.hidden, config.heads, config.dropout)
        self.attention_norm = nn.LayerNorm(config.hidden)
        self.feed_forward = FeedForward(config.hidden, config.feed_forward, config.dropout)
        self.feed_forward_norm = nn.LayerNorm(config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As SelfAttention.forward."""
        mixed, keys, values = self.attention(x, allowed)
        return self._finish(x, mixed), keys, values

    def step(self, x: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As SelfAttention.step."""
        mixed, new_key, new_value = self.attention.step(x, keys, values, bias)
        return self._finish(x, mixed), new_key, new_value

    def _finish(self, x: Tensor, mixed: Tensor) -> Tensor:
        x = self.attention_norm(x + self.dropout(mixed))
        result: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))
        return result


# Wang et al. 2023, VALL-E, arXiv:2301.02111 (its autoregressive part, over semantic tokens); as
# GPT_SoVITS/AR/models/t2s_model.py
class TextToSemantic(nn.Module):
    """Phones (with an optional text feature each) and semantic tokens to logits of the next token."""

    def __init__(self, config: TextToSemanticConfig) -> None:
        super().__init__()
        self.config = config
        self.text_embedding = nn.Embedding(config.phonemes, config.hidden)
        self.bert_projection = nn.Linear(config.bert_dim, config.hidden)
        self.text_position = ScaledPosition(config.hidden)
        self.audio_embedding = nn.Embedding(config.vocabulary, config.hidden)
        self.audio_position = ScaledPosition(config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.predict = nn.Linear(config.hidden, config.vocabulary, bias=False)

    def forward(
        self, phones: Tensor, phone_lengths: Tensor, bert: Tensor | None, tokens: Tensor, token_lengths: Tensor
    ) -> Tensor:
        """Teacher-forced logits of a right-padded batch; no row is touched by the padding of another.

        Args:
            phones: int64 (batch, text).
            phone_lengths: int64 (batch), each at least 1.
            bert: float (batch, text, bert_dim), or None, which means zeros.
            tokens: int64 (batch, audio), padded with any valid token.
            token_lengths: int64 (batch).

        Returns:
            (batch, audio + 1, vocabulary): position i predicts code i, position `token_lengths` predicts the end token,
            and what stands behind that is padding.
        """
        text = self.embed_text(phones, bert)
        audio = self.embed_audio(tokens, torch.arange(tokens.shape[1], device=tokens.device))
        real = torch.cat(
            [length_mask(phone_lengths, phones.shape[1]), length_mask(token_lengths, tokens.shape[1])], dim=1
        )
        # padded audio stays visible to itself alone, so that no row of the softmax is empty
        size = real.shape[1]
        diagonal = torch.eye(size, dtype=torch.bool, device=real.device)
        allowed = visible(phones.shape[1], size, phones.device) & (real[:, None, :] | diagonal)
        x = torch.cat([text, audio], dim=1)  # (batch, text + audio, hidden)
        for layer in self.layers:
            x, _, _ = layer(x, allowed[:, None])
        rows = torch.arange(len(x), device=x.device)
        last_text = x[rows, phone_lengths - 1]  # (batch, hidden): it predicts the first code
        logits: Tensor = self.predict(torch.cat([last_text[:, None], x[:, phones.shape[1] :]], dim=1))
        return logits

    def prefill(self, phones: Tensor, bert: Tensor | None, prompt: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Run the text and the prompt's tokens at once.

        Args:
            phones: int64 (batch, text), prompt and target, without padding.
            bert: float (batch, text, bert_dim), or None, which means zeros.
            prompt: int64 (batch, prompt), may be empty.

        Returns:
            logits of the next token (batch, vocabulary); keys and values (layers, batch, heads, text + prompt, width).
        """
        audio = self.embed_audio(prompt, torch.arange(prompt.shape[1], device=prompt.device))
        x = torch.cat([self.embed_text(phones, bert), audio], dim=1)
        return self._run(x, visible(phones.shape[1], x.shape[1], phones.device))

    def prefill_rows(
        self, phones: Tensor, phone_lengths: Tensor, bert: Tensor | None, prompt: Tensor, prompt_lengths: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `prefill`, for rows of different lengths: all end at the same slot, and padding stands before them.

        Args:
            phones: int64 (batch, text), padded on the right with any valid phone.
            phone_lengths: int64 (batch), each at least 1.
            bert: float (batch, text, bert_dim), or None, which means zeros.
            prompt: int64 (batch, prompt), padded on the right with any valid token.
            prompt_lengths: int64 (batch).

        Returns:
            logits (batch, vocabulary), keys, values (layers, batch, heads, slots, width), and int64 (batch), the first
            slot of each row that is not padding.
        """
        # every row counts its positions from zero, wherever it will stand
        audio = self.embed_audio(prompt, torch.arange(prompt.shape[1], device=prompt.device))
        both = torch.cat([self.embed_text(phones, bert), audio], dim=1)  # (batch, text + prompt, hidden)
        lengths = phone_lengths + prompt_lengths
        size = int(lengths.max())
        first = size - lengths
        slots = torch.arange(size, device=phones.device)
        index = slots[None, :] - first[:, None]  # (batch, size): position within the row, negative on padding
        is_text = index < phone_lengths[:, None]
        source = torch.where(is_text, index, index - phone_lengths[:, None] + phones.shape[1]).clamp(min=0)
        x = both.gather(1, source[:, :, None].expand(-1, -1, both.shape[2]))  # (batch, size, hidden)
        causal = slots[None, :] <= slots[:, None]
        allowed = (index >= 0)[:, None, :] & (is_text[:, None, :] | causal)
        # padding attends to itself alone, so that no row of the softmax is empty
        allowed = allowed | torch.eye(size, dtype=torch.bool, device=phones.device)
        return *self._run(x, allowed[:, None]), first

    def _run(self, x: Tensor, allowed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """x: (batch, size, hidden) -> logits after the last position, and the keys and values of all layers."""
        keys, values = [], []
        for layer in self.layers:
            x, layer_keys, layer_values = layer(x, allowed)
            keys.append(layer_keys)
            values.append(layer_values)
        return self.predict(x[:, -1]), torch.stack(keys), torch.stack(values)

    def step(
        self,
        token: Tensor,
        position: Tensor,
        keys: Tensor,
        values: Tensor,
        length: Tensor,
        *,
        first: Tensor | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Run one more token; the cache is never copied.

        Args:
            token: int64 (batch, 1).
            position: int64 (batch), the token's index among the audio tokens, prompt included.
            keys: (layers, batch, heads, slots, width), as are the values; `slots` may exceed what is filled.
            values: see keys.
            length: int64 (batch), how many slots are filled.
            first: int64 (batch), where padding stands before a row: its first real slot.

        Returns:
            logits of the next token (batch, vocabulary); new keys and values (layers, batch, heads, 1, width), which
            the caller puts at slot `length`.
        """
        x = self.embed_audio(token[:, 0], position)  # (batch, hidden)
        filled = length_mask(length, keys.shape[3])  # (batch, slots)
        if first is not None:
            filled = filled & ~length_mask(first, keys.shape[3])
        bias = torch.where(filled, 0.0, -torch.inf)[:, None, None, :].to(x.dtype)  # (batch, 1, 1, slots)
        new_keys, new_values = [], []
        for index, layer in enumerate(cast("list[Layer]", self.layers)):
            x, new_key, new_value = layer.step(x, keys[index], values[index], bias)
            new_keys.append(new_key)
            new_values.append(new_value)
        # joined along the rows, which needs no new axis for each layer
        new = (torch.cat(parts).view(len(parts), *parts[0].shape) for parts in (new_keys, new_values))
        return self.predict(x), *new

    def embed_text(self, phones: Tensor, bert: Tensor | None) -> Tensor:
        """phones: (batch, text), bert: (batch, text, bert_dim) or None -> (batch, text, hidden)."""
        # the projection's bias is part of the network even where the feature is zero
        feature = self.bert_projection.bias if bert is None else self.bert_projection(bert)
        positions = self.text_position(torch.arange(phones.shape[1], device=phones.device))
        embedded: Tensor = self.dropout(self.text_embedding(phones) + feature + positions)
        return embedded

    def embed_audio(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """tokens: (batch, audio), positions: broadcast to it -> (batch, audio, hidden)."""
        embedded: Tensor = self.dropout(self.audio_embedding(tokens) + self.audio_position(positions))
        return embedded


def visible(text: int, size: int, device: torch.device) -> Tensor:
    """Return the attention mask: the text is visible to all, audio to itself and later audio.

    bool (size, size), rows attend to columns.
    """
    index = torch.arange(size, device=device)
    return (index[None, :] < text) | (index[None, :] <= index[:, None])
