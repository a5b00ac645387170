"""The codebook between HuBERT's features and semantic tokens."""

import torch
from torch import Tensor, nn
from torch.nn import functional


# van den Oord et al. 2017, VQ-VAE, arXiv:1711.00937; as GPT_SoVITS/module/core_vq.py (EnCodec, arXiv:2210.13438)
class Quantizer(nn.Module):
    """Nearest codebook vector by Euclidean distance.

    Nothing here is trained by gradient. `vectors` is what counts; `ready`, `usage` and `sums` are the running
    statistics that the official checkpoints carry beside it. A trained codebook is written with `set_vectors`.
    """

    vectors: Tensor
    ready: Tensor
    usage: Tensor
    sums: Tensor

    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.randn(tokens, width) * width**-0.5)  # (tokens, width)
        self.register_buffer("ready", torch.zeros(1))
        self.register_buffer("usage", torch.ones(tokens))
        self.register_buffer("sums", self.vectors.clone())

    def set_vectors(self, vectors: Tensor) -> None:
        """Take a learnt codebook (tokens, width)."""
        self.vectors.copy_(vectors)
        self.sums.copy_(vectors)
        self.usage.fill_(1)
        self.ready.fill_(1)

    def encode(self, x: Tensor) -> Tensor:
        """x: (batch, width, time) -> int64 (batch, time)."""
        return self.distances(x).argmin(dim=-1)

    def distances(self, x: Tensor) -> Tensor:
        """x: (batch, width, time) -> squared distances (batch, time, tokens), less |x|^2, which no code can change."""
        points = x.transpose(1, 2)  # (batch, time, width)
        return self.vectors.square().sum(1) - 2 * points @ self.vectors.T

    def decode(self, tokens: Tensor) -> Tensor:
        """tokens: int64 (batch, time) -> (batch, width, time)."""
        return functional.embedding(tokens, self.vectors).transpose(1, 2)
