"""Synthesis with the server's engine and graphs: fine-tuned voices, and zero-shot ones from a prompt alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from dev.errors import DevError
from dev.voice_bench.training import LANGUAGE, TrainedVoice
from sovits_core.bundle.base import BaseBundle
from voice_inference.bundles.base import load_base
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import ADAPTER, ADAPTER_CONFIG, PROMPT, SCHEMA, VOICE, Voice, load_voice
from voice_inference.engine.engine import Engine
from voice_inference.engine.tokens import FinishReason
from voice_inference.errors import InvalidBase
from voice_inference.metrics import Metrics

Samples = NDArray[np.float32]
SEED = 7
"""Of every sentence and voice, so that only the voice differs."""


@dataclass(frozen=True)
class Synthesis:
    """One synthesized sentence."""

    samples: Samples
    """(samples) at the base's rate."""
    tokens: tuple[int, ...]
    """Semantic tokens, 25 per second."""
    ended: bool
    """False without an end token, at the maximal length."""


class Server:
    """One base, and any number of voices on it."""

    def __init__(self, base: BaseBundle) -> None:
        """Load the base's graphs.

        Raises:
            DevError: a graph is missing or damaged.
        """
        uri = base.folder.absolute().as_uri()
        reference = BaseReference(name=base.document.name, uri=uri, digest=base.digest)
        try:
            self._base = load_base(uri, reference, threads=1)
        except InvalidBase as error:
            raise DevError(
                f"the server cannot load the base {base.document.name!r}: {error}", remedy="make the base again"
            ) from error
        self._engine = Engine(Metrics())

    @property
    def sample_rate(self) -> int:
        """Of the output, in Hz."""
        return self._base.sample_rate

    def voice(self, trained: TrainedVoice) -> Voice:
        """Load a voice as the trainer published it."""
        return self._load(trained.bundle, trained.revision, trained.bundle_digest)

    def zero_shot(self, prompt: Path, folder: Path) -> Voice:
        """Return the base conditioned on a prompt alone: a voice whose adapter is zero.

        Args:
            prompt: the prompt.safetensors of a voice bundle.
            folder: where to write that voice.
        """
        tensors = {
            key: np.zeros(given.stack_shape(1)[1:], dtype=np.float16) for given in self._base.lora for key in given.keys
        }
        document = {
            "schema": SCHEMA,
            "revision": folder.name,
            "language": LANGUAGE,
            "sampleRate": self.sample_rate,
            "base": {"name": self._base.document.name, "digest": self._base.digest},
            "symbolsSha256": self._base.document.symbols_sha256,
            "adapter": {"rank": 1},
        }
        folder.mkdir(parents=True, exist_ok=True)
        (folder / VOICE).write_text(json.dumps(document), encoding="utf-8")
        (folder / ADAPTER_CONFIG).write_text(json.dumps({"r": 1, "lora_alpha": 1}), encoding="utf-8")
        save_file(tensors, folder / ADAPTER)
        (folder / PROMPT).write_bytes(prompt.read_bytes())
        return self._load(folder, folder.name, f"sha256:{'0' * 64}")

    def synthesize(self, voice: Voice, text: str) -> Synthesis:
        """Synthesize one sentence with the server's defaults."""
        segments = list(self._engine.synthesize(voice, text, language=LANGUAGE, seed=SEED, is_cancelled=lambda: False))
        tokens = np.concatenate([segment.tokens for segment in segments])
        ended = all(segment.finish_reason is FinishReason.END_TOKEN for segment in segments)
        return Synthesis(np.concatenate([segment.samples for segment in segments]), tuple(tokens.tolist()), ended)

    def _load(self, folder: Path, revision: str, digest: str) -> Voice:
        uri = folder.absolute().as_uri()
        return load_voice(
            folder, VoiceReference(id="bench/voice", revision=revision, uri=uri, digest=digest), self._base
        )
