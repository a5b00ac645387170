"""A voice bundle and its base to the two official files: what `sovits-core export-official` does."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from sovits_core.bundle.base import EMBEDDED, LARGEST_BASE_JSON, BaseBundle, BaseDocument, open_base
from sovits_core.bundle.document import Document
from sovits_core.bundle.model_config import SynthesizerConfig
from sovits_core.errors import BaseRejected, SovitsError, VoiceRejected
from sovits_core.formats.adapters import LARGEST_FILE, WEIGHTS_FILE, load_adapter, merge
from sovits_core.formats.checkpoints import load_weights
from sovits_core.models import Synthesizer, TextToSemantic
from sovits_core.models.networks import Networks
from sovits_core.official.files import write_s1, write_s2
from sovits_core.official.loading import S2_CONFIGS
from sovits_core.official.names import official_keys, to_official
from sovits_core.official.settings import S2_HEADS, s1_settings, s2_settings
from sovits_core.official.weight_norm import DIRECTION, LENGTH, join_weight_norm, split_weight_norm
from sovits_core.validation import one_line
from voice_store import StoreError, open_store

LARGEST_DOCUMENT = 4 * 2**20
WEIGHTS = ("s1.safetensors", "s2g.safetensors")
Say = Callable[[str], None]


class _BaseIdentity(Document):
    name: str
    digest: str = Field(pattern="^sha256:[0-9a-f]{64}$")


class _Adapter(Document):
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class _VoiceName(Document):
    name: str = Field(pattern="^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$")  # a file is named after it


class _Voice(Document):
    """The part of voice.json that matters here."""

    schema_: str = Field(alias="schema", pattern="^voice\\.sovits\\.dev/voice/v1$")
    voice: _VoiceName
    revision: str = ""
    base: _BaseIdentity
    adapter: _Adapter


def export_official(voice_folder: Path, base_uri: str | None, out: Path, say: Say) -> tuple[Path, Path]:
    """Write `<voice>.ckpt` and `<voice>.pth`, with the adapter merged into the base's weights, in float16.

    Weights that the adapter leaves alone are written exactly as the base has them.

    Args:
        voice_folder: a voice bundle.
        base_uri: where its base is; None for an embedded one.
        out: an existing folder or one to make; files of these names must not be there.
        say: takes a line about what is being done.

    Raises:
        VoiceRejected: the bundle is damaged, or the base is another one than it was trained on.
        BaseRejected, AdapterRejected, CheckpointMismatch: the base or the adapter cannot be used.
        SovitsError: the files exist already or cannot be written.
    """
    voice = read_voice(voice_folder)
    with _opened_base(voice, base_uri) as base:
        return write_official(voice, voice_folder, base, out, say)


class OpenBase(Protocol):
    """A base whose files can be read."""

    @property
    def document(self) -> BaseDocument:
        """Its ``base.json``."""

    def path(self, name: str) -> Path:
        """Return the path of one of its files, checked."""


def write_official(voice: _Voice, folder: Path, base: OpenBase, out: Path, say: Say) -> tuple[Path, Path]:
    """Write the two files of a voice that ``read_voice`` has read, on the base that it was trained on.

    The same voice gives the same bytes.

    Raises:
        BaseRejected, AdapterRejected, CheckpointMismatch: the base or the adapter cannot be used.
        SovitsError: the files exist already or cannot be written.
    """
    config = base.document.synthesizer
    version = base.document.version
    ckpt, pth = (out / f"{voice.voice.name}{suffix}" for suffix in (".ckpt", ".pth"))
    for path in (ckpt, pth):
        if path.exists():
            raise SovitsError(f"{path} exists already: name another folder, or move that file away")
    if config != S2_CONFIGS.get(version):
        say(f"note: the base {base.document.name} has sizes of its own, which the official program cannot load")
    say(f"loading {base.document.name}")
    networks = Networks(TextToSemantic(base.document.s1), Synthesizer(config)).eval()
    for network, name in zip((networks.s1, networks.s2), WEIGHTS, strict=True):
        load_weights(network, base.path(name))
    untouched = to_official(networks.s2)
    say(f"merging {voice.voice.name}")
    merged = merge(load_adapter(networks, folder))
    say(f"writing {ckpt.name} and {pth.name}")
    info = voice.revision or voice.voice.name
    s2_weights = split_weight_norm(_restored(to_official(merged.s2), untouched), _split_names(config))
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SovitsError(f"{out} cannot be made: {error.strerror}") from error
    try:
        write_s1(ckpt, to_official(merged.s1), s1_settings(merged.s1.config), info)
        write_s2(pth, s2_weights, s2_settings(config, version), info, S2_HEADS[version])
    except SovitsError:
        ckpt.unlink(missing_ok=True)  # one without the other is of no use
        raise
    return ckpt, pth


def read_voice(folder: Path) -> _Voice:
    """Read voice.json and compare the adapter with its digest.

    Raises:
        VoiceRejected: there is none, it is not valid, or the adapter is another one.
    """
    path = folder / "voice.json"
    try:
        if path.stat().st_size > LARGEST_DOCUMENT:
            raise VoiceRejected(f"{path} has more than {LARGEST_DOCUMENT} bytes")
        voice = _Voice.model_validate_json(path.read_bytes())
        adapter = folder / WEIGHTS_FILE
        if adapter.stat().st_size > LARGEST_FILE:
            raise VoiceRejected(f"{adapter} has more than {LARGEST_FILE} bytes")
        digest = hashlib.sha256(adapter.read_bytes()).hexdigest()
    except OSError as error:
        raise VoiceRejected(
            f"{folder} is no voice bundle: {error.filename} cannot be read ({error.strerror})"
        ) from error
    except ValidationError as error:
        raise VoiceRejected(f"{path} is not valid: {one_line(error)}") from error
    if digest != voice.adapter.sha256:
        raise VoiceRejected(
            f"{adapter} is damaged: its SHA-256 is {digest[:12]}…, voice.json says {voice.adapter.sha256[:12]}…"
        )
    return voice


@contextmanager
def _opened_base(voice: _Voice, uri: str | None) -> Iterator[BaseBundle]:
    """The voice's base, for as long as this lasts; from S3 only what is needed is fetched.

    Raises:
        VoiceRejected: it is another base than the voice was trained on.
        BaseRejected: there is none.
    """
    uri = uri or f"{EMBEDDED}{voice.base.name}"
    with TemporaryDirectory() as scratch:
        if uri.startswith("s3://"):
            _fetch(uri, Path(scratch))
            uri = scratch
        base = open_base(uri)
        if base.digest != voice.base.digest:
            raise VoiceRejected(
                f"voice {voice.voice.name!r} was trained on base {voice.base.name!r} with {voice.base.digest}, the one "
                f"given is {base.document.name!r} with {base.digest}: give the right one with --base"
            )
        yield base


def _fetch(uri: str, folder: Path) -> None:
    try:
        store = open_store(uri)
        store.download("base.json", folder / "base.json", limit=LARGEST_BASE_JSON)
        for name in WEIGHTS:
            store.download(name, folder / name)
    except StoreError as error:
        raise BaseRejected(f"the base at {uri} cannot be fetched: {error}") from error


def _split_names(config: SynthesizerConfig) -> list[str]:
    """The official names of a network whose weights are split."""
    with torch.device("meta"):
        return list(official_keys(Synthesizer(config)).values())


def _restored(merged: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Merged weights, and the base's own pair of length and direction for each layer that merging left alone."""
    plain = join_weight_norm(base)
    weights: dict[str, Tensor] = {}
    for key, weight in merged.items():
        layer = key.removesuffix("weight")
        # folding rounds in the last bits of float32, an adapter changes more than float16 can tell
        if layer + LENGTH in base and torch.allclose(weight, plain[key], rtol=1e-5, atol=1e-7):
            weights |= {layer + part: base[layer + part] for part in (LENGTH, DIRECTION)}
        else:
            weights[key] = weight
    return weights
