"""ERes2NetV2, the speaker-verification network of the Pro family."""

from typing import cast

import torch
from torch import Tensor, nn

from sovits_core.bundle.model_config import SpeakerEncoderConfig

CEILING = 20.0
"""Upper bound of the blocks' rectifiers; the first convolution's has none."""
FUSION_REDUCTION = 4
"""How much narrower a fusion is inside than outside."""


class AttentiveFusion(nn.Module):
    """Attentive feature fusion: element-wise weights for two maps, computed from both."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // FUSION_REDUCTION
        self.share = nn.Sequential(
            nn.Conv2d(2 * channels, inner, 1),
            nn.BatchNorm2d(inner),
            nn.SiLU(),
            nn.Conv2d(inner, channels, 1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Take x and y: (batch, channels, bins, time) -> the same shape."""
        share: Tensor = self.share(torch.cat([x, y], dim=1)).tanh()  # from all y at -1 to all x at 1
        return x * (1 + share) + y * (1 - share)


class Addition(nn.Module):
    """The plain way to mix two maps."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Take x and y: any shape -> the same shape."""
        return x + y


class BranchedBlock(nn.Module):
    """A Res2Net bottleneck: each branch takes its own channels and the output of the branch before it."""

    def __init__(self, inputs: int, planes: int, stride: int, config: SpeakerEncoderConfig, *, attentive: bool) -> None:
        super().__init__()
        width = planes * config.base_width // 64
        outputs = planes * config.expansion
        self.narrow = nn.Conv2d(inputs, width * config.scale, 1, stride, bias=False)
        self.narrow_norm = nn.BatchNorm2d(width * config.scale)
        self.branches = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(config.scale))
        self.branch_norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(config.scale))
        self.fusions = nn.ModuleList(
            AttentiveFusion(width) if attentive else Addition() for _ in range(config.scale - 1)
        )
        self.widen = nn.Conv2d(width * config.scale, outputs, 1, bias=False)
        self.widen_norm = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: (batch, inputs, bins, time) -> (batch, outputs, bins / stride, time / stride)."""
        narrow = self.narrow_norm(self.narrow(x)).clamp(0, CEILING)
        outputs_so_far: list[Tensor] = []
        for index, own in enumerate(narrow.chunk(len(self.branches), dim=1)):
            joined = self.fusions[index - 1](outputs_so_far[-1], own) if outputs_so_far else own
            outputs_so_far.append(self.branch_norms[index](self.branches[index](joined)).clamp(0, CEILING))
        result: Tensor = self.widen_norm(self.widen(torch.cat(outputs_so_far, dim=1))) + self.shortcut(x)
        return result.clamp(0, CEILING)


# Chen et al. 2024, ERes2NetV2, arXiv:2406.02167; as GPT_SoVITS/eres2net/ERes2NetV2.py
class SpeakerEncoder(nn.Module):
    """Four stages of blocks, of which the last two are fused into the vector that the Pro family takes."""

    def __init__(self, config: SpeakerEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Conv2d(1, config.channels, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(config.channels)
        stages = []
        inputs = config.channels
        for index, blocks in enumerate(config.blocks):
            planes = config.channels * 2**index
            outputs = planes * config.expansion
            stages.append(
                nn.Sequential(
                    *(
                        BranchedBlock(
                            outputs if number else inputs,
                            planes,
                            stride=2 if index and not number else 1,
                            config=config,
                            attentive=index >= 2,
                        )
                        for number in range(blocks)
                    )
                )
            )
            inputs = outputs
        self.stages = nn.ModuleList(stages)
        self.downsample = nn.Conv2d(inputs // 2, inputs, 3, 2, padding=1, bias=False)
        self.fusion = AttentiveFusion(inputs)
        # The verification embedding, from mean and deviation of the fused map: no version of the family takes it, but
        # the official checkpoint holds it, and evaluation compares speakers by it.
        self.embedding = nn.Linear(2 * config.vector, config.embedding)

    def forward(self, filterbank: Tensor) -> Tensor:
        """filterbank: (batch, time, bands) -> the speaker vector (batch, vector), the fused map's mean over time."""
        vector: Tensor = self._fused(filterbank).mean(dim=-1)
        return vector

    def verify(self, filterbank: Tensor) -> Tensor:
        """filterbank: (batch, time, bands) -> the verification embedding (batch, embedding), to be compared by cosine.

        Statistics pooling and a linear layer, as in the official ERes2NetV2.
        """
        fused = self._fused(filterbank)
        deviation = (fused.var(dim=-1) + 1e-8).sqrt()
        embedding: Tensor = self.embedding(torch.cat([fused.mean(dim=-1), deviation], dim=1))
        return embedding

    def _fused(self, filterbank: Tensor) -> Tensor:
        """Return (batch, vector, time / 8)."""
        x = self.stem_norm(self.stem(filterbank.transpose(1, 2)[:, None])).relu()  # (batch, channels, bands, time)
        first, second, third, fourth = cast("list[nn.Module]", self.stages)
        x = third(second(first(x)))  # (batch, channels * 4 * expansion, bands / 4, time / 4)
        fused = self.fusion(fourth(x), self.downsample(x))  # (batch, channels * 8 * expansion, bands / 8, time / 8)
        flat: Tensor = fused.flatten(1, 2)
        return flat
