"""A folded network, split again as the official files want it, is the same network."""

import torch
from torch import nn

from sovits_core.models import Synthesizer, SynthesizerConfig
from sovits_core.official.names import load_official, official_keys, to_official
from sovits_core.official.weight_norm import join_weight_norm, split_weight_norm


@torch.no_grad()
def test_splitting_a_folded_network_changes_no_output(small_s2: SynthesizerConfig) -> None:
    torch.manual_seed(0)
    folded, fresh = Synthesizer(small_s2).eval(), Synthesizer(small_s2).eval()
    for parameter in folded.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    names = list(official_keys(folded).values())
    folded.fold_weight_norm()
    plain = to_official(folded)
    split = split_weight_norm(plain, names)
    load_official(fresh, split)  # strict: the keys are those of the official files
    codes, text = torch.arange(6)[None], torch.arange(5)[None]
    ge, noise = torch.randn(1, small_s2.speaker_embedding, 1), torch.randn(1, small_s2.latent, 12)
    assert torch.allclose(fresh.decode(codes, text, ge, noise), folded.decode(codes, text, ge, noise), atol=1e-5)
    joined = join_weight_norm(split)
    assert joined.keys() == plain.keys()
    assert all(torch.allclose(joined[key], tensor, rtol=1e-5, atol=1e-7) for key, tensor in plain.items())
    assert split["dec.ups.0.weight_g"].shape == (small_s2.upsample_channels, 1, 1)  # per input channel


def test_a_channel_of_zeros_stays_silent_in_an_official_network() -> None:
    layer = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 2, 1, bias=False))
    plain = torch.tensor([[[1.0], [2.0], [2.0]], [[0.0], [0.0], [0.0]]])
    split = split_weight_norm({"layer.weight": plain}, ["layer.weight_g"])
    layer.parametrizations.weight.original0.data = split["layer.weight_g"]
    layer.parametrizations.weight.original1.data = split["layer.weight_v"]
    assert torch.equal(layer.weight, plain)
    assert torch.equal(join_weight_norm(split)["layer.weight"], plain)
