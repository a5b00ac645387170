"""Delivers alerts beside the passes: a bounded queue and two workers for each target, with back-off and jitter.

A pass offers what is due and goes on. What a target took, or was given up for, comes back into the voice's status with
a later pass; until it stands there, the same alert is offered again under the same id, by this process or the next.
"""

import asyncio
import logging
import random
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import get_args

from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster.alert_client import Answer
from voice_operator.logs import current_key
from voice_operator.manifests.alert import AlertRequest, alert_request
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority
from voice_operator.reconcile.alerts import Alert, AlertKind, Outcome, due_alerts, is_settled, recorded
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import Voice
from voice_operator.reconcile.times import render
from voice_operator.settings import Alerts, AlertTarget

WORKERS_PER_TARGET = 2
MAX_PENDING = (
    500  # alerts that wait for one target; for more there is room at a later pass: all voices are looked at again
)
BASE_DELAY_SECONDS = 2.0  # after a failed attempt; doubles
MAX_DELAY_SECONDS = 600.0
JITTER = 0.5  # of the delay, at most, is added
MAX_RETRY_AFTER_SECONDS = 3600.0
GIVE_UP_SECONDS = 24 * 3600.0  # from the first attempt

log = logging.getLogger(__name__)

Post = Callable[[AlertTarget, AlertRequest], Awaitable[Answer]]


@dataclass
class _Delivery:
    """One alert on its way to one target."""

    key: Key
    alert: Alert
    attempts: int = 0
    first_attempt: float = 0.0  # monotonic
    outcome: Outcome | None = None


@dataclass
class _Lane:
    """What waits for one target."""

    target: AlertTarget
    ready: asyncio.Queue[_Delivery] = field(default_factory=asyncio.Queue)
    pending: int = 0
    paused_until: float = 0.0  # monotonic; the target asked for it


class AlertDispatcher:
    """Takes alerts from passes to targets, and outcomes back. All of it happens in one event loop."""

    def __init__(
        self,
        settings: Alerts,
        post: Post,
        *,
        enqueue: Callable[[Key, Priority], None],
        metrics: Metrics,
        clock: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._expiry_days = settings.consent_expiry_days
        self._lanes = {target.name: _Lane(target) for target in settings.targets}
        self._deliveries: dict[Key, dict[tuple[str, str], _Delivery]] = defaultdict(dict)  # by target and alert id
        self._post = post
        self._enqueue = enqueue
        self._metrics = metrics
        self._clock = clock
        self._jitter = jitter
        for target in settings.targets:
            for kind in get_args(AlertKind):
                if not target.alerts or kind in target.alerts:
                    for result in ("sent", "retried", "failed", "dropped"):
                        metrics.alerts.labels(target.name, kind, result)

    async def run(self) -> None:
        """Work for ever."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes.values():
                for _ in range(WORKERS_PER_TARGET):
                    group.create_task(self._work(lane))
            await asyncio.Event().wait()

    def with_outcomes(self, key: Key, uid: str, status: VoiceModelStatus) -> VoiceModelStatus:
        """Return the status of the voice ``uid`` with the deliveries that ended since it was read."""
        mine = self._deliveries.get(key, {}).values()
        ended = [one.outcome for one in mine if one.outcome is not None and one.alert.uid == uid]
        return status.model_copy(update={"alerts": recorded(status.alerts, ended)}) if ended else status

    def offer(self, key: Key, voice: Voice, status: VoiceModelStatus) -> None:
        """Send what is due and not settled by ``status``, which is written; drop what is due no longer."""
        if not self._lanes:
            return
        due = due_alerts(voice, status, self._clock(), expiry_days=self._expiry_days)
        wanted = {
            (lane.target.name, alert.id): (lane, alert)
            for lane in self._lanes.values()
            for alert in due
            if lane.target.wants(alert.kind, key.namespace) and not is_settled(status.alerts, alert, lane.target.name)
        }
        for identity, delivery in [*self._deliveries.get(key, {}).items()]:
            if identity not in wanted and not _is_unwritten(delivery, identity[0], voice, status):
                self._drop(key, identity)
        for identity, (lane, alert) in wanted.items():
            if identity not in self._deliveries.get(key, {}):
                self._add(key, identity, lane, alert)

    def forget(self, key: Key) -> None:
        """The voice is gone, and with it the place where outcomes are kept; what was begun is still told."""
        for identity, delivery in [*self._deliveries.get(key, {}).items()]:
            if delivery.outcome is not None:
                self._drop(key, identity)

    def _add(self, key: Key, identity: tuple[str, str], lane: _Lane, alert: Alert) -> None:
        if lane.pending >= MAX_PENDING:
            self._metrics.alerts.labels(lane.target.name, alert.kind, "dropped").inc()
            return
        delivery = self._deliveries[key][identity] = _Delivery(key, alert)
        lane.pending += 1
        lane.ready.put_nowait(delivery)

    def _drop(self, key: Key, identity: tuple[str, str]) -> None:
        mine = self._deliveries[key]
        if mine.pop(identity).outcome is None:
            self._lanes[identity[0]].pending -= 1
        if not mine:
            del self._deliveries[key]

    def _is_wanted(self, lane: _Lane, delivery: _Delivery) -> bool:
        return self._deliveries.get(delivery.key, {}).get((lane.target.name, delivery.alert.id)) is delivery

    async def _work(self, lane: _Lane) -> None:
        while True:
            delivery = await lane.ready.get()
            while (pause := lane.paused_until - time.monotonic()) > 0:  # noqa: ASYNC110 -- it may become longer
                await asyncio.sleep(pause)
            if not self._is_wanted(lane, delivery):
                continue
            current_key.set(delivery.key)
            delivery.first_attempt = delivery.first_attempt or time.monotonic()
            delivery.attempts += 1
            try:
                request = alert_request(delivery.alert, lane.target.kind, lane.target.mode)
                answer = await self._post(lane.target, request)
            except Exception:  # a bug that one alert triggers must not stop the others
                log.exception("alert %s to %s: bug in the operator", delivery.alert.kind, lane.target.name)
                answer = Answer("retry", "a bug in the operator; its log has more")
            self._conclude(lane, delivery, answer)

    def _conclude(self, lane: _Lane, delivery: _Delivery, answer: Answer) -> None:
        about = f"{delivery.key}: alert {delivery.alert.kind} to {lane.target.name}"
        retry_after = min(answer.retry_after or 0.0, MAX_RETRY_AFTER_SECONDS)
        if retry_after:
            lane.paused_until = max(lane.paused_until, time.monotonic() + retry_after)
        if answer.result == "sent":
            log.info("%s: delivered", about)
            self._end(lane, delivery, delivered=True)
            return
        if not self._is_wanted(lane, delivery):
            return
        late = time.monotonic() - delivery.first_attempt >= GIVE_UP_SECONDS
        if answer.result == "refused" or late:
            log.warning("%s: given up after %d attempts: %s", about, delivery.attempts, answer.why)
            self._end(lane, delivery, delivered=False)
            return
        delay = max(delay_seconds(delivery.attempts, self._jitter()), retry_after)
        self._metrics.alerts.labels(lane.target.name, delivery.alert.kind, "retried").inc()
        log.warning("%s: %s; tried again in %.0f s", about, answer.why, delay)
        asyncio.get_running_loop().call_later(delay, lane.ready.put_nowait, delivery)

    def _end(self, lane: _Lane, delivery: _Delivery, *, delivered: bool) -> None:
        """Keep the outcome until a pass has written it, also of an alert that was due no longer when it arrived."""
        alert, target = delivery.alert, lane.target.name
        replaced = self._deliveries[delivery.key].get((target, alert.id))  # itself, or it was due again meanwhile
        if replaced is not None and replaced.outcome is None:
            lane.pending -= 1
        self._deliveries[delivery.key][target, alert.id] = delivery
        delivery.outcome = Outcome(alert.kind, alert.key, target, delivered, render(self._clock()))
        self._metrics.alerts.labels(target, alert.kind, "sent" if delivered else "failed").inc()
        self._enqueue(delivery.key, Priority.LOW)


def delay_seconds(attempts: int, jitter: float) -> float:
    """Return the pause after so many failed attempts; ``jitter`` is from 0 to 1."""
    delay: float = min(BASE_DELAY_SECONDS * 2.0 ** min(attempts - 1, 30), MAX_DELAY_SECONDS)
    return delay * (1 + JITTER * jitter)


def _is_unwritten(delivery: _Delivery, target: str, voice: Voice, status: VoiceModelStatus) -> bool:
    """Return whether the outcome has yet to reach the voice's status: it came while that was written."""
    alert = delivery.alert
    return delivery.outcome is not None and alert.uid == voice.uid and not is_settled(status.alerts, alert, target)
