"""The documents that trainer and servers write and the operator reads (docs/contracts.md): hostile until parsed."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from voice_operator.errors import InvalidDocument
from voice_operator.validation import sentences

JOB_SCHEMA = "voice.sovits.dev/job/v1"
KEYS_SCHEMA = "voice.sovits.dev/attempt-keys/v1"
DESIRED_SCHEMA = "voice.sovits.dev/desired-voices/v1"

DIGEST = r"^sha256:[0-9a-f]{64}$"
NUMBER = r"^-?[0-9]{1,9}([.][0-9]{1,9})?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
RFC3339 = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,18}(Z|[+-][0-9]{2}:[0-9]{2})$"

Number = Annotated[str, Field(max_length=20, pattern=NUMBER)]
Scores = dict[Annotated[str, Field(max_length=63)], Number]


class Document(BaseModel):
    """Read from outside: unknown fields are ignored, known ones are bounded."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")

    @classmethod
    def read(cls, data: bytes | str, source: str) -> Self:
        """Parse JSON.

        Raises:
            InvalidDocument: it is not this document; the message names ``source`` and the field.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as error:
            raise InvalidDocument(f"{source}: {'; '.join(sentences(error)[:5])}") from error


class GateResult(Document):
    """One gate and what was reached."""

    metric: str = Field(max_length=63)
    min: Number | None = None
    max: Number | None = None
    value: str = Field(max_length=20, pattern=f"{NUMBER}|^$", description="Empty: nothing measured it.")
    passed: bool
    verdict: Literal["passed", "failed", "inconclusive"] | None = Field(None, description="None: of an older trainer.")


class Finding(Document):
    """What prepare found in a clip, or, without one, in all of them together."""

    clip: str = Field("", max_length=128)
    reason: str = Field(pattern="^[A-Za-z][A-Za-z0-9]{0,127}$")
    message: str = Field("", max_length=512)
    rejected: bool = False


class Summary(Document):
    """The parts of a stage's summary that decisions use."""

    passed: bool | None = Field(None, description="Only of evaluate; absent there, nothing has passed.")
    scores: Scores = Field(default_factory=dict, max_length=32)
    intervals: Scores = Field(default_factory=dict, max_length=32, description="Half widths, 95 %.")
    gates: tuple[GateResult, ...] = Field((), max_length=16)
    gates_from: Literal["", "spec", "base", "default"] = Field("", description="Whose gates they are.")
    uri: str = Field("", max_length=1024)
    digest: str = Field("", pattern=f"{DIGEST}|^$")
    size: int = Field(0, ge=0)
    clips: int = Field(0, ge=0, le=1_000_000, description="Of prepare: clips that are kept.")
    rejected: int = Field(0, ge=0, le=1_000_000, description="Of prepare: clips that are left out.")
    denoised: int = Field(0, ge=0, le=1_000_000, description="Of prepare.")
    transcribed: int = Field(0, ge=0, le=1_000_000, description="Of prepare: clips whose text a recogniser wrote.")
    speech_seconds: Number | None = None
    findings: tuple[Finding, ...] | None = Field(None, max_length=20, description="Of prepare; the worst first.")


class StageManifest(Document):
    """A stage's commit point."""

    schema_: Literal["voice.sovits.dev/stage/v1"] = Field(alias="schema")
    stage: str = Field(max_length=32)
    input_hash: str = Field(max_length=64)
    evaluation_hash: str = Field("", max_length=64, description="Of evaluate and publish; empty: not recorded.")
    started_at: str = Field(pattern=RFC3339)
    completed_at: str = Field(pattern=RFC3339)
    summary: Summary = Field(default_factory=Summary)


Manifests = dict[Annotated[str, Field(max_length=32)], Annotated[str, Field(pattern=DIGEST)]]


class Receipt(Document):
    """Which attempt wrote a manifest, and from which others; its tag is checked by ``signing.has_tag``."""

    schema_: Literal["voice.sovits.dev/receipt/v1"] = Field(alias="schema")
    job: str = Field(max_length=253)
    attempt: int = Field(ge=1, le=1_000_000)
    stage: str = Field(max_length=32)
    input_hash: str = Field(max_length=64)
    manifest: str = Field(pattern=DIGEST)
    inputs: Manifests = Field(default_factory=dict, max_length=8)


class Result(Document):
    """The termination message of an attempt that succeeded: the manifests of its stages."""

    schema_: Literal["voice.sovits.dev/result/v1"] = Field(alias="schema")
    input_hash: str = Field(max_length=64)
    manifests: Manifests = Field(max_length=8)


class ProgressDocument(Document):
    """How far a stage is."""

    schema_: Literal["voice.sovits.dev/progress/v1"] = Field(alias="schema")
    stage: str = Field(max_length=32)
    percent: int = Field(ge=0, le=100)
    epoch: int | None = Field(None, ge=0)
    eta_seconds: int | None = Field(None, ge=0)


class FailureDocument(Document):
    """Why the trainer gave up."""

    schema_: Literal["voice.sovits.dev/failure/v1"] = Field(alias="schema")
    stage: str = Field("", max_length=32)
    exit_code: int
    reason: str = Field(pattern="^[A-Za-z][A-Za-z0-9]{0,127}$")
    message: str = Field(max_length=4096)


class RevisionReport(Document):
    """One revision in a server's answer."""

    revision: str = Field("", max_length=253)
    digest: str = Field("", max_length=71)
    state: str = Field(max_length=32)
    error: str = Field("", max_length=65536)


class VoiceReport(RevisionReport):
    """One voice in a server's answer; ``next`` is the revision that is loaded beside the served one."""

    id: str = Field(max_length=320)
    next: RevisionReport | None = None
    last_used: str = Field("", pattern=f"{DAY}|^$", description="Empty: nobody asked for it since the process began.")


class VoicesReport(Document):
    """A server's answer to GET /v1/voices."""

    generation: int = 0
    since: str = Field("", pattern=f"{RFC3339}|^$", description="Start of the process; empty: it counts no requests.")
    data: tuple[VoiceReport, ...] = Field((), max_length=50_000)
