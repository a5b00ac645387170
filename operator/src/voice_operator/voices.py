"""Reconciles VoiceModels: observe, decide, apply effects, write status and Events."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from voice_operator.admission import Admission
from voice_operator.alerts import AlertDispatcher
from voice_operator.api.schema import API_VERSION
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.audit import AuditLog
from voice_operator.cluster.apply import apply, renew_keys
from voice_operator.cluster.copies import observed_copies
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.kube import VOICE_MODELS
from voice_operator.cluster.objects import is_deleting, voice_from
from voice_operator.cluster.observe import Cluster, observe_voice
from voice_operator.cluster.trainings import running_trainings
from voice_operator.erasures import ErasureReconciler
from voice_operator.errors import InvalidDocument, ListingUnderWay, OwnershipConflict, StoreError
from voice_operator.manifests.stage_job import GPU_STAGES
from voice_operator.metrics import Metrics
from voice_operator.reconcile.admission import hold, holds_slot, needs_slot, waits_since
from voice_operator.reconcile.consent import consent_problem
from voice_operator.reconcile.decide import STORE_POLL_SECONDS, WAITING_POLL_SECONDS, Decision, decide
from voice_operator.reconcile.desired import end_of_consent
from voice_operator.reconcile.effects import CopyToHub, DeleteJob, StartJob
from voice_operator.reconcile.events import events_between
from voice_operator.reconcile.left_inputs import seconds_until_one_goes
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import ObservedJob, Voice
from voice_operator.reconcile.outcomes import outcomes_between
from voice_operator.reconcile.status import status_of

CONFLICT_POLL_SECONDS = 60.0  # between passes over a name that is taken
MIN_POLL_SECONDS = 2.0  # a pass that comes sooner must have changed something
MAX_POLL_SECONDS = 300.0
LISTING_POLL_SECONDS = 60.0  # the end of a listing brings the voice back at once
MAX_CONSENT_WAIT_SECONDS = 6 * 3600.0  # for the end of the consent: a clock may be set meanwhile

log = logging.getLogger(__name__)


class VoiceReconciler:
    """Reconciles VoiceModels."""

    def __init__(
        self,
        *,
        cluster: Cluster,
        recorder: EventRecorder,
        admission: Admission,
        alerts: AlertDispatcher,
        erasures: ErasureReconciler,
        metrics: Metrics,
        clock: Callable[[], datetime],
        audit: AuditLog | None = None,
    ) -> None:
        """Without an audit log nothing is recorded."""
        self._cluster = cluster
        self._recorder = recorder
        self._admission = admission
        self._alerts = alerts
        self._erasures = erasures
        self._audit = audit
        self._metrics = metrics
        self._clock = clock
        self._idle: dict[Key, int] = {}  # passes in a row that changed nothing and wanted to be repeated at once

    async def reconcile(self, key: Key) -> float | None:
        """Bring one voice a step further; idempotent. Return the seconds after which to requeue, or None.

        Raises:
            OperatorError: a dependency failed; the caller requeues the key.
        """
        try:
            with self._metrics.event_to_job(key) as job_created:
                return await self._reconcile(key, job_created)
        except ListingUnderWay:
            self._admission.settle(key, running=False)
            return LISTING_POLL_SECONDS
        except Exception:
            self._admission.settle(key, running=False)  # a voice that cannot be reconciled must not hold up the line
            raise

    async def _reconcile(self, key: Key, job_created: Callable[[], None]) -> float | None:
        item = self._cluster.caches.voice(key.namespace, key.name)
        if item is None or is_deleting(item):
            self._forget(key)
            return None
        voice = voice_from(item)
        now = self._clock()
        consent_valid = consent_problem(voice.spec.consent, now, revoked_at=voice.status.revoked_at) is None
        erased = self._erasures.finished(key, voice.uid)
        observed = await observe_voice(self._cluster, voice, now=now, consent_valid=consent_valid)
        if self._is_outdated(key, voice):
            return None  # what is found of an earlier spec is neither done nor recorded; the edit brings the next pass
        observed = replace(
            observed,
            erased=erased,
            copies=observed_copies(self._cluster, voice),
            withdrawing=self._erasures.withdrawing,
        )
        decision = await self._claim(decide(observed, now))
        if self._is_outdated(key, voice):
            return None  # the store may have taken its time
        decision = await self._apply(key, self._admit(key, decision), job_created)
        if voice.status.input_hash is None and _has_started_a_job(decision) and not observed.unproved:
            # The Job's own event brings the next pass, which writes the first status: of a thousand new voices each has
            # its Job before any has its status.
            return WAITING_POLL_SECONDS
        status = self._alerts.with_outcomes(key, voice.uid, status_of(decision))
        if self._audit is not None:
            status = self._audit.with_acts(key, decision, status)
        changed = status != voice.status
        if changed:
            await self._write(voice, status)
            for outcome in outcomes_between(voice.status, status):
                gpus = voice.spec.compute.gpus if outcome.stage in GPU_STAGES else 0
                self._metrics.attempt_ended(outcome, gpus)
            for event in events_between(voice.status, status):
                log.info("%s: %s: %s", key, event.reason, event.message)
                await self._recorder.record(key, voice.uid, event)
        self._erasures.acknowledge(key, erased)
        self._alerts.offer(key, voice, status)
        if self._audit is not None:
            self._audit.offer(key, voice.uid, status)
        waits = (
            self._bounded(key, decision.action.requeue_after, changed=changed),
            _until_expiry(voice, now),
            seconds_until_one_goes(status.inputs, now),
            await renew_keys(voice, _with_pods(decision), self._cluster),
        )
        return min((wait for wait in waits if wait is not None), default=None)

    def _forget(self, key: Key) -> None:
        self._idle.pop(key, None)
        self._admission.settle(key, running=False)
        self._alerts.forget(key)
        if self._audit is not None:
            self._audit.forget(key)

    def _is_outdated(self, key: Key, voice: Voice) -> bool:
        """Return whether the spec was edited, or the voice deleted, while it was observed or its folder claimed."""
        record = self._cluster.caches.voices.get(key.namespace, key.name)
        return record is None or (record.uid, record.generation) != (voice.uid, voice.generation)

    def _bounded(self, key: Key, requeue_after: float | None, *, changed: bool) -> float | None:
        """Back off where passes follow one another and change nothing: no mistake may become a hot loop."""
        if changed or requeue_after is None or requeue_after >= MIN_POLL_SECONDS:
            self._idle.pop(key, None)
            return requeue_after
        idle = self._idle[key] = min(self._idle.get(key, 0) + 1, 10)
        return min(MIN_POLL_SECONDS * 2**idle, MAX_POLL_SECONDS) if idle > 1 else requeue_after

    async def _claim(self, decision: Decision) -> Decision:
        """Let nothing be written to the voice's folder before that is its own: an earlier voice's files go first.

        Nor is anything copied before the folder's marker tells of the copy: it must go with the VoiceModel.
        """
        if not _has_started_a_job(decision):
            return await self._without_unmarked_copies(decision)
        observed = decision.view.observed
        problem = await self._erasures.claim(observed.voice)
        if problem is None:
            return decision
        kept = tuple(effect for effect in decision.action.effects if not isinstance(effect, StartJob))
        action = replace(
            decision.action,
            reason=problem.reason,
            message=problem.message,
            effects=kept,
            requeue_after=WAITING_POLL_SECONDS,
        )
        return replace(decision, action=action)

    async def _without_unmarked_copies(self, decision: Decision) -> Decision:
        """Let a copy wait for the store: nothing else of a served voice does."""
        effects = decision.action.effects
        if not any(isinstance(effect, CopyToHub) for effect in effects):
            return decision
        try:
            if await self._erasures.claim(decision.view.observed.voice) is None:
                return decision
        except (StoreError, InvalidDocument) as error:
            log.warning("%s: nothing is copied to the Hub yet: %s", decision.view.observed.voice.id, error)
        kept = tuple(effect for effect in effects if not isinstance(effect, CopyToHub))
        return replace(decision, action=replace(decision.action, effects=kept))

    def _admit(self, key: Key, decision: Decision) -> Decision:
        """Hold the start of a training back while as many as the installation allows are running."""
        start = needs_slot(decision)
        if start is None or not self._admission.limit:
            self._admission.settle(key, running=holds_slot(decision.view))
            return decision
        running = running_trainings(self._cluster.caches)
        place = self._admission.request(key, waits_since(decision.view), running)
        return decision if place is None else replace(decision, action=hold(decision.action, start, place))

    async def _apply(self, key: Key, decision: Decision, job_created: Callable[[], None]) -> Decision:
        """Apply the effects; an ownership conflict, or a Job without keys, becomes the voice's state."""
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
                effects=(),
                message=str(error),
                stalled=True,
                requeue_after=CONFLICT_POLL_SECONDS,
            )
            return replace(decision, action=conflict)
        except StoreError as error:
            self._admission.settle(key, running=False)
            waiting = replace(
                decision.action,
                reason=type(error).__name__,
                effects=(),
                message=f"no keys of the store for the next Job: {error}",
                requeue_after=STORE_POLL_SECONDS,
            )
            return replace(decision, action=waiting)
        return decision

    async def _write(self, voice: Voice, status: VoiceModelStatus) -> None:
        metadata = {"name": voice.name, "namespace": voice.namespace, "uid": voice.uid}  # never of another voice
        document = status.document()
        body = {"apiVersion": API_VERSION, "kind": "VoiceModel", "metadata": metadata, "status": document}
        kube = self._cluster.kube
        written = await kube.apply(VOICE_MODELS, body, subresource="status")
        others = (written.get("status") or {}).keys() - document.keys()
        if others:  # of another field manager, as in a restored backup: nothing may stay that this pass did not find
            patch = {"status": dict.fromkeys(others)}
            written = await kube.merge(VOICE_MODELS, voice.namespace, voice.name, patch, subresource="status")
        self._cluster.caches.voices.update(written)
        self._metrics.status_writes.labels("VoiceModel").inc()


def _has_started_a_job(decision: Decision) -> bool:
    return any(isinstance(effect, StartJob) for effect in decision.action.effects)


def _with_pods(decision: Decision) -> Iterable[ObservedJob]:
    """Return the Jobs that run on after this pass and whose pods need keys."""
    stopped = {effect.name for effect in decision.action.effects if isinstance(effect, DeleteJob)}
    return [job for job in decision.view.running if not job.suspended and job.name not in stopped]


def _until_expiry(voice: Voice, now: datetime) -> float | None:
    """Return the seconds until the consent ends, at most MAX_CONSENT_WAIT_SECONDS; None: it does not, or has ended."""
    end = end_of_consent(voice.spec.consent.expires)
    if end is None or end <= now:
        return None
    return min((end - now).total_seconds(), MAX_CONSENT_WAIT_SECONDS)
