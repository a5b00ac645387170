"""The voices that are measured: one that was trained, and one of random weights at the official sizes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import save_file

from dev.errors import DevError
from sovits_core.bench.samples import VERSIONS, random_s1, random_s2
from sovits_core.bundle.base import BaseBundle, open_base
from sovits_core.bundle.model_config import TextToSemanticConfig
from sovits_core.bundle.writing import new_folder, write_base_json
from sovits_core.export import export_graphs
from sovits_core.models.networks import Networks
from voice_inference.bundles.base import load_base
from voice_inference.bundles.references import BaseReference

OFFICIAL = "v2Pro"
PROMPT_TOKENS, PROMPT_PHONES = 100, 50  # four seconds
NAMESPACE = "bench"
RANKS = (2, 4, 8)
"""Of a crowd's voices, in turn."""
ADAPTER_SCALE = 0.05

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Subject:
    """A voice on a base."""

    name: str
    base: Mapping[str, str]
    voice: Mapping[str, str]

    @property
    def desired_voices(self) -> dict[str, Any]:
        """The document that makes a server load it."""
        return desired(self.base, [self.voice])


@dataclass(frozen=True)
class Crowd:
    """Voices on a base, each in some revisions."""

    base: Mapping[str, str]
    voices: Sequence[Sequence[Mapping[str, str]]]

    @property
    def ids(self) -> list[str]:
        """What a client calls them."""
        return [revisions[0]["id"] for revisions in self.voices]

    @property
    def desired_voices(self) -> dict[str, Any]:
        """The document that makes a server load the first revision of each."""
        return desired(self.base, [revisions[0] for revisions in self.voices])


def desired(base: Mapping[str, str], voices: Sequence[Mapping[str, str]], generation: int = 1) -> dict[str, Any]:
    """Return the document that makes a server load some voices."""
    return {
        "schema": "voice.sovits.dev/desired-voices/v1",
        "generation": generation,
        "base": dict(base),
        "voices": [dict(voice) for voice in voices],
    }


def trained(bundle: Path) -> Subject:
    """Return a voice that was published on the embedded base, from the folder of its bundle.

    Raises:
        DevError: there is none.
    """
    try:
        voice = json.loads((bundle / "voice.json").read_bytes())
    except FileNotFoundError as error:
        raise DevError(f"{bundle} holds no voice", remedy="make try ONCE=1, or BUNDLE=folder") from error
    base = open_base(f"embedded:{voice['base']['name']}")
    return Subject(base.document.name, _base_reference(base, f"embedded:{base.document.name}"), _voice(bundle))


def untrained(folder: Path) -> Subject:
    """Write a voice of random numbers on the embedded base, and return it; it is studio/alice, as in all examples."""
    base = open_base("embedded:tiny")
    _write_voice(folder, base, "studio/alice")
    return Subject(base.document.name, _base_reference(base, f"embedded:{base.document.name}"), _voice(folder))


def official(folder: Path) -> Subject:
    """Write a base of the official sizes with random weights, and a voice on it, unless they are there already."""
    if not (folder / "base" / "base.json").is_file():
        torch.manual_seed(0)
        networks = Networks(random_s1(TextToSemanticConfig()), random_s2(VERSIONS[OFFICIAL]))
        with new_folder(folder / "base") as partial:
            graphs = export_graphs(networks, partial)
            write_base_json(partial, _document(networks, graphs))
    base = open_base(str(folder / "base"))
    bundle = folder / "voice"
    _write_voice(bundle, base)
    return Subject(OFFICIAL, _base_reference(base, (folder / "base").absolute().as_uri()), _voice(bundle))


def _document(networks: Networks, graphs: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": "random",
        "version": OFFICIAL,
        "sampleRate": networks.s2.config.sample_rate,
        "languages": ["en"],
        "symbols": "v2",
        "s1": networks.s1.config.model_dump(mode="json", by_alias=True),
        "s2": networks.s2.config.model_dump(mode="json", by_alias=True),
        "hubert": {"hidden": networks.s2.config.ssl_dim},
        "graphs": graphs,
    }


def crowd(folder: Path, count: int, *, revisions: int, base: str = "embedded:tiny") -> Crowd:
    """Write voices on a base, each in some revisions with random adapters, unless they are there already."""
    opened = open_base(base)
    shapes = {rank: _adapter_shapes(opened, rank) for rank in RANKS}
    voices = []
    for number in range(count):
        rank, name = RANKS[number % len(RANKS)], f"voice-{number:04}"
        bundles = [folder / name / str(revision) for revision in range(1, revisions + 1)]
        for revision, bundle in enumerate(bundles, 1):
            if (bundle / "manifest.json").is_file():
                continue
            rng = np.random.default_rng([number, revision])
            adapter = {
                key: (ADAPTER_SCALE * rng.standard_normal(shape)).astype(np.float16)
                for key, shape in shapes[rank].items()
            }
            _write_bundle(bundle, opened, (f"{NAMESPACE}/{name}", f"{name}-{revision}"), adapter, rank)
        voices.append([_voice(bundle) for bundle in bundles])
    uri = base if base.startswith("embedded:") else Path(base).absolute().as_uri()
    return Crowd(_base_reference(opened, uri), voices)


def _write_voice(bundle: Path, base: BaseBundle, voice_id: str = f"{NAMESPACE}/random") -> None:
    """Write a bundle whose adapter is zero and whose prompt is random."""
    adapter = {key: np.zeros(shape, dtype=np.float16) for key, shape in _adapter_shapes(base, 1).items()}
    _write_bundle(bundle, base, (voice_id, "random-1"), adapter, 1)


def _adapter_shapes(base: BaseBundle, rank: int) -> dict[str, tuple[int, ...]]:
    reference = BaseReference(name=base.document.name, uri=base.folder.absolute().as_uri(), digest=base.digest)
    loaded = load_base(reference.uri, reference, threads=1)
    return {key: given.stack_shape(rank)[1:] for given in loaded.lora for key in given.keys}


def _write_bundle(
    bundle: Path, base: BaseBundle, whose: tuple[str, str], adapter: Mapping[str, Array], rank: int
) -> None:
    """Write a bundle of a voice's revision with an adapter and a random prompt."""
    voice_id, revision = whose
    rng, document = np.random.default_rng(1), base.document
    namespace, _, name = voice_id.partition("/")
    voice = {
        "schema": "voice.sovits.dev/voice/v1",
        "voice": {"namespace": namespace, "name": name, "uid": "1"},
        "revision": revision,
        "language": "en",
        "sampleRate": document.sample_rate,
        "base": {"name": document.name, "digest": base.digest},
        "symbolsSha256": document.symbols_sha256,
        "adapter": {"sha256": "", "rank": rank},
    }
    bundle.mkdir(parents=True, exist_ok=True)
    (bundle / "voice.json").write_text(json.dumps(voice), encoding="utf-8")
    (bundle / "adapter_config.json").write_text(json.dumps({"r": rank, "lora_alpha": rank}), encoding="utf-8")
    save_file(dict(adapter), bundle / "adapter_model.safetensors")
    prompt: dict[str, Array] = {
        "codes": rng.integers(0, document.s1.end_token, PROMPT_TOKENS),
        "phones": rng.integers(1, 300, PROMPT_PHONES),
        "ge": rng.standard_normal(document.synthesizer.speaker_embedding).astype(np.float32),
    }
    save_file(prompt, bundle / "prompt.safetensors")
    files = {
        path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "size": path.stat().st_size}
        for path in sorted(bundle.iterdir())
        if path.name != "manifest.json"
    }
    manifest = {"schema": "voice.sovits.dev/voice-bundle/v1", "revision": revision, "files": files}
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _base_reference(base: BaseBundle, uri: str) -> dict[str, str]:
    return {"name": base.document.name, "uri": uri, "digest": base.digest}


def _voice(bundle: Path) -> dict[str, str]:
    voice = json.loads((bundle / "voice.json").read_bytes())
    return {
        "id": f"{voice['voice']['namespace']}/{voice['voice']['name']}",
        "revision": voice["revision"],
        "uri": bundle.absolute().as_uri(),
        "digest": f"sha256:{hashlib.sha256((bundle / 'manifest.json').read_bytes()).hexdigest()}",
    }
