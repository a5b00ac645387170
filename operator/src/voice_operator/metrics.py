"""Prometheus metrics, in a registry of their own.

Where client-go (``workqueue_*``, ``rest_client_*``) or controller-runtime has a metric of the same meaning, its name
and labels are used, so that dashboards and alerts for operators apply here too.
"""

import time
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from voice_operator import __version__
from voice_operator.api.voice_status import Phase
from voice_operator.reconcile.names import Key, KindName
from voice_operator.reconcile.outcomes import Outcome

LATENCY_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)  # seconds
RESULTS = ("success", "error", "requeue_after")
AUDIT_RESULTS = ("written", "failed", "lost")


class Metrics:
    """The operator's metrics; no label has a value that users choose."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("voice_operator_build", "Version of the operator.", registry=self.registry).info({"version": __version__})
        self.queue_depth = self._gauge("workqueue_depth", "Keys that wait for a worker.", "name")
        self.queue_adds = self._counter("workqueue_adds", "Keys added, without those that waited already.", "name")
        self.queue_retries = self._counter("workqueue_retries", "Keys added again after an error.", "name")
        self.queue_duration = self._histogram(
            "workqueue_queue_duration_seconds", "Time from a key's addition to the start of its processing.", "name"
        )
        self.work_duration = self._histogram(
            "workqueue_work_duration_seconds", "Time that the processing of a key takes.", "name"
        )
        self.reconciles = self._counter(
            "controller_runtime_reconcile", "Reconciliations by result.", "controller", "result"
        )
        self.reconcile_panics = self._counter(
            "controller_runtime_reconcile_panics",
            "Reconciliations ended by an unexpected exception.",
            "controller",
        )
        self.reconcile_time = self._histogram(
            "controller_runtime_reconcile_time_seconds", "Duration of a reconciliation.", "controller"
        )
        self.api_requests = self._counter(
            "rest_client_requests",
            "Requests to the API server by verb, resource and HTTP status; <error>: no answer.",
            "verb",
            "resource",
            "code",
        )
        self.api_duration = self._histogram(
            "rest_client_request_duration_seconds", "Duration of a request to the API server.", "verb", "resource"
        )
        self.status_writes = self._counter("voice_operator_status_writes", "Statuses written.", "kind")
        self.stage_attempts = self._counter(
            "voice_operator_stage_attempts",
            "Attempts of stages that ended, by result: Succeeded, or the class of the failure.",
            "stage",
            "result",
        )
        self.gpu_seconds = self._counter(
            "voice_operator_gpu_seconds",
            "GPUs times seconds of all attempts, failed ones too.",
            "stage",
        )
        self.event_to_job_duration = self._histogram(
            "voice_operator_event_to_job_duration_seconds",
            "Time from a watch event about a voice, or about a Job of it, to the creation of its next Job.",
        )
        self.alerts = self._counter(
            "voice_operator_alerts",
            "Alerts by result: sent, retried (an attempt failed), failed (given up), dropped (the queue is full).",
            "target",
            "alert",
            "result",
        )
        self.audit_records = self._counter(
            "voice_operator_audit_records",
            "Acts that were to be recorded, by result: written, failed (an attempt), lost (a record is gone).",
            "result",
        )
        self.audit_pending = self._gauge("voice_operator_audit_pending", "Acts that wait for the audit log.")
        for result in AUDIT_RESULTS:
            self.audit_records.labels(result)
        self._received_at: dict[Key, float] = {}  # time of the first watch event since the last pass
        for kind in get_args(KindName):
            self._initialize(kind)

    def event_received(self, key: Key) -> None:
        """Note the time of a watch event, for ``event_to_job``."""
        self._received_at.setdefault(key, time.monotonic())

    @contextmanager
    def event_to_job(self, key: Key) -> Iterator[Callable[[], None]]:
        """Enclose a pass; its body calls the yielded function when it has created a Job.

        A pass that fails leaves the event's time to the next one.
        """
        received_at = self._received_at.pop(key, None)

        def job_created() -> None:
            if received_at is not None:
                self.event_to_job_duration.observe(time.monotonic() - received_at)

        try:
            yield job_created
        except BaseException:
            if received_at is not None:
                self._received_at[key] = received_at
            raise

    def attempt_ended(self, outcome: Outcome, gpus: int) -> None:
        """Count an attempt of a stage that had ``gpus`` GPUs."""
        self.stage_attempts.labels(outcome.stage, outcome.result).inc()
        if gpus:
            self.gpu_seconds.labels(outcome.stage).inc(gpus * outcome.seconds)

    def watch_voices(self, voices: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Show how many voices there are; ``voices`` returns phase and reason of each, when metrics are scraped."""
        self.registry.register(_Voices(voices))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _initialize(self, kind: KindName) -> None:
        """Create the series of a kind, so that rates exist from the first scrape on."""
        controller = controller_name(kind)
        for metric in (self.queue_depth, self.queue_adds, self.queue_retries, self.queue_duration, self.work_duration):
            metric.labels(controller)
        self.reconcile_panics.labels(controller)
        self.reconcile_time.labels(controller)
        for result in RESULTS:
            self.reconciles.labels(controller, result)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        return Counter(name, description, labels, registry=self.registry)

    def _gauge(self, name: str, description: str, *labels: str) -> Gauge:
        return Gauge(name, description, labels, registry=self.registry)

    def _histogram(self, name: str, description: str, *labels: str) -> Histogram:
        return Histogram(name, description, labels, registry=self.registry, buckets=LATENCY_BUCKETS)


class _Voices(Collector):
    def __init__(self, voices: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._voices = voices

    def collect(self) -> Iterator[Metric]:
        found = Counts(self._voices())
        phases, reasons = dict.fromkeys(get_args(Phase), 0), Counts[str]()
        for (phase, reason), count in found.items():
            phases[phase] = phases.get(phase, 0) + count
            reasons[reason or "Unknown"] += count
        by_phase = GaugeMetricFamily("voice_operator_voices", "VoiceModels by phase.", labels=["phase"])
        for phase, count in phases.items():
            by_phase.add_metric([phase], count)
        yield by_phase
        by_reason = GaugeMetricFamily(
            "voice_operator_voices_by_reason", "VoiceModels by the reason of their condition Ready.", labels=["reason"]
        )
        for reason, count in sorted(reasons.items()):
            by_reason.add_metric([reason], count)
        yield by_reason


def controller_name(kind: KindName) -> str:
    """Return the name of a kind's controller, and of its keys in the work queue, as controller-runtime derives it."""
    return kind.lower()
