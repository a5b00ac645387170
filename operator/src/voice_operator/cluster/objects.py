"""Parses objects of the API server into the types that decisions use."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_revision import VoiceRevisionSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster.kube import Object
from voice_operator.errors import InvalidObject
from voice_operator.manifests.labels import RETRY
from voice_operator.reconcile.observed import ObservedRevision, Voice, VoiceServer
from voice_operator.validation import sentences

Spec = TypeVar("Spec", bound=BaseModel)


def voice_from(item: Object) -> Voice:
    """Read a VoiceModel. An invalid status counts as none: everything in it is observed again.

    Raises:
        InvalidObject: the spec does not match the CRD.
    """
    metadata = item["metadata"]
    spec = _spec("VoiceModel", VoiceModelSpec, item)
    try:
        status = VoiceModelStatus.model_validate(item.get("status") or {})
    except ValidationError:
        status = VoiceModelStatus()
    request = str((metadata.get("annotations") or {}).get(RETRY, ""))[:256]
    return Voice(
        metadata["namespace"], metadata["name"], metadata["uid"], metadata["generation"], spec, status, request
    )


def revision_from(item: Object, voice_uid: str) -> ObservedRevision:
    """Read a VoiceRevision; one that belongs to an earlier voice of the same name counts as being deleted.

    Raises:
        InvalidObject: the spec does not match the CRD.
    """
    metadata = item["metadata"]
    spec = revision_spec(item)
    status = item.get("status") or {}
    return ObservedRevision(
        name=metadata["name"],
        input_hash=spec.input_hash,
        base=spec.base.name,
        uri=spec.artifacts.uri,
        digest=spec.artifacts.digest,
        scores=spec.evaluation.scores,
        gates=spec.evaluation.gates,
        state=status.get("state"),
        legal_hold=bool(status.get("legalHold", False)),
        deleting=is_deleting(item) or not is_owned_by(item, voice_uid),
    )


def revision_spec(item: Object) -> VoiceRevisionSpec:
    """Read a VoiceRevision's spec.

    Raises:
        InvalidObject: it does not match the CRD.
    """
    return _spec("VoiceRevision", VoiceRevisionSpec, item)


def server_from(item: Object) -> VoiceServer:
    """Read a VoiceServer.

    Raises:
        InvalidObject: the spec does not match the CRD.
    """
    metadata = item["metadata"]
    spec = _spec("VoiceServer", VoiceServerSpec, item)
    return VoiceServer(metadata["namespace"], metadata["name"], metadata["uid"], metadata["generation"], spec)


def is_deleting(item: Object) -> bool:
    """Return whether the object is being deleted."""
    return bool(item["metadata"].get("deletionTimestamp"))


def is_owned_by(item: Object, uid: str) -> bool:
    """Return whether ``uid`` is an owner of the object."""
    return any(reference.get("uid") == uid for reference in item["metadata"].get("ownerReferences") or ())


def _id(item: Object) -> str:
    return f"{item['metadata'].get('namespace')}/{item['metadata'].get('name')}"


def _spec(kind: str, spec: type[Spec], item: Object) -> Spec:
    try:
        return spec.model_validate(item.get("spec") or {})
    except ValidationError as error:
        raise InvalidObject(f"{kind} {_id(item)}: {'; '.join(sentences(error))}") from error
