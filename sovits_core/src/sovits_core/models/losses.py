"""Losses of S1 and S2, for training from scratch and for fine-tuning."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.features.recording import log_mel, spectrogram
from sovits_core.models.discriminator import Judgement
from sovits_core.models.masks import length_mask
from sovits_core.models.synthesizer import TrainingPass
from sovits_core.reference.diffusion_transformer import DiffusionTransformer

MEL_WEIGHT = 45.0
FEATURE_WEIGHT = 2.0
KL_WEIGHT = 1.0
MEL_BANDS = 128

LONGEST_PROMPT = 2 / 3
"""Of a row's length."""
SHORTCUT_SHARE = 0.3
"""Of the batches."""
SHORTEST_SHORTCUT, LONGEST_SHORTCUT = -7, -2
"""The single step of a shortcut is a power of two with an exponent in this range."""
SMALLEST_TOLD_STEP = 1e-2
"""A single step below this is told to the network as none."""

PADDING_TARGET = -100
"""The class that cross entropy leaves out."""


def semantic_targets(codes: Tensor, code_lengths: Tensor, end_token: int) -> Tensor:
    """codes: int64 (batch, N) -> (batch, N + 1): the codes, the end token, then padding that no loss counts."""
    targets = functional.pad(codes, (0, 1), value=end_token)
    places = torch.arange(targets.shape[1], device=codes.device)[None]
    targets = targets.masked_fill(places == code_lengths[:, None], end_token)
    return targets.masked_fill(places > code_lengths[:, None], PADDING_TARGET)


def semantic_loss(logits: Tensor, codes: Tensor, code_lengths: Tensor, end_token: int) -> Tensor:
    """S1: cross entropy per real token, the end token of each row included.

    Args:
        logits: (batch, N + 1, vocabulary) of `TextToSemantic.forward`.
        codes: int64 (batch, N).
        code_lengths: int64 (batch).
        end_token: the configuration's `end_token`.
    """
    targets = semantic_targets(codes, code_lengths, end_token)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING_TARGET)


def semantic_accuracy(logits: Tensor, codes: Tensor, code_lengths: Tensor) -> Tensor:
    """S1: share of real codes (without the end token) that are the most likely prediction."""
    real = length_mask(code_lengths, codes.shape[1])
    hits = (logits[:, :-1].argmax(dim=-1) == codes) & real
    return hits.sum() / real.sum()


@dataclass(frozen=True)
class GeneratorLosses:
    """The terms of S2's generator loss, unweighted, and their weighted sum."""

    adversarial: Tensor
    features: Tensor
    mel: Tensor
    kl: Tensor

    @property
    def total(self) -> Tensor:
        """What to minimise."""
        return self.adversarial + FEATURE_WEIGHT * self.features + MEL_WEIGHT * self.mel + KL_WEIGHT * self.kl


def generator_losses(
    trained: TrainingPass,
    wav: Tensor,
    real: list[Judgement],
    generated: list[Judgement],
    *,
    sample_rate: int,
    n_fft: int,
    hop: int,
    bands: int = MEL_BANDS,
) -> GeneratorLosses:
    """S2: all terms at once.

    Args:
        trained: of `Synthesizer.training_pass`.
        wav: (batch, 1, segment samples), the recording's slices at the same place as `trained.wav`.
        real: the discriminator on the recording.
        generated: the discriminator on `trained.wav`.
        sample_rate: of both waveforms.
        n_fft: of the mel.
        hop: of the mel.
        bands: of the mel; a short transform has no room for all 128.
    """
    return GeneratorLosses(
        adversarial=adversarial_loss(generated),
        features=feature_loss(real, generated),
        mel=mel_loss(wav[:, 0], trained.wav[:, 0], sample_rate=sample_rate, n_fft=n_fft, hop=hop, bands=bands),
        kl=kl_loss(trained),
    )


def discriminator_loss(real: list[Judgement], generated: list[Judgement]) -> Tensor:
    """Recordings shall score 1, syntheses 0 (least squares, summed over judges)."""
    terms = [
        (1 - real_score).square().mean() + generated_score.square().mean()
        for (real_score, _), (generated_score, _) in zip(real, generated, strict=True)
    ]
    return torch.stack(terms).sum()


def adversarial_loss(generated: list[Judgement]) -> Tensor:
    """Syntheses shall score 1."""
    return torch.stack([(1 - score).square().mean() for score, _ in generated]).sum()


def feature_loss(real: list[Judgement], generated: list[Judgement]) -> Tensor:
    """The judges shall see the same in both: mean absolute difference, summed over layers and judges."""
    terms = [
        functional.l1_loss(generated_feature, real_feature.detach())
        for (_, real_features), (_, generated_features) in zip(real, generated, strict=True)
        for real_feature, generated_feature in zip(real_features, generated_features, strict=True)
    ]
    return torch.stack(terms).sum()


def mel_loss(
    real: Tensor, generated: Tensor, *, sample_rate: int, n_fft: int, hop: int, bands: int = MEL_BANDS
) -> Tensor:
    """Mean absolute difference of the log mels of two waveforms (batch, samples)."""
    real_mel, generated_mel = (log_mel(spectrogram(wav, n_fft, hop), sample_rate, bands) for wav in (real, generated))
    return functional.l1_loss(generated_mel, real_mel)


def kl_loss(trained: TrainingPass) -> Tensor:
    """How badly the prior explains the posterior's frames: sum over channels, mean over real frames."""
    distance = (trained.z_p - trained.m_p).square() * torch.exp(-2 * trained.logs_p)
    divergence = trained.logs_p - trained.logs_q - 0.5 + 0.5 * distance  # (batch, latent, frames)
    return (divergence * trained.mask).sum() / trained.mask.sum()


def flow_matching_loss(
    velocity: DiffusionTransformer,
    mel: Tensor,
    features: Tensor,
    lengths: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """S2 of v3 and v4: how far the velocity is from the straight way between noise and speech.

    Each row's first frames, up to two thirds, become its prompt; neither they nor padding count. Now and then the
    whole batch learns shortcuts instead: one double step shall go where two single steps go.

    Args:
        velocity: the network.
        mel: (batch, bands, frames), normalised.
        features: (batch, channels, frames).
        lengths: int64 (batch), each at least 1.
        generator: source of noise, times, prompts and steps, on the tensors' device.

    Returns:
        The mean over rows of the squared error per real value.
    """
    chances = torch.rand(4, len(mel), generator=generator, device=mel.device)  # uniform in [0, 1)
    prompt_lengths = (chances[0] * LONGEST_PROMPT * lengths).long()
    prompt_mask = length_mask(prompt_lengths, mel.shape[2])[:, None]  # (batch, 1, frames)
    learnt = length_mask(lengths, mel.shape[2])[:, None] & ~prompt_mask
    noise = torch.randn(mel.shape, generator=generator, device=mel.device, dtype=mel.dtype)
    encoded = velocity.encode_features(features, lengths)
    prompt = mel * prompt_mask

    def answer(x: Tensor, time: Tensor, step: Tensor) -> Tensor:
        result: Tensor = velocity(x * learnt, prompt, encoded, time.to(mel), step.to(mel), lengths=lengths)
        return result

    if chances[1, 0] < SHORTCUT_SHARE:
        octave = SHORTEST_SHORTCUT + (chances[2, 0] * (LONGEST_SHORTCUT - SHORTEST_SHORTCUT + 1)).floor()
        step = torch.exp2(octave).expand(len(mel))
        # two steps must end at speech or before: upstream draws times from which they would go on beyond it
        time = chances[3] * (1 - 2 * step)
        x = torch.lerp(noise, mel, time[:, None, None].to(mel))
        asked = torch.where(step < SMALLEST_TOLD_STEP, 0, step)
        with torch.no_grad():
            first = answer(x, time, asked)
            second = answer(x + step[:, None, None].to(mel) * first, time + step, asked)
        target, told = (first + second) / 2, 2 * step
    else:
        time = chances[3]
        x = torch.lerp(noise, mel, time[:, None, None].to(mel))
        target, told = mel - noise, torch.zeros_like(time)
    error = (answer(x, time, told) - target).square() * learnt  # (batch, bands, frames)
    per_row: Tensor = error.sum(dim=(1, 2)) / (learnt.sum(dim=(1, 2)) * mel.shape[1])
    return per_row.mean()
