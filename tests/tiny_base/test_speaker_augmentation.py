"""Augmentation of spectra and of latents agrees with the analysis of a voice that has the same traits."""

import math

import pytest
import torch
from torch import Tensor

from sovits_core.features.recording import resample, spectrogram
from tiny_base.acoustics import (
    BANDS,
    LATENT,
    PITCH,
    PITCH_DEVIATION,
    SAMPLE_RATE,
    VOICING,
    analyse,
    band_centres,
    envelope_scale,
)
from tiny_base.speaker_augmentation import AUGMENTATION_PROB, EQ_POINTS, MAX_LOG_WARP, SpeakerAugmentation

CPU = torch.device("cpu")


def vowel(warp: float) -> Tensor:
    """A second of a voice of 120 Hz with two formants, all frequencies times `warp`."""
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    wav = torch.zeros(SAMPLE_RATE)
    for harmonic in range(1, 60):
        hertz = 120 * harmonic
        level = sum(1 / (1 + ((hertz - formant) / 150) ** 2) for formant in (600, 1700)) + 0.002
        level /= harmonic
        wav += level * torch.sin(2 * torch.pi * hertz * warp * time + harmonic**2)
    return 0.1 * wav / wav.std()


def latents_of(wav: Tensor) -> Tensor:
    found = analyse(wav, resample(wav, SAMPLE_RATE, 16_000)).latents()
    return torch.cat([found, torch.zeros(LATENT - len(found), found.shape[1])])[None]


@pytest.mark.parametrize("warp", [0.88, 1.14])
def test_warped_latents_are_those_of_a_voice_with_that_frequency_warp(warp: float) -> None:
    augmentation = SpeakerAugmentation(torch.tensor([[math.log(warp)]]), torch.zeros(1, EQ_POINTS))
    inner = slice(5, -5)  # at both ends the sound begins and stops
    found, wanted = (
        latents[0, :, inner].mean(1)
        for latents in (augmentation.apply_to_latents(latents_of(vowel(1.0))), latents_of(vowel(warp)))
    )
    compared = (band_centres() > 250) & (band_centres() < 4000)
    plain = latents_of(vowel(1.0))[0, :, inner].mean(1)
    error, before = ((one[:BANDS] - wanted[:BANDS])[compared].square().mean().sqrt() for one in (found, plain))
    assert error < 0.3 * before
    assert (found[PITCH] - wanted[PITCH]).abs() * PITCH_DEVIATION < 0.01  # a hundredth of the frequency
    assert found[VOICING] == wanted[VOICING]

    augmented, real = augmentation.apply_to_spectra(spectrogram(vowel(1.0))[None]), spectrogram(vowel(warp))[None]
    loudest, expected = (int(spec[0].mean(1).argmax()) for spec in (augmented, real))
    assert abs(loudest - expected) <= 1


def test_the_eq_is_the_same_gain_in_spectra_and_in_latents() -> None:
    eq = torch.linspace(-1, 1, EQ_POINTS)[None]
    augmentation = SpeakerAugmentation(torch.zeros(1, 1), eq)
    flat = torch.ones(1, 1025, 4)
    gain = augmentation.apply_to_spectra(flat)[0, :, 0].square().log()  # log power
    frames = torch.zeros(1, LATENT, 4)
    raised = (augmentation.apply_to_latents(frames) - frames)[0, :BANDS, 0] * envelope_scale()[1]
    at_bands = gain[(band_centres() / (SAMPLE_RATE / 2) * 1024).round().long()]
    torch.testing.assert_close(raised, at_bands, atol=0.05, rtol=0)
    assert raised[0] < -0.9
    assert raised[-1] > 0.9


def test_without_warp_and_eq_nothing_changes() -> None:
    identity = SpeakerAugmentation(torch.zeros(2, 1), torch.zeros(2, EQ_POINTS))
    spec, latents = torch.rand(2, 1025, 6), torch.randn(2, LATENT, 6).clamp(-0.9, 1)
    torch.testing.assert_close(identity.apply_to_spectra(spec), spec)
    torch.testing.assert_close(identity.apply_to_latents(latents), latents, atol=1e-5, rtol=1e-4)


def test_most_rows_are_augmented_each_otherwise_and_within_bounds() -> None:
    torch.manual_seed(0)
    drawn = SpeakerAugmentation.sample(2000, CPU)
    applied = drawn.log_warp[:, 0] != 0
    assert applied.float().mean().item() == pytest.approx(AUGMENTATION_PROB, abs=0.04)
    assert torch.equal(applied, (drawn.eq != 0).any(1))
    assert drawn.log_warp.abs().max() <= MAX_LOG_WARP
    assert len(drawn.log_warp.unique()) > 1000
