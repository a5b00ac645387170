"""The MDCT and the late stages that invert it."""

import torch
from torch import nn

from sovits_core.models.normed import fold_weight_norm
from sovits_core.models.waveform import WaveformGenerator
from tiny_base import subbands
from tiny_base.config import TinyBaseConfig
from tiny_base.subbands import (
    SUBBANDS,
    initialise,
    inverse_mdct,
    predict_subbands,
    read_inverse_mdct,
    write_inverse_mdct,
)


def test_the_mdct_is_inverted() -> None:
    wav = torch.randn(2, 20 * SUBBANDS)
    inner = slice(SUBBANDS, -SUBBANDS)  # at both ends half a window has no neighbour
    torch.testing.assert_close(inverse_mdct(subbands.mdct(wav))[:, inner], wav[:, inner], atol=1e-5, rtol=0)


def test_the_late_stages_are_initialised_as_the_inverse_of_the_readouts_sub_bands(smallest: TinyBaseConfig) -> None:
    torch.manual_seed(0)
    generator = WaveformGenerator(smallest.s2, smallest.s2.latent, speaker_embedding=16)
    fold_weight_norm(generator)
    initialise(generator)
    readout = nn.Conv1d(64, SUBBANDS, 1, bias=False)
    nn.init.normal_(readout.weight, std=0.01)
    write_inverse_mdct(generator, readout)
    z, no_speaker = torch.randn(1, 64, 12), torch.zeros(1, 16, 1)
    with torch.no_grad():
        expected, made = (
            inverse_mdct(predict_subbands(generator, readout, z, no_speaker)).tanh(),
            generator(z, no_speaker)[:, 0],
        )
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(made[:, 64:-64], expected[:, 64:-64], atol=1e-5, rtol=0)
    again = nn.Conv1d(64, SUBBANDS, 1, bias=False)
    read_inverse_mdct(generator, again)
    torch.testing.assert_close(again.weight, readout.weight, atol=1e-6, rtol=0)
