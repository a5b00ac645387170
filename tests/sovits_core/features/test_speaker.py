import pytest
import torch

from sovits_core.bundle.model_config import SpeakerEncoderConfig, s2_v2_pro
from sovits_core.errors import InvalidModelInput
from sovits_core.features.speaker import filterbank, speaker_vector, verification_embedding
from sovits_core.models import SpeakerEncoder
from sovits_core.models.speaker import AttentiveFusion
from sovits_core.official.names import load_official, to_official

SMALL = SpeakerEncoderConfig(bands=16, channels=8, base_width=64, scale=2, expansion=2, blocks=(1, 1, 2, 1))


@pytest.fixture
def encoder() -> SpeakerEncoder:
    torch.manual_seed(0)
    return SpeakerEncoder(SMALL).eval()


@pytest.fixture
def wav() -> torch.Tensor:
    return 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(0))


def test_the_official_vector_fits_the_pro_synthesizer() -> None:
    assert SpeakerEncoderConfig().vector == s2_v2_pro().speaker_vector == 20480


def test_a_recording_becomes_one_vector(encoder: SpeakerEncoder, wav: torch.Tensor) -> None:
    vector = speaker_vector(encoder, wav, 16000)
    assert vector.shape == (1, SMALL.vector)
    assert torch.equal(vector, speaker_vector(encoder, wav, 16000))
    assert not vector.requires_grad


def test_speakers_are_compared_by_an_embedding_that_loudness_does_not_change(
    encoder: SpeakerEncoder, wav: torch.Tensor
) -> None:
    embedding = verification_embedding(encoder, wav, 16000)
    assert embedding.shape == (1, SMALL.embedding)
    assert torch.allclose(embedding, verification_embedding(encoder, 0.25 * wav, 16000), atol=1e-4)
    time = torch.arange(8000) / 16000
    tone = 0.3 * torch.sin(2 * torch.pi * 440 * time)
    assert not torch.allclose(embedding, verification_embedding(encoder, tone, 16000), atol=1e-2)


def test_a_recording_of_another_rate_is_resampled(encoder: SpeakerEncoder) -> None:
    def tone(rate: int) -> torch.Tensor:
        return 0.3 * torch.sin(2 * torch.pi * 440 * torch.arange(rate) / rate)

    same = torch.cosine_similarity(
        speaker_vector(encoder, tone(16000), 16000), speaker_vector(encoder, tone(32000), 32000)
    )
    assert same > 0.99


def test_loudness_is_not_normalised_away(wav: torch.Tensor) -> None:
    louder = filterbank(2 * wav) - filterbank(wav)
    torch.testing.assert_close(louder, torch.full_like(louder, 2 * 0.6931472), rtol=0, atol=1e-3)  # ln 4, of power


@pytest.mark.parametrize("samples", [0, 399])
def test_less_than_one_frame_is_refused(encoder: SpeakerEncoder, samples: int) -> None:
    with pytest.raises(InvalidModelInput, match="at least 400 samples"):
        speaker_vector(encoder, torch.zeros(samples), 16000)


def test_one_frame_is_enough(encoder: SpeakerEncoder, wav: torch.Tensor) -> None:
    assert speaker_vector(encoder, wav[:400], 16000).isfinite().all()


def test_stereo_is_refused(encoder: SpeakerEncoder) -> None:
    with pytest.raises(InvalidModelInput, match=r"\[2, 800\]"):
        speaker_vector(encoder, torch.zeros(2, 800), 16000)


def test_official_names_and_back_lose_nothing(encoder: SpeakerEncoder, wav: torch.Tensor) -> None:
    other = SpeakerEncoder(SMALL).eval()
    assert not torch.equal(speaker_vector(other, wav, 16000), speaker_vector(encoder, wav, 16000))
    load_official(other, to_official(encoder))
    assert torch.equal(speaker_vector(other, wav, 16000), speaker_vector(encoder, wav, 16000))


def test_a_fusion_shares_out_two_in_all() -> None:
    torch.manual_seed(0)
    same = torch.randn(1, 8, 3, 4)
    torch.testing.assert_close(AttentiveFusion(8).eval()(same, same), 2 * same)
