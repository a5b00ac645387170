"""The networks, one file per stage of the signal; sizes come from `sovits_core.bundle.model_config`."""

from sovits_core.bundle.model_config import DiscriminatorConfig, SynthesizerConfig, TextToSemanticConfig
from sovits_core.models.discriminator import Discriminator
from sovits_core.models.semantic import TextToSemantic
from sovits_core.models.speaker import SpeakerEncoder
from sovits_core.models.synthesizer import Synthesizer

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "SpeakerEncoder",
    "Synthesizer",
    "SynthesizerConfig",
    "TextToSemantic",
    "TextToSemanticConfig",
]
