"""Reconciles VoiceModels: observe, decide, apply effects, write status and Events."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster.apply import apply
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.kube import VOICE_MODELS
from voice_operator.cluster.objects import is_deleting, voice_from
from voice_operator.cluster.observe import Cluster, observe_voice
from voice_operator.errors import NotFound, OwnershipConflict
from voice_operator.metrics import Metrics
from voice_operator.reconcile.consent import consent_problem
from voice_operator.reconcile.decide import WAITING_POLL_SECONDS, Decision, decide
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.events import events_between
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import Voice
from voice_operator.reconcile.status import status_of
from voice_operator.servers import ServerReconciler

log = logging.getLogger(__name__)


class VoiceReconciler:
    """Reconciles VoiceModels."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        servers: ServerReconciler,
        recorder: EventRecorder,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._servers = servers
        self._recorder = recorder
        self._metrics = metrics
        self._clock = clock

    async def reconcile(self, key: Key) -> float | None:
        """Bring one voice a step further; idempotent. Return the seconds after which to requeue, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        with self._metrics.event_to_job(key) as job_created:
            return await self._reconcile(key, job_created)

    async def _reconcile(self, key: Key, job_created: Callable[[], None]) -> float | None:
        try:
            item = await self._cluster.kube.get(VOICE_MODELS, key.namespace, key.name)
        except NotFound:
            item = None
        if item is None or is_deleting(item):
            self._servers.on_voice_deleted(key)
            return None
        voice = voice_from(item)
        now = self._clock()
        consent_valid = consent_problem(voice.spec.consent, now) is None
        observed = await observe_voice(self._cluster, voice, now=now, consent_valid=consent_valid)
        decision = await self._apply(decide(observed, now), job_created)
        status = status_of(decision)
        if status != voice.status:
            await self._write(voice, status)
            for event in events_between(voice.status, status):
                log.info("%s: %s: %s", key, event.reason, event.message)
                await self._recorder.record(key, voice.uid, event)
        self._servers.on_voice_updated(voice.status, status)
        return decision.action.requeue_after

    async def _apply(self, decision: Decision, job_created: Callable[[], None]) -> Decision:
        """Apply the effects; an ownership conflict becomes the voice's state."""
        try:
            for effect in decision.action.effects:
                await apply(effect, decision.view.observed, self._cluster)
                if isinstance(effect, StartJob):
                    job_created()
        except OwnershipConflict as error:
            conflict = replace(
                decision.action,
                reason="NameConflict",
                message=str(error),
                stalled=True,
                requeue_after=WAITING_POLL_SECONDS,
            )
            return replace(decision, action=conflict)
        return decision

    async def _write(self, voice: Voice, status: VoiceModelStatus) -> None:
        metadata = {"name": voice.name, "namespace": voice.namespace}
        body = {"apiVersion": API_VERSION, "kind": "VoiceModel", "metadata": metadata, "status": status.document()}
        await self._cluster.kube.apply(VOICE_MODELS, body, subresource="status")
        self._metrics.status_writes.labels("VoiceModel").inc()
