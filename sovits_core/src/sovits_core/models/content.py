"""The prior encoder: semantic tokens cross-attend to phones and give mean and deviation of the latent frames."""

import torch
from torch import Tensor, nn

from sovits_core.bundle.model_config import ConditioningConfig
from sovits_core.models.encoder import Attention, Encoder


# Jiang et al. 2023, Mega-TTS 2, arXiv:2307.07218 (MRTE); as GPT_SoVITS/module/mrte_model.py
class CrossAttention(nn.Module):
    """Token frames attend to phones, and the speaker embedding is added (upstream's MRTE)."""

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        self.from_ssl = nn.Conv1d(config.hidden, config.cross_hidden, 1)
        self.from_text = nn.Conv1d(config.hidden, config.cross_hidden, 1)
        self.attention = Attention(config.cross_hidden, config.cross_heads)
        self.out = nn.Conv1d(config.cross_hidden, config.hidden, 1)

    def forward(self, ssl: Tensor, ssl_mask: Tensor, text: Tensor, text_mask: Tensor, speaker: Tensor) -> Tensor:
        """ssl: (batch, hidden, frames), text: (batch, hidden, phones), speaker: (batch, cross_hidden, 1)."""
        allowed = ssl_mask[:, :, :, None] * text_mask[:, :, None, :]  # (batch, 1, frames, phones)
        ssl = self.from_ssl(ssl * ssl_mask)  # (batch, cross_hidden, frames)
        text = self.from_text(text * text_mask)
        mixed = self.attention(ssl * ssl_mask, text * text_mask, allowed) + ssl + speaker
        result: Tensor = self.out(mixed * ssl_mask)
        return result  # (batch, hidden, frames)


# Kim et al. 2021, VITS, arXiv:2106.06103 (prior encoder); as TextEncoder of GPT_SoVITS/module/models.py
class ContentEncoder(nn.Module):
    """Quantized frames and phones to mean and log deviation of each latent frame."""

    def __init__(self, config: ConditioningConfig) -> None:
        super().__init__()
        self.ssl_projection = nn.Conv1d(config.ssl_dim, config.hidden, 1)
        self.ssl_encoder = Encoder(config, config.ssl_layers)
        self.text_embedding = nn.Embedding(config.phonemes, config.hidden)
        nn.init.normal_(self.text_embedding.weight, std=config.hidden**-0.5)
        self.text_encoder = Encoder(config, config.text_layers)
        self.cross_attention = CrossAttention(config)
        self.mixed_encoder = Encoder(config, config.mixed_layers)
        self.projection = nn.Conv1d(config.hidden, 2 * config.latent, 1)

    def forward(
        self, quantized: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor, speaker: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return mean and log standard deviation, each (batch, latent, frames); arguments as of `encode`."""
        mixed = self.encode(quantized, mask, text, text_mask, speaker)
        mean, log_deviation = torch.chunk(self.projection(mixed) * mask, 2, dim=1)
        return mean, log_deviation

    def encode(self, quantized: Tensor, mask: Tensor, text: Tensor, text_mask: Tensor, speaker: Tensor) -> Tensor:
        """Encode tokens and phones, conditioned on the speaker.

        Args:
            quantized: (batch, ssl_dim, frames), the codebook's vectors at the latent rate.
            mask: (batch, 1, frames).
            text: int64 (batch, phones).
            text_mask: (batch, 1, phones).
            speaker: (batch, cross_hidden, 1), the projected speaker embedding.

        Returns:
            (batch, hidden, frames), zero outside the mask.
        """
        ssl = self.ssl_encoder(self.ssl_projection(quantized * mask), mask)  # (batch, hidden, frames)
        phones = self.text_encoder(self.text_embedding(text).transpose(1, 2), text_mask)  # (batch, hidden, phones)
        encoded: Tensor = self.mixed_encoder(self.cross_attention(ssl, mask, phones, text_mask, speaker), mask)
        return encoded
