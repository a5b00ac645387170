"""Reading a base bundle: base.json, and its files by name with their digests checked; no torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, AliasChoices, Discriminator, Field, Tag, ValidationError, model_validator

from sovits_core.bundle.document import Document
from sovits_core.bundle.model_config import (
    BigVganConfig,
    DiscriminatorConfig,
    MelSynthesizerConfig,
    SpeakerEncoderConfig,
    SynthesizerConfig,
    TextToSemanticConfig,
    VocoderConfig,
)
from sovits_core.bundle.strategies import AlignedTokens, EncoderTokens, Finetuning, TokenStrategy
from sovits_core.errors import BaseRejected, LexiconRejected
from sovits_core.synthesis.sampling import Sampling
from sovits_core.text.lexicon import Alphabet, Lexicon, LexiconEntry
from sovits_core.text.symbols import symbols_sha256
from sovits_core.validation import one_line
from voice_store import InvalidUri, StoreUri, content_of_file

LARGEST_BASE_JSON = 4 * 1024 * 1024
EMBEDDED = "embedded:"
TEXT_ENCODER, POLYPHONES = "bert", "g2pw"
"""Folders of a base that need not be there: for Mandarin."""


def safe_name(name: str) -> str:
    """Return a file's name inside a bundle, or raise ValueError where it could leave the folder."""
    path = PurePosixPath(name)
    usable = bool(name) and not path.is_absolute() and "\\" not in name and "\x00" not in name and ":" not in name
    if not usable or ".." in path.parts or str(path) != name:
        raise ValueError(f"{name!r} is not a plain relative file name")
    return name


FileName = Annotated[str, AfterValidator(safe_name)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Decimal = Annotated[str, Field(pattern=r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$")]


Metric = Literal[
    "pesq",
    "stoi",
    "speakerSimilarity",
    "cer",
    "wer",
    "dnsmos",
    "durationRatio",
    "noEndTokenRate",
    "repetitionRate",
    "longestPause",
]


class Gate(Document):
    """A score that a voice must reach (`min`) or must not exceed (`max`); decimal strings."""

    metric: Metric
    min: Decimal | None = None
    max: Decimal | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError(f"gate {self.metric} needs either min or max")
        if self.min is not None and self.max is not None and self.metric != "durationRatio":
            raise ValueError(f"gate {self.metric} needs either min or max; only durationRatio takes both")
        return self


DEFAULT_GATES = (Gate(metric="pesq", min="3.5"), Gate(metric="stoi", min="0.85"))
"""Default gates, where neither the voice nor its base names any."""


class FileDigest(Document):
    """The expected size and digest of a file."""

    sha256: Sha256
    size: int = Field(ge=0)


class LoraInput(Document):
    """A graph input, and the adapter tensors that are stacked for it along a new first axis."""

    name: str
    keys: tuple[str, ...] = Field(min_length=1)


class Graph(Document):
    """One ONNX graph of the base."""

    file: FileName
    lora: tuple[LoraInput, ...] = ()


class HubertConfigDocument(Document):
    """The speech encoder's sizes and rates; its own configuration is hubert/config.json."""

    hidden: int = Field(ge=1)
    frame_rate: int = Field(50, ge=1)
    sample_rate: int = Field(16000, ge=1)


class Licence(Document):
    """Where a part of the base comes from, and under which terms."""

    name: str
    licence: str
    source: str = ""
    attribution: str = ""


def _kind_of_s2(value: object) -> str:
    mel = "velocity" in value if isinstance(value, Mapping) else isinstance(value, MelSynthesizerConfig)
    return "mel" if mel else "waveform"


S2Config = Annotated[
    Annotated[SynthesizerConfig, Tag("waveform")] | Annotated[MelSynthesizerConfig, Tag("mel")],
    Discriminator(_kind_of_s2),
]
"""v1, v2 and the Pro family decode a waveform themselves, v3 and v4 a mel for a vocoder."""

MEL_VERSIONS = ("v3", "v4")


class SamplingDocument(Document):
    """Sampling of S1; the defaults are those of the official API."""

    top_k: int = Field(Sampling.top_k, ge=1)
    top_p: float = Field(Sampling.top_p, gt=0, le=1)
    temperature: float = Field(Sampling.temperature, ge=0, le=10)
    repetition_penalty: float = Field(Sampling.repetition_penalty, gt=0, le=10)

    def choice(self) -> Sampling:
        """Return it as the sampler takes it."""
        return Sampling(**self.model_dump())


class LexiconWord(Document):
    """How one word is read, as an entry of a lexicon."""

    word: str
    reading: str
    alphabet: Alphabet = "cmu"

    @property
    def entry(self) -> LexiconEntry:
        """It as the front end takes it."""
        return LexiconEntry(self.word, self.reading, self.alphabet)


class BaseDocument(Document):
    """base.json, as in `docs/contracts.md`."""

    schema_: Literal["voice.sovits.dev/base/v1"] = Field("voice.sovits.dev/base/v1", alias="schema")
    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")
    version: Literal["v1", "v2", "v2Pro", "v2ProPlus", "v3", "v4"] = "v2"
    sample_rate: int = Field(ge=8000, le=192000, description="Of the output, in Hz.")
    languages: tuple[str, ...] = Field(min_length=1)
    symbols: Literal["v1", "v2"] = "v2"
    symbols_sha256: Sha256
    s1: TextToSemanticConfig
    s2: S2Config
    s2d: DiscriminatorConfig = Field(
        DiscriminatorConfig(), validation_alias=AliasChoices("s2d", "s2D"), serialization_alias="s2d"
    )
    hubert: HubertConfigDocument
    speaker: SpeakerEncoderConfig | None = Field(None, description="Of sv/, where S2 takes a speaker vector.")
    vocoder: VocoderConfig | None = Field(None, description="Of vocoder/, for v4.")
    bigvgan: BigVganConfig | None = Field(None, description="Of vocoder/, for v3.")
    sampling: SamplingDocument = SamplingDocument()
    tokens: TokenStrategy = Field(EncoderTokens(), description="How semantic tokens of clips are found.")
    finetuning: Finetuning = Finetuning()
    gates: tuple[Gate, ...] = ()
    gates_note: str = ""
    calibration: Mapping[str, Any] | None = Field(
        None, description="What the gates were measured on, by `voice-trainer calibrate`; for people."
    )
    sentences: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    lexicon: tuple[LexiconWord, ...] = Field((), description="Readings that go before those of the dictionaries.")
    licences: tuple[Licence, ...] = ()
    training: Mapping[str, str] = Field(default_factory=dict, description="How it was made, for people.")
    files: Mapping[FileName, FileDigest] = Field(min_length=1)
    graphs: Mapping[str, Graph] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.symbols_sha256 != symbols_sha256(self.symbols):
            raise ValueError(
                f"symbolsSha256 is not that of symbol table {self.symbols}: the weights are for another table"
            )
        missing = [graph.file for graph in self.graphs.values() if graph.file not in self.files]
        if missing:
            raise ValueError(f"graphs name files that `files` does not list: {', '.join(missing)}")
        if self.s1.vocabulary != self.s2.codebook_size + 1:
            raise ValueError(
                f"s1.vocabulary={self.s1.vocabulary} must be s2.codebookSize={self.s2.codebook_size} and one more"
            )
        if isinstance(self.tokens, AlignedTokens):
            self.tokens.check_range(self.s2.codebook_size)
        if (self.version in MEL_VERSIONS) != isinstance(self.s2, MelSynthesizerConfig):
            raise ValueError(f"s2 is not the configuration of a synthesizer of {self.version}")
        try:
            Lexicon.of(word.entry for word in self.lexicon)
        except LexiconRejected as error:
            raise ValueError(str(error)) from error
        return self

    @cached_property
    def readings(self) -> Lexicon:
        """The lexicon, parsed."""
        return Lexicon.of(word.entry for word in self.lexicon)

    @property
    def synthesizer(self) -> SynthesizerConfig:
        """S2's configuration where it decodes a waveform itself.

        Raises:
            BaseRejected: the base is of v3 or v4.
        """
        if not isinstance(self.s2, SynthesizerConfig):
            raise BaseRejected(
                f"base {self.name!r} is of {self.version}, which is not for this: choose v1, v2, v2Pro or v2ProPlus"
            )
        return self.s2

    def has_folder(self, name: str) -> bool:
        """Say whether the base has files in a folder of this name."""
        return any(file.startswith(f"{name}/") for file in self.files)

    def required_gates(self) -> tuple[Gate, ...]:
        """Return the base's own gates, or the defaults where it names none."""
        return self.gates or DEFAULT_GATES


@dataclass(frozen=True)
class BaseBundle:
    """An opened base: its document, its digest, and its files."""

    folder: Path
    document: BaseDocument
    digest: str
    """`sha256:` and the hex digest of base.json, which holds the digests of all files."""
    _checked: dict[str, Path] = field(default_factory=dict, repr=False, compare=False)

    def path(self, name: str) -> Path:
        """Return where a file of the base lies, after comparing its size and SHA-256 once.

        Raises:
            BaseRejected: base.json does not list it, it is missing, leaves the folder, or holds something else.
        """
        if name not in self._checked:
            self._checked[name] = self._check(name)
        return self._checked[name]

    def files_under(self, folder: str) -> list[Path]:
        """Return all files whose name starts with `folder/`, checked; raises as `path` does."""
        found = [self.path(name) for name in sorted(self.document.files) if name.startswith(f"{folder}/")]
        if not found:
            raise BaseRejected(f"base {self.document.name!r} has no files under {folder!r}")
        return found

    def _check(self, name: str) -> Path:
        expected = self.document.files.get(name)
        if expected is None:
            raise BaseRejected(f"base {self.document.name!r} has no file {name!r}")
        path = self.folder / name
        # A link inside the folder must not lead out of it.
        if not path.resolve().is_relative_to(self.folder.resolve()):
            raise BaseRejected(f"file {name!r} of base {self.document.name!r} leads out of its folder")
        try:
            found = content_of_file(path)
        except OSError as error:
            raise BaseRejected(
                f"file {name!r} of base {self.document.name!r} cannot be read: {error.strerror}"
            ) from error
        if (found.size, found.sha256) != (expected.size, expected.sha256):
            raise BaseRejected(
                f"file {name!r} of base {self.document.name!r} is damaged: {found.size} bytes with SHA-256 "
                f"{found.sha256[:12]}…,"
                f" base.json says {expected.size} bytes with {expected.sha256[:12]}…; fetch the base again"
            )
        return path


def open_base(uri: str, digest: str = "") -> BaseBundle:
    """Open `embedded:<name>`, `file:///folder` or a plain folder; bases on S3 are fetched by the caller first.

    Args:
        uri: where the base is.
        digest: `sha256:<hex>` that base.json must have; empty where anything is accepted.

    Raises:
        BaseRejected: there is no such base, or its base.json is not valid, or it is another one.
    """
    folder = _folder(uri)
    path = folder / "base.json"
    try:
        if path.stat().st_size > LARGEST_BASE_JSON:
            raise BaseRejected(f"base.json of {uri!r} is larger than {LARGEST_BASE_JSON} bytes")
        content = path.read_bytes()
    except OSError as error:
        raise BaseRejected(f"there is no base at {uri!r}: base.json cannot be read ({error.strerror})") from error
    found = f"sha256:{hashlib.sha256(content).hexdigest()}"
    if digest and digest != found:
        raise BaseRejected(f"base {uri!r} has digest {found}, but {digest} is wanted")
    try:
        document = BaseDocument.model_validate_json(content)
    except ValidationError as error:
        raise BaseRejected(f"base.json of {uri!r} is not valid: {one_line(error)}") from error
    return BaseBundle(folder, document, found)


def _folder(uri: str) -> Path:
    if uri.startswith(EMBEDDED):
        name = uri.removeprefix(EMBEDDED)
        embedded = Path(str(resources.files("sovits_core"))) / "bases"
        offered = sorted(entry.name for entry in embedded.iterdir() if (entry / "base.json").is_file())
        if name not in offered:
            raise BaseRejected(f"there is no embedded base {name!r}; use one of: {', '.join(offered) or 'none'}")
        return embedded / name
    if ":" not in uri.partition("/")[0]:
        return Path(uri)
    try:
        return StoreUri.parse(uri).path
    except InvalidUri as error:
        raise BaseRejected(
            f"base {uri!r} cannot be opened here: use embedded:<name> or file:///folder, and fetch others first"
        ) from error
