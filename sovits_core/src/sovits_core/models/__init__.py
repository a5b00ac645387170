"""The networks, one file per stage of the signal; sizes come from `sovits_core.model_config`."""

from sovits_core.model_config import DiscriminatorConfig, SynthesizerConfig, TextToSemanticConfig
from sovits_core.models.discriminator import Discriminator
from sovits_core.models.semantic import TextToSemantic
from sovits_core.models.synthesizer import Synthesizer, TrainingPass

__all__ = [
    "Discriminator",
    "DiscriminatorConfig",
    "Synthesizer",
    "SynthesizerConfig",
    "TextToSemantic",
    "TextToSemanticConfig",
    "TrainingPass",
]
