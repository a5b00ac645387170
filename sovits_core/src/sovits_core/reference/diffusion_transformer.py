"""The velocity network of v3 and v4: a transformer over mel frames that time and step size modulate (DiT)."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.model_config import DiffusionTransformerConfig
from sovits_core.models.masks import frame_mask

EPSILON = 1e-6
TIME_SCALE = 1000.0
"""Times between 0 and 1 are embedded as steps of a thousand."""
LONGEST_PERIOD = 10000.0
LAST_POSITION = 4095
"""Later features are embedded with this position."""
FEATURE_KERNEL = 7


class TimeEmbedding(nn.Module):
    """A number between 0 and 1 as a vector: sines and cosines through two layers."""

    def __init__(self, frequencies: int, width: int) -> None:
        super().__init__()
        self.frequencies = frequencies
        self.layers = nn.Sequential(nn.Linear(2 * frequencies, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """time: (batch) -> (batch, width)."""
        positions = torch.arange(self.frequencies, device=time.device).float()
        periods = torch.exp(positions * -(math.log(LONGEST_PERIOD) / (self.frequencies - 1)))
        angles = TIME_SCALE * time.float()[:, None] * periods  # (batch, frequencies)
        result: Tensor = self.layers(torch.cat([angles.sin(), angles.cos()], dim=-1).to(time))
        return result


# Woo et al. 2023, ConvNeXt V2, arXiv:2301.00808
class ResponseNorm(nn.Module):
    """Divides each channel by how strong it is among all channels, over the whole length (GRN)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, channels), mask: (batch, time, 1) -> as x."""
        strength = (x * mask).norm(dim=1, keepdim=True)  # (batch, 1, channels)
        share = strength / (strength.mean(dim=-1, keepdim=True) + EPSILON)
        result: Tensor = self.scale * (x * share) + self.shift + x
        return result


class FeatureBlock(nn.Module):
    """A ConvNeXt block: each channel over time, then all channels at each time."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(channels, channels, FEATURE_KERNEL, padding=FEATURE_KERNEL // 2, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=EPSILON)
        self.up = nn.Linear(channels, inner)
        self.response_norm = ResponseNorm(inner)
        self.down = nn.Linear(inner, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x: (batch, time, channels), mask: (batch, time, 1) -> as x."""
        near = self.depthwise((x * mask).transpose(1, 2)).transpose(1, 2)  # (batch, time, channels)
        inner = self.response_norm(functional.gelu(self.up(self.norm(near))), mask)  # (batch, time, inner)
        result: Tensor = x + self.down(inner)
        return result


class FeatureEncoder(nn.Module):
    """Features with positions through ConvNeXt blocks; the same at every step of the integration."""

    def __init__(self, channels: int, config: DiffusionTransformerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            FeatureBlock(channels, config.feature_expansion * channels) for _ in range(config.feature_layers)
        )

    def forward(self, features: Tensor, mask: Tensor) -> Tensor:
        """features: (batch, time, channels), mask: (batch, time, 1) -> as features."""
        _, time, channels = features.shape
        positions = torch.arange(time, device=features.device).clamp(max=LAST_POSITION)
        exponents = torch.arange(0, channels, 2, device=features.device).float() / channels
        angles = torch.outer(positions, 1 / LONGEST_PERIOD**exponents)  # (time, channels / 2)
        x = features + torch.cat([angles.cos(), angles.sin()], dim=-1).to(features)
        for block in self.blocks:
            x = block(x, mask)
        return x


class FrameInput(nn.Module):
    """Noisy mel, prompt and features of each frame, concatenated, plus a convolutional position embedding."""

    def __init__(self, bands: int, features: int, config: DiffusionTransformerConfig) -> None:
        super().__init__()

        def convolution() -> nn.Conv1d:
            kernel = config.position_kernel
            return nn.Conv1d(config.width, config.width, kernel, padding=kernel // 2, groups=config.position_groups)

        self.projection = nn.Linear(2 * bands + features, config.width)
        self.around = nn.ModuleList([convolution(), convolution()])

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """frames: (batch, time, 2 bands + features), mask: (batch, time, 1) -> (batch, time, width)."""
        x: Tensor = self.projection(frames)
        around, real = x.transpose(1, 2), mask.transpose(1, 2)
        for convolution in self.around:
            around = functional.mish(convolution(around * real))
        return x + around.transpose(1, 2)


# Su et al. 2021, RoFormer, arXiv:2104.09864
class RotaryPositions(nn.Module):
    """Turns pairs of neighbouring channels by angles that grow with the position."""

    inverse_periods: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        # kept with the weights, as the official checkpoints do
        self.register_buffer("inverse_periods", LONGEST_PERIOD ** -(torch.arange(0, width, 2) / width))

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, time, channels), of which the first `width` turn -> as x."""
        positions = torch.arange(x.shape[1], device=x.device)
        angles = positions[:, None] * self.inverse_periods.float()  # (time, width / 2)
        cosine, sine = angles.cos().to(x), angles.sin().to(x)
        turned, kept = x[..., : 2 * angles.shape[1]], x[..., 2 * angles.shape[1] :]
        even, odd = turned[..., ::2], turned[..., 1::2]
        pairs = torch.stack([even * cosine - odd * sine, odd * cosine + even * sine], dim=-1)
        return torch.cat([pairs.flatten(-2), kept], dim=-1)


class FrameAttention(nn.Module):
    """Self-attention over the frames."""

    def __init__(self, config: DiffusionTransformerConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.q = nn.Linear(config.width, config.width)
        self.k = nn.Linear(config.width, config.width)
        self.v = nn.Linear(config.width, config.width)
        self.out = nn.Linear(config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, mask: Tensor, rotary: RotaryPositions) -> Tensor:
        """x: (batch, time, width), mask: (batch, time, 1) -> as x, zero outside the mask."""
        # The positions turn before the heads are split, so only the first head knows them: the trained weights
        # expect that.
        queries, keys, values = (
            y.reshape(y.shape[0], y.shape[1], self.heads, -1).transpose(1, 2)  # (batch, heads, time, width / heads)
            for y in (rotary(self.q(x)), rotary(self.k(x)), self.v(x))
        )
        allowed = mask[:, None, :, 0].bool()[:, :, None]  # (batch, 1, 1, time)
        mixed = functional.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
        result: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2))) * mask
        return result


class ModulatedLayer(nn.Module):
    """Attention and a feed-forward pair, whose scales, shifts and gates come from the time."""

    def __init__(self, config: DiffusionTransformerConfig) -> None:
        super().__init__()
        self.modulation = nn.Linear(config.width, 6 * config.width)
        self.attention = FrameAttention(config)
        self.up = nn.Linear(config.width, config.feed_forward)
        self.down = nn.Linear(config.feed_forward, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, time: Tensor, mask: Tensor, rotary: RotaryPositions) -> Tensor:
        """x: (batch, time, width), time: (batch, width), mask: (batch, time, 1) -> as x."""
        shift, scale, gate, late_shift, late_scale, late_gate = self.modulation(functional.silu(time))[:, None].chunk(
            6, dim=-1
        )  # each (batch, 1, width)
        x = x + gate * self.attention(modulated(x, shift, scale), mask, rotary)
        inner = functional.gelu(self.up(modulated(x, late_shift, late_scale)), approximate="tanh")
        result: Tensor = x + late_gate * self.down(self.dropout(inner))
        return result


def modulated(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm whose scale and shift come from outside; x: (batch, time, width) -> as x."""
    return functional.layer_norm(x, x.shape[-1:], eps=EPSILON) * (1 + scale) + shift


# Peebles and Xie 2022, DiT, arXiv:2212.09748, as in Chen et al. 2024, F5-TTS, arXiv:2410.06885; as
# GPT_SoVITS/f5_tts/model/backbones/dit.py
class DiffusionTransformer(nn.Module):
    """Predicts the velocity from noise to speech at a mel between them.

    Padding never reaches real frames: upstream lets it leak through the convolutions and the response norm, which a
    row on its own, as in upstream's inference, is never exposed to.
    """

    def __init__(self, bands: int, features: int, config: DiffusionTransformerConfig) -> None:
        super().__init__()
        self.time_embedding = TimeEmbedding(config.time_frequencies, config.width)
        self.step_embedding = TimeEmbedding(config.time_frequencies, config.width)
        self.feature_encoder = FeatureEncoder(features, config)
        self.input = FrameInput(bands, features, config)
        self.rotary = RotaryPositions(config.width // config.heads)
        self.layers = nn.ModuleList(ModulatedLayer(config) for _ in range(config.layers))
        self.output_modulation = nn.Linear(config.width, 2 * config.width)
        self.output = nn.Linear(config.width, bands)

    def encode_features(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """features: (batch, channels, frames) -> (batch, frames, channels), for all calls of `forward` with them."""
        encoded: Tensor = self.feature_encoder(features.transpose(1, 2), frame_mask(features, lengths).transpose(1, 2))
        return encoded

    def forward(
        self,
        x: Tensor,
        prompt: Tensor,
        encoded: Tensor,
        time: Tensor,
        step: Tensor,
        *,
        lengths: Tensor | None = None,
    ) -> Tensor:
        """The velocity.

        Args:
            x: (batch, bands, frames), the mel at this time, zero where the prompt is.
            prompt: (batch, bands, frames), the prompt's mel, zero after it.
            encoded: (batch, frames, channels) of `encode_features`.
            time: (batch), 0 is noise and 1 is speech.
            step: (batch), how far the caller will follow the answer; 0 asks for the slope at this time.
            lengths: int64 (batch), where rows are padded.

        Returns:
            (batch, bands, frames).
        """
        mask = frame_mask(x, lengths).transpose(1, 2)  # (batch, frames, 1)
        moment = self.time_embedding(time) + self.step_embedding(step)  # (batch, width)
        y = self.input(torch.cat([x.transpose(1, 2), prompt.transpose(1, 2), encoded], dim=-1), mask)
        for layer in self.layers:
            y = layer(y, moment, mask, self.rotary)
        # here the scale comes first, unlike in the layers
        scale, shift = self.output_modulation(functional.silu(moment))[:, None].chunk(2, dim=-1)
        velocity: Tensor = self.output(modulated(y, shift, scale))
        return velocity.transpose(1, 2)
