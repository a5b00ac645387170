"""Losses of S1 and S2, for training from scratch and for fine-tuning."""

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.features.recording import log_mel, spectrogram
from sovits_core.models.discriminator import Judgement

MEL_WEIGHT = 45.0
KL_WEIGHT = 1.0
MEL_BANDS = 128

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


# Kim et al. 2021, VITS, arXiv:2106.06103, eq. 3 and 4; checked against GPT_SoVITS/module/losses.py (kl_loss)
def kl_loss(z_p: Tensor, logs_q: Tensor, m_p: Tensor, logs_p: Tensor, mask: Tensor) -> Tensor:
    """Return the KL divergence of the posterior from the prior: sum over channels, mean over real frames.

    Args:
        z_p: (batch, latent, frames), the posterior's sample after the flow.
        logs_q: (batch, latent, frames), log standard deviation of the posterior.
        m_p: (batch, latent, frames), mean of the prior.
        logs_p: (batch, latent, frames), log standard deviation of the prior.
        mask: (batch, 1, frames), 1 on real frames.
    """
    distance = (z_p - m_p).square() * torch.exp(-2 * logs_p)
    divergence = logs_p - logs_q - 0.5 + 0.5 * distance  # (batch, latent, frames)
    return (divergence * mask).sum() / mask.sum()
