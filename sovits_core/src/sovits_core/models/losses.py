"""Losses of S1 and S2. Adversarial and feature-matching losses are for base training in `dev/tiny_base`."""

import torch
from torch import Tensor
from torch.nn import functional

from sovits_core.features.recording import log_mel, spectrogram
from sovits_core.models.discriminator import DiscriminatorOutput

MEL_WEIGHT = 45.0
KL_WEIGHT = 1.0
MEL_BANDS = 128

PADDING_TARGET = -100
"""The class that cross entropy leaves out."""


def semantic_targets(tokens: Tensor, token_lengths: Tensor, end_token: int) -> Tensor:
    """tokens: int64 (batch, N) -> (batch, N + 1): the tokens, the end token, then padding that no loss counts."""
    targets = functional.pad(tokens, (0, 1), value=end_token)
    positions = torch.arange(targets.shape[1], device=tokens.device)[None]
    targets = targets.masked_fill(positions == token_lengths[:, None], end_token)
    return targets.masked_fill(positions > token_lengths[:, None], PADDING_TARGET)


# Next-token cross entropy; as forward_old of GPT_SoVITS/AR/models/t2s_model.py, averaged over tokens
def semantic_loss(logits: Tensor, tokens: Tensor, token_lengths: Tensor, end_token: int) -> Tensor:
    """S1: cross entropy per real token, the end token of each row included.

    Args:
        logits: (batch, N + 1, vocabulary) of `TextToSemantic.forward`.
        tokens: int64 (batch, N).
        token_lengths: int64 (batch).
        end_token: the configuration's `end_token`.
    """
    targets = semantic_targets(tokens, token_lengths, end_token)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING_TARGET)


# Mao et al. 2016, Least Squares GAN, arXiv:1611.04076; checked against GPT_SoVITS/module/losses.py (discriminator_loss)
def discriminator_loss(real: list[DiscriminatorOutput], generated: list[DiscriminatorOutput]) -> Tensor:
    """Return the least-squares loss: recordings are to score 1, generated audio 0 (, summed over discriminators)."""
    terms = [
        (1 - real_score).square().mean() + generated_score.square().mean()
        for (real_score, _), (generated_score, _) in zip(real, generated, strict=True)
    ]
    return torch.stack(terms).sum()


# Mao et al. 2016, Least Squares GAN, arXiv:1611.04076; checked against GPT_SoVITS/module/losses.py (generator_loss)
def adversarial_loss(generated: list[DiscriminatorOutput]) -> Tensor:
    """Return the least-squares loss of the generator: its audio is to score 1."""
    return torch.stack([(1 - score).square().mean() for score, _ in generated]).sum()


# Kumar et al. 2019, MelGAN, arXiv:1910.06711; checked against GPT_SoVITS/module/losses.py (feature_loss), less its
# factor 2
def feature_loss(real: list[DiscriminatorOutput], generated: list[DiscriminatorOutput]) -> Tensor:
    """Return the feature-matching loss: mean absolute difference, summed over layers and discriminators."""
    terms = [
        functional.l1_loss(generated_feature, real_feature.detach())
        for (_, real_features), (_, generated_features) in zip(real, generated, strict=True)
        for real_feature, generated_feature in zip(real_features, generated_features, strict=True)
    ]
    return torch.stack(terms).sum()


# Kong et al. 2020, HiFi-GAN, arXiv:2010.05646, eq. 5; mels as GPT_SoVITS/module/mel_processing.py
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
