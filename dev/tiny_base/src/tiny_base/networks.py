"""All networks of a training run, and the table of its stages."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from sovits_core.bundle.base import BaseBundle
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Discriminator, Synthesizer, TextToSemantic
from tiny_base import semantic, subbands
from tiny_base.config import TinyBaseConfig
from tiny_base.encoder import Encoder
from tiny_base.errors import IncompatibleBase
from tiny_base.tokens import read_projection, write_codebook


class StageTraits(NamedTuple):
    """One row of the table of stages."""

    after: str
    """The stage that must be complete before this one starts; empty for none."""
    networks: tuple[str, ...]
    """The networks whose weights the stage trains and saves."""


_PRIOR = ("content_encoder", "timbre_encoder", "timbre_for_content")
STAGES = {
    "encoder": StageTraits("", ("encoder",)),
    "prior": StageTraits("encoder", (*_PRIOR, "posterior_encoder")),
    "adversarial_refinement": StageTraits("prior", _PRIOR),
    "subband_regression": StageTraits("adversarial_refinement", ("waveform_generator", "readout")),
    "waveform_adversarial": StageTraits("subband_regression", ("waveform_generator", "discriminator")),
    "semantic": StageTraits("encoder", ("s1",)),
}
"""Stages by the name of option, checkpoint and budget, in the order of training."""


class TrainedNetworks:
    """Fresh networks, each initialised for its stage."""

    def __init__(self, config: TinyBaseConfig) -> None:
        self.encoder = Encoder(config.hubert)
        self.s2 = Synthesizer(config.s2)
        self.s2.fold_weight_norm()
        subbands.initialise(self.s2.waveform_generator)
        write_codebook(self.s2)
        self.readout = nn.Conv1d(config.s2.upsample_channels // 4, subbands.SUBBANDS, 1, bias=False)
        nn.init.normal_(self.readout.weight, std=0.003)
        self.discriminator = Discriminator(config.s2d)
        self.s1 = TextToSemantic(config.s1)
        semantic.initialise(self.s1)

    def to(self, device: torch.device) -> None:
        """Move all networks to a device."""
        for network in (self.encoder, self.s2, self.readout, self.discriminator, self.s1):
            network.to(device)

    def of(self, stage: str) -> nn.Module:
        """The networks that a stage trains, as one module to save."""
        own = {
            "encoder": self.encoder,
            "readout": self.readout,
            "discriminator": self.discriminator,
            "s1": self.s1,
        }
        return nn.ModuleDict(
            {name: own[name] if name in own else getattr(self.s2, name) for name in STAGES[stage].networks}
        )

    def load_base(self, base: BaseBundle) -> None:
        """Start with a base's weights; the encoder's head and the readout are recovered from them.

        Raises:
            IncompatibleBase: the base has other sizes.
            CheckpointMismatch: a file has other keys or shapes than base.json says.
        """
        document = base.document
        for name, theirs, ours in (
            ("s1", document.s1, self.s1.config),
            ("s2", document.s2, self.s2.config),
            ("s2d", document.s2d, self.discriminator.config),
            ("hubert.hidden", document.hubert.hidden, self.encoder.hubert.config.hidden_size),
        ):
            if theirs != ours:
                raise IncompatibleBase(
                    f"the base {document.name!r} cannot be continued: its {name} is {theirs}, this run's is {ours}"
                )
        for module, file in ((self.s1, "s1"), (self.s2, "s2g"), (self.discriminator, "s2d")):
            load_weights(module, base.path(f"{file}.safetensors"))
        load_weights(self.encoder.hubert, base.path("hubert/model.safetensors"))
        read_projection(self.s2, self.encoder.head.weight)
        subbands.read_inverse_mdct(self.s2.waveform_generator, self.readout)
