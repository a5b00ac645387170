"""Reconciles VoiceRevisions: on deletion, artifacts in the object store are purged before the finalizer is removed."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from voice_operator.api.voice_revision import FINALIZER, VoiceRevisionSpec
from voice_operator.audit import AuditLog
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.kube import VOICE_REVISIONS, Object
from voice_operator.cluster.objects import is_deleting, revision_spec
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import InvalidObject, NotFound, StoreError
from voice_operator.reconcile.decide import not_sealed
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key, are_plain, revision_uri, workspace_uri
from voice_operator.reconcile.times import parse

PURGE_TIMEOUT = timedelta(minutes=5)  # an unreachable store must not block the deletion of a namespace for ever

# Commit points go first: a half-deleted workspace must never look like a finished one.
COMMIT_POINTS = tuple(f"{stage}/manifest.json" for stage in ("publish", "evaluate", "train", "features", "prepare"))

log = logging.getLogger(__name__)


class RevisionReconciler:
    """Reconciles VoiceRevisions."""

    def __init__(
        self, cluster: Cluster, recorder: EventRecorder, clock: Callable[[], datetime], audit: AuditLog | None = None
    ) -> None:
        self._audit = audit
        self._cluster = cluster
        self._recorder = recorder
        self._clock = clock
        self._refused: set[str] = set()  # UIDs of revisions without a seal that were told of

    async def reconcile(self, key: Key) -> None:
        """Tell of a revision without a seal; purge the artifacts of one that is deleted, then remove its finalizer.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        kube = self._cluster.kube
        known = self._cluster.caches.revision(key.namespace, key.name)
        if known is None:
            return
        if not is_deleting(known):
            await self._refuse_unsealed(key, known)
            return
        try:
            item = await kube.get(VOICE_REVISIONS, key.namespace, key.name)  # nothing is destroyed by an older state
        except NotFound:
            return
        finalizers = item["metadata"].get("finalizers") or []
        if not is_deleting(item) or FINALIZER not in finalizers:
            return
        event = await self._purge(key, item)
        if self._audit is not None:
            await self._audit.deleted(item, event)
        log.info("%s: %s: %s", key, event.reason, event.message)
        await self._recorder.record(key, item["metadata"]["uid"], event)
        others = [finalizer for finalizer in finalizers if finalizer != FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": item["metadata"]["resourceVersion"]}}
        try:
            await kube.merge(VOICE_REVISIONS, key.namespace, key.name, patch)
        except NotFound:
            return

    async def _refuse_unsealed(self, key: Key, item: Object) -> None:
        """Record once, on the revision and on its voice, that somebody else made it."""
        uid = item["metadata"]["uid"]
        if uid in self._refused or self._cluster.signing.sealed(key.namespace, key.name) is not None:
            return
        self._refused.add(uid)
        event = Event("Warning", "NotSealed", not_sealed(key.name), "Verify")
        await self._recorder.record(key, uid, event)
        voice = self._cluster.caches.voices.get(key.namespace, str((item.get("spec") or {}).get("voiceModel", "")))
        if voice is not None:
            await self._recorder.record(Key("VoiceModel", key.namespace, voice.id.partition("/")[2]), voice.uid, event)

    async def _purge(self, key: Key, item: Object) -> Event:
        """Delete everything below the revision's own folders; return the Event to record.

        Raises:
            StoreError: the store failed, and PURGE_TIMEOUT has not passed yet.
        """
        try:
            spec = revision_spec(item)
        except InvalidObject as error:
            return Event("Warning", "ArtifactsKept", f"nothing was deleted: {error}", "Purge")
        if (item.get("status") or {}).get("legalHold"):
            return Event(
                "Warning", "ArtifactsHeld", f"spec.retention.legalHold was set: {spec.artifacts.uri} stays", "Purge"
            )
        if not self._is_own(key, spec):
            message = f"nothing was deleted: {spec.artifacts.uri} is not the folder of this revision"
            return Event("Warning", "ArtifactsKept", message, "Purge")
        try:
            store, namespace = self._cluster.store, key.namespace
            count = await store.remove_below(spec.workspace, first=COMMIT_POINTS, namespace=namespace)
            count += await store.remove_below(spec.artifacts.uri, first=("manifest.json",), namespace=namespace)
        except StoreError as error:
            if self._clock() - parse(item["metadata"]["deletionTimestamp"]) < PURGE_TIMEOUT:
                raise
            return Event(
                "Warning",
                "ArtifactsLeft",
                f"{spec.artifacts.uri} could not be deleted, do it by hand: {error}",
                "Purge",
            )
        return Event(
            "Normal",
            "ArtifactsDeleted",
            f"{count} objects below {spec.artifacts.uri} and its workspace are gone",
            "Purge",
        )

    def _is_own(self, key: Key, spec: VoiceRevisionSpec) -> bool:
        """Return whether both folders are those that names and input hash lead to; nothing else is ever deleted."""
        if not are_plain(spec.voice_model, spec.input_hash):
            return False
        parts = (self._cluster.settings.storage.uri, key.namespace, spec.voice_model, spec.input_hash)
        return spec.artifacts.uri == revision_uri(*parts) and spec.workspace == workspace_uri(*parts)
