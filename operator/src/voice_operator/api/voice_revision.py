"""VoiceRevision: the immutable result of one training; the unit of rollback and clean-up."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from voice_operator.api.schema import (
    DIGEST,
    INPUT_HASH,
    VOICE_NAME,
    Digest,
    ObjectName,
    Schema,
    ShortText,
    Time,
    Uri,
    atomic_list,
    map_list,
    rules,
)
from voice_operator.api.voice_model import Consent, Preparation, Source, Training
from voice_operator.api.voice_status import GateVerdict, ResolvedBase, Scores

FINALIZER = "voice.sovits.dev/artifacts"  # of releases that deleted artifacts before the object went; taken off


class ResolvedDataset(Preparation):
    """The recordings that the revision was trained on."""

    uri: Uri
    digest: Digest = Field(
        "", description="spec.dataset.digest of the VoiceModel; empty: the recordings were not pinned."
    )
    fingerprint: Digest = Field(
        "", description="SHA-256 over names, sizes and ETags of the files; empty: the recordings were pinned."
    )


class AlgorithmVersions(Schema):
    """Versions of the algorithms that a revision was made with; what records none was made with the first ones."""

    training: int = Field(1, ge=1, description="Fine-tuning.")
    text: int = Field(1, ge=1, description="Text-to-phone conversion of the language.")
    evaluation: int = Field(1, ge=1, description="Measurement: only scores of the same version are compared.")


class PublishedArtifacts(Schema):
    """The voice bundle."""

    uri: Uri
    digest: Digest = Field(
        description="SHA-256 of the bundle's manifest.json.",
        json_schema_extra=rules(
            (f"self.matches('{DIGEST}')", "spec.artifacts.digest must be sha256: and 64 hex digits")
        ),
    )
    size: int = Field(0, ge=0, description="Bytes of all files together.")


class RevisionEvaluation(Schema):
    """The voice's scores and verdicts."""

    scores: Scores
    intervals: Scores = Field(
        default_factory=dict, description="Half width of the 95 % interval of each score; a missing one is unknown."
    )
    gates: Annotated[tuple[GateVerdict, ...], Field(max_length=16, json_schema_extra=atomic_list())] = ()
    recogniser: Digest = Field(
        "", description="Digest of the recogniser of cer and wer; empty: the trainer's own. Others are not compared."
    )


class StageProof(Schema):
    """Which attempt made the output of a stage, as its receipt proves."""

    stage: str = Field(max_length=32, description="prepare, features, train, evaluate or publish.")
    job: ObjectName = Field("", description="Empty: made before there were receipts.")
    attempt: int = Field(0, ge=0, description="0: made before there were receipts.")
    manifest: Digest = Field(description="SHA-256 of the stage's manifest.json.")


class RecordedReview(Schema):
    """What spec.review of the VoiceModel asked for when the revision was made."""

    required: bool
    approvals: int = Field(1, ge=1)
    separation: bool = True


class VoiceRevisionSpec(Schema):
    """The trained artifacts and their origin. Immutable."""

    voice_model: ObjectName = Field(
        json_schema_extra=rules(
            (f"self.matches('{VOICE_NAME}')", "spec.voiceModel of a VoiceRevision must be the name of a VoiceModel")
        )
    )
    input_hash: str = Field(
        min_length=64,
        max_length=64,
        json_schema_extra=rules(
            (f"self.matches('{INPUT_HASH}')", "spec.inputHash of a VoiceRevision must be 64 hex digits")
        ),
    )
    workspace: Uri = Field(description="Folder of the stages that led to this revision; deleted with it.")
    language: str = Field(max_length=8)
    locale: str = Field("", max_length=16, description="How the recordings' texts write dates and numbers.")
    dataset: ResolvedDataset
    base: ResolvedBase
    training: Training
    algorithm: AlgorithmVersions = Field(default_factory=AlgorithmVersions)
    trainer_image: ShortText = ""
    consent: Consent
    source: Source = Field(default_factory=Source)
    artifacts: PublishedArtifacts
    evaluation: RevisionEvaluation
    provenance: Annotated[tuple[StageProof, ...], Field(max_length=8, json_schema_extra=map_list("stage"))] = Field(
        (), description="The stages, in order; empty: published before there were receipts."
    )
    review: RecordedReview | None = Field(
        None, description="Review that the revision must pass; absent: made before this was recorded."
    )
    requested_by: Annotated[tuple[ShortText, ...], Field(max_length=16, json_schema_extra=atomic_list())] = Field(
        (), description="Who changed the spec that led to the revision; empty: not known."
    )


class ReviewDecision(Schema):
    """What one person decided about the revision. Admission holds the name against the one who asks."""

    by: str = Field(min_length=1, max_length=256, description="Username of who decides, as the API server knows it.")
    decision: Literal["Approved", "Rejected"]
    at: Time
    digest: str = Field(max_length=71, description="spec.artifacts.digest of the revision that was reviewed.")
    reason: str = Field("", max_length=1024, description="Why; a rejection needs one.")

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.decision == 'Approved' || self.reason.matches('[^ ]')",
                "a rejection must say why: fill in its reason",
            ),
            (
                "self.at.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$')",
                "at of a decision must be a time in UTC such as 2026-11-23T06:07:00Z",
            ),
        )
    )


class RevisionReview(Schema):
    """What people decided about the revision. Records are added and never changed or removed."""

    decisions: Annotated[
        tuple[ReviewDecision, ...],
        Field(
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["by", "decision"]},
        ),
    ] = ()

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(oldSelf.decisions) || (has(self.decisions) && oldSelf.decisions.all(one, one in self.decisions))",
                "review.decisions only grows: records are never changed or removed",
            )
        )
    )


class Export(Schema):
    """One person's copy of the bundle, on their machine. Admission holds the name against the one who asks."""

    by: str = Field(min_length=1, max_length=256, description="Username of who takes it, as the API server knows it.")
    at: Time
    digest: str = Field(max_length=71, description="spec.artifacts.digest of the revision that is taken.")
    reason: str = Field("", max_length=256, description="What for.")

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.at.matches('^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$')",
                "at of an export must be a time in UTC such as 2026-11-23T06:07:00Z",
            ),
        )
    )


class RevisionExports(Schema):
    """Who took the bundle out of the store. Records are added and never changed or removed."""

    records: Annotated[
        tuple[Export, ...],
        Field(
            max_length=64,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["by", "at"]},
        ),
    ] = ()

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(oldSelf.records) || (has(self.records) && oldSelf.records.all(one, one in self.records))",
                "exports.records only grows: records are never changed or removed",
            )
        )
    )


class VoiceRevisionStatus(Schema):
    """The use of the revision."""

    state: Literal["Candidate", "Active", "Superseded"] | None = None
    legal_hold: bool = Field(False, description="Copied from the voice: true keeps object and artifacts.")
    pinned: bool = Field(False, description="True while spec.serving.pin of the voice names it.")
    review: Literal["Waiting", "Approved", "Rejected", "TimedOut"] | None = Field(
        None, description="State of the review; absent: none is needed."
    )
    approvals: str | None = Field(
        None, max_length=16, description="Approvals that count, of those that are needed, as 1/2."
    )
