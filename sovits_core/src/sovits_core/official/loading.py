"""Networks from official files: told apart by their structure, built at their sizes, filled strictly."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from sovits_core.bundle.model_config import (
    BigVganConfig,
    DiscriminatorConfig,
    MelSynthesizerConfig,
    SpeakerEncoderConfig,
    SynthesizerConfig,
    VocoderConfig,
    s2_v1,
    s2_v2_pro,
    s2_v2_pro_plus,
    s2_v3,
    s2_v4,
)
from sovits_core.errors import CheckpointMismatch, OfficialFileRejected
from sovits_core.models import Discriminator, SpeakerEncoder, Synthesizer, TextToSemantic
from sovits_core.official.files import OfficialFile, read_official
from sovits_core.official.names import load_official, to_official
from sovits_core.official.versions import (
    Detected,
    Part,
    Version,
    choose_version,
    detect,
    discriminator_periods,
    s1_config,
)
from sovits_core.reference.bigvgan import BigVgan
from sovits_core.reference.mel_synthesizer import MelSynthesizer
from sovits_core.reference.vocoder import Vocoder

S2_CONFIGS: Mapping[Version, SynthesizerConfig] = {
    "v1": s2_v1(),
    "v2": SynthesizerConfig(),
    "v2Pro": s2_v2_pro(),
    "v2ProPlus": s2_v2_pro_plus(),
}
"""Sizes of the synthesizers that decode a waveform themselves."""

MEL_CONFIGS: Mapping[Version, MelSynthesizerConfig] = {"v3": s2_v3(), "v4": s2_v4()}
"""Sizes of those that decode a mel for a vocoder."""


def read_part(path: Path, part: Part) -> tuple[OfficialFile, Detected]:
    """Read a file that must hold a certain part.

    Raises:
        OfficialFileRejected: as `read_official`, or it holds another part.
    """
    file = read_official(path)
    try:
        found = detect(file.weights)
    except OfficialFileRejected as error:
        raise OfficialFileRejected(f"{file.name}: {error}") from error
    if found.part != part:
        raise OfficialFileRejected(f"{file.name} is {found.part}, but {part} is wanted here")
    return file, found


def version_of(file: OfficialFile, found: Detected, asked: str | None) -> Version:
    """The version of a file that was read; raises OfficialFileRejected as `choose_version` does, naming the file."""
    try:
        return choose_version(found, file.head, file.config, asked)
    except OfficialFileRejected as error:
        raise OfficialFileRejected(f"{file.name}: {error}") from error


def load_s1(file: OfficialFile) -> TextToSemantic:
    """An S1 in float32 and evaluation mode.

    Raises:
        OfficialFileRejected: its settings and shapes disagree.
        CheckpointMismatch: a key is missing or unknown, or a shape differs.
    """
    try:
        s1 = TextToSemantic(s1_config(file.weights, file.config))
    except OfficialFileRejected as error:
        raise OfficialFileRejected(f"{file.name}: {error}") from error
    _fill(s1, file)
    return s1.eval()


def load_synthesizer(file: OfficialFile, found: Detected, version: Version) -> Synthesizer:
    """An S2 of v1, v2, v2Pro or v2ProPlus in float32 and evaluation mode.

    Fine-tuned files lack the posterior encoder, which only training needs: it then keeps random weights.

    Raises:
        OfficialFileRejected: it is of v3 or v4.
        CheckpointMismatch: a key is missing or unknown, or a shape differs.
    """
    if version not in S2_CONFIGS:
        raise OfficialFileRejected(
            f"{file.name} is of {version}, which decodes through a vocoder; give an S2 of {', '.join(S2_CONFIGS)}"
        )
    synthesizer = Synthesizer(S2_CONFIGS[version])
    _fill(synthesizer, file if found.posterior else replace(file, weights=_with_posterior(synthesizer, file.weights)))
    return synthesizer.eval()


def load_discriminator(file: OfficialFile) -> Discriminator:
    """The judges of training, in float32.

    Raises:
        CheckpointMismatch: a key is missing or unknown, or a shape differs.
    """
    discriminator = Discriminator(DiscriminatorConfig(periods=discriminator_periods(file.weights)))
    _fill(discriminator, file)
    return discriminator


def load_mel_synthesizer(file: OfficialFile, version: Version) -> MelSynthesizer:
    """An S2 of v3 or v4 in float32 and evaluation mode; raises CheckpointMismatch as `load_synthesizer`."""
    synthesizer = MelSynthesizer(MEL_CONFIGS[version])
    _fill(synthesizer, file)
    return synthesizer.eval()


def load_vocoder(file: OfficialFile) -> Vocoder:
    """The vocoder of v4 in float32 and evaluation mode; raises CheckpointMismatch as `load_synthesizer`."""
    vocoder = Vocoder(VocoderConfig())
    _fill(vocoder, file)
    return vocoder.eval()


def load_bigvgan(file: OfficialFile) -> BigVgan:
    """The vocoder of v3 in float32 and evaluation mode; raises CheckpointMismatch as `load_synthesizer`."""
    vocoder = BigVgan(BigVganConfig())
    _fill(vocoder, file)
    return vocoder.eval()


def load_speaker_encoder(file: OfficialFile) -> SpeakerEncoder:
    """The speaker encoder of the Pro family in float32; raises CheckpointMismatch as `load_synthesizer`."""
    encoder = SpeakerEncoder(SpeakerEncoderConfig())
    _fill(encoder, file)
    return encoder.eval()


def _with_posterior(synthesizer: Synthesizer, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    fresh = {key: tensor for key, tensor in to_official(synthesizer).items() if key.startswith("enc_q.")}
    return {**weights, **fresh}


def _fill(module: nn.Module, file: OfficialFile) -> None:
    try:
        load_official(module, file.weights)
    except CheckpointMismatch as error:
        raise CheckpointMismatch(file.name, error.differences) from error
