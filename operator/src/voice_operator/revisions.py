"""Reconciles VoiceRevisions: tells of those that somebody else made, and frees those of earlier releases to go."""

import logging

from voice_operator.api.voice_revision import FINALIZER
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.kube import VOICE_REVISIONS, Object
from voice_operator.cluster.observe import Cluster
from voice_operator.errors import NotFound
from voice_operator.reconcile.decide import not_sealed
from voice_operator.reconcile.events import Event
from voice_operator.reconcile.names import Key

log = logging.getLogger(__name__)


class RevisionReconciler:
    """Reconciles VoiceRevisions."""

    def __init__(self, cluster: Cluster, recorder: EventRecorder) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._refused: set[str] = set()  # UIDs of revisions without a seal that were told of

    async def reconcile(self, key: Key) -> None:
        """Take the finalizer of earlier releases off a revision, and tell of one without a seal.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        item = self._cluster.caches.revision(key.namespace, key.name)
        if item is None:
            return
        if FINALIZER in (item["metadata"].get("finalizers") or ()):
            await self._free(key, item)
        uid = item["metadata"]["uid"]
        if uid not in self._refused and self._cluster.signing.sealed(key.namespace, key.name) is None:
            self._refused.add(uid)
            await self._refuse(key, item)

    async def _free(self, key: Key, item: Object) -> None:
        """Remove our finalizer: it would hold the revision, and its namespace, once the operator is gone."""
        others = [one for one in item["metadata"]["finalizers"] if one != FINALIZER]
        patch = {"metadata": {"finalizers": others, "resourceVersion": item["metadata"]["resourceVersion"]}}
        try:
            freed = await self._cluster.kube.merge(VOICE_REVISIONS, key.namespace, key.name, patch)
        except NotFound:
            return
        if freed["metadata"].get("deletionTimestamp") is None or others:
            self._cluster.caches.revisions.update(freed)

    async def _refuse(self, key: Key, item: Object) -> None:
        """Record, on the revision and on its voice, that somebody else made it."""
        event = Event("Warning", "NotSealed", not_sealed(key.name), "Verify")
        await self._recorder.record(key, item["metadata"]["uid"], event)
        voice = self._cluster.caches.voices.get(key.namespace, str((item.get("spec") or {}).get("voiceModel", "")))
        if voice is not None:
            await self._recorder.record(Key("VoiceModel", key.namespace, voice.id.partition("/")[2]), voice.uid, event)
