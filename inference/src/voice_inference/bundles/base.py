"""The base model in ONNX Runtime: three graphs, what reads its texts, and what base.json says about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from pydantic import ValidationError

from sovits_core.bundle.base import POLYPHONES, TEXT_ENCODER, BaseBundle, BaseDocument, open_base
from sovits_core.bundle.base import Graph as GraphDocument
from sovits_core.errors import BaseRejected, TextModelRejected
from sovits_core.text import PolyphoneReader
from sovits_core.text.chinese.characters import VOCABULARY, read_characters
from sovits_core.text.chinese.g2pw import open_g2pw
from voice_inference.bundles.bert import TOKENS, VECTORS, TextEncoder
from voice_inference.bundles.fetch import Kind
from voice_inference.bundles.references import BaseReference
from voice_inference.bundles.sessions import Graph
from voice_inference.errors import InvalidBase, InvalidDocument

PREFILL, STEP, DECODE, BERT = "s1_prefill", "s1_step", "s2_decode", "bert"
GRAPHS = {  # the contract with the exporter: inputs besides the adapter's, and outputs
    PREFILL: ({"phones", "bert", "prompt"}, {"logits", "keys", "values"}),
    STEP: ({"token", "position", "keys", "values", "length"}, {"logits", "new_keys", "new_values"}),
    DECODE: ({"codes", "text", "ge", "noise"}, {"wav"}),
}
OPTIONAL = {BERT: ({TOKENS}, {VECTORS})}
ENCODER_VOCABULARY = f"{TEXT_ENCODER}/{VOCABULARY}"
# Axes whose size the server must know to make the arrays that it feeds.
FIXED: dict[str, dict[str, tuple[int, ...]]] = {
    PREFILL: {"bert": (2,)},
    STEP: {"keys": (0, 2, 4), "values": (0, 2, 4)},
    DECODE: {"ge": (1,), "noise": (1,)},
}


@dataclass(frozen=True)
class Base:
    """A loaded base; it outlives its successor for as long as a voice or a request holds it."""

    reference: BaseReference
    digest: str
    document: BaseDocument
    prefill: Graph
    step: Graph
    decode: Graph
    polyphones: PolyphoneReader | None
    text: TextEncoder | None

    @property
    def sample_rate(self) -> int:
        """Samples per second of what is spoken."""
        return self.document.sample_rate

    @property
    def end_token(self) -> int:
        """The semantic token that ends a sentence."""
        return self.document.s1.end_token

    @property
    def adapter_keys(self) -> frozenset[str]:
        """The names of all tensors that an adapter has, no more and no less."""
        graphs = (self.prefill, self.step, self.decode)
        return frozenset(key for graph in graphs for lora in graph.lora for key in lora.keys)


def load_base(uri: str, reference: BaseReference, *, threads: int) -> Base:
    """Load the base at ``uri``, the reference's own or a folder that it was fetched to.

    Raises:
        InvalidBase: a file is damaged, or a network cannot be loaded, or is not what the server needs.
    """
    try:
        bundle = open_base(uri, reference.digest)
        graphs = {name: _load_graph(name, bundle, threads) for name in GRAPHS}
        polyphones = _load_polyphones(bundle, threads)
        text = _load_text_encoder(bundle, graphs[PREFILL], threads)
    except (BaseRejected, TextModelRejected) as error:
        raise InvalidBase(str(error)) from error
    return Base(
        reference, bundle.digest, bundle.document, graphs[PREFILL], graphs[STEP], graphs[DECODE], polyphones, text
    )


def needed_files(data: bytes) -> list[str]:
    """Return the files that the server needs of a base: its graphs with their weights, and what reads Mandarin.

    Raises:
        InvalidDocument: the data is no ``base.json``.
        InvalidBase: a graph is missing.
    """
    try:
        document = BaseDocument.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidDocument(f"base.json: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from error
    wanted = [*GRAPHS, *(name for name in OPTIONAL if name in document.graphs)]
    folders = {PurePosixPath(_graph_of(document, name).file).parent for name in wanted} | {PurePosixPath(POLYPHONES)}
    beside = {ENCODER_VOCABULARY} if BERT in wanted else set()
    return [name for name in document.files if PurePosixPath(name).parent in folders or name in beside]


BASES = Kind(
    name="bases", index="base.json", schema="voice.sovits.dev/base/v1", choose=needed_files, size_limit=4 * 1024**3
)


def _graph_of(document: BaseDocument, name: str) -> GraphDocument:
    if name not in document.graphs:
        raise InvalidBase(f"the base {document.name} has no graph {name}; export it again")
    return document.graphs[name]


def _load_polyphones(bundle: BaseBundle, threads: int) -> PolyphoneReader | None:
    if not bundle.document.has_folder(POLYPHONES):
        return None
    bundle.files_under(POLYPHONES)  # none is read before its digest is known
    return open_g2pw(bundle.folder / POLYPHONES, threads=threads)


def _load_text_encoder(bundle: BaseBundle, prefill: Graph, threads: int) -> TextEncoder | None:
    if BERT not in bundle.document.graphs:
        return None
    graph = _load_graph(BERT, bundle, threads)
    characters = read_characters(bundle.path(ENCODER_VOCABULARY).parent)
    width = prefill.shapes["bert"][2] or 0
    try:
        vectors = graph.run({TOKENS: np.full((1, 3), characters.last)}, {})[VECTORS]
    except Exception as error:  # onnxruntime has one class per status code, all directly below Exception
        raise InvalidBase(f"the graph {BERT} does not know all of {ENCODER_VOCABULARY}: {str(error)[:300]}") from error
    if vectors.shape != (1, 1, width):
        raise InvalidBase(
            f"the graph {BERT} makes vectors of shape {vectors.shape}, {PREFILL} takes a width of {width}"
        )
    return TextEncoder(graph, characters, width)


def _load_graph(name: str, bundle: BaseBundle, threads: int) -> Graph:
    described = _graph_of(bundle.document, name)
    bundle.files_under(str(PurePosixPath(described.file).parent))  # the weights beside the graph are checked as well
    lora = {given.name: given.keys for given in described.lora}
    graph = Graph(bundle.path(described.file), lora, threads=threads)
    graph.require(*(GRAPHS | OPTIONAL)[name])
    for given, axes in FIXED.get(name, {}).items():
        shape = graph.shapes[given]
        if len(shape) <= max(axes) or any(shape[axis] is None for axis in axes):
            raise InvalidBase(f"the input {given} of {name} has the shape {shape}; its axes {axes} must be fixed")
    return graph
