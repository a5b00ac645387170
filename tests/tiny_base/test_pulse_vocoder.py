"""The vocoder has whole pulses per frame and keeps the level."""

import pytest
import torch

from sovits_core.features.recording import resample
from tiny_base.acoustics import HOP, NOISE_CHANNELS, SAMPLE_RATE, analyse
from tiny_base.pulse_vocoder import vocode


def test_the_vocoder_puts_whole_pulses_into_frames_and_keeps_the_level() -> None:
    frames = 40
    wav = 0.1 * torch.sin(2 * torch.pi * 190 * torch.arange(frames * HOP) / SAMPLE_RATE)
    latents = analyse(wav, resample(wav, SAMPLE_RATE, 16_000)).latents()
    made = vocode(torch.cat([latents, torch.zeros(NOISE_CHANNELS, frames)])[None])[0]
    inner = made[5 * HOP : -5 * HOP]
    # 190 Hz becomes 200 Hz: four pulses of 160 samples in each frame
    assert torch.corrcoef(torch.stack([inner[:-160], inner[160:]]))[0, 1] > 0.95
    assert inner.std().item() == pytest.approx(wav.std().item(), rel=0.5)
