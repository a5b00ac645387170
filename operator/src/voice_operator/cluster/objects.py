"""Parses objects of the API server into the types that decisions use, and into what caches keep of them."""

import json
import zlib
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from voice_operator.api.lexicon import MAX_ENTRIES, Reading
from voice_operator.api.schema import GROUP, Schema
from voice_operator.api.voice_model import Consent, Review, VoiceModelSpec
from voice_operator.api.voice_revision import RevisionExports, RevisionReview, VoiceRevisionSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import Artifacts, AuditState, HubCopy, Loading, TrainedInput, VoiceModelStatus
from voice_operator.cluster.kube import Object
from voice_operator.errors import InvalidObject
from voice_operator.manifests.labels import REQUESTED_BY, RETRY, REVOKED, VOICE_MODEL
from voice_operator.reconcile.consent import consent_digest
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.erasure import Copied
from voice_operator.reconcile.hashing import base_identity, training_hash_of
from voice_operator.reconcile.observed import ObservedRevision, RevisionRecord, ServerRef, Voice, VoiceServer
from voice_operator.reconcile.times import parse
from voice_operator.validation import sentences

Model = TypeVar("Model", bound=BaseModel)

READ_PREFIXES = (f"{GROUP}/", "kueue.x-k8s.io/", "batch.kubernetes.io/")  # of labels and annotations
MAX_NAMES = 32  # of them on one object
MAX_REASON = 64  # characters; the longest has some 30
MAX_VALUE = 1024  # characters; the longest, a seal, has some 100


class RecordedStatus(Schema):
    """The part of a VoiceModel's status that records keep; the rest may be what a newer operator wrote."""

    phase: str | None = None
    server: str | None = None
    artifacts: Artifacts | None = None
    loading: Loading | None = None
    active_revision: str | None = None
    previous_revision: str | None = None
    revoked_at: str | None = None
    input_hash: str | None = None
    inputs_of: str | None = None
    inputs: tuple[TrainedInput, ...] = ()


def voice_from(item: Object) -> Voice:
    """Read a VoiceModel.

    Raises:
        InvalidObject: spec or status does not match the CRD. A status that a newer operator wrote is not to be reset.
    """
    metadata = item["metadata"]
    spec = _part("VoiceModel", VoiceModelSpec, item, "spec")
    status = _part("VoiceModel", VoiceModelStatus, item, "status")
    created = metadata.get("creationTimestamp")
    return Voice(
        metadata["namespace"],
        metadata["name"],
        metadata["uid"],
        metadata["generation"],
        spec,
        status,
        request=_annotation(item, RETRY),
        created_at=parse(created) if created else None,
        requester=_annotation(item, REQUESTED_BY),
    )


def voice_record(item: Object, old: VoiceRecord | None) -> VoiceRecord:
    """Reduce a VoiceModel to what is kept of it; never fails, and an unreadable spec permits nothing.

    Where the status cannot be read, what the voice's servers have to serve stays as it was.
    """
    metadata = item["metadata"]
    spec = item.get("spec") or {}
    consent = _or_none(Consent, spec.get("consent"))
    known = _or_none(RecordedStatus, item.get("status") or {}) or old
    return VoiceRecord(
        id=_id(item),
        uid=metadata["uid"],
        generation=metadata["generation"],
        deleting=is_deleting(item),
        consent=consent,
        created=str(metadata.get("creationTimestamp", "")),
        review=_or_none(Review, spec.get("review") or {}),
        requester=_annotation(item, REQUESTED_BY),
        lexicon=_lexicon(spec.get("lexicon")),
        requested_server=str((spec.get("serving") or {}).get("server", "")),
        phase=(known.phase if known else "") or "",
        reason=_ready_reason(item),
        server=known.server if known else None,
        artifacts=known.artifacts if known else None,
        loading=known.loading if known else None,
        active_revision=known.active_revision if known else None,
        previous_revision=known.previous_revision if known else None,
        revoked_at=known.revoked_at if known else None,
        legal_hold=(spec.get("retention") or {}).get("legalHold", False) is not False,
        copied=_copied(item),
        has_trained=known.has_trained
        if isinstance(known, VoiceRecord)
        else known is not None and bool(known.input_hash),
        going=_going(known, metadata["uid"]),
        size=_size(item),
        packed=pack(item),
    )


def _copied(item: Object) -> Copied | None:
    """Return what may lie on the Hub; a status of a newer operator that cannot be read tells of nothing."""
    copy = _or_none(HubCopy, (item.get("status") or {}).get("hubCopy"))
    if copy is None or not copy.repository or copy.state in {"Refused", "Withdrawn"}:
        return None
    return Copied(repository=copy.repository, revision=copy.revision, digest=copy.digest)


def _lexicon(written: Any) -> tuple[Reading, ...]:
    """Return the entries that can be read: one that cannot must not hide the others, nor the voice."""
    entries = written if isinstance(written, list) else []
    return tuple(found for entry in entries[:MAX_ENTRIES] if (found := _or_none(Reading, entry)) is not None)


def _ready_reason(item: Object) -> str:
    """Return the reason of the condition Ready; empty: there is none, or it is no name."""
    conditions = (item.get("status") or {}).get("conditions") or ()
    found = (str(one.get("reason", "")) for one in conditions if one.get("type") == "Ready")
    reason = next(found, "")
    return reason if reason.isascii() and reason.isalpha() and len(reason) <= MAX_REASON else ""


def _going(known: RecordedStatus | VoiceRecord | None, uid: str) -> tuple[TrainedInput, ...]:
    """Return the inputs that are to be erased, as the status of this very VoiceModel has them."""
    if isinstance(known, VoiceRecord):
        return known.going if known.uid == uid else ()
    if known is None or known.inputs_of != uid:
        return ()
    return tuple(one for one in known.inputs if one.erase is not None)


def _size(item: Object) -> int:
    """Return the bytes of what people write of an object: labels, annotations and spec, as JSON."""
    metadata = item["metadata"]
    written = [metadata.get("labels"), metadata.get("annotations"), item.get("spec")]
    return len(json.dumps(written, ensure_ascii=False).encode())


def pack(item: Object) -> bytes:
    """Compress an object without what nothing reads: thousands of them are kept."""
    return zlib.compress(json.dumps(lean(item), separators=(",", ":")).encode(), 1)


def unpack(packed: bytes) -> Object:
    """Return the object that was packed."""
    item: Object = json.loads(zlib.decompress(packed))
    return item


def unmanaged(item: Object, _: Object | None = None) -> Object:
    """Return an object without its managedFields, which are as large as all the rest."""
    return item | {"metadata": {key: value for key, value in item["metadata"].items() if key != "managedFields"}}


def lean(item: Object, _: Object | None = None) -> Object:
    """Return an object with the labels and annotations that are ours: others may have 256 KiB of each, by anybody."""
    kept = unmanaged(item)
    for kind in ("labels", "annotations"):
        if found := kept["metadata"].get(kind):
            kept["metadata"][kind] = _ours(found)
    return kept


def _ours(found: dict[str, str]) -> dict[str, str]:
    """Return labels or annotations whose names somebody reads, so many and so long as they may be."""
    names = sorted(name for name in found if name.startswith(READ_PREFIXES))
    return {name: found[name][:MAX_VALUE] for name in names[:MAX_NAMES]}


def trimmed(item: Object, _: Object | None = None) -> Object:
    """Reduce a Job or a pod to what decisions read: of its containers name, ports and resources, and no volumes."""
    spec = item.get("spec") or {}
    kept = {key: value for key, value in spec.items() if key not in {"template", "volumes", "containers"}}
    if "template" in spec:
        kept["template"] = {"spec": {"containers": _containers(spec["template"].get("spec") or {})}}
    return lean(item) | {"spec": kept | {"containers": _containers(spec)}}


def _containers(spec: Object) -> list[Object]:
    kept = ("name", "ports", "resources")
    return [{key: one[key] for key in kept if key in one} for one in spec.get("containers") or ()]


def revision_from(item: Object, voice: Voice) -> ObservedRevision:
    """Read a VoiceRevision of a voice, whoever owns it.

    One of nobody can be adopted where it is of the same speaker, as after the restore of a backup; else it counts as
    being deleted, and so does one of an earlier VoiceModel of the same name: it goes with that (docs/decisions/0042).

    Raises:
        InvalidObject: the spec does not match the CRD.
    """
    metadata = item["metadata"]
    spec = revision_spec(item)
    status = item.get("status") or {}
    owned = is_owned_by(item, voice.uid)
    of_nobody = not (owned or is_deleting(item) or is_of_earlier(item, voice.name, voice.uid))
    adoptable = of_nobody and spec.consent.holder == voice.spec.consent.holder
    return ObservedRevision(
        name=metadata["name"],
        input_hash=spec.input_hash,
        base=spec.base.name,
        base_uri=spec.base.uri,
        base_digest=spec.base.digest,
        uri=spec.artifacts.uri,
        digest=spec.artifacts.digest,
        training_hash=training_hash_of(spec),
        language=spec.language,
        base_identity=base_identity(spec.base.name, spec.base.uri, spec.base.digest),
        evaluation_version=spec.algorithm.evaluation,
        recogniser=spec.evaluation.recogniser,
        scores=spec.evaluation.scores,
        intervals=spec.evaluation.intervals,
        gates=spec.evaluation.gates,
        state=status.get("state"),
        legal_hold=bool(status.get("legalHold", False)),
        pinned=bool(status.get("pinned", False)),
        deleting=is_deleting(item) or not (owned or adoptable),
        labelled=(metadata.get("labels") or {}).get(VOICE_MODEL) == voice.name,
        adoptable=adoptable,
        record=_record(item, spec),
        reviewed=(status.get("review"), status.get("approvals")),
    )


def revision_record(item: Object) -> RevisionRecord | None:
    """Return what a VoiceRevision says about the people behind it; None: it does not match the CRD."""
    try:
        return _record(item, revision_spec(item))
    except InvalidObject:
        return None


def _record(item: Object, spec: VoiceRevisionSpec) -> RevisionRecord:
    created = item["metadata"].get("creationTimestamp")
    return RevisionRecord(
        digest=spec.artifacts.digest,
        holder=spec.consent.holder,
        evidence=spec.consent.evidence,
        revoked=REVOKED in (item["metadata"].get("labels") or {}),
        created=parse(created) if created else None,
        rules=spec.review,
        requested_by=spec.requested_by,
        author=spec.source.author,
        source=spec.source,
        recordings=spec.dataset.digest or spec.dataset.fingerprint,
        consent=consent_digest(spec.consent),
        decisions=_part("VoiceRevision", RevisionReview, item, "review").decisions,
        exports=(_or_none(RevisionExports, item.get("exports") or {}) or RevisionExports()).records,
    )


def revision_spec(item: Object) -> VoiceRevisionSpec:
    """Read a VoiceRevision's spec.

    Raises:
        InvalidObject: it does not match the CRD.
    """
    return _part("VoiceRevision", VoiceRevisionSpec, item, "spec")


def audit_state(item: Object) -> AuditState | None:
    """Return what a VoiceModel's status says of the audit log; None: nothing that can be read."""
    return _or_none(AuditState, (item.get("status") or {}).get("audit"))


def server_from(item: Object) -> VoiceServer:
    """Read a VoiceServer.

    Raises:
        InvalidObject: the spec does not match the CRD.
    """
    metadata = item["metadata"]
    spec = _part("VoiceServer", VoiceServerSpec, item, "spec")
    return VoiceServer(metadata["namespace"], metadata["name"], metadata["uid"], metadata["generation"], spec)


def server_ref(item: Object) -> ServerRef:
    """Return what the children of a VoiceServer need of it; reads nothing of its spec."""
    metadata = item["metadata"]
    return ServerRef(metadata["namespace"], metadata["name"], metadata["uid"])


def is_deleting(item: Object) -> bool:
    """Return whether the object is being deleted."""
    return bool(item["metadata"].get("deletionTimestamp"))


def is_owned_by(item: Object, uid: str) -> bool:
    """Return whether ``uid`` is an owner of the object."""
    return any(reference.get("uid") == uid for reference in item["metadata"].get("ownerReferences") or ())


def is_of_earlier(item: Object, name: str, uid: str) -> bool:
    """Return whether the object belongs to an earlier VoiceModel of this name, and not to the present one.

    Names are unique, so that one is gone, and the garbage collector takes the object, whoever else wants it.
    """
    if is_owned_by(item, uid):
        return False
    owners = item["metadata"].get("ownerReferences") or ()
    return any((reference.get("kind"), reference.get("name")) == ("VoiceModel", name) for reference in owners)


def _annotation(item: Object, name: str) -> str:
    return str((item["metadata"].get("annotations") or {}).get(name, ""))[:256]


def _id(item: Object) -> str:
    return f"{item['metadata'].get('namespace')}/{item['metadata'].get('name')}"


def _part(kind: str, model: type[Model], item: Object, part: str) -> Model:
    try:
        return model.model_validate(item.get(part) or {})
    except ValidationError as error:
        raise InvalidObject(f"{kind} {_id(item)}: {part}.{f'; {part}.'.join(sentences(error))}") from error


def _or_none(model: type[Model], value: Any) -> Model | None:
    try:
        return model.model_validate(value)
    except ValidationError:
        return None
