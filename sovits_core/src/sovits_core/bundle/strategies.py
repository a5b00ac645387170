"""Strategies that a base names in base.json: how clips become tokens, and how adapters are fitted; no torch.

Official bases name none and get the defaults, which do as the official code does. The trainer implements each one
(`voice_trainer.training.tokens`, `voice_trainer.training.finetune`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sovits_core.bundle.document import Document
from sovits_core.text.phones import SILENCE

PhoneTokens = Mapping[str, tuple[tuple[int, ...], ...]]
"""For each phone, without stress or tone, and for `SIL`: the tokens of its sub-phone states, in their order."""


class EncoderTokens(Document):
    """Each token is the codebook entry nearest to the speech encoder's output."""

    strategy: Literal["encoder"] = "encoder"


class AlignedTokens(Document):
    """Tokens stand for phones: a clip's are the nearest ones on a Viterbi alignment with its text.

    Silence is trimmed from the ends of prompts. A clip that its text does not fit gets encoder tokens.
    """

    strategy: Literal["aligned"] = "aligned"
    phone_tokens: PhoneTokens

    @model_validator(mode="after")
    def _states_have_tokens(self) -> Self:
        for phone, states in self.phone_tokens.items():
            if not states or not all(states):
                raise ValueError(f"phoneTokens.{phone} must list the tokens of each state, at least one")
        if SILENCE not in self.phone_tokens:
            raise ValueError(f"phoneTokens has no tokens of {SILENCE}, silence")
        return self

    def check_range(self, codebook_size: int) -> None:
        """Raise ValueError where a token is not in the codebook."""
        for phone, states in self.phone_tokens.items():
            if not all(0 <= token < codebook_size for state in states for token in state):
                raise ValueError(f"tokens.phoneTokens.{phone} must hold tokens from 0 to {codebook_size - 1}")


TokenStrategy = Annotated[EncoderTokens | AlignedTokens, Field(discriminator="strategy")]


class FullTarget(Document):
    """The prior is fitted to the posterior's latents as they are."""

    strategy: Literal["full"] = "full"


class SmoothedTarget(Document):
    """The prior is fitted to the base's own output plus a moving average of the posterior's difference from it.

    Differences that vary within the window stay the base's.
    """

    strategy: Literal["smoothed"] = "smoothed"
    frames: int = Field(ge=1, le=500, description="Reach of the moving average before and after a frame, 20 ms each.")


TargetStrategy = Annotated[FullTarget | SmoothedTarget, Field(discriminator="strategy")]


class LearningRateMultipliers(Document):
    """Factors on a job's `learningRate` for the adapter's matrices in each network."""

    s1: float = Field(1.0, gt=0, le=1000)
    s2: float = Field(1.0, gt=0, le=1000)


class Finetuning(Document):
    """How an adapter of this base is fitted."""

    learning_rate_multipliers: LearningRateMultipliers = LearningRateMultipliers()
    target: TargetStrategy = FullTarget()
