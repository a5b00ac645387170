import copy

import pytest
import torch

from sovits_core.errors import InvalidModelInput
from sovits_core.models import Synthesizer, SynthesizerConfig
from sovits_core.models.networks import Networks
from sovits_core.models.normed import is_folded

TOLERANCE = 1e-5


@pytest.fixture
def s2(networks: Networks) -> Synthesizer:
    return networks.s2


@torch.no_grad()
def test_a_padded_row_is_decoded_as_it_is_alone(s2: Synthesizer) -> None:
    torch.manual_seed(3)
    codes, text = torch.randint(0, 32, (2, 12)), torch.randint(0, 40, (2, 6))
    ge, noise = torch.randn(2, 24, 1), torch.randn(2, 16, 24)
    together = s2.decode(codes, text, ge, noise, token_lengths=torch.tensor([12, 7]), text_lengths=torch.tensor([6, 4]))
    alone = s2.decode(codes[1:, :7], text[1:, :4], ge[1:], noise[1:, :, :14])
    assert alone.shape == (1, 1, 14 * 32)
    assert alone.abs().max() > 0.1
    # the convolutions of the waveform see a few frames beyond the end
    heard = 32 * (14 - 6)
    torch.testing.assert_close(together[1:, :, :heard], alone[:, :, :heard], rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_a_padded_reference_has_the_timbre_it_has_alone(s2: Synthesizer) -> None:
    spec = torch.rand(2, 129, 20)
    together = s2.speaker_embedding(spec, torch.tensor([20, 9]))
    assert together.shape == (2, 24, 1)
    torch.testing.assert_close(together[1:], s2.speaker_embedding(spec[1:, :, :9]), rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_a_token_is_the_nearest_vector_and_two_features_long(s2: Synthesizer) -> None:
    ssl = torch.randn(1, 24, 9)
    codes = s2.quantize(ssl)
    assert codes.shape == (1, 4)
    nearest = torch.cdist(s2.ssl_projection(ssl)[0].T, s2.quantizer.vectors).argmin(dim=1)
    assert codes[0].tolist() == nearest.tolist()


@torch.no_grad()
def test_the_flow_undoes_itself(s2: Synthesizer) -> None:
    z, mask, ge = torch.randn(1, 16, 10), torch.ones(1, 1, 10), torch.randn(1, 24, 1)
    moved = s2.flow(z, mask, ge)
    assert (moved - z).abs().max() > 0.01
    torch.testing.assert_close(s2.flow(moved, mask, ge, reverse=True), z, rtol=0, atol=TOLERANCE)


def test_folding_changes_no_output_and_no_other_copy(small_s2: SynthesizerConfig) -> None:
    torch.manual_seed(0)
    original = Synthesizer(small_s2).eval()
    folded = copy.deepcopy(original)
    folded.fold_weight_norm()
    assert is_folded(folded)
    assert not is_folded(original)
    inputs = torch.randint(0, 32, (1, 5)), torch.randint(0, 40, (1, 3)), torch.randn(1, 24, 1), torch.randn(1, 16, 10)
    with torch.no_grad():
        torch.testing.assert_close(original.decode(*inputs), folded.decode(*inputs), rtol=0, atol=TOLERANCE)


def test_a_speaker_vector_is_asked_for_where_it_belongs(s2: Synthesizer, small_s2: SynthesizerConfig) -> None:
    pro = Synthesizer(small_s2.model_copy(update={"speaker_vector": 7}))
    spec = torch.rand(1, 129, 10)
    with pytest.raises(InvalidModelInput, match=r"\(batch, 7\)"):
        pro.speaker_embedding(spec)
    with pytest.raises(InvalidModelInput, match="leave sv out"):
        s2.speaker_embedding(spec, sv=torch.rand(1, 7))
    assert not torch.equal(
        pro.speaker_embedding(spec, sv=torch.zeros(1, 7)), pro.speaker_embedding(spec, sv=torch.ones(1, 7))
    )
