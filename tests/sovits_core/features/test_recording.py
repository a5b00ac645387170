from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import HubertConfig, HubertModel

from sovits_core.errors import CheckpointMismatch, InvalidModelInput
from sovits_core.features.recording import (
    hubert_features,
    load_hubert,
    log_mel,
    prompt_features,
    resample,
    spectrogram,
    training_features,
)


@pytest.fixture(scope="module")
def hubert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random HuBERT with the official strides, otherwise tiny."""
    torch.manual_seed(0)
    config = HubertConfig(
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        conv_dim=(8,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
    )
    folder = tmp_path_factory.mktemp("hubert")
    HubertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hubert(hubert_folder: Path) -> HubertModel:
    return load_hubert(hubert_folder)


def tone(seconds: float, rate: int) -> Tensor:
    return 0.3 * torch.sin(2 * torch.pi * 220 * torch.arange(int(seconds * rate)) / rate)


def test_spectrogram_and_mel_are_the_official_ones(shared: Path) -> None:
    with np.load(shared / "reference" / "golden" / "spectrograms.npz", allow_pickle=False) as answers:
        wav, spec, mel = (torch.from_numpy(answers[key]) for key in ("wav", "spec_2048_640", "mel_128"))
    ours = spectrogram(wav)
    assert (ours - spec).abs().max() <= 1e-4 * spec.abs().max()
    assert (log_mel(ours) - mel).abs().max() <= 1e-4 * mel.abs().max()
    assert torch.equal(spectrogram(wav[None]), ours[None])


@pytest.mark.parametrize(
    ("name", "samples", "window"),
    [("mel_v3_100", slice(24000), (24000, 1024, 256)), ("mel_v4_100", slice(None), (32000, 1280, 320))],
)
def test_the_mels_of_v3_and_v4_are_the_official_ones(
    shared: Path, name: str, samples: slice, window: tuple[int, int, int]
) -> None:
    rate, n_fft, hop = window
    with np.load(shared / "reference" / "golden" / "spectrograms.npz", allow_pickle=False) as answers:
        wav, mel = (torch.from_numpy(answers[key]) for key in ("wav", name))
    ours = log_mel(spectrogram(wav[samples], n_fft, hop), rate, 100)
    assert (ours - mel).abs().max() <= 1e-4 * mel.abs().max()


def test_features_come_fifty_times_a_second(hubert: HubertModel) -> None:
    # the worked example of the reference: 4 s of prompt and 0.6 s of silence are 229 features
    assert prompt_features(hubert, tone(4.0, 32000), 32000).shape == (1, 24, 229)
    assert training_features(hubert, tone(4.0, 32000), 32000).shape == (1, 24, 199)


def test_half_precision_is_near_full_and_falls_back_where_it_overflows(hubert: HubertModel) -> None:
    wav = tone(1, 16000)[None]
    full, half = (hubert_features(hubert, wav, half=half) for half in (False, True))
    assert half.dtype == torch.float32
    assert not torch.equal(full, half)
    assert (full - half).abs().mean() <= 0.01  # features of this size are normalised: their deviation is 1
    # no half can hold this sample
    assert torch.equal(hubert_features(hubert, 1e6 * wav, half=True), hubert_features(hubert, 1e6 * wav))


def test_a_prompt_goes_in_as_it_is_with_silence_behind(hubert: HubertModel) -> None:
    wav = tone(0.5, 16000)
    expected = hubert_features(hubert, torch.cat([wav, torch.zeros(9600)])[None])
    assert torch.equal(prompt_features(hubert, wav, 16000), expected)


def test_a_training_recording_goes_in_levelled_and_scaled(hubert: HubertModel) -> None:
    wav = tone(0.5, 16000)
    expected = hubert_features(hubert, (1145.14 * (wav / wav.abs().max() * 0.475 + wav / 2))[None])
    torch.testing.assert_close(training_features(hubert, wav, 16000), expected)


def test_resampling_keeps_a_tone() -> None:
    torch.testing.assert_close(
        resample(tone(1.0, 32000), 32000, 16000)[800:-800], tone(1.0, 16000)[800:-800], atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("wav", [torch.zeros(16000), torch.tensor([]), torch.full((16000,), torch.nan)])
def test_a_recording_without_sound_is_refused(hubert: HubertModel, wav: Tensor) -> None:
    with pytest.raises(InvalidModelInput, match="finite peak above zero"):
        training_features(hubert, wav, 16000)


def test_too_short_a_recording_is_refused(hubert: HubertModel) -> None:
    with pytest.raises(InvalidModelInput, match="at least 400 samples"):
        training_features(hubert, tone(0.01, 16000), 16000)
    with pytest.raises(InvalidModelInput, match="more than 704 samples, got 704"):
        spectrogram(torch.zeros(704))


def test_a_folder_without_a_hubert_is_refused(tmp_path: Path, hubert_folder: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="no readable HuBERT"):
        load_hubert(tmp_path)
    (tmp_path / "config.json").write_bytes((hubert_folder / "config.json").read_bytes())
    with safe_open(hubert_folder / "model.safetensors", framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 -- not a mapping
    del tensors["feature_projection.projection.weight"]
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointMismatch, match=r"feature_projection\.projection\.weight is missing"):
        load_hubert(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"PK")
    with pytest.raises(CheckpointMismatch, match="no readable HuBERT"):
        load_hubert(tmp_path)
