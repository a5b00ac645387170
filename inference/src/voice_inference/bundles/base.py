"""The base model in ONNX Runtime: the graphs of S1 and S2, the networks for Mandarin, and base.json."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from pydantic import ValidationError

from sovits_core.bundle.base import POLYPHONES, TEXT_ENCODER, BaseBundle, BaseDocument, open_base
from sovits_core.bundle.base import Graph as GraphEntry
from sovits_core.errors import BaseRejected, TextModelRejected
from sovits_core.serving.guards import drop_nan_guards
from sovits_core.serving.rounding import WeightBits
from sovits_core.text import PolyphoneReader
from sovits_core.text.chinese.characters import VOCABULARY, read_characters
from sovits_core.text.chinese.g2pw import open_g2pw
from sovits_core.validation import one_line
from voice_inference.bundles.bert import TOKENS, VECTORS, BertEncoder
from voice_inference.bundles.references import BaseReference
from voice_inference.bundles.sessions import Decoder, GraphSession, Step
from voice_inference.bundles.stored import AdapterInput, StoredGraph
from voice_inference.errors import InvalidBase, InvalidDocument
from voice_store import BundleKind

PREFILL, STEP, DECODE, BERT = "s1_prefill", "s1_step", "s2_decode", "bert"
GRAPHS = {  # the contract with the exporter: inputs besides the adapter's, and outputs
    PREFILL: ({"phones", "bert", "prompt"}, {"logits", "keys", "values"}),
    STEP: ({"token", "position", "keys", "values", "length"}, {"logits", "new_keys", "new_values"}),
    DECODE: ({"codes", "text", "ge", "noise"}, {"wav"}),
}
OPTIONAL_GRAPHS = {BERT: ({TOKENS}, {VECTORS})}
BERT_VOCABULARY = f"{TEXT_ENCODER}/{VOCABULARY}"
# Axes of inputs whose size must be fixed in the graph, as the server allocates their arrays.
FIXED_AXES: dict[str, dict[str, tuple[int, ...]]] = {
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
    prefill: GraphSession
    step: Step
    decode: Decoder
    polyphones: PolyphoneReader | None
    bert: BertEncoder | None

    @property
    def sample_rate(self) -> int:
        """Sample rate of the output in Hz."""
        return self.document.sample_rate

    @property
    def end_token(self) -> int:
        """The semantic token that ends a sentence."""
        return self.document.s1.end_token

    @property
    def adapter_keys(self) -> frozenset[str]:
        """The names of all tensors of an adapter, no more and no less."""
        return frozenset(key for lora in self.lora for key in lora.keys)

    @property
    def lora(self) -> tuple[AdapterInput, ...]:
        """The stacked adapter inputs of all graphs; S1's graphs share theirs."""
        return tuple({lora: None for graph in (self.prefill, self.step, self.decode) for lora in graph.lora})


def load_base(uri: str, reference: BaseReference, *, threads: int, step_bits: WeightBits = 32) -> Base:
    """Load the base at ``uri``, the reference's own or a folder that it was fetched to.

    Graphs are not run as they are stored, but as ``sovits_core.serving`` makes them from that: with 32 bits they answer
    the same, faster.

    Raises:
        InvalidBase: a file is damaged, or a network cannot be loaded or has other inputs or outputs.
    """
    try:
        bundle = open_base(uri, reference.digest)
        stored = {name: _read_graph(name, bundle) for name in GRAPHS}
        for name in (PREFILL, DECODE):
            drop_nan_guards(stored[name].model)
        prefill, decode = GraphSession(stored[PREFILL], threads=threads), Decoder(stored[DECODE], threads=threads)
        step = Step(stored[STEP], threads=threads, bits=step_bits)
        polyphones = _load_polyphones(bundle, threads)
        bert = _load_bert(bundle, prefill, threads)
    except (BaseRejected, TextModelRejected) as error:
        raise InvalidBase(str(error)) from error
    return Base(reference, bundle.digest, bundle.document, prefill, step, decode, polyphones, bert)


def needed_files(data: bytes) -> list[str]:
    """Return the names of the files that the server needs: graphs with their weights, polyphones and vocabulary.

    Raises:
        InvalidDocument: the data is not a valid ``base.json``.
        InvalidBase: a graph is missing.
    """
    try:
        document = BaseDocument.model_validate_json(data)
    except ValidationError as error:
        raise InvalidDocument(f"base.json: {one_line(error)}") from error
    graphs = [*GRAPHS, *(name for name in OPTIONAL_GRAPHS if name in document.graphs)]
    folders = {PurePosixPath(_graph_entry(document, name).file).parent for name in graphs} | {PurePosixPath(POLYPHONES)}
    vocabulary = {BERT_VOCABULARY} if BERT in graphs else set()
    return [name for name in document.files if PurePosixPath(name).parent in folders or name in vocabulary]


BASES = BundleKind(
    name="bases", index="base.json", schema="voice.sovits.dev/base/v1", choose=needed_files, size_limit=4 * 1024**3
)


def _graph_entry(document: BaseDocument, name: str) -> GraphEntry:
    if name not in document.graphs:
        raise InvalidBase(f"the base {document.name} has no graph {name}; export it again")
    return document.graphs[name]


def _load_polyphones(bundle: BaseBundle, threads: int) -> PolyphoneReader | None:
    if not bundle.document.has_folder(POLYPHONES):
        return None
    bundle.files_under(POLYPHONES)  # checks their digests
    return open_g2pw(bundle.folder / POLYPHONES, threads=threads)


def _load_bert(bundle: BaseBundle, prefill: GraphSession, threads: int) -> BertEncoder | None:
    if BERT not in bundle.document.graphs:
        return None
    graph = GraphSession(_read_graph(BERT, bundle), threads=threads)
    characters = read_characters(bundle.path(BERT_VOCABULARY).parent)
    width = prefill.shapes["bert"][2] or 0
    try:
        vectors = graph.run({TOKENS: np.full((1, 3), characters.last)}, {})[VECTORS]
    except Exception as error:  # onnxruntime has one class per status code, all directly below Exception
        raise InvalidBase(f"the graph {BERT} does not know all of {BERT_VOCABULARY}: {str(error)[:300]}") from error
    if vectors.shape != (1, 1, width):
        raise InvalidBase(
            f"the graph {BERT} makes vectors of shape {vectors.shape}, {PREFILL} takes a width of {width}"
        )
    return BertEncoder(graph, characters, width)


def _read_graph(name: str, bundle: BaseBundle) -> StoredGraph:
    described = _graph_entry(bundle.document, name)
    bundle.files_under(str(PurePosixPath(described.file).parent))  # checks the weights' digests as well
    lora = {given.name: given.keys for given in described.lora}
    graph = StoredGraph(bundle.path(described.file), lora)
    graph.require(*(GRAPHS | OPTIONAL_GRAPHS)[name])
    for given, axes in FIXED_AXES.get(name, {}).items():
        shape = graph.shapes[given]
        if len(shape) <= max(axes) or any(shape[axis] is None for axis in axes):
            raise InvalidBase(f"the input {given} of {name} has the shape {shape}; its axes {axes} must be fixed")
    return graph
