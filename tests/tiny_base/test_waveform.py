"""The spectral enhancement post-filter."""

import torch

from tiny_base.acoustics import LATENT
from tiny_base.waveform import ENHANCED_BANDS, ENHANCEMENT, enhance, mean_speech_envelope


def test_the_post_filter_keeps_the_mean_and_expands_the_rest_in_the_lower_bands() -> None:
    measured = torch.randn(LATENT - 4, 500, generator=torch.Generator().manual_seed(1))
    silence = torch.full((LATENT - 4, 200), -3.0)
    mean = mean_speech_envelope([measured, silence])
    assert float(mean.mean()) > -0.3  # of speech frames alone
    z = torch.zeros(1, LATENT, 2)
    z[0, :ENHANCED_BANDS] = mean
    z[0, :, 1] += 1
    found = enhance(z, mean)
    torch.testing.assert_close(found[:, :, 0], z[:, :, 0])
    torch.testing.assert_close(found[0, :ENHANCED_BANDS, 1], mean[:, 0] + ENHANCEMENT)
    assert torch.equal(found[:, ENHANCED_BANDS:], z[:, ENHANCED_BANDS:])
