"""An invertible map between latent frames with a speaker in them and frames without."""

from typing import cast

import torch
from torch import Tensor, nn

from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.models.wavenet import WaveNet


# Dinh et al. 2016, Real NVP, arXiv:1605.08803, shifting only; as ResidualCouplingLayer of GPT_SoVITS/module/modules.py
class AffineCoupling(nn.Module):
    """One invertible step: one half of the channels shifts the other."""

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__()
        half = config.latent // 2
        self.input = nn.Conv1d(half, config.hidden, 1)
        self.wavenet = WaveNet(config.hidden, config.flow_layers, config.wavenet_kernel, config.speaker_embedding)
        self.shift = nn.Conv1d(config.hidden, half, 1)
        # a new flow starts as the identity
        nn.init.zeros_(self.shift.weight)
        if self.shift.bias is not None:
            nn.init.zeros_(self.shift.bias)

    def forward(self, z: Tensor, mask: Tensor, speaker_embedding: Tensor, *, reverse: bool = False) -> Tensor:
        """z: (batch, latent, frames), mask: (batch, 1, frames), speaker_embedding: (batch, embedding, 1) -> as z."""
        kept, moved = z.chunk(2, dim=1)
        shift = (
            self.shift(self.wavenet(self.input(kept) * mask, mask, speaker_embedding)) * mask
        )  # (batch, latent / 2, frames)
        moved = (moved - shift) * mask if reverse else shift + moved * mask
        return torch.cat([kept, moved], dim=1)


class Flow(nn.Module):
    """Couplings with the channels reversed after each, so that every half moves."""

    def __init__(self, config: SynthesizerConfig) -> None:
        super().__init__()
        self.couplings = nn.ModuleList(AffineCoupling(config) for _ in range(config.flows))

    def forward(self, z: Tensor, mask: Tensor, speaker_embedding: Tensor, *, reverse: bool = False) -> Tensor:
        """As AffineCoupling.forward; `reverse` undoes what the plain direction did."""
        couplings = cast("list[AffineCoupling]", self.couplings)
        if reverse:
            for coupling in reversed(couplings):
                z = coupling(z.flip(1), mask, speaker_embedding, reverse=True)
            return z
        for coupling in couplings:
            z = coupling(z, mask, speaker_embedding).flip(1)
        return z
