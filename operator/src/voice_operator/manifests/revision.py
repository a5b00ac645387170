"""The VoiceRevision of a published voice."""

from typing import Any

from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_revision import (
    PublishedArtifacts,
    RecordedReview,
    ResolvedDataset,
    RevisionEvaluation,
    StageProof,
    VoiceRevisionSpec,
)
from voice_operator.api.voice_status import ObservedDataset, ResolvedBase
from voice_operator.manifests.labels import INPUT_HASH, LABEL_LENGTH, SEAL, VOICE_MODEL, owner, recommended
from voice_operator.reconcile.algorithm import versions_for
from voice_operator.reconcile.effects import CreateRevision
from voice_operator.reconcile.names import workspace_uri
from voice_operator.reconcile.observed import Voice
from voice_operator.reconcile.review import requesters_of
from voice_operator.reconcile.seals import spec_digest, statement
from voice_operator.settings import Settings
from voice_operator.signing import SigningKey


def voice_revision(
    voice: Voice, effect: CreateRevision, input_hash: str, dataset: ObservedDataset, settings: Settings
) -> dict[str, Any]:
    """Return the object."""
    base = settings.bases[voice.base]
    spec = VoiceRevisionSpec(
        voice_model=voice.name,
        input_hash=input_hash,
        workspace=workspace_uri(settings.storage.uri, voice.namespace, voice.name, input_hash),
        language=voice.spec.language,
        locale=voice.spec.locale,
        dataset=ResolvedDataset(
            uri=dataset.uri,
            digest=dataset.digest,
            fingerprint=dataset.fingerprint,
            denoise=voice.spec.dataset.denoise,
            max_rejected=voice.spec.dataset.max_rejected,
        ),
        base=ResolvedBase(name=voice.base, uri=base.uri, digest=base.digest),
        training=voice.spec.training,
        algorithm=versions_for(voice.spec.language),
        trainer_image=settings.images.trainer,
        consent=voice.spec.consent,
        source=voice.spec.source,
        artifacts=PublishedArtifacts(
            uri=effect.published.uri, digest=effect.published.digest, size=effect.published.size
        ),
        evaluation=RevisionEvaluation(
            scores=dict(effect.evaluated.scores),
            intervals=dict(effect.evaluated.intervals),
            gates=effect.evaluated.gates,
            recogniser=voice.recogniser,
        ),
        provenance=tuple(
            StageProof(stage=one.folder, job=one.job, attempt=one.attempt, manifest=one.manifest)
            for one in effect.provenance
        ),
        review=RecordedReview(
            required=voice.review_required,
            approvals=voice.spec.review.approvals,
            separation=voice.spec.review.separation,
        ),
        requested_by=requesters_of(voice, input_hash),
    )
    return {
        "apiVersion": API_VERSION,
        "kind": "VoiceRevision",
        "metadata": {
            "name": effect.name,
            "namespace": voice.namespace,
            "labels": recommended(name="voicerevision", instance=voice.name, component="revision")
            | {VOICE_MODEL: voice.name, INPUT_HASH: input_hash[:LABEL_LENGTH]},
            "ownerReferences": owner("VoiceModel", voice.name, voice.uid),
        },
        "spec": spec.document(),
    }


def sealed(revision: dict[str, Any], key: SigningKey) -> dict[str, Any]:
    """Return a VoiceRevision with the installation's signature over its name, its bundle and its spec."""
    metadata, spec = revision["metadata"], VoiceRevisionSpec.model_validate(revision["spec"])
    signed = statement(
        voice=f"{metadata['namespace']}/{spec.voice_model}",
        revision=metadata["name"],
        digest=spec.artifacts.digest,
        spec=spec_digest(spec),
    )
    annotations = metadata.get("annotations", {}) | {SEAL: key.sign(signed)}
    return revision | {"metadata": metadata | {"annotations": annotations}}
