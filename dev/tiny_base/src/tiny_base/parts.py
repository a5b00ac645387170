"""All networks of a pretraining run, and which of them each stage trains."""

from __future__ import annotations

import torch
from torch import nn

from sovits_core.bundle.base import BaseBundle
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Discriminator, Synthesizer, TextToSemantic
from tiny_base import semantic, subbands
from tiny_base.codes import read_projection, write_codebook
from tiny_base.encoder import Encoder
from tiny_base.errors import PretrainError
from tiny_base.sizes import PretrainConfig


class Parts:
    """Fresh networks, each initialised for what it will learn."""

    def __init__(self, config: PretrainConfig) -> None:
        self.encoder = Encoder(config.hubert)
        self.s2 = Synthesizer(config.s2)
        self.s2.fold_weight_norm()
        subbands.initialise(self.s2.waveform_generator)
        write_codebook(self.s2)
        self.readout = nn.Conv1d(config.s2.upsample_channels // 4, subbands.SUBBANDS, 1, bias=False)
        nn.init.normal_(self.readout.weight, std=0.003)
        self.judges = Discriminator(config.s2d)
        self.s1 = TextToSemantic(config.s1)
        semantic.initialise(self.s1)

    def to(self, device: torch.device) -> None:
        """Move all networks to a device."""
        for network in (self.encoder, self.s2, self.readout, self.judges, self.s1):
            network.to(device)

    def of(self, stage: str) -> nn.Module:
        """What a stage trains, as one module to save."""
        s2 = self.s2
        prior = {
            "content": s2.content_encoder,
            "timbre": s2.timbre_encoder,
            "timbre_for_content": s2.timbre_for_content,
        }
        return {
            "encoder": self.encoder,
            "prior": nn.ModuleDict({**prior, "posterior": s2.posterior_encoder}),
            "detail": nn.ModuleDict(prior),
            "bands": nn.ModuleDict({"generator": s2.waveform_generator, "readout": self.readout}),
            "sound": nn.ModuleDict({"generator": s2.waveform_generator, "judges": self.judges}),
            "semantic": self.s1,
        }[stage]

    def take_from(self, base: BaseBundle) -> None:
        """Start with a base's weights; what pretraining reads off beside them is found in them again.

        Raises:
            PretrainError: the base is of other sizes.
            CheckpointMismatch: a file has other keys or shapes than base.json says.
        """
        document = base.document
        for name, theirs, ours in (
            ("s1", document.s1, self.s1.config),
            ("s2", document.s2, self.s2.config),
            ("s2d", document.s2d, self.judges.config),
            ("hubert.hidden", document.hubert.hidden, self.encoder.hubert.config.hidden_size),
        ):
            if theirs != ours:
                raise PretrainError(
                    f"the base {document.name!r} cannot be continued: its {name} is {theirs}, this run's is {ours}"
                )
        for module, file in ((self.s1, "s1"), (self.s2, "s2g"), (self.judges, "s2d")):
            load_weights(module, base.path(f"{file}.safetensors"))
        load_weights(self.encoder.hubert, base.path("hubert/model.safetensors"))
        read_projection(self.s2, self.encoder.read.weight)
        subbands.read_synthesis(self.s2.waveform_generator, self.readout)
