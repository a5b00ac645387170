"""Mandarin gets the BERT features of its characters, repeated for their phones, where the base has a BERT."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from voice_inference.bundles.base import Base
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.references import BaseReference
from voice_inference.bundles.voice import Voice, load_voice
from voice_inference.engine.engine import Engine, sentences_of
from voice_inference.engine.sentence import bert_features
from voice_inference.errors import DigestMismatch, InvalidBase, InvalidVoice
from voice_inference.metrics import Metrics

VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "你", "好", "."]
TABLE = np.random.default_rng(3).standard_normal((len(VOCABULARY), 8)).astype(np.float32)


def write_encoder(folder: Path, table: np.ndarray = TABLE) -> None:
    """A graph that gives each token its row of a table and the mean of all, so that the whole text changes a vector."""
    node = helper.make_node
    nodes = [
        node("Gather", ["table", "tokens"], ["rows"]),
        node("ReduceMean", ["rows"], ["mean"], axes=[1]),
        node("Add", ["rows", "mean"], ["mixed"]),
        node("Slice", ["mixed", "first", "last", "axis"], ["vectors"]),
    ]
    constants = {"table": table, "first": np.array([1]), "last": np.array([-1]), "axis": np.array([1])}
    graph = helper.make_graph(
        nodes,
        "bert",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, [1, "tokens"])],
        [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, [1, "characters", table.shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "bert.onnx")


@pytest.fixture
def with_encoder(stored_base: Any) -> Any:
    """The stored base, with a text encoder that may be changed before it is loaded."""
    write_encoder(stored_base.folder / "onnx")
    (stored_base.folder / "bert").mkdir()
    (stored_base.folder / "bert" / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", encoding="utf-8")
    (stored_base.folder / "bert" / "model.safetensors").write_bytes(b"for the trainer")
    return stored_base


def described(stored: Any) -> BaseReference:
    graphs = json.loads((stored.folder / "base.json").read_text())["graphs"]
    graphs["bert"] = {"file": "onnx/bert.onnx", "lora": []}
    return stored.change(languages=["en", "zh"], graphs=graphs)


def load(stored: Any, loader: Loader) -> Base:
    return loader.load_base(described(stored))


@pytest.fixture
def loader(tmp_path: Path) -> Loader:
    return Loader(tmp_path / "cache", threads=1)


def expected(tokens: list[int]) -> np.ndarray:
    rows = TABLE[[2, *tokens, 3]]
    return (rows + rows.mean(axis=0))[1:-1]


def test_each_phone_of_a_character_gets_its_vector_and_all_others_get_zeros(
    with_encoder: Any, loader: Loader, voice: Voice
) -> None:
    voice = replace(voice, base=load(with_encoder, loader))
    (sentence,) = sentences_of("Hi 你好呀", "zh", voice)
    vectors = bert_features(voice, sentence)[0]
    before, (english, chinese) = voice.prompt.phones.size, (len(part.phones) for part in sentence.parts)
    assert chinese == 6
    assert len(vectors) == before + english + chinese + 1  # the full stop that ends it
    mandarin = vectors[before + english : -1]
    np.testing.assert_allclose(mandarin, expected([4, 5, 1]).repeat(2, axis=0), rtol=1e-5)
    assert not vectors[: before + english].any()
    assert not vectors[-1].any()


def test_a_text_longer_than_the_encoder_takes_is_encoded_in_chunks(with_encoder: Any, loader: Loader) -> None:
    encoder = load(with_encoder, loader).bert
    found = encoder.encode("你" * 510 + "好.")
    np.testing.assert_allclose(found, np.concatenate([expected([4] * 510), expected([5, 6])]), rtol=1e-4, atol=1e-5)


def test_the_prompt_brings_its_own_vectors(
    with_encoder: Any, loader: Loader, make_bundle: Any, base: Base, voice: Voice
) -> None:
    bundle = make_bundle("studio/bob")
    bundle.prompt["bert"] = np.random.default_rng(1).standard_normal((10, 8)).astype(np.float32)
    bundle.write()
    mandarin = load_voice(bundle.folder, bundle.seal(), base)
    (sentence,) = sentences_of("Hello.", "en", mandarin)
    assert not bert_features(mandarin, sentence).any()  # a base without an encoder speaks as it always did
    vectors = bert_features(replace(mandarin, base=load(with_encoder, loader)), sentence)[0]
    assert np.array_equal(vectors[:10], bundle.prompt["bert"])
    assert not vectors[10:].any()


def test_what_is_spoken_depends_on_the_vectors(with_encoder: Any, loader: Loader, voice: Voice) -> None:
    write_encoder(with_encoder.folder / "onnx", 20 * TABLE)
    base = load(with_encoder, loader)
    with_vectors, without = (
        next(Engine(Metrics()).synthesize(replace(voice, base=one), "你好。", language="zh", seed=1, is_cancelled=bool))
        for one in (base, replace(base, bert=None))
    )
    assert np.isfinite(with_vectors.samples).all()
    assert not np.array_equal(with_vectors.samples, without.samples)


@pytest.mark.parametrize("changed", [{"bert": np.zeros((9, 8), np.float32)}, {"bert": np.zeros((10, 8), np.float16)}])
def test_vectors_that_do_not_fit_the_prompt_are_refused(
    make_bundle: Any, base: Base, changed: dict[str, np.ndarray]
) -> None:
    bundle = make_bundle()
    bundle.prompt |= changed
    bundle.write()
    with pytest.raises(InvalidVoice, match=r"bert must be finite float32 of shape \(10, 8\)"):
        load_voice(bundle.folder, bundle.seal(), base)


def test_only_the_vocabulary_is_fetched_of_what_the_trainer_needs(
    with_encoder: Any, loader: Loader, tmp_path: Path
) -> None:
    load(with_encoder, loader)
    (cached,) = (tmp_path / "cache" / "bases").iterdir()
    assert [path.name for path in (cached / "bert").iterdir()] == ["vocab.txt"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(
            lambda folder: write_encoder(folder / "onnx", TABLE[:, :7]),
            r"makes vectors of shape \(1, 1, 7\), s1_prefill takes a width of 8",
            id="another width",
        ),
        pytest.param(
            lambda folder: write_encoder(folder / "onnx", TABLE[:-1]),
            r"does not know all of bert/vocab\.txt",
            id="a smaller vocabulary",
        ),
        pytest.param(
            lambda folder: (folder / "bert" / "vocab.txt").write_text("a\nb"), r"has no \[CLS\]", id="no BERT's"
        ),
        pytest.param(
            lambda folder: shutil.copyfile(folder / "onnx" / "s1_step.onnx", folder / "onnx" / "bert.onnx"),
            "the graph bert lacks tokens, vectors",
            id="another graph",
        ),
        pytest.param(
            lambda folder: (folder / "bert" / "vocab.txt").unlink(), r"no file 'bert/vocab\.txt'", id="no vocabulary"
        ),
    ],
)
def test_an_encoder_that_does_not_fit_is_refused(
    with_encoder: Any, loader: Loader, damage: Callable[[Path], object], message: str
) -> None:
    damage(with_encoder.folder)
    with pytest.raises(InvalidBase, match=message):
        load(with_encoder, loader)


def test_a_vocabulary_that_changed_is_refused(with_encoder: Any, loader: Loader) -> None:
    reference = described(with_encoder)
    (with_encoder.folder / "bert" / "vocab.txt").write_text("\n".join(reversed(VOCABULARY)) + "\n", encoding="utf-8")
    with pytest.raises(DigestMismatch, match=r"bert/vocab\.txt"):
        loader.load_base(reference)
