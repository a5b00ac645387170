"""The transformer encoder of S2: 1x1 convolutions, relative positions within a window, norms after the additions."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import ConditioningConfig

MASKED_SCORE = -1e4
"""Score of a forbidden pair; finite, so that half precision and fully masked rows stay finite too."""


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of (batch, channels, time)."""

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, channels, time) -> the same shape."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


# Vaswani et al. 2017, Attention Is All You Need, arXiv:1706.03762; relative positions of Shaw et al. 2018,
# arXiv:1803.02155; as GPT_SoVITS/module/attentions.py
class Attention(nn.Module):
    """Multi-head attention from one sequence to another (or to itself), with optional relative positions."""

    def __init__(self, channels: int, heads: int, *, window: int | None = None, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.window = window
        self.q = nn.Conv1d(channels, channels, 1)
        self.k = nn.Conv1d(channels, channels, 1)
        self.v = nn.Conv1d(channels, channels, 1)
        self.o = nn.Conv1d(channels, channels, 1)
        self.dropout = nn.Dropout(dropout)
        for projection in (self.q, self.k, self.v):
            nn.init.xavier_uniform_(projection.weight)
        if window is not None:
            width = channels // heads
            # one vector per distance -window..window, shared by the heads
            self.relative_keys = nn.Parameter(torch.randn(2 * window + 1, width) * width**-0.5)
            self.relative_values = nn.Parameter(torch.randn(2 * window + 1, width) * width**-0.5)

    def forward(self, x: Tensor, context: Tensor, allowed: Tensor) -> Tensor:
        """Attend from x to context.

        Args:
            x: (batch, channels, to).
            context: (batch, channels, from); relative positions need from = to.
            allowed: (batch, 1, to, from), zero where attention is masked.

        Returns:
            (batch, channels, to).
        """
        queries = self._heads(self.q(x))  # (batch, heads, to, width)
        keys, values = self._heads(self.k(context)), self._heads(self.v(context))
        queries = queries / math.sqrt(queries.shape[-1])
        scores = queries @ keys.transpose(-1, -2)  # (batch, heads, to, from)
        if self.window is not None:
            scores = scores + self._spread(queries @ self.relative_keys.T, scores)
        weights = self.dropout(scores.masked_fill(allowed == 0, MASKED_SCORE).softmax(dim=-1))
        mixed = weights @ values  # (batch, heads, to, width)
        if self.window is not None:
            mixed = mixed + self._collect(weights) @ self.relative_values
        result: Tensor = self.o(mixed.transpose(2, 3).flatten(1, 2))
        return result

    def _heads(self, x: Tensor) -> Tensor:
        # not unflatten: the exporter takes the traced sizes of its result for the only ones
        split = x.reshape(x.size(0), self.heads, x.size(1) // self.heads, x.size(2))
        return split.transpose(2, 3)  # (batch, heads, time, width)

    def _spread(self, by_distance: Tensor, scores: Tensor) -> Tensor:
        """Scores by distance (batch, heads, time, 2 window + 1) as scores by pair (batch, heads, time, time).

        Row i must move right by i - window places; in the flattened matrix that is one row stride less.
        """
        assert self.window is not None  # noqa: S101  (only called with one)
        time = by_distance.size(2)
        # zeros come from a tensor of their size: a padding of varying width would be frozen by the export
        wide = torch.cat([by_distance, torch.zeros_like(scores)], dim=-1)  # (batch, heads, time, time + 2 window + 1)
        flat = functional.pad(wide.flatten(2), (0, self.window))[..., self.window :]
        stride = time + 2 * self.window
        rows = flat[..., : time * stride].reshape(flat.size(0), self.heads, time, stride)
        return rows[..., :time]

    def _collect(self, weights: Tensor) -> Tensor:
        """Weights by pair (batch, heads, time, time) to weights by distance (batch, heads, time, 2 window + 1).

        The inverse of `_spread`: in the flattened matrix, one row stride more.
        """
        assert self.window is not None  # noqa: S101  (only called with one)
        time = weights.size(-1)
        wide = functional.pad(weights, (self.window, self.window))  # (batch, heads, time, time + 2 window)
        flat = torch.cat([wide.flatten(2), torch.zeros_like(weights[..., 0])], dim=-1)
        stride = time + 2 * self.window + 1
        return flat.reshape(flat.size(0), self.heads, time, stride)[..., : 2 * self.window + 1]


class FeedForward(nn.Module):
    """Two convolutions over time with a rectifier between them; padding never leaks into real frames."""

    def __init__(self, channels: int, inner: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.padding = ((kernel - 1) // 2, kernel // 2)
        self.up = nn.Conv1d(channels, inner, kernel)
        self.down = nn.Conv1d(inner, channels, kernel)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, channels, time), mask: (batch, 1, time) -> (batch, channels, time)."""
        x = self.dropout(self.up(functional.pad(x * mask, self.padding)).relu())
        result: Tensor = self.down(functional.pad(x * mask, self.padding)) * mask
        return result


class EncoderLayer(nn.Module):
    """Self-attention, then a feed-forward pair."""

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        self.attention = Attention(config.hidden, config.heads, window=config.attention_window, dropout=config.dropout)
        self.attention_norm = ChannelNorm(config.hidden)
        self.feed_forward = FeedForward(config.hidden, config.filter, config.kernel, config.dropout)
        self.feed_forward_norm = ChannelNorm(config.hidden)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, allowed: Tensor) -> Tensor:
        """x: (batch, channels, time), mask: (batch, 1, time), allowed: (batch, 1, time, time)."""
        x = self.attention_norm(x + self.dropout(self.attention(x, x, allowed)))
        result: Tensor = self.feed_forward_norm(x + self.dropout(self.feed_forward(x, mask)))
        return result


# Kim et al. 2020, Glow-TTS, arXiv:2005.11129 (its text encoder)
class Encoder(nn.Module):
    """A stack of layers; frames outside the mask come out as zero."""

    def __init__(self, config: ConditioningConfig, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, channels, time), mask: (batch, 1, time) -> (batch, channels, time)."""
        allowed = mask[:, :, :, None] * mask[:, :, None, :]  # (batch, 1, time, time)
        x = x * mask
        for layer in self.layers:
            x = layer(x, mask, allowed)
        return x * mask
