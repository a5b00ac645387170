"""Reconciles VoiceModels: observe, decide, apply effects, write status and Events."""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from voice_operator.admission import Admission
from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster.apply import apply
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.kube import VOICE_MODELS
from voice_operator.cluster.objects import is_deleting, voice_from
from voice_operator.cluster.observe import Cluster, observe_voice
from voice_operator.cluster.trainings import running_trainings
from voice_operator.errors import NotFound, OwnershipConflict
from voice_operator.metrics import Metrics
from voice_operator.reconcile.admission import hold, holds_slot, needs_slot, waits_since
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
        admission: Admission,
        metrics: Metrics,
        clock: Callable[[], datetime],
    ) -> None:
        self._cluster = cluster
        self._servers = servers
        self._recorder = recorder
        self._admission = admission
        self._metrics = metrics
        self._clock = clock

    async def reconcile(self, key: Key) -> float | None:
        """Bring one voice a step further; idempotent. Return the seconds after which to requeue, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        try:
            with self._metrics.event_to_job(key) as job_created:
                return await self._reconcile(key, job_created)
        except Exception:
            self._admission.settle(key, running=False)  # a voice that cannot be reconciled must not hold up the line
            raise

    async def _reconcile(self, key: Key, job_created: Callable[[], None]) -> float | None:
        try:
            item = await self._cluster.kube.get(VOICE_MODELS, key.namespace, key.name)
        except NotFound:
            item = None
        if item is None or is_deleting(item):
            self._servers.on_voice_deleted(key)
            self._admission.settle(key, running=False)
            return None
        voice = voice_from(item)
        now = self._clock()
        consent_valid = consent_problem(voice.spec.consent, now) is None
        observed = await observe_voice(self._cluster, voice, consent_valid=consent_valid)
        decision = await self._apply(key, await self._admit(key, decide(observed, now)), job_created)
        status = status_of(decision)
        if status != voice.status:
            await self._write(voice, status)
            for event in events_between(voice.status, status):
                log.info("%s: %s: %s", key, event.reason, event.message)
                await self._recorder.record(key, voice.uid, event)
        self._servers.on_voice_updated(voice.status, status)
        return decision.action.requeue_after

    async def _admit(self, key: Key, decision: Decision) -> Decision:
        """Hold the start of a training back while as many as the installation allows are running."""
        start = needs_slot(decision)
        if start is None or not self._admission.limit:
            self._admission.settle(key, running=holds_slot(decision.view))
            return decision
        running = await running_trainings(self._cluster)
        place = self._admission.request(key, waits_since(decision.view), running)
        return decision if place is None else replace(decision, action=hold(decision.action, start, place))

    async def _apply(self, key: Key, decision: Decision, job_created: Callable[[], None]) -> Decision:
        """Apply the effects; an ownership conflict becomes the voice's state."""
        try:
            for effect in decision.action.effects:
                await apply(effect, decision.view.observed, self._cluster)
                if isinstance(effect, StartJob):
                    job_created()
        except OwnershipConflict as error:
            self._admission.settle(key, running=False)
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
