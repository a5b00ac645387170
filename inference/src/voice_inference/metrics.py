"""Prometheus metrics, in a registry of their own, so that two servers in one process do not share numbers."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

LATENCY_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)  # seconds
REAL_TIME_FACTOR_BUCKETS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0)
PREFIX = "voice_inference"
MAX_KEYS = 500  # with series of their own
OTHER_KEYS = "other"


class Metrics:
    """The server's metrics; no label has a value that callers choose.

    Those by key are a registry of their own: ids of keys are shown only to who may know them.
    """

    CONTENT_TYPE = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = self._counter("http_requests", "HTTP requests by route and status.", "route", "status")
        self.request_duration = self._histogram(
            "http_request_duration_seconds",
            "Time from the arrival of an HTTP request to the last byte of its answer.",
            "route",
        )
        self.time_to_first_audio = self._histogram(
            "time_to_first_audio_seconds",
            "Time from the arrival of a speech request to its first audio, including the time in the queue.",
        )
        self.audio_seconds = self._counter("audio_seconds", "Seconds of synthesised audio, without pauses.")
        self.segments = self._counter(
            "segments",
            "Synthesised sentences by how their token loop ended: end_token, or max_length without one.",
            "finish_reason",
        )
        self.faults = self._counter(
            "sentence_faults",
            "Attempts at a sentence that were found wanting, by fault; each is tried again, at most twice.",
            "fault",
        )
        self.faulty_segments = self._counter("faulty_segments", "Sentences that kept a fault after all attempts.")
        self.real_time_factor = self._histogram(
            "real_time_factor",
            "Seconds that a sentence took, beside others, per second of its audio.",
            buckets=REAL_TIME_FACTOR_BUCKETS,
        )
        self.steps = self._counter("steps", "Steps of S1, each of which chooses a token of every sentence in it.")
        self.step_rows = self._counter(
            "step_rows", "Sentences in all steps of S1; over the steps: how many are spoken at a time."
        )
        self.speech_requests_in_progress = self._gauge(
            "speech_requests_in_progress", "Speech requests that are spoken or wait for a place."
        )
        self.voices = self._gauge("voices", "Desired voices by state.", "state")
        self.next_revisions = self._gauge(
            "next_revisions", "Revisions to be loaded beside the served ones by state.", "state"
        )
        self.rejected_entries = self._gauge(
            "rejected_entries", "Entries of the desired-voices document in use that are not valid and left out."
        )
        self.adapters_in_memory = self._gauge(
            "adapters_in_memory", "Adapters of voices that are in memory; the others are read when somebody speaks."
        )
        self.adapter_reads = self._counter("adapter_reads", "Adapters that were read from the cache folder again.")
        self.loads = self._counter("voice_loads", "Attempts to load a revision by result: success or error.", "result")
        self.load_duration = self._histogram(
            "voice_load_duration_seconds", "Time to fetch, check and load a revision, of successful attempts."
        )
        self.certificate_ends = self._gauge(
            "certificate_not_after_timestamp_seconds", "When the certificate that serves ends; 0: plain HTTP."
        )
        self.generation = self._gauge("desired_generation", "Generation of the desired-voices document in use.")
        self.by_key = CollectorRegistry()
        self._keys: set[str] = set()
        self._key_requests = self._key_counter("key_requests", "HTTP requests by key and status.", "status")
        self._key_characters = self._key_counter("key_characters", "Characters of spoken texts by key.")
        self._key_audio_seconds = self._key_counter("key_audio_seconds", "Seconds of synthesised audio by key.")

    def render(self, *, by_key: bool = False) -> bytes:
        """Return all metrics in Prometheus' text format, with those ``by_key`` or without."""
        return generate_latest(self.registry) + (generate_latest(self.by_key) if by_key else b"")

    def count_key(self, key: str, status: int, *, characters: int, seconds: float) -> None:
        """Count a request of a key; those after the first MAX_KEYS share one series."""
        if key not in self._keys and len(self._keys) >= MAX_KEYS:
            key = OTHER_KEYS
        self._keys.add(key)
        self._key_requests.labels(key, status).inc()
        self._key_characters.labels(key).inc(characters)
        self._key_audio_seconds.labels(key).inc(seconds)

    def _key_counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, ("key", *labels), registry=self.by_key)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, *labels: str, buckets: tuple[float, ...] = LATENCY_BUCKETS) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)
