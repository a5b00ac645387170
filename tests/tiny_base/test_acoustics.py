"""Analysis of tones with known pitch and envelope."""

import pytest
import torch

from sovits_core.features.recording import resample
from tiny_base.acoustics import SAMPLE_RATE, analyse, band_centres


@pytest.mark.parametrize("hertz", [110.0, 210.0])
def test_the_analysis_finds_pitch_and_envelope_of_a_tone_with_known_ones(hertz: float) -> None:
    time = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    wav = sum(torch.sin(2 * torch.pi * hertz * harmonic * time) for harmonic in range(1, 20)) * 0.05
    found = analyse(wav, resample(wav, SAMPLE_RATE, 16_000))
    inner = slice(5, -5)
    assert bool(found.voiced[inner].all())
    assert found.pitch[inner].exp().median().item() == pytest.approx(hertz, rel=0.03)
    in_band = band_centres() < 19 * hertz
    quiet = found.envelope[inner, ~in_band].mean()
    # harmonics of one strength make a flat envelope, whatever their distance
    flat = found.envelope[inner, (band_centres() > 300) & (band_centres() < 17 * hertz)]
    assert flat.mean() > quiet + 8
    assert flat.std() < 0.5
