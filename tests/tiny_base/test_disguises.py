"""A disguised speaker is one whom the analysis would find in sound: in the reference and in the frames alike."""

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
from tiny_base.disguises import COLOURS, DISGUISED, LARGEST_SIZE, Disguise

CPU = torch.device("cpu")


def vowel(size: float) -> Tensor:
    """A second of a voice of 120 Hz with two formants, all frequencies times `size`."""
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    wav = torch.zeros(SAMPLE_RATE)
    for harmonic in range(1, 60):
        hertz = 120 * harmonic
        level = sum(1 / (1 + ((hertz - formant) / 150) ** 2) for formant in (600, 1700)) + 0.002
        level /= harmonic
        wav += level * torch.sin(2 * torch.pi * hertz * size * time + harmonic**2)
    return 0.1 * wav / wav.std()


def latents_of(wav: Tensor) -> Tensor:
    found = analyse(wav, resample(wav, SAMPLE_RATE, 16_000)).latents()
    return torch.cat([found, torch.zeros(LATENT - len(found), found.shape[1])])[None]


@pytest.mark.parametrize("size", [0.88, 1.14])
def test_another_size_is_what_the_analysis_finds_in_a_voice_of_that_size(size: float) -> None:
    disguise = Disguise(torch.tensor([[math.log(size)]]), torch.zeros(1, COLOURS))
    inner = slice(5, -5)  # at both ends the sound begins and stops
    found, wanted = (
        latents[0, :, inner].mean(1)
        for latents in (disguise.of_frames(latents_of(vowel(1.0))), latents_of(vowel(size)))
    )
    heard = (band_centres() > 250) & (band_centres() < 4000)
    plain = latents_of(vowel(1.0))[0, :, inner].mean(1)
    error, before = ((one[:BANDS] - wanted[:BANDS])[heard].square().mean().sqrt() for one in (found, plain))
    assert error < 0.3 * before
    assert (found[PITCH] - wanted[PITCH]).abs() * PITCH_DEVIATION < 0.01  # a hundredth of the frequency
    assert found[VOICING] == wanted[VOICING]

    disguised, real = disguise.of_spectra(spectrogram(vowel(1.0))[None]), spectrogram(vowel(size))[None]
    loudest, expected = (int(spec[0].mean(1).argmax()) for spec in (disguised, real))
    assert abs(loudest - expected) <= 1


def test_a_colour_is_the_same_gain_in_the_reference_and_in_the_frames() -> None:
    colour = torch.linspace(-1, 1, COLOURS)[None]
    disguise = Disguise(torch.zeros(1, 1), colour)
    flat = torch.ones(1, 1025, 4)
    gain = disguise.of_spectra(flat)[0, :, 0].square().log()  # log power
    frames = torch.zeros(1, LATENT, 4)
    raised = (disguise.of_frames(frames) - frames)[0, :BANDS, 0] * envelope_scale()[1]
    at_bands = gain[(band_centres() / (SAMPLE_RATE / 2) * 1024).round().long()]
    torch.testing.assert_close(raised, at_bands, atol=0.05, rtol=0)
    assert raised[0] < -0.9
    assert raised[-1] > 0.9


def test_who_wears_no_disguise_is_heard_and_speaks_as_before() -> None:
    nobody = Disguise(torch.zeros(2, 1), torch.zeros(2, COLOURS))
    spec, latents = torch.rand(2, 1025, 6), torch.randn(2, LATENT, 6).clamp(-0.9, 1)
    torch.testing.assert_close(nobody.of_spectra(spec), spec)
    torch.testing.assert_close(nobody.of_frames(latents), latents, atol=1e-5, rtol=1e-4)


def test_most_rows_are_disguised_each_otherwise_and_none_beyond_recognition() -> None:
    torch.manual_seed(0)
    drawn = Disguise.drawn(2000, CPU)
    worn = drawn.size[:, 0] != 0
    assert worn.float().mean().item() == pytest.approx(DISGUISED, abs=0.04)
    assert torch.equal(worn, (drawn.colour != 0).any(1))
    assert drawn.size.abs().max() <= LARGEST_SIZE
    assert len(drawn.size.unique()) > 1000
