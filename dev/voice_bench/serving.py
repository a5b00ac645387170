"""Speaks as the server does: its engine and graphs, a voice with its adapter, without it, or with a prompt alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from dev.voice_bench.training import LANGUAGE, TrainedVoice
from sovits_core.bundles import BaseBundle
from voice_inference.base import load_base
from voice_inference.bundles import Prompt, Voice, load_voice
from voice_inference.desired import BaseReference, VoiceReference
from voice_inference.engine import Engine, most_tokens
from voice_inference.graphs import Adapter, Graph, Tensor
from voice_inference.metrics import Metrics

Samples = NDArray[np.float32]
SEED = 7
"""Of every sentence, with and without an adapter: what differs is the voice's doing."""


@dataclass(frozen=True)
class Said:
    """One spoken sentence."""

    samples: Samples
    """(samples) at the base's rate."""
    codes: tuple[int, ...]
    """Semantic tokens, 25 per second."""
    ended: bool
    """False where the server had to cut it off."""


class Server:
    """One base, and any number of voices on it."""

    def __init__(self, base: BaseBundle) -> None:
        """Load the base's graphs.

        Raises:
            LoadError: the bundle has no graphs, or damaged ones.
        """
        uri = base.folder.absolute().as_uri()
        reference = BaseReference(name=base.document.name, uri=uri, digest=base.digest)
        loaded = load_base(uri, reference, threads=1)
        self._decode = _Overheard(loaded.decode)
        self._base = replace(loaded, decode=self._decode)
        self._engine = Engine(Metrics())

    @property
    def sample_rate(self) -> int:
        """Of what is spoken, in Hz."""
        return self._base.sample_rate

    def voice(self, trained: TrainedVoice) -> Voice:
        """Load a voice as the trainer published it."""
        reference = VoiceReference(
            id="bench/voice", revision=trained.revision, uri=trained.bundle.as_uri(), digest=trained.bundle_digest
        )
        return load_voice(trained.bundle, reference, self._base)

    def without_adapter(self, voice: Voice) -> Voice:
        """Return the base with a voice's prompt."""
        return replace(
            voice, prefill=_nothing(self._base.prefill), step=_nothing(self._base.step), decode=_nothing(self._decode)
        )

    def prompted(self, prompt: Prompt) -> Voice:
        """Return the base with any prompt."""
        reference = VoiceReference(id="bench/base", revision="base", uri="file:///none", digest=f"sha256:{'0' * 64}")
        prefill, step, decode = (_nothing(graph) for graph in (self._base.prefill, self._base.step, self._decode))
        return Voice(reference, self._base, LANGUAGE, prompt, prefill, step, decode)

    def speak(self, voice: Voice, text: str) -> Said:
        """Speak one sentence with the server's defaults."""
        pieces = list(self._engine.speak(voice, text, language=LANGUAGE, seed=SEED, is_cancelled=lambda: False))
        codes, phones = self._decode.codes, self._decode.phones
        return Said(np.concatenate(pieces), tuple(map(int, codes)), len(codes) < most_tokens(phones))


class _Overheard(Graph):
    """The decoder's graph, remembering which tokens it was last given: the server's engine keeps them to itself."""

    def __init__(self, graph: Graph) -> None:
        self.__dict__.update(vars(graph))  # the session is shared, not loaded again
        self.codes: NDArray[np.int64] = np.zeros(0, dtype=np.int64)
        self.phones = 0

    def run(self, inputs: Mapping[str, Tensor], adapter: Adapter) -> dict[str, Any]:
        """Run as the graph does."""
        self.codes, self.phones = inputs["codes"][0], inputs["text"].shape[1]
        return super().run(inputs, adapter)


def _nothing(graph: Graph) -> Adapter:
    """Zeros of rank one, which change nothing."""
    return {
        given.name: ort.OrtValue.ortvalue_from_numpy(np.zeros(given.stack_shape(1), dtype=np.float32))
        for given in graph.lora
    }
