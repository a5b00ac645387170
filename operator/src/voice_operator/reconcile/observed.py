"""The observed state of cluster, object store and pods: the only input of a decision besides the time."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal, Self

from voice_operator.api.evaluation import Gate
from voice_operator.api.lexicon import Reading
from voice_operator.api.voice_model import Capacity, Source, VoiceModelSpec
from voice_operator.api.voice_revision import Export, RecordedReview, ReviewDecision
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import (
    Artifacts,
    FailureClass,
    GateVerdict,
    ObservedDataset,
    ObservedEvidence,
    PreparedRecordings,
    Progress,
    ResolvedBase,
    StageName,
    Tombstone,
    VoiceModelStatus,
)

StageFolder = Literal["prepare", "features", "train", "evaluate", "publish"]


@dataclass(frozen=True)
class Problem:
    """Why a desired state is not reached: a reason for programs, a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True)
class VoiceRef:
    """A VoiceModel by what its children need of it; it may be gone."""

    namespace: str
    name: str
    uid: str

    @property
    def id(self) -> str:
        """The voice's name for servers and clients."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class Voice(VoiceRef):
    """A VoiceModel as the API server returned it."""

    generation: int
    spec: VoiceModelSpec
    status: VoiceModelStatus
    request: str = ""  # the retry annotation
    created_at: datetime | None = None
    requester: str = ""  # who changed the spec last; empty: nobody says
    default_base: str = ""  # what a voice without spec.base and without history is made from
    minimum_gates: tuple[Gate, ...] = ()  # of the installation
    must_be_reviewed: bool = False  # the installation says so
    may_be_copied: bool = False  # to the Hub; the installation says so
    recogniser: str = ""  # digest of the installation's, for the voice's language; empty: there is none

    @property
    def base(self) -> str:
        """The base that the voice is made from; a recorded one stays, so that a changed default trains nothing."""
        return self.spec.base or self.status.base or self.default_base

    @property
    def review_required(self) -> bool:
        """Whether people must approve what is trained before it is served."""
        return self.must_be_reviewed or self.spec.review.required

    @property
    def retry_requested(self) -> bool:
        """Whether somebody asks for another attempt; taking the annotation away asks for nothing."""
        return bool(self.request) and self.request != self.status.last_handled_request


@dataclass(frozen=True)
class JobFailure:
    """Why a Job failed: the trainer's termination message, else what Kubernetes says of the pod and the Job."""

    reason: str
    message: str
    exit_code: int | None = None
    cause: FailureClass | None = None  # where Kubernetes ended the pod; None: the exit code tells


@dataclass(frozen=True)
class ObservedWorkload:
    """Kueue's record of a Job."""

    name: str
    active: bool = True  # False: Kueue neither queues nor runs the Job
    held: bool = False  # the operator made it inactive, as spec.suspend asks
    eviction: Problem | None = None  # why Kueue took its quota away; None: it did not, or has given it another
    evicted_at: datetime | None = None


@dataclass(frozen=True)
class ObservedJob:
    """A stage Job of this voice."""

    name: str
    stage: StageName
    attempt: int
    input_hash: str
    evaluation_hash: str = ""  # of the evaluate stage; empty: not recorded
    state: Literal["Running", "Deleting", "Succeeded", "Failed"] = "Running"  # Deleting: before it finished
    failure: JobFailure | None = None
    waiting: Problem | None = None  # why its pod does not run
    started: bool = False  # its pod has started
    unscheduled_since: datetime | None = None  # its pod waits for a node; the wait in a queue does not count
    next_check: float | None = None  # seconds until more can be said about why its pod does not run
    suspended: bool = False
    held: bool = False  # the operator suspended it, as spec.suspend asks; nothing else is ever resumed
    queued: bool = False  # Kueue decides when it runs
    workload: ObservedWorkload | None = None  # None: Kueue has none, or is not asked (chart value kueue.enabled)
    capacity: Capacity | None = None  # nodes that it asks for; None: any
    template_hash: str = ""
    started_at: str | None = None
    created_at: datetime | None = None
    report: str = ""  # termination message of its pod, where it succeeded and the pod is still there
    deleting_since: datetime | None = None
    held_by: tuple[str, ...] = ()  # finalizers that hold a deletion up: its own, and those of its pods

    def ahead(self, skew: timedelta) -> Self:
        """Return the Job as a clock that is so much ahead of the cluster's would tell when it began to wait."""
        since = self.unscheduled_since
        return self if since is None else replace(self, unscheduled_since=since + skew)


@dataclass(frozen=True)
class JobPolicy:
    """What the installation's settings make of a stage's Jobs, as far as decisions need it."""

    template_hash: str = ""  # that a Job of now would have; empty: not known
    max_memory_factor: Fraction | None = None  # of the configured memory; None: no bound
    spot_wait: float = 600.0  # seconds


@dataclass(frozen=True)
class Proof:
    """Which attempt made the result of a stage's folder."""

    folder: StageFolder
    job: str  # empty: made before there were receipts
    attempt: int  # 0: likewise
    manifest: str  # its digest
    inputs: Mapping[str, str] = field(default_factory=dict)  # manifests that it was made from, by folder


@dataclass(frozen=True)
class StageOutput:
    """A stage's committed manifest, as far as the operator reads it."""

    started_at: str
    completed_at: str
    passed: bool = True
    scores: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, str] = field(default_factory=dict)  # half widths of the scores' 95 % intervals
    gates: tuple[GateVerdict, ...] = ()
    gates_from: str = ""  # spec, base or default
    evaluation_hash: str = ""  # of evaluate and publish; empty: not recorded
    uri: str = ""
    digest: str = ""
    size: int = 0
    recordings: PreparedRecordings | None = None  # of prepare


@dataclass(frozen=True)
class RevisionRecord:
    """What a VoiceRevision says about the people behind it: who consented, who asked for it, who decided about it."""

    digest: str = ""  # of its artifacts
    holder: str | None = None  # of the consent that it was made under; None: not known
    evidence: str = ""  # of that consent
    revoked: bool = False  # that consent was revoked
    created: datetime | None = None
    rules: RecordedReview | None = None  # that it was made under; None: made before these were recorded
    requested_by: tuple[str, ...] = ()  # who changed the spec that led to it
    author: str = ""  # of the commit that led to it
    source: Source = field(default_factory=Source)  # that commit
    recordings: str = ""  # their digest or fingerprint
    consent: str = ""  # digest of the consent that it was made under
    decisions: tuple[ReviewDecision, ...] = ()
    exports: tuple[Export, ...] = ()


@dataclass(frozen=True)
class ObservedRevision:
    """A VoiceRevision of this voice."""

    name: str
    input_hash: str
    base: str
    uri: str
    digest: str
    training_hash: str = ""  # of the input that it records
    language: str = ""
    base_identity: str = ""
    evaluation_version: int = 1
    recogniser: str = ""
    scores: Mapping[str, str] = field(default_factory=dict)
    intervals: Mapping[str, str] = field(default_factory=dict)
    gates: tuple[GateVerdict, ...] = ()
    state: str | None = None
    legal_hold: bool = False
    pinned: bool = False  # as its status says
    deleting: bool = False
    base_uri: str = ""
    base_digest: str = ""
    labelled: bool = True  # False: the label that leads from a voice to its revisions was removed
    adoptable: bool = False  # True: it was made for this voice, but its owner is an earlier object of the same name
    missing_seal: str = ""  # that must be written on the object; empty: it is there
    record: RevisionRecord = RevisionRecord()
    reviewed: tuple[str | None, str | None] = (None, None)  # status.review and status.approvals

    @property
    def artifacts(self) -> Artifacts:
        """The published bundle, as status.artifacts has it."""
        base = ResolvedBase(name=self.base, uri=self.base_uri or self.base, digest=self.base_digest)
        return Artifacts(revision=self.name, uri=self.uri, digest=self.digest, base=base)


@dataclass(frozen=True)
class LoadedVoice:
    """One voice as one pod reports it; ``next`` is the revision that it has loaded beside."""

    revision: str
    digest: str
    state: str
    error: str = ""
    next: "LoadedVoice | None" = None
    last_used: str = ""  # day of the last request, in UTC; empty: none since the pod's process began


@dataclass(frozen=True)
class PodVoices:
    """One inference pod and the voices it reports, by voice id."""

    name: str
    ready: bool
    voices: Mapping[str, LoadedVoice] = field(default_factory=dict)
    since: str = ""  # when its process began; empty: it does not answer, or does not count requests
    ending: bool = False  # it is being deleted, and answers still
    distrusted: str = ""  # why its certificate is not taken; empty: it is, or there is none
    generation: int = 0  # of the list that it has; 0: it does not say
    marked: int = 0  # generation of the list that its kubelet was last asked to look for


@dataclass(frozen=True)
class ObservedServer:
    """The VoiceServer that a voice names, and its pods."""

    namespace: str
    name: str
    base: str
    replicas: int
    endpoint: str
    pods: tuple[PodVoices, ...] = ()
    base_digest: str = ""
    access: Problem | None = None  # why the voice may not use it
    uncounted: str = ""  # last day on which a pod ended without telling what it was asked for

    @property
    def id(self) -> str:
        """Namespace and name, as status.server has it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class ObservedCopy:
    """A Job that copies a revision to the Hub, or withdraws one."""

    name: str
    state: Literal["Running", "Deleting", "Succeeded", "Failed"]
    message: str = ""


@dataclass(frozen=True)
class Observed:
    """Everything a decision about a voice may depend on."""

    voice: Voice
    complete: bool = True  # False: input hash and stages are the recorded ones, because they could not be observed
    base_known: bool = True
    known_bases: tuple[str, ...] = ()
    refusal: Problem | None = None  # what installation and namespace forbid: nothing is trained
    dataset_refused: bool = False  # the recordings would have to be listed, and may not be
    revoked_before: str | None = None  # which revocation that outlived its VoiceModel covers this one, as a sentence
    dataset: ObservedDataset | None = None
    dataset_problem: Problem | None = None
    evidence: ObservedEvidence | None = None
    evidence_problem: Problem | None = None  # why the evidence of the consent is not what the spec names
    store_problem: Problem | None = None  # why the outputs of stages could not be read
    input_hash: str | None = None  # names what belongs to the input of training_hash
    training_hash: str | None = None
    jobs: tuple[ObservedJob, ...] = ()
    job_policies: Mapping[StageName, JobPolicy] = field(default_factory=dict)
    outputs: Mapping[StageFolder, StageOutput] = field(default_factory=dict)  # proved ones only
    proofs: Mapping[StageFolder, Proof] = field(default_factory=dict)
    unproved: Mapping[StageFolder, str] = field(default_factory=dict)  # results that do not count, and why
    progress: Progress | None = None
    revisions: tuple[ObservedRevision, ...] = ()  # sealed ones only: nothing else counts
    unsealed: frozenset[str] = frozenset()  # VoiceRevisions that name this voice and are not the operator's
    server: ObservedServer | None = None  # the one that the spec names
    serving_server: ObservedServer | None = None  # the one that the status names: it serves until the other one does
    copies: tuple[ObservedCopy, ...] = ()
    withdrawing: frozenset[str] = frozenset()  # repositories of the Hub that are being emptied: voices were deleted
    erased: Mapping[str, Tombstone] = field(default_factory=dict)  # since the last pass, by input hash; "": everything


@dataclass(frozen=True)
class ServerRef:
    """A VoiceServer by what its children need of it; its spec may be unreadable."""

    namespace: str
    name: str
    uid: str

    @property
    def id(self) -> str:
        """Namespace and name, as status.server has it."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class VoiceServer(ServerRef):
    """A VoiceServer as the API server returned it."""

    generation: int
    spec: VoiceServerSpec


@dataclass(frozen=True)
class DesiredRevision:
    """One revision that a server must load."""

    revision: str
    uri: str
    digest: str
    base: ResolvedBase | None = None  # None: the server's own
    seal: str = ""
    spec_digest: str = ""  # of the VoiceRevision's canonical spec, which the seal covers


@dataclass(frozen=True)
class DesiredVoice:
    """One voice that a server must serve, what it must load beside it, and what else may be asked for by its name."""

    id: str
    revision: str
    uri: str
    digest: str
    base: ResolvedBase | None = None  # None: the server's own
    expires: str | None = None  # last day (UTC) on which the consent holds
    next: DesiredRevision | None = None
    previous: DesiredRevision | None = None
    seal: str = ""
    spec_digest: str = ""
    lexicon: tuple[Reading, ...] = ()
