"""The status of a VoiceModel: what the operator observed and did."""

from typing import Annotated, Literal, Self

from pydantic import Field

from voice_operator.api.conditions import Conditions
from voice_operator.api.schema import (
    Decimal,
    Digest,
    Message,
    ObjectName,
    Schema,
    ShortText,
    Time,
    Uri,
    atomic_list,
    map_list,
)
from voice_operator.api.voice_model import Capacity, Source

StageName = Literal["prepare", "train", "evaluate"]
STAGES: tuple[StageName, ...] = ("prepare", "train", "evaluate")  # the Jobs, in order

Phase = Literal[
    "Preparing", "Training", "Evaluating", "AwaitingReview", "Loading", "Ready", "Failed", "Suspended", "Unused"
]
StageState = Literal["Pending", "Running", "Succeeded", "Failed"]
FailureClass = Literal[
    "Permanent", "OutOfMemory", "OutOfHostMemory", "Transient", "Preemption", "DeadlineExceeded", "Unschedulable"
]


class Failures(Schema):
    """How many attempts of a stage failed, by class, since the stage was last started afresh."""

    out_of_memory: int = Field(0, ge=0, description="The GPU's memory ran out; each halves the batch.")
    out_of_host_memory: int = Field(0, ge=0, description="The container's memory ran out; each adds half of it.")
    transient: int = Field(0, ge=0)
    preemption: int = Field(0, ge=0, description="The node was taken away.")
    final: int = Field(
        0,
        ge=0,
        description="How often the stage failed for good, since the spec changed or somebody asked for a retry.",
    )


class LastFailure(Schema):
    """Why an attempt failed: the trainer's termination message, or what Kubernetes says of the pod and the Job."""

    attempt: int = Field(ge=1)
    failure_class: FailureClass = Field(alias="class")
    exit_code: int | None = None
    reason: str = Field(max_length=128)
    message: Message = ""
    time: Time


class StageStatus(Schema):
    """The state of one stage for status.inputHash."""

    name: StageName
    state: StageState = "Pending"
    attempt: int = Field(0, ge=0, description="Number of the newest attempt; 0: none was needed yet.")
    job: ObjectName = Field("", description="Job of the newest attempt.")
    counted: int = Field(0, ge=0, description="Attempts up to this one are accounted for; their Jobs may vanish.")
    failures: Failures = Field(default_factory=Failures)
    last_failure: LastFailure | None = None
    ran: bool = Field(False, description="The running attempt's pod has started, and Kueue has not evicted it since.")
    capacity: Capacity | None = Field(None, description="Nodes that the newest attempt asks for; absent: any.")
    on_demand_only: bool = Field(False, description="Spot nodes were given up: attempts ask for on-demand nodes only.")
    started_at: Time | None = None
    completed_at: Time | None = None


class Progress(Schema):
    """How far the running stage is, as the trainer reports it."""

    stage: str = Field(max_length=32)
    percent: int = Field(ge=0, le=100)
    epoch: int | None = Field(None, ge=0)
    eta_seconds: int | None = Field(None, ge=0)


class GateVerdict(Schema):
    """One gate and the value that the voice reached."""

    metric: str = Field(max_length=63)
    min: Decimal | None = None
    max: Decimal | None = None
    value: Decimal
    passed: bool
    verdict: Annotated[str, Field(max_length=16)] | None = Field(
        None,
        description=(
            "passed or failed: the whole 95 % interval is on that side; inconclusive: it straddles the bound, and the "
            "mean decided."
        ),
    )


class ResolvedBase(Schema):
    """The base that a revision was trained from."""

    name: ShortText
    uri: Uri
    digest: Annotated[str, Field(max_length=71)] = ""

    def is_same_as(self, other: Self) -> bool:
        """Return whether both are the same bytes, wherever these lie."""
        return self.digest == other.digest and (bool(self.digest) or self.uri == other.uri)


class Artifacts(Schema):
    """A voice bundle in the object store."""

    revision: ObjectName | None = Field(None, description="VoiceRevision that it belongs to.")
    uri: Uri
    digest: Digest = Field(description="SHA-256 of the bundle's manifest.json.")
    base: ResolvedBase | None = Field(None, description="Base that it was trained from.")


class Loading(Schema):
    """A voice bundle that a server loads beside the one that it serves."""

    server: ObjectName = Field(description="VoiceServer that loads it, as namespace/name.")
    artifacts: Artifacts
    since: Time


class ObservedDataset(Schema):
    """The recordings as they were when the operator listed them; a pinned dataset is not listed."""

    uri: Uri
    digest: Digest = Field("", description="spec.dataset.digest; empty: the recordings are not pinned.")
    fingerprint: Digest = Field(
        "", description="SHA-256 over names, sizes and ETags of the files; empty: the recordings are pinned."
    )
    generation: int = Field(
        0, ge=0, description="metadata.generation at that time: they are listed again when that changes."
    )

    @property
    def identity(self) -> str:
        """The identity of these recordings: the pinned digest, else the fingerprint."""
        return self.digest or self.fingerprint


class ClipFinding(Schema):
    """What was found in a clip of the recordings, or in all of them together."""

    clip: str = Field("", max_length=128, description="Id of the clip; empty: the recordings as a whole.")
    reason: str = Field(max_length=128)
    message: Message = ""
    rejected: bool = Field(False, description="The clip is left out; otherwise it is a warning.")


class PreparedRecordings(Schema):
    """What the prepare stage made of the recordings for status.inputHash."""

    clips: int = Field(0, ge=0, description="Clips to train on and to evaluate with.")
    rejected: int = Field(0, ge=0, description="Clips that are left out.")
    denoised: int = Field(0, ge=0, description="Clips whose noise was removed.")
    transcribed: int = Field(0, ge=0, description="Clips whose text a recogniser wrote.")
    speech_seconds: Decimal | None = Field(None, description="Effective speech, without pauses.")
    findings: Annotated[tuple[ClipFinding, ...], Field(max_length=20, json_schema_extra=atomic_list())] = Field(
        (), description="The worst first, at most 20; recordings.html in the workspace has all of them."
    )


class ObservedEvidence(Schema):
    """The evidence of the consent, as the operator found it."""

    uri: Uri
    digest: Digest


Targets = Annotated[
    tuple[Annotated[str, Field(max_length=40)], ...], Field(max_length=32, json_schema_extra=atomic_list())
]
Scores = Annotated[dict[Annotated[str, Field(max_length=63)], Decimal], Field(max_length=32)]


class AlertRecord(Schema):
    """An alert that was told, so that no target is told twice."""

    kind: str = Field(max_length=63)
    key: str = Field(max_length=253, description="What it is about: a revision, an input, a day, a generation.")
    time: Time
    sent: Targets = Field((), description="Targets that took it.")
    failed: Targets = Field((), description="Targets that did not, and were given up for it.")


ErasureReason = Literal[
    "VoiceDeleted",
    "ErasureRequested",
    "ConsentRevoked",
    "Unused",
    "TooManyRevisions",
    "RevisionDeleted",
    "InputChanged",
]
Day = Annotated[str, Field(max_length=10, description="As 2026-11-23, UTC.")]


class LeftStage(Schema):
    """How often a stage of an earlier input was tried."""

    name: StageName
    attempt: int = Field(0, ge=0, description="Number of the newest Job.")
    counted: int = Field(0, ge=0, description="Newest attempt whose end was accounted for.")


class TrainedInput(Schema):
    """An input that has left something in the object store, until it is erased."""

    hash: str = Field(max_length=64)
    published: bool = Field(False, description="A VoiceRevision of it was seen; without one now, it was deleted.")
    digest: Digest = Field("", description="Of the published bundle.")
    erase: ErasureReason | None = Field(None, description="Why it goes; absent: it stays.")
    left: Time | None = Field(None, description="Since when the spec asks for another input; absent: it asks for this.")
    stages: Annotated[tuple[LeftStage, ...], Field(max_length=3, json_schema_extra=atomic_list())] = Field(
        (), description="Of an input that was left, for when the spec asks for it again."
    )


class Tombstone(Schema):
    """What was erased of this voice, when and why."""

    revision: ObjectName = Field("", description="Name of the VoiceRevision; empty: it was never published.")
    input_hash: str = Field("", max_length=64, description="Empty: the whole folder of the voice.")
    digest: Digest = Field("", description="Of the published bundle that was erased.")
    why: ErasureReason
    time: Time
    objects: int = Field(0, ge=0, description="How many objects, versions included.")
    bytes: int = Field(0, ge=0, description="How many bytes they had.")


class HubCopy(Schema):
    """The copy of what is served on the Hub."""

    repository: str = Field("", max_length=193)
    revision: ObjectName = Field("", description="VoiceRevision that this is about.")
    digest: Digest = Field("", description="Of its bundle.")
    state: Literal["Copying", "Copied", "Failed", "Refused", "Withdrawing", "Withdrawn"]
    message: str = Field("", max_length=4096, description="Why there is none, or why it is still there.")
    withdrawals: int = Field(0, ge=0, description="How often a copy was withdrawn, after a revocation each.")


ActKind = Literal[
    "Consented",
    "Trained",
    "Evaluated",
    "Approved",
    "Rejected",
    "Served",
    "RolledBack",
    "Unloaded",
    "Exported",
    "Withdrawn",
    "WithdrawalFailed",
    "Revoked",
    "Erased",
]
Names = Annotated[tuple[ShortText, ...], Field(max_length=16, json_schema_extra=atomic_list())]


class Act(Schema):
    """Something that was done to a voice, as the audit log records it."""

    id: str = Field(max_length=32, description="The same however often the act is sent to the log.")
    act: ActKind
    time: Time
    by: ShortText = Field("", description="Who did it, as the API server knows them; empty: the operator.")
    requested_by: Names = Field((), description="Who changed the spec that led to it.")
    revision: ObjectName = ""
    digests: Annotated[dict[Annotated[str, Field(max_length=63)], ShortText], Field(max_length=16)] = Field(
        default_factory=dict, description="SHA-256 of what it is about, and the keyed hash of the consent's holder."
    )
    scores: Scores = Field(default_factory=dict)
    source: Source = Field(default_factory=Source)
    reason: str = Field("", max_length=1024)
    omitted: int = Field(0, ge=0, description="Earlier acts that were forgotten while the log could not be written.")


class AuditedRevision(Schema):
    """A VoiceRevision whose training is in the audit log, and which decisions about it and exports of it are."""

    name: ObjectName
    decisions: Annotated[
        tuple[Annotated[str, Field(max_length=16)], ...], Field(max_length=32, json_schema_extra=atomic_list())
    ] = ()
    exports: Annotated[
        tuple[Annotated[str, Field(max_length=16)], ...], Field(max_length=64, json_schema_extra=atomic_list())
    ] = ()


class AuditState(Schema):
    """How far a voice's acts have been handed to the audit log, and those that are not in it yet."""

    count: int = Field(0, ge=0, description="Acts so far.")
    sequence: int = Field(0, ge=0, description="Newest record of the namespace's log that is known here.")
    record: Digest = Field("", description="SHA-256 of that record.")
    since: Time = Field("", description="When the oldest of the pending acts was put here.")
    consent: Digest = Field("", description="SHA-256 of the consent that is recorded.")
    revoked: bool = False
    served: ObjectName = Field("", description="VoiceRevision that is recorded as served; empty: none.")
    failed: str = Field("", max_length=63, description="Evaluation that is recorded as failed.")
    exported: str = Field("", max_length=63, description="Job whose copy to the Hub is recorded.")
    withdrawn: str = Field("", max_length=63, description="Job whose withdrawal from the Hub is recorded.")
    revisions: Annotated[tuple[AuditedRevision, ...], Field(max_length=512, json_schema_extra=atomic_list())] = ()
    pending: Annotated[tuple[Act, ...], Field(max_length=32, json_schema_extra=atomic_list())] = Field(
        (), description="Acts that the log does not have yet, the oldest first."
    )
    omitted: int = Field(0, ge=0, description="Acts that were forgotten since: too many waited for the log.")
    tag: str = Field("", max_length=64, description="HMAC over the rest: nobody else can put acts here.")


class VoiceModelStatus(Schema):
    """The operator's observations and actions."""

    phase: Phase | None = Field(None, description="Summary for people, derived from the conditions.")
    conditions: Conditions = ()
    observed_generation: int = Field(-1, ge=-1, description="The metadata.generation that this status is about.")
    last_handled_request: str | None = Field(
        None, max_length=256, description="The voice.sovits.dev/retry annotation last acted upon."
    )
    input_hash: str | None = Field(
        None, max_length=64, description="Names folders, Jobs and the revision of the present training input."
    )
    training_hash: str | None = Field(
        None,
        max_length=64,
        description="SHA-256 over everything that changes a training's result: the input that inputHash stands for.",
    )
    evaluation_hash: str | None = Field(
        None, max_length=64, description="SHA-256 over the gates and sentences that the evaluate stage is recorded for."
    )
    base: ShortText | None = Field(
        None, description="Base that the voice is made from: spec.base, else the default base when it was first seen."
    )
    dataset: ObservedDataset | None = None
    recordings: PreparedRecordings | None = Field(
        None, description="What was found in the recordings; absent: they are not prepared yet, or by an older trainer."
    )
    requested_by: Annotated[tuple[ShortText, ...], Field(max_length=16, json_schema_extra=atomic_list())] = Field(
        (),
        description=(
            "Who changed the spec since inputHash came up, as the annotation voice.sovits.dev/requested-by names them; "
            "copied to the revision."
        ),
    )
    evidence: ObservedEvidence | None = Field(
        None, description="Evidence that was found with the digest of spec.consent.evidenceDigest."
    )
    revoked_at: Time | None = Field(
        None, description="When the operator saw spec.consent.revoked; it stays, whatever becomes of the spec."
    )
    active_revision: ObjectName | None = Field(None, description="VoiceRevision that is served.")
    candidate_revision: ObjectName | None = Field(None, description="VoiceRevision that is to be served next.")
    previous_revision: ObjectName | None = Field(
        None, description="VoiceRevision that was served before the active one."
    )
    artifacts: Artifacts | None = Field(None, description="Bundle that the server must serve.")
    loading: Loading | None = Field(
        None, description="Bundle that takes the place of artifacts once every ready pod has loaded it."
    )
    scores: Scores | None = None
    gates: Annotated[tuple[GateVerdict, ...], Field(max_length=16, json_schema_extra=atomic_list())] | None = None
    stages: Annotated[tuple[StageStatus, ...], Field(max_length=8, json_schema_extra=map_list("name"))] = ()
    progress: Progress | None = None
    server: ObjectName | None = Field(None, description="VoiceServer that serves it, as namespace/name.")
    endpoint: Uri | None = Field(None, description="Address of the Service that serves the voice.")
    last_used: Day | None = Field(
        None, description="Last day on which somebody asked for the voice, edited it, or it was being made."
    )
    inputs_of: str | None = Field(None, max_length=64, description="UID of the VoiceModel that inputs is about.")
    inputs: Annotated[tuple[TrainedInput, ...], Field(max_length=256, json_schema_extra=atomic_list())] = Field(
        (), description="Inputs that have left something in the object store."
    )
    erased: Annotated[tuple[Tombstone, ...], Field(max_length=32, json_schema_extra=atomic_list())] = Field(
        (), description="What was erased, the newest last."
    )
    alerts: Annotated[tuple[AlertRecord, ...], Field(max_length=64, json_schema_extra=atomic_list())] | None = Field(
        None, description="Alerts that targets of the installation were told, the newest of each kind."
    )
    hub_copy: HubCopy | None = Field(
        None,
        description="The copy that spec.publish.hub asks for; absent: none, or nothing is served yet.",
    )
    audit: AuditState | None = Field(None, description="What the audit log has of this voice; absent: nothing.")
