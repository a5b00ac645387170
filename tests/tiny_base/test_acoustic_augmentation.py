"""Augmentation keeps the signal recognisable."""

import random

import pytest
import torch

from tiny_base.acoustic_augmentation import augment


@pytest.mark.parametrize("seed", range(8))
def test_an_augmented_recording_keeps_its_tone_and_onset(seed: int) -> None:
    torch.manual_seed(seed)
    wav = torch.sin(torch.arange(24_000) * (2 * torch.pi * 440 / 16_000)) * (torch.arange(24_000) >= 8_000)
    augmented = augment(wav, random.Random(seed))  # noqa: S311 -- repeatable, not secret
    assert augmented.shape == wav.shape
    power = torch.fft.rfft(augmented[10_000:]).abs().square()
    assert power.argmax() == round(440 * 14_000 / 16_000)  # the tone is still the loudest
    assert augmented[:8_000].std() < augmented[8_000:].std()  # and begins when it did
