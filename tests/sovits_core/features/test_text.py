"""Mandarin characters get the vectors that the official code gives them."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from sovits_core.errors import CheckpointMismatch, InvalidModelInput
from sovits_core.export import export_text_encoder
from sovits_core.features.text import TextEncoder, bert_features, load_bert, text_features
from sovits_core.text import PhonemeSegment
from sovits_core.text.chinese.characters import read_characters

TEXT = "你好,世界."
WORD2PH = (2, 2, 1, 2, 2, 1)


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BertForMaskedLM]:
    """A folder as upstream fetches it, with random weights: a masked language model, whose keys begin with `bert.`."""
    torch.manual_seed(0)
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"你好世界,.", "##好"]
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=5,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=24,
    )
    folder = tmp_path_factory.mktemp("bert")
    model = BertForMaskedLM(config)
    model.train(mode=False)
    model.save_pretrained(folder)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    return folder, model


@pytest.fixture(scope="module")
def encoder(official: tuple[Path, BertForMaskedLM]) -> TextEncoder:
    return load_bert(official[0])


def test_a_character_gets_the_third_last_hidden_state_once_per_phone(
    official: tuple[Path, BertForMaskedLM], encoder: TextEncoder
) -> None:
    with torch.no_grad():
        hidden = official[1](torch.tensor([[2, 5, 6, 9, 7, 8, 10, 3]]), output_hidden_states=True).hidden_states[-3]
    expected = hidden[0, 1:-1].repeat_interleave(torch.tensor(WORD2PH), dim=0)
    found = bert_features(encoder, TEXT, WORD2PH)
    assert found.shape == (10, encoder.width)
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_character_outside_the_vocabulary_is_unknown_and_not_left_out(encoder: TextEncoder) -> None:
    assert bert_features(encoder, "你龘", (2, 2)).shape == (4, encoder.width)


def test_the_graph_of_a_server_gives_the_same_vectors(official: tuple[Path, BertForMaskedLM], tmp_path: Path) -> None:
    encoder = load_bert(official[0])
    with torch.no_grad():
        for parameter in encoder.model.parameters():
            parameter.copy_(parameter.half().float())  # as a base stores them
    section = export_text_encoder(encoder.model, tmp_path / "base")["bert"]
    assert section == {"file": "onnx/bert.onnx", "lora": []}
    session = onnxruntime.InferenceSession(tmp_path / "base" / section["file"], providers=["CPUExecutionProvider"])
    characters = read_characters(official[0])
    for text in ("你", TEXT, "你龘好", "你好世界" * 5 + "你好"):
        (found,) = session.run(["vectors"], {"tokens": characters.tokens(text)})
        expected = bert_features(encoder, text, [1] * len(text))
        assert found.shape == (1, len(text), encoder.width)
        assert np.abs(found[0] - expected.numpy()).max() < 1e-4


def test_half_precision_is_near_full(encoder: TextEncoder) -> None:
    full, half = (bert_features(encoder, TEXT, WORD2PH, half=half) for half in (False, True))
    assert half.dtype == torch.float32
    assert not torch.equal(full, half)
    assert torch.allclose(full, half, atol=2e-2)


@pytest.mark.parametrize(
    ("text", "counts", "message"),
    [
        pytest.param(TEXT, (2, 2), "of 2 characters, the text has 6", id="counts of another text"),
        pytest.param("你" * 23, (2,) * 23, "has 23 characters, the text encoder reads 22 at once", id="too long"),
    ],
)
def test_what_does_not_fit_is_refused(encoder: TextEncoder, text: str, counts: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidModelInput, match=message):
        bert_features(encoder, text, counts)


def test_parts_in_other_languages_are_zeros_beside_those_with_vectors(encoder: TextEncoder) -> None:
    spoken = (
        PhonemeSegment("en", "hi,", ("HH", "AY1", ","), None),
        PhonemeSegment("zh", "你好", ("n", "i2", "h", "ao3"), (2, 2)),
        PhonemeSegment("yue", "你", ("Yn", "Yei5"), (2,)),
    )
    rows = text_features(encoder, spoken)
    assert torch.equal(rows[3:7], bert_features(encoder, "你好", (2, 2)))
    assert rows[3:7].any(dim=1).all()
    assert not rows[:3].any()
    assert not rows[7:].any()
    assert len(rows) == 9


def test_a_folder_without_a_bert_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointMismatch, match="holds no readable BERT"):
        load_bert(tmp_path)
