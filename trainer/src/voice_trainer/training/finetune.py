"""One step of fine-tuning: the losses of both networks on a batch, and the update of the adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.strategies import Finetuning, FullTarget, SmoothedTarget, TargetStrategy
from sovits_core.models import Synthesizer
from sovits_core.models.losses import KL_WEIGHT, MEL_WEIGHT, kl_loss, mel_loss, semantic_loss
from sovits_core.models.masks import frame_mask
from sovits_core.models.networks import Networks
from sovits_core.models.segments import crop, segment_starts
from voice_trainer.errors import BadData
from voice_trainer.training.examples import Batch
from voice_trainer.training.precision import Precision

GRADIENT_NORM = 1.0  # per network, so that one outlier does not undo the other clips' updates


@dataclass(frozen=True)
class StepLosses:
    """The losses of one step."""

    semantic: float
    kl: float
    mel: float

    @property
    def total(self) -> float:
        """The one that is minimised."""
        return self.semantic + KL_WEIGHT * self.kl + MEL_WEIGHT * self.mel


@dataclass(frozen=True)
class LearningRates:
    """Of the adapter's matrices in each network."""

    s1: float
    s2: float


def learning_rates(
    common: float, finetuning: Finetuning, s1: float | None = None, s2: float | None = None
) -> LearningRates:
    """Return a network's own rate where one is given, else the common one times the base's multiplier."""
    multipliers = finetuning.learning_rate_multipliers
    return LearningRates(
        common * multipliers.s1 if s1 is None else s1,
        common * multipliers.s2 if s2 is None else s2,
    )


def diverged(what: str, rates: LearningRates) -> BadData:
    """Return the error of a training that diverged, with the remedy."""
    now = f"{rates.s1:g}" if rates.s1 == rates.s2 else f"{rates.s1:g} for S1, {rates.s2:g} for S2"
    return BadData(f"{what}; lower training.learningRate (now {now})", reason="TrainingDiverged")


class PriorTarget(Protocol):
    """Chooses the latents that the prior is fitted to."""

    def __call__(self, posterior: Tensor, mask: Tensor, batch: Batch) -> Tensor:
        """Return the target (batch, latent, frames).

        Args:
            posterior: latents (batch, latent, frames) of the recordings, after the flow.
            mask: (batch, 1, frames), 1 where a clip has a frame.
            batch: the clips.
        """


def prior_target(strategy: TargetStrategy, model: PeftModel, s2: Synthesizer) -> PriorTarget:
    """Return the implementation of a base's target strategy; ``s2`` runs through the adapter of ``model``."""
    match strategy:
        case FullTarget():
            return full_target
        case SmoothedTarget(frames=frames):
            return SmoothedDifference(model, s2, frames)
        case _:
            assert_never(strategy)


def full_target(posterior: Tensor, mask: Tensor, batch: Batch) -> Tensor:  # noqa: ARG001 -- as the protocol
    """Return the posterior as it is, as the official code does."""
    return posterior


@dataclass(frozen=True)
class SmoothedDifference:
    """The base's output plus the speaker's difference from it, averaged over time.

    Fitted to few recordings by likelihood, a prior of sharp frames over-smooths: it returns to conditional means. So
    the adapter learns only differences that outlast the window, and quicker ones stay the base's.
    """

    model: PeftModel
    s2: Synthesizer
    frames: int
    """Reach of the average, before and after."""

    def __call__(self, posterior: Tensor, mask: Tensor, batch: Batch) -> Tensor:
        """Return the target (batch, latent, frames); arguments as of `PriorTarget`."""
        return smoothed_difference(self._base_mean(batch), posterior, mask, self.frames)

    @torch.no_grad()
    def _base_mean(self, batch: Batch) -> Tensor:
        """The prior's mean (batch, latent, frames) without adapter and dropout."""
        training = self.s2.training
        self.s2.eval()
        with self.model.disable_adapter():
            mean, _, _ = self.s2.prior(
                batch.tokens, batch.phones, batch.speaker_embedding, batch.token_lengths, batch.phone_lengths
            )
        self.s2.train(training)
        return mean


def smoothed_difference(base: Tensor, posterior: Tensor, mask: Tensor, frames: int) -> Tensor:
    """Return ``base`` plus the moving average of ``posterior - base`` over the frames of the mask.

    Args:
        base: (batch, latent, frames).
        posterior: (batch, latent, frames).
        mask: (batch, 1, frames), 1 where a clip has a frame.
        frames: reach of the average, before and after.
    """
    size = 2 * frames + 1
    window = (size, 1, frames)
    covered = functional.avg_pool1d(mask, *window).clamp_min(1 / size)
    return base + functional.avg_pool1d((posterior - base) * mask, *window) / covered


class Finetuner:
    """AdamW over the adapter's matrices in both networks; everything else is frozen."""

    def __init__(
        self,
        model: PeftModel,
        networks: Networks,
        rates: LearningRates,
        finetuning: Finetuning,
        precision: Precision,
    ) -> None:
        """``networks`` run through the adapter of ``model``; ``finetuning`` is their base's."""
        self.networks = networks
        self.precision = precision
        self._rates = rates
        self._target = prior_target(finetuning.target, model, networks.s2)
        self.parameters = {name: value for name, value in networks.named_parameters() if value.requires_grad}
        self._parts = [
            [value for name, value in self.parameters.items() if f"{part}." in name] for part in ("s1", "s2")
        ]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": part, "lr": rate}
                for part, rate in zip(self._parts, (rates.s1, rates.s2), strict=True)
                if part
            ],
            weight_decay=0.0,
        )

    def step(self, batches: Sequence[Batch], generator: torch.Generator) -> StepLosses:
        """Update the adapter once, from the gradients of all batches together.

        They are weighted so that several small batches give what one of all their clips does: a mean over tokens or
        over clips. Noise and dropout are drawn for each batch anew.

        Raises:
            BadData: ``TrainingDiverged``, when a loss is no finite number any more.
        """
        scaler = self.precision.scaler
        self.optimizer.zero_grad(set_to_none=True)
        found = []
        for batch, share in zip(batches, shares_of(batches), strict=True):
            semantic, kl, mel = self._losses(batch, generator)
            weighted = (semantic * share.targets, kl * share.tokens, mel * share.clips)
            found.append([float(loss.detach()) for loss in weighted])
            if not all(map(math.isfinite, found[-1])):
                raise diverged(f"a loss is no finite number any more ({StepLosses(*found[-1])})", self._rates)
            loss = weighted[0] + KL_WEIGHT * weighted[1] + MEL_WEIGHT * weighted[2]
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(self.optimizer)
        for part in self._parts:
            nn.utils.clip_grad_norm_(part, GRADIENT_NORM)
        scaler.step(self.optimizer)
        scaler.update()
        return StepLosses(*map(sum, zip(*found, strict=True)))

    @torch.no_grad()
    def measure(self, batches: Sequence[Batch], generator: torch.Generator) -> StepLosses:
        """Return the losses without dropout, and without an update."""
        training = self.networks.training
        self.networks.eval()
        found = [
            (float(semantic) * share.targets, float(kl) * share.tokens, float(mel) * share.clips)
            for batch, share in zip(batches, shares_of(batches), strict=True)
            for semantic, kl, mel in [self._losses(batch, generator)]
        ]
        self.networks.train(training)
        return StepLosses(*map(sum, zip(*found, strict=True)))

    def _losses(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        s1 = self.networks.s1
        with self.precision.autocast():
            logits = s1(batch.phones, batch.phone_lengths, batch.bert, batch.tokens, batch.token_lengths)
        semantic = semantic_loss(logits.float(), batch.tokens, batch.token_lengths, s1.config.end_token)
        kl, mel = synthesis_losses(self.networks.s2, batch, generator, self._target, self.precision)
        return semantic, kl, mel


@dataclass(frozen=True)
class Share:
    """Of one batch among those of a step, by what each loss is a mean over; their sums are 1."""

    targets: float
    """Tokens and an end token for each clip."""
    tokens: float
    clips: float


def shares_of(batches: Sequence[Batch]) -> list[Share]:
    """Return the share of each batch."""
    clips = [len(batch.token_lengths) for batch in batches]
    tokens = [int(batch.token_lengths.sum()) for batch in batches]
    return [
        Share((part + rows) / (sum(tokens) + sum(clips)), part / sum(tokens), rows / sum(clips))
        for part, rows in zip(tokens, clips, strict=True)
    ]


def synthesis_losses(
    s2: Synthesizer, batch: Batch, generator: torch.Generator, target: PriorTarget, precision: Precision
) -> tuple[Tensor, Tensor]:
    """Return KL and mel loss of one batch, scalars.

    The mel loss of training from scratch decodes the posterior's sample, which no adapter of the prior can change.
    This one decodes the prior's mean, as synthesis does, so its gradient reaches the adapter.
    """
    config = s2.config
    with precision.autocast():
        mean, log_deviation, mask = s2.prior(
            batch.tokens, batch.phones, batch.speaker_embedding, batch.token_lengths, batch.phone_lengths
        )
        spectrogram = functional.pad(batch.spectrogram, (0, max(0, mask.shape[2] - batch.spectrogram.shape[2])))
        mask = mask * frame_mask(mask, batch.spectrogram_lengths)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z_q, _, logs_q = s2.posterior(spectrogram[:, :, : mask.shape[2]], mask, batch.speaker_embedding, noise)
        z_p = target(s2.flow(z_q, mask, batch.speaker_embedding), mask, batch)
        starts = segment_starts(mask.sum(dim=(1, 2)).long(), config.segment_frames, generator)
        z = s2.flow(mean * mask, mask, batch.speaker_embedding, reverse=True)
        wav = s2.waveform_generator(crop(z, starts, config.segment_frames), batch.speaker_embedding)
    real = crop(batch.wav, starts * config.hop, config.segment_frames * config.hop)
    mel = mel_loss(
        real[:, 0],
        wav[:, 0].float(),
        sample_rate=config.sample_rate,
        n_fft=2 * (config.spectrogram_bins - 1),
        hop=config.hop,
    )
    latents = (z_p.float(), logs_q.float(), mean.float(), log_deviation.float())
    return kl_loss(*latents, mask.float()), mel
