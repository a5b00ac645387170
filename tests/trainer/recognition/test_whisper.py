"""Whisper: the network of a folder, and files that make none."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from voice_trainer.recognition.whisper import NotWhisper, Whisper

SOUND = (0.1 * np.random.default_rng(0).standard_normal(16_000 * 2)).astype(np.float32)
CONV = "model.encoder.conv1.weight"


def test_a_sound_longer_than_a_window_is_written_part_by_part(
    whisper_folder: Path, whisper_sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper = Whisper.load(whisper_folder)
    assert whisper.write(SOUND, "ko").text == whisper_sentence
    voiced = np.ones(1100, dtype=bool)  # frames of 30 ms
    voiced[500:530] = False
    monkeypatch.setattr("voice_trainer.recognition.whisper.detect", lambda _: type("Speech", (), {"voiced": voiced}))
    assert whisper.write(np.tile(SOUND, 17), "ko").text == f"{whisper_sentence} {whisper_sentence}"


def test_the_language_reaches_the_network(whisper_folder: Path) -> None:
    whisper, seen = Whisper.load(whisper_folder), []
    decoder = whisper.network.model.decoder
    decoder.register_forward_pre_hook(lambda _, __, given: seen.append(given["input_ids"][0]), with_kwargs=True)
    for language in ("en", "zh"):
        whisper.write(SOUND, language)
    prompts = [whisper.tokenizer.decode(ids) for ids in seen if len(ids) > 1]
    assert prompts == [f"<|startoftranscript|><|{name}|><|transcribe|><|notimestamps|>" for name in ("en", "zh")]


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights[CONV]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def with_another_shape(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors") | {CONV: torch.zeros(3, 3)}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(without_a_weight, f"the weights lack {CONV}", id="a weight is missing"),
        pytest.param(with_another_shape, "", id="a weight of another shape"),
        pytest.param(lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 64), "", id="no safetensors"),
        pytest.param(lambda f: (f / "tokenizer.json").write_text("{}"), "", id="no tokenizer"),
    ],
)
def test_files_that_make_no_network_are_told(
    whisper_folder: Path, tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    folder = Path(shutil.copytree(whisper_folder, tmp_path / "whisper"))
    spoil(folder)
    with pytest.raises(NotWhisper, match=f"^{why}.+"):
        Whisper.load(folder)
