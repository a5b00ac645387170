"""A voice bundle in memory: the adapter as graph inputs, and the prompt with its speaker embedding."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator

from sovits_core.bundle.document import Document
from sovits_core.text.lexicon import NO_ENTRIES, Lexicon
from sovits_core.text.locales import known_locale
from sovits_core.validation import one_line
from voice_inference.bundles.adapters import AdapterCache, AdapterFile, Adapters, stacked
from voice_inference.bundles.base import Base
from voice_inference.bundles.references import VoiceReference
from voice_inference.bundles.stored import AdapterInput
from voice_inference.bundles.tensors import Tensors, open_tensors
from voice_inference.errors import InvalidDocument, InvalidVoice
from voice_store import BundleKind

MIB = 1024 * 1024
VOICE, ADAPTER_CONFIG = "voice.json", "adapter_config.json"
ADAPTER, PROMPT = "adapter_model.safetensors", "prompt.safetensors"
ADAPTER_LIMIT = 128 * MIB  # an adapter of rank 8 has a few
FILE_LIMITS = {VOICE: MIB, ADAPTER_CONFIG: MIB, PROMPT: 8 * MIB}
MAX_CONTAINERS = 10_000  # objects and lists in a JSON document; an empty list of three bytes takes hundreds in memory


def voice_bundles(adapter_limit: int = ADAPTER_LIMIT) -> BundleKind:
    """Return the kind of voice bundles, of adapters with at most so many bytes."""
    return BundleKind(
        name="voices",
        index="manifest.json",
        schema="voice.sovits.dev/voice-bundle/v1",
        choose=lambda _: (VOICE, ADAPTER_CONFIG, ADAPTER, PROMPT),  # reports and samples are for people
        size_limit=adapter_limit + sum(FILE_LIMITS.values()),
        file_limits=FILE_LIMITS | {ADAPTER: adapter_limit},
        index_limit=MIB,
        files_limit=1000,
    )


SCHEMA = "voice.sovits.dev/voice/v1"
MAX_RANK = 128
MAX_SCORES = 32
SCORE = re.compile(r"[A-Za-z]{1,63}=-?[0-9]{1,9}([.][0-9]{1,9})?")
MAX_PROMPT_TOKENS = 1500  # one minute at 25 tokens per second
MAX_PROMPT_PHONES = 2048

Model = TypeVar("Model", bound=BaseModel)


class TrainedOn(Document):
    """The base that the voice was trained on."""

    name: str
    digest: str


class AdapterDescription(Document):
    """The adapter's fields of ``voice.json``."""

    rank: int = Field(ge=1, le=MAX_RANK)


class VoiceName(Document):
    """Whose voice it is."""

    namespace: str
    name: str


class Permission(Document):
    """The speaker's consent when the bundle was made."""

    expires: date | None = None
    revoked: bool = False


class VoiceDescription(Document):
    """The fields of ``voice.json`` that a server needs."""

    schema_: str = Field(alias="schema", pattern=f"^{SCHEMA}$")
    voice: VoiceName
    consent: Permission = Permission()
    revision: str
    language: str = Field(min_length=2, max_length=16)
    locale: Annotated[str, AfterValidator(known_locale)] = ""
    sample_rate: int
    base: TrainedOn
    symbols_sha256: str
    adapter: AdapterDescription
    scores: dict[str, str] = Field(default_factory=dict)

    @field_validator("scores", mode="before")
    @classmethod
    def _readable(cls, given: Any) -> dict[str, str]:
        """Keep what looks like scores: they are shown to people, and no reason to refuse a voice."""
        pairs = list(given.items())[:MAX_SCORES] if isinstance(given, dict) else []
        return {name: value for name, value in pairs if SCORE.fullmatch(f"{name}={value}") and isinstance(value, str)}


class AdapterConfig(BaseModel):
    """The fields of PEFT's ``adapter_config.json`` that set the adapter's scale."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    r: int
    lora_alpha: float
    use_rslora: bool = False
    use_dora: bool = False


@dataclass(frozen=True)
class Prompt:
    """The utterance that S1 continues, and the speaker embedding that conditions S2."""

    tokens: NDArray[np.int64]  # (P,) semantic tokens; the file's `codes`
    phones: NDArray[np.int64]  # (T,) phone ids of the utterance's text
    speaker_embedding: NDArray[np.float32]  # (1, embedding, 1); the file's `ge`
    bert_features: NDArray[np.float32] | None  # (T, width); the file's `bert`; None stands for zeros


@dataclass(frozen=True)
class Voice:
    """A loaded voice; never changed, so that a request may hold it while its successor is swapped in."""

    reference: VoiceReference
    base: Base
    language: str
    prompt: Prompt
    adapters: Callable[[], Adapters]
    """From memory, or from the bundle's file. Raises ``InvalidVoice`` where that is no longer what it was."""
    expires: date | None = None  # the last day, in UTC, of the consent as the bundle has it
    scores: Mapping[str, str] = field(default_factory=dict)  # of its evaluation, by metric
    locale: str = ""  # how its texts write dates and numbers, where a request does not say
    lexicon: Lexicon = NO_ENTRIES  # of its resource, as the list of voices has it now

    def pinned(self) -> Voice:
        """Return the voice with its adapter in memory for as long as somebody holds it. Raises ``InvalidVoice``."""
        adapters = self.adapters()
        return replace(self, adapters=lambda: adapters)


def load_voice(folder: Path, reference: VoiceReference, base: Base, cache: AdapterCache | None = None) -> Voice:
    """Load a voice from a folder whose files have been checked against its digest, and which stays.

    Its adapter is kept in the cache, or without one in memory.

    Raises:
        InvalidDocument: voice.json or adapter_config.json is malformed.
        InvalidVoice: the voice is for another base, or a tensor is missing, unknown, misshapen or not finite.
    """
    described = _parse(VoiceDescription, folder / VOICE)
    _check_identity(described, reference, base)
    rank = described.adapter.rank
    _check_scale(_parse(AdapterConfig, folder / ADAPTER_CONFIG), rank)
    with open_tensors(folder / PROMPT) as tensors:
        prompt = _prompt(tensors, base)
    with open_tensors(folder / ADAPTER) as tensors:
        _check_keys(tensors, base)
        _check_shapes(tensors, base.lora, rank)
        graphs = (base.prefill.lora, base.step.lora, base.decode.lora)
        adapters = stacked(graphs, {key: tensors.read(key) for key in base.adapter_keys}, rank)
        digest = hashlib.sha256((folder / ADAPTER).read_bytes()).hexdigest()
    again = AdapterFile(folder / ADAPTER, digest, rank, graphs).read
    if cache is not None:
        cache.put(reference.digest, adapters)
    return Voice(
        reference=reference,
        base=base,
        language=described.language,
        prompt=prompt,
        adapters=partial(cache.get, reference.digest, again) if cache is not None else lambda: adapters,
        expires=described.consent.expires,
        scores=described.scores,
        locale=described.locale,
    )


def memory_for(folder: Path) -> int:
    """Return how many bytes loading a fetched bundle may take: its files are mapped, read, and stacked."""
    sizes = {name: (folder / name).stat().st_size for name in (VOICE, ADAPTER_CONFIG, ADAPTER, PROMPT)}
    documents = sizes[VOICE] + sizes[ADAPTER_CONFIG]
    return 3 * (sizes[ADAPTER] + sizes[PROMPT]) + 16 * documents


def _check_identity(described: VoiceDescription, reference: VoiceReference, base: Base) -> None:
    if described.revision != reference.revision:
        raise InvalidVoice(f"the bundle is revision {described.revision}, expected {reference.revision}")
    owner = f"{described.voice.namespace}/{described.voice.name}"
    if owner != reference.id:
        raise InvalidVoice(f"the bundle is of the voice {owner}, expected {reference.id}")
    if described.consent.revoked:
        raise InvalidVoice("the bundle says that the speaker has revoked the consent")
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
    if missing := base.adapter_keys - tensors.names:
        raise InvalidVoice(f"the adapter lacks {len(missing)} tensors that the base needs, first {min(missing)}")
    if unknown := tensors.names - base.adapter_keys:
        raise InvalidVoice(f"the adapter has {len(unknown)} tensors that the base does not know, first {min(unknown)}")


def _check_shapes(tensors: Tensors, inputs: Iterable[AdapterInput], rank: int) -> None:
    for lora in inputs:
        expected = lora.stack_shape(rank)[1:]
        for key in lora.keys:
            shape = tensors.shape(key)
            if shape not in {expected, (*expected, 1)}:  # the second: of a convolution with kernel 1
                raise InvalidVoice(f"{key} has the shape {list(shape)}, expected {list(expected)} at rank {rank}")


def _prompt(tensors: Tensors, base: Base) -> Prompt:
    embedding = base.decode.shapes["ge"][1]
    tokens = _indices(tensors, "codes", maximum=MAX_PROMPT_TOKENS, below=base.end_token)
    phones = _indices(tensors, "phones", maximum=MAX_PROMPT_PHONES, below=base.document.s1.phonemes)
    ge = _tensor(tensors, "ge", (embedding,))
    if ge is None or ge.shape != (embedding,) or ge.dtype != np.float32 or not np.isfinite(ge).all():
        raise InvalidVoice(f"prompt.safetensors needs ge: {embedding} finite float32 values")
    return Prompt(tokens, phones, np.ascontiguousarray(ge[None, :, None]), _bert_features(tensors, phones.size, base))


def _bert_features(tensors: Tensors, phones: int, base: Base) -> NDArray[np.float32] | None:
    expected = (phones, base.prefill.shapes["bert"][2])
    if "bert" not in tensors.names:
        return None
    features = _tensor(tensors, "bert", expected)
    if (
        features is None
        or features.shape != expected
        or features.dtype != np.float32
        or not np.isfinite(features).all()
    ):
        raise InvalidVoice(f"prompt.safetensors: bert must be finite float32 of shape {expected}")
    return features


def _indices(tensors: Tensors, name: str, *, maximum: int, below: int) -> NDArray[np.int64]:
    shape = tensors.shape(name) if name in tensors.names else ()
    found = tensors.read(name) if len(shape) == 1 and 1 <= shape[0] <= maximum else None
    if found is None or found.dtype != np.int64:
        raise InvalidVoice(f"prompt.safetensors needs {name}: 1 to {maximum} int64 values")
    if found.min() < 0 or found.max() >= below:
        raise InvalidVoice(f"prompt.safetensors: {name} must lie between 0 and {below - 1}")
    return found


def _tensor(tensors: Tensors, name: str, shape: tuple[int | None, ...]) -> NDArray[Any] | None:
    """Return a tensor if there is one of that shape."""
    return tensors.read(name) if name in tensors.names and tensors.shape(name) == shape else None


def _parse(model: type[Model], path: Path) -> Model:
    data = path.read_bytes()
    if data.count(b"{") + data.count(b"[") > MAX_CONTAINERS:
        raise InvalidDocument(f"{path.name} has more than {MAX_CONTAINERS} objects and lists; publish it again")
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise InvalidDocument(f"{path.name}: {one_line(error)}") from error
