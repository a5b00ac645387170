import copy

import pytest
import torch
from torch import Tensor

from sovits_core.errors import InvalidModelInput
from sovits_core.models import Synthesizer, SynthesizerConfig, TrainingPass
from sovits_core.models.networks import Networks
from sovits_core.models.normed import is_folded
from sovits_core.models.synthesizer import cut, slice_starts

TOLERANCE = 1e-5


@pytest.fixture
def s2(networks: Networks) -> Synthesizer:
    return networks.s2


def recordings() -> dict[str, Tensor]:
    """Two utterances of 24 and 14 frames, padded with anything but zeros."""
    torch.manual_seed(2)
    return {
        "ssl": torch.randn(2, 24, 24),
        "ssl_lengths": torch.tensor([24, 14]),
        "spec": torch.rand(2, 129, 24),
        "spec_lengths": torch.tensor([24, 14]),
        "text": torch.randint(0, 40, (2, 6)),
        "text_lengths": torch.tensor([4, 6]),
    }


@torch.no_grad()
def test_a_padded_row_is_decoded_as_it_is_alone(s2: Synthesizer) -> None:
    torch.manual_seed(3)
    codes, text = torch.randint(0, 32, (2, 12)), torch.randint(0, 40, (2, 6))
    ge, noise = torch.randn(2, 24, 1), torch.randn(2, 16, 24)
    together = s2.decode(codes, text, ge, noise, code_lengths=torch.tensor([12, 7]), text_lengths=torch.tensor([6, 4]))
    alone = s2.decode(codes[1:, :7], text[1:, :4], ge[1:], noise[1:, :, :14])
    assert alone.shape == (1, 1, 14 * 32)
    assert alone.abs().max() > 0.1
    # the convolutions of the waveform see a few frames beyond the end
    heard = 32 * (14 - 6)
    torch.testing.assert_close(together[1:, :, :heard], alone[:, :, :heard], rtol=0, atol=TOLERANCE)


@torch.no_grad()
def test_a_padded_reference_has_the_timbre_it_has_alone(s2: Synthesizer) -> None:
    spec = torch.rand(2, 129, 20)
    together = s2.timbre(spec, torch.tensor([20, 9]))
    assert together.shape == (2, 24, 1)
    torch.testing.assert_close(together[1:], s2.timbre(spec[1:, :, :9]), rtol=0, atol=TOLERANCE)


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


def test_a_training_pass_reaches_every_weight_but_the_frozen_ones(small_s2: SynthesizerConfig) -> None:
    torch.manual_seed(0)
    s2 = Synthesizer(small_s2)
    batch = recordings()
    trained = s2.training_pass(**batch, generator=torch.Generator().manual_seed(5))
    assert trained.wav.shape == (2, 1, 8 * 32)
    assert trained.z_p.shape == trained.z_q.shape == trained.m_p.shape == trained.logs_q.shape == (2, 16, 24)
    assert trained.mask.sum(dim=(1, 2)).tolist() == [24, 14]
    assert (trained.starts + 8 <= batch["spec_lengths"]).all()
    (trained.wav.square().mean() + trained.z_p.square().mean() + trained.m_p.sum() + trained.logs_p.sum()).backward()
    without = {name for name, parameter in s2.named_parameters() if parameter.grad is None}
    assert without == {"ssl_projection.weight", "ssl_projection.bias"}


def test_the_same_seed_repeats_a_training_pass(s2: Synthesizer) -> None:
    def once(seed: int) -> TrainingPass:
        return s2.training_pass(**recordings(), generator=torch.Generator().manual_seed(seed))

    assert torch.equal(once(1).wav, once(1).wav)
    assert not torch.equal(once(1).z_q, once(2).z_q)


@torch.no_grad()
def test_codes_made_before_serve_as_well_as_features(s2: Synthesizer) -> None:
    batch = recordings()
    from_features = s2.training_pass(**batch, generator=torch.Generator().manual_seed(1))
    codes = s2.quantize(batch.pop("ssl"))
    lengths = batch.pop("ssl_lengths") // 2
    from_codes = s2.training_pass(
        None, None, **batch, codes=codes, code_lengths=lengths, generator=torch.Generator().manual_seed(1)
    )
    assert torch.equal(from_features.wav, from_codes.wav)


@torch.no_grad()
def test_padding_does_not_change_what_is_trained_on(s2: Synthesizer) -> None:
    batch = recordings()
    ge = torch.randn(2, 24, 1)
    together = s2.training_pass(**batch, ge=ge)
    second = {key: tensor[1:] for key, tensor in batch.items()}
    alone = s2.training_pass(
        **{**second, "ssl": second["ssl"][:, :, :14], "spec": second["spec"][:, :, :14]}, ge=ge[1:]
    )
    for name in ("m_p", "logs_p", "m_q", "logs_q"):
        torch.testing.assert_close(getattr(together, name)[1:, :, :14], getattr(alone, name), rtol=0, atol=TOLERANCE)


def test_a_training_pass_needs_features_or_codes(s2: Synthesizer) -> None:
    with pytest.raises(InvalidModelInput, match="either ssl or codes"):
        s2.training_pass(**{**recordings(), "ssl": None})


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
        pro.timbre(spec)
    with pytest.raises(InvalidModelInput, match="leave sv out"):
        s2.timbre(spec, sv=torch.rand(1, 7))
    assert not torch.equal(pro.timbre(spec, sv=torch.zeros(1, 7)), pro.timbre(spec, sv=torch.ones(1, 7)))


def test_slices_lie_within_the_recording_and_reach_its_ends() -> None:
    lengths = torch.tensor([8, 9, 3]).repeat(50)
    starts = slice_starts(lengths, 8, torch.Generator().manual_seed(0)).view(50, 3)
    assert starts.min(dim=0).values.tolist() == [0, 0, 0]
    assert starts.max(dim=0).values.tolist() == [0, 1, 0]


def test_a_cut_begins_at_each_rows_start_and_is_filled_up() -> None:
    x = torch.arange(10.0).view(2, 1, 5)
    assert cut(x, torch.tensor([0, 2]), 3).tolist() == [[[0, 1, 2]], [[7, 8, 9]]]
    assert cut(x, torch.tensor([0, 0]), 6)[0, 0].tolist() == [0, 1, 2, 3, 4, 0]
