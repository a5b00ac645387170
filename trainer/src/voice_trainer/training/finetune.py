"""One step of fine-tuning: the losses of both networks on a batch, and the update of the adapter."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional

from sovits_core.bundle.base import FinetuningDocument
from sovits_core.models import Synthesizer
from sovits_core.models.losses import KL_WEIGHT, MEL_WEIGHT, kl_loss, mel_loss, semantic_loss
from sovits_core.models.masks import frame_mask
from sovits_core.models.networks import Networks
from sovits_core.models.synthesizer import TrainingPass, cut, slice_starts
from voice_trainer.errors import BadData
from voice_trainer.training.examples import Batch

GRADIENT_NORM = 1.0  # per network; a single odd clip must not undo the others


@dataclass(frozen=True)
class StepLosses:
    """What one step measured."""

    semantic: float
    kl: float
    mel: float


def diverged(what: str, learning_rate: float) -> BadData:
    """Return the error of a training that ran away, with what to do about it."""
    return BadData(f"{what}; lower training.learningRate (now {learning_rate:g})", reason="TrainingDiverged")


class Finetuner:
    """AdamW over the adapter's matrices in both networks; everything else is frozen."""

    def __init__(self, model: PeftModel, networks: Networks, learning_rate: float, how: FinetuningDocument) -> None:
        """``networks`` run through the adapter of ``model``; ``how`` is what their base says of its adapters."""
        self.networks = networks
        self._model = model
        self._learning_rate = learning_rate
        self._detail_frames = how.detail_frames
        self.parameters = {name: value for name, value in networks.named_parameters() if value.requires_grad}
        self._parts = [
            [value for name, value in self.parameters.items() if f"{part}." in name] for part in ("s1", "s2")
        ]
        factors = (how.semantic_rate, how.synthesis_rate)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": part, "lr": learning_rate * factor}
                for part, factor in zip(self._parts, factors, strict=True)
                if part
            ],
            weight_decay=0.0,
        )

    def step(self, batch: Batch, generator: torch.Generator) -> StepLosses:
        """Update the adapter once.

        Raises:
            BadData: ``TrainingDiverged``, when a loss is no finite number any more.
        """
        s1 = self.networks.s1
        logits = s1(batch.phones, batch.phone_lengths, batch.bert, batch.codes, batch.code_lengths)
        semantic = semantic_loss(logits, batch.codes, batch.code_lengths, s1.config.end_token)
        detail = Detail(self._base_mean(batch), self._detail_frames) if self._detail_frames else None
        kl, mel = synthesis_losses(self.networks.s2, batch, generator, detail)
        losses = StepLosses(*(float(loss.detach()) for loss in (semantic, kl, mel)))
        if not all(map(math.isfinite, (losses.semantic, losses.kl, losses.mel))):
            raise diverged(f"a loss is no finite number any more ({losses})", self._learning_rate)
        self.optimizer.zero_grad(set_to_none=True)
        (semantic + KL_WEIGHT * kl + MEL_WEIGHT * mel).backward()  # type: ignore[no-untyped-call]
        for part in self._parts:
            nn.utils.clip_grad_norm_(part, GRADIENT_NORM)
        self.optimizer.step()
        return losses

    @torch.no_grad()
    def _base_mean(self, batch: Batch) -> Tensor:
        """The prior's mean (batch, latent, frames) without the adapter."""
        s2, training = self.networks.s2, self.networks.s2.training
        s2.eval()
        with self._model.disable_adapter():
            mean, _, _ = s2.prior(batch.codes, batch.phones, batch.timbre, batch.code_lengths, batch.phone_lengths)
        s2.train(training)
        return mean


@dataclass(frozen=True)
class Detail:
    """What an adapter leaves as it is: how quickly frames change.

    A prior of sharp frames that learns from few recordings by likelihood falls back to means, which are flat. So it
    learns only how the speaker differs from the base on the average of some frames.
    """

    base: Tensor
    """What the base's prior says (batch, latent, frames)."""
    frames: int
    """How far an average reaches, before and after."""

    def with_differences_of(self, spoken: Tensor, mask: Tensor) -> Tensor:
        """The base's frames where the speaker's (batch, latent, frames) differ slowly; mask: (batch, 1, frames)."""
        size = 2 * self.frames + 1
        around = (size, 1, self.frames)
        seen = functional.avg_pool1d(mask, *around).clamp_min(1 / size)
        return self.base + functional.avg_pool1d((spoken - self.base) * mask, *around) / seen


def synthesis_losses(
    s2: Synthesizer, batch: Batch, generator: torch.Generator, detail: Detail | None = None
) -> tuple[Tensor, Tensor]:
    """KL and mel loss of one batch; ``detail`` is what the adapter is to leave, if anything.

    The mel loss of training from scratch decodes the posterior's sample, which no adapter of the prior can change.
    This one decodes the prior's mean, as synthesis does, so the adapter learns from the audible result.
    """
    config = s2.config
    mean, log_deviation, mask = s2.prior(
        batch.codes, batch.phones, batch.timbre, batch.code_lengths, batch.phone_lengths
    )
    spectrogram = functional.pad(batch.spectrogram, (0, max(0, mask.shape[2] - batch.spectrogram.shape[2])))
    mask = mask * frame_mask(mask, batch.spectrogram_lengths)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    z_q, m_q, logs_q = s2.posterior(spectrogram[:, :, : mask.shape[2]], mask, batch.timbre, noise)
    z_p = s2.flow(z_q, mask, batch.timbre)
    if detail is not None:
        z_p = detail.with_differences_of(z_p, mask)
    starts = slice_starts(mask.sum(dim=(1, 2)).long(), config.segment_frames, generator)
    z = s2.flow(mean * mask, mask, batch.timbre, reverse=True)
    wav = s2.waveform_generator(cut(z, starts, config.segment_frames), batch.timbre)
    spoken = TrainingPass(wav, starts, mask, z_q, m_q, logs_q, z_p, mean, log_deviation)
    real = cut(batch.wav, starts * config.hop, config.segment_frames * config.hop)
    mel = mel_loss(
        real[:, 0],
        wav[:, 0],
        sample_rate=config.sample_rate,
        n_fft=2 * (config.spectrogram_bins - 1),
        hop=config.hop,
    )
    return kl_loss(spoken), mel
