"""Dispatches each key to the reconciler of its kind; an error is recorded, and the key requeued with back-off."""

import logging
from collections.abc import Awaitable, Callable

from voice_operator.errors import ClusterError, LeadershipLost, OperatorError
from voice_operator.logs import current_key
from voice_operator.metrics import Metrics, controller_name
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.names import Key, KindName

log = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[float | None]]  # returns the seconds after which to requeue, or None
RecordError = Callable[[Key, OperatorError], Awaitable[None]]


class Controller:
    """Runs reconcilers; no error leaves it but the loss of the lease."""

    def __init__(
        self, queue: WorkQueue, metrics: Metrics, reconcilers: dict[KindName, Reconcile], record_error: RecordError
    ) -> None:
        self._queue = queue
        self._record_error = record_error
        self._metrics = metrics
        self._reconcilers = reconcilers

    async def reconcile(self, key: Key) -> None:
        """Reconcile one object; every error is logged and the key requeued."""
        controller, result = controller_name(key.kind), "error"
        current_key.set(key)
        try:
            with self._metrics.reconcile_time.labels(controller).time():
                requeue_after = await self._reconcilers[key.kind](key)
        except LeadershipLost:
            raise
        except OperatorError as error:
            delay = self._queue.add_rate_limited(key)
            log.warning("%s: %s; requeued after %.0f s", key, error, delay)
            await self._record(key, error)
        except Exception:  # a bug that one object triggers must not stop the others
            delay = self._queue.add_rate_limited(key)
            self._metrics.reconcile_panics.labels(controller).inc()
            log.exception("%s: bug in the operator; requeued after %.0f s", key, delay)
        else:
            self._queue.forget(key)
            if requeue_after is not None:
                self._queue.add_after(key, requeue_after)
            result = "success" if requeue_after is None else "requeue_after"
        self._metrics.reconciles.labels(controller, result).inc()

    async def _record(self, key: Key, error: OperatorError) -> None:
        try:
            await self._record_error(key, error)
        except ClusterError as failure:
            log.warning("%s: the error could not be recorded: %s", key, failure)
