"""A voice bundle in memory: the adapter as graph inputs, and the prompt that sets timbre and manner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from sovits_core.bundle.base import Document
from voice_inference.bundles.base import Base
from voice_inference.bundles.fetch import Kind
from voice_inference.bundles.references import VoiceReference
from voice_inference.bundles.sessions import Adapter, Graph, LoraInput
from voice_inference.errors import InvalidDocument, InvalidVoice

MIB = 1024 * 1024
VOICE, ADAPTER_CONFIG = "voice.json", "adapter_config.json"
ADAPTER, PROMPT = "adapter_model.safetensors", "prompt.safetensors"
VOICES = Kind(
    name="voices",
    index="manifest.json",
    schema="voice.sovits.dev/voice-bundle/v1",
    choose=lambda _: (VOICE, ADAPTER_CONFIG, ADAPTER, PROMPT),  # reports and samples are for people
    size_limit=128 * MIB,  # an adapter of rank 8 has a few
)
SCHEMA = "voice.sovits.dev/voice/v1"
HIGHEST_RANK = 128
PROMPT_CODES = 1500  # one minute at 25 tokens per second
PROMPT_PHONES = 2048

Tensors = Mapping[str, NDArray[Any]]
Model = TypeVar("Model", bound=BaseModel)


class BaseIdentity(Document):
    """The base that the voice was trained on."""

    name: str
    digest: str


class AdapterDescription(Document):
    """What ``voice.json`` says about the adapter."""

    rank: int = Field(ge=1, le=HIGHEST_RANK)


class VoiceDescription(Document):
    """The fields of ``voice.json`` that a server needs."""

    schema_: str = Field(alias="schema", pattern=f"^{SCHEMA}$")
    revision: str
    language: str = Field(min_length=2, max_length=16)
    sample_rate: int
    base: BaseIdentity
    symbols_sha256: str
    adapter: AdapterDescription


class AdapterConfig(BaseModel):
    """The fields of PEFT's ``adapter_config.json`` that change what the tensors mean."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    r: int
    lora_alpha: float
    use_rslora: bool = False
    use_dora: bool = False


@dataclass(frozen=True)
class Prompt:
    """The reference that a voice continues from."""

    codes: NDArray[np.int64]  # (P,) semantic tokens
    phones: NDArray[np.int64]  # (T,) what was said in them
    ge: NDArray[np.float32]  # (1, gin, 1) timbre
    vectors: NDArray[np.float32] | None  # (T, width) of the text encoder; None stands for zeros


@dataclass(frozen=True)
class Voice:
    """A loaded voice; never changed, so that a request may hold it while its successor is swapped in."""

    reference: VoiceReference
    base: Base
    language: str
    prompt: Prompt
    prefill: Adapter
    step: Adapter
    decode: Adapter


def load_voice(folder: Path, reference: VoiceReference, base: Base) -> Voice:
    """Load a voice from a folder whose files have been checked against its digest.

    Raises:
        InvalidDocument: voice.json or adapter_config.json is malformed.
        InvalidVoice: the voice is for another base, or a tensor is missing, unknown, misshapen or not finite.
    """
    described = _parse(VoiceDescription, folder / VOICE)
    _check_identity(described, reference, base)
    rank = described.adapter.rank
    _check_scale(_parse(AdapterConfig, folder / ADAPTER_CONFIG), rank)
    tensors = _read_tensors(folder / ADAPTER)
    _check_keys(tensors, base)
    ready: dict[LoraInput, ort.OrtValue] = {}  # graphs share inputs of the same name, keys and shape
    return Voice(
        reference=reference,
        base=base,
        language=described.language,
        prompt=_prompt(_read_tensors(folder / PROMPT), base),
        prefill=_adapter(base.prefill, tensors, rank, ready),
        step=_adapter(base.step, tensors, rank, ready),
        decode=_adapter(base.decode, tensors, rank, ready),
    )


def _check_identity(described: VoiceDescription, reference: VoiceReference, base: Base) -> None:
    if described.revision != reference.revision:
        raise InvalidVoice(f"the bundle is revision {described.revision}, expected {reference.revision}")
    if described.base.digest != base.digest:
        raise InvalidVoice(
            f"the voice was trained on the base {described.base.name} ({described.base.digest}), this server has "
            f"{base.document.name} ({base.digest}); train it again or serve it elsewhere"
        )
    if described.symbols_sha256 != base.document.symbols_sha256:
        raise InvalidVoice(f"the voice uses another symbol table ({described.symbols_sha256}) than the base")
    if described.sample_rate != base.sample_rate:
        raise InvalidVoice(f"the voice has {described.sample_rate} Hz, the base {base.sample_rate} Hz")


def _check_scale(config: AdapterConfig, rank: int) -> None:
    if config.r != rank:
        raise InvalidVoice(f"adapter_config.json has r={config.r}, voice.json rank={rank}")
    if config.lora_alpha != config.r or config.use_rslora or config.use_dora:
        raise InvalidVoice("adapter_config.json must have lora_alpha equal to r, without rslora and dora: scale 1")


def _check_keys(tensors: Tensors, base: Base) -> None:
    if missing := base.adapter_keys - tensors.keys():
        raise InvalidVoice(f"the adapter lacks {len(missing)} tensors that the base needs, first {min(missing)}")
    if unknown := tensors.keys() - base.adapter_keys:
        raise InvalidVoice(f"the adapter has {len(unknown)} tensors that the base does not know, first {min(unknown)}")


def _adapter(graph: Graph, tensors: Tensors, rank: int, ready: dict[LoraInput, ort.OrtValue]) -> Adapter:
    for lora in graph.lora:
        if lora not in ready:
            ready[lora] = ort.OrtValue.ortvalue_from_numpy(_stack(lora, tensors, rank))
    return {lora.name: ready[lora] for lora in graph.lora}


def _stack(lora: LoraInput, tensors: Tensors, rank: int) -> NDArray[np.float32]:
    """Return the input (keys, ...), in fp32."""
    expected = lora.stack_shape(rank)
    stack = np.empty(expected, dtype=np.float32)
    for place, key in enumerate(lora.keys):
        tensor = tensors[key]
        if tensor.dtype not in {np.dtype(np.float16), np.dtype(np.float32)}:
            raise InvalidVoice(f"{key} holds {tensor.dtype}, expected float16 or float32")
        if tensor.ndim == len(expected) and tensor.shape[-1] == 1:  # of a convolution with kernel 1
            tensor = tensor[..., 0]
        if tensor.shape != expected[1:]:
            raise InvalidVoice(
                f"{key} has the shape {list(tensor.shape)}, expected {list(expected[1:])} at rank {rank}"
            )
        stack[place] = tensor
    if not np.isfinite(stack).all():
        raise InvalidVoice(f"the tensors of {lora.name} hold values that are not finite")
    return stack


def _prompt(tensors: Tensors, base: Base) -> Prompt:
    timbre = base.decode.shapes["ge"][1]
    codes = _indices(tensors, "codes", most=PROMPT_CODES, below=base.end_token)
    phones = _indices(tensors, "phones", most=PROMPT_PHONES, below=base.document.s1.phonemes)
    ge = tensors.get("ge")
    if ge is None or ge.shape != (timbre,) or ge.dtype != np.float32 or not np.isfinite(ge).all():
        raise InvalidVoice(f"prompt.safetensors needs ge: {timbre} finite float32 values")
    return Prompt(codes, phones, np.ascontiguousarray(ge[None, :, None]), _vectors(tensors, phones.size, base))


def _vectors(tensors: Tensors, phones: int, base: Base) -> NDArray[np.float32] | None:
    vectors, expected = tensors.get("bert"), (phones, base.prefill.shapes["bert"][2])
    if vectors is None:
        return None
    if vectors.shape != expected or vectors.dtype != np.float32 or not np.isfinite(vectors).all():
        raise InvalidVoice(f"prompt.safetensors: bert must be finite float32 of shape {expected}")
    return vectors


def _indices(tensors: Tensors, name: str, *, most: int, below: int) -> NDArray[np.int64]:
    found = tensors.get(name)
    if found is None or found.ndim != 1 or found.dtype != np.int64 or not 1 <= found.size <= most:
        raise InvalidVoice(f"prompt.safetensors needs {name}: 1 to {most} int64 values")
    if found.min() < 0 or found.max() >= below:
        raise InvalidVoice(f"prompt.safetensors: {name} must lie between 0 and {below - 1}")
    return found


def _read_tensors(path: Path) -> Tensors:
    """Return all tensors of a safetensors file, which cannot hold code."""
    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no mapping
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise InvalidVoice(f"{path.name} is no safetensors file of plain numbers: {error}") from error


def _parse(model: type[Model], path: Path) -> Model:
    try:
        return model.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidDocument(f"{path.name}: {where}: {first['msg']}") from error
