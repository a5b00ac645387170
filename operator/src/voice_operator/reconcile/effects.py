"""The effects that a decision may contain. Each has a fixed object name and is idempotent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from voice_operator.api.voice_status import StageName
from voice_operator.reconcile.observed import ObservedRevision, Proof, StageOutput


@dataclass(frozen=True)
class StartJob:
    """Run one attempt of a stage."""

    stage: StageName
    attempt: int
    batch_size_divisor: int = 1
    memory_factor: Fraction = Fraction(1)  # of the configured memory
    on_demand_only: bool = False  # spot nodes were given up
    inputs: Mapping[str, str] = field(default_factory=dict)  # digests of the manifests that it may use
    active: ObservedRevision | None = None  # what evaluate compares with: served when the attempt starts


@dataclass(frozen=True)
class DeleteJob:
    """Delete a Job and its pods."""

    name: str


@dataclass(frozen=True)
class SuspendJob:
    """Suspend a Job, or resume it."""

    name: str
    suspend: bool


@dataclass(frozen=True)
class ActivateWorkload:
    """Let Kueue queue a Job, or keep it from that: a Job that Kueue manages is not suspended by anybody else."""

    name: str
    active: bool


@dataclass(frozen=True)
class CreateRevision:
    """Record the published voice as a VoiceRevision."""

    name: str
    published: StageOutput
    evaluated: StageOutput
    provenance: tuple[Proof, ...] = ()


@dataclass(frozen=True)
class CopyToHub:
    """Copy a served revision to a repository of the Hub."""

    name: str  # of the Job
    revision: ObservedRevision
    repository: str
    public: bool


@dataclass(frozen=True)
class WithdrawFromHub:
    """Leave nothing of a copy in a repository of the Hub: the consent was revoked, or the voice deleted."""

    name: str  # of the Job
    repository: str
    deleted: bool = False  # its VoiceModel is gone and owns nothing


@dataclass(frozen=True)
class AdoptRevision:
    """Make the voice the owner of a VoiceRevision again, and restore the label."""

    name: str


@dataclass(frozen=True)
class SetRevisionState:
    """Write the status of a VoiceRevision."""

    name: str
    state: str
    legal_hold: bool
    review: str | None = None  # None: no review is needed
    approvals: str | None = None
    pinned: bool = False


@dataclass(frozen=True)
class SealRevision:
    """Write the seal on a VoiceRevision that is older than the signing key."""

    name: str
    seal: str


@dataclass(frozen=True)
class MarkRevoked:
    """Label a VoiceRevision: the consent that it was made under was revoked."""

    name: str


@dataclass(frozen=True)
class DeleteRevision:
    """Delete a VoiceRevision whose artifacts go; the voice's status says why."""

    name: str


Effect = (
    StartJob
    | DeleteJob
    | SuspendJob
    | ActivateWorkload
    | CreateRevision
    | CopyToHub
    | WithdrawFromHub
    | AdoptRevision
    | SealRevision
    | MarkRevoked
    | SetRevisionState
    | DeleteRevision
)
