"""The job document: what the operator wants trained, as ``voice.sovits.dev/job/v1``."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from sovits_core.text.locales import known_locale
from sovits_core.validation import one_line
from voice_trainer.errors import UsageError

JOB_SCHEMA = "voice.sovits.dev/job/v1"
JOB_LIMIT = 1024 * 1024  # a ConfigMap's own limit
DNS_LABEL = r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$"
DIGEST = r"^(sha256:[0-9a-f]{64})?$"


class Document(BaseModel):
    """A part of a document: camelCase outside, frozen, unknown fields ignored because newer writers may add some."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class VoiceName(Document):
    """Which voice this is."""

    namespace: str = Field(pattern=DNS_LABEL)
    name: str = Field(pattern=DNS_LABEL)
    uid: str = ""


class Dataset(Document):
    """Where the recordings lie."""

    uri: str
    digest: str = Field("", pattern=DIGEST)
    denoise: Literal["auto", "always", "never"] = "auto"
    max_rejected: int = Field(20, ge=0, le=100)
    """Percentage of clips."""


class Consent(Document):
    """Who allowed this voice to be made."""

    holder: str = ""
    statement: str = ""
    evidence: str = ""
    evidence_digest: str = ""
    expires: Annotated[date | None, BeforeValidator(lambda value: value or None)] = None
    revoked: bool = False


class Base(Document):
    """The base model that is adapted."""

    name: str
    uri: str
    digest: str = Field("", pattern=DIGEST)


class RecogniserReference(Document):
    """A Whisper folder that writes down speech in the job's language."""

    uri: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class Training(Document):
    """How the adapter is trained."""

    method: Literal["LoRA"] = "LoRA"
    rank: int = Field(8, ge=1, le=128)
    targets: tuple[Literal["attention", "ffn", "conditioning"], ...] = Field(("attention",), min_length=1)
    epochs: int = Field(10, ge=1, le=1000)
    batch_size: int = Field(4, ge=1, le=256)
    learning_rate: float = Field(2e-4, gt=0, allow_inf_nan=False)
    learning_rate_s1: Annotated[float | None, BeforeValidator(lambda value: value or None)] = Field(
        None, gt=0, allow_inf_nan=False
    )
    """Of the adapter's matrices in S1; none: ``learning_rate`` times the base's multiplier. So with S2."""
    learning_rate_s2: Annotated[float | None, BeforeValidator(lambda value: value or None)] = Field(
        None, gt=0, allow_inf_nan=False
    )
    patience: int = Field(0, ge=0, le=1000)
    """Epochs without a lower loss on clips that are set aside, after which training ends; 0: all epochs."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    seed: int = Field(1234, ge=0, lt=2**31)


class Gate(Document):
    """One bound on one score; exactly one of ``min`` and ``max`` is given."""

    metric: str
    min: Decimal | None = None
    max: Decimal | None = None


class Evaluation(Document):
    """Sentences to synthesise, and bounds on scores."""

    texts: tuple[Annotated[str, Field(min_length=1, max_length=1000)], ...] = Field((), max_length=50)
    gates: tuple[Gate, ...] | None = None
    minimum_gates: tuple[Gate, ...] = ()  # of the installation


class ActiveRevision(Document):
    """The revision that is served when this job is written: what a new one is compared with."""

    revision: str = Field(pattern=DNS_LABEL)
    uri: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class Neighbour(Document):
    """Another published voice: the new one must not be nearer to it than to its own speaker."""

    voice: str = Field(max_length=512)
    uri: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$")


class Allowed(Document):
    """What the voice's namespace may read; the prefixes of the store that recordings may lie below."""

    datasets: tuple[str, ...] = ()


class Algorithm(Document):
    """Versions of the algorithms that the result is recorded for."""

    training: int | None = None
    text: int | None = None
    evaluation: int | None = None


class Publish(Document):
    """What a bundle has besides what servers need."""

    official: bool = False
    """Whether it has the voice as the official program's two files too."""


class StoreUris(Document):
    """Where results go."""

    workspace: str
    revision: str


class Compute(Document):
    """The device to compute on."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    gradient_checkpointing: Literal["auto", "always", "never"] = "auto"
    """Computes activations twice instead of keeping them; auto: after running out of GPU memory."""


class Attempt(Document):
    """Which attempt this is, and into how many parts a batch is divided after running out of GPU memory."""

    number: int = Field(1, ge=1)
    batch_size_divisor: int = Field(1, ge=1)


class Receipts(Document):
    """How the stages prove what they make, and which results of other stages they may use."""

    job: str = Field(pattern=DNS_LABEL)
    keys: str
    """The file with the keys of this attempt and of those before it."""
    inputs: dict[str, str] = Field(default_factory=dict, max_length=8)
    """The digest of the manifest of each stage that an earlier Job has finished."""


class TrainingJob(Document):
    """One voice to train; see ``docs/contracts.md``."""

    schema_: Literal["voice.sovits.dev/job/v1"] = Field(alias="schema")
    voice: VoiceName
    revision: str = Field(pattern=DNS_LABEL)
    input_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    evaluation_hash: str = Field("", pattern=r"^([0-9a-f]{64})?$")
    algorithm: Algorithm = Algorithm()
    language: str = Field(pattern=r"^[a-z]{2,3}$")
    locale: Annotated[str, AfterValidator(known_locale)] = ""
    """How texts write dates and numbers; empty: as the language has them."""
    dataset: Dataset
    consent: Consent | None = None
    source: dict[str, Any] = Field(default_factory=dict)
    base: Base
    recogniser: RecogniserReference | None = None
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    active: ActiveRevision | None = None
    neighbours: tuple[Neighbour, ...] = Field((), max_length=64)
    publish: Publish = Publish()
    allowed: Allowed | None = None
    store: StoreUris
    compute: Compute = Compute()
    attempt: Attempt = Attempt()
    receipts: Receipts | None = None
    operator: dict[str, Any] = Field(default_factory=dict)

    @property
    def micro_batch_size(self) -> int:
        """Clips in memory at a time, after halving for earlier attempts that ran out of it; a step takes them all."""
        return max(1, self.training.batch_size // self.attempt.batch_size_divisor)


def read_job(path: Path) -> TrainingJob:
    """Read a job document.

    Raises:
        UsageError: the file is missing or too large, is no JSON, or a field is wrong; the message names it.
    """
    try:
        with path.open("rb") as source:
            text = source.read(JOB_LIMIT + 1)
    except OSError as error:
        raise UsageError(f"--job {path}: {error.strerror}") from error
    if len(text) > JOB_LIMIT:
        raise UsageError(f"--job {path} is larger than {JOB_LIMIT} bytes; that is no job document")
    try:
        return TrainingJob.model_validate_json(text)
    except ValidationError as error:
        raise UsageError(f"--job {path}: {one_line(error)}") from error
