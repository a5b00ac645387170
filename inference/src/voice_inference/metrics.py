"""What Prometheus can read; one registry per server, so that two servers in one process do not share numbers."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0)
REAL_TIME_FACTORS = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 4.0)


class Metrics:
    """The server's counters; no label has a value that callers choose."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "voice_requests", "HTTP requests by route and status.", ("route", "status"), registry=self.registry
        )
        self.request_seconds = Histogram(
            "voice_request_seconds",
            "Time from a request's arrival to the last byte of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first_audio_seconds = Histogram(
            "voice_first_audio_seconds",
            "Time from a speech request's arrival to its first audio, waiting included.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.audio_seconds = Counter("voice_audio_seconds", "Seconds of audio spoken.", registry=self.registry)
        self.real_time_factor = Histogram(
            "voice_real_time_factor",
            "Seconds of work for one second of audio, by sentence.",
            buckets=REAL_TIME_FACTORS,
            registry=self.registry,
        )
        self.segments = Counter(
            "voice_inference_segments",
            "Synthesised sentences by how their token loop ended: end_token, or max_length without one.",
            ("finish_reason",),
            registry=self.registry,
        )
        self.queue_depth = Gauge("voice_queue_depth", "Speech requests running or waiting.", registry=self.registry)
        self.voices = Gauge("voice_voices", "Desired voices by state.", ("state",), registry=self.registry)
        self.loads = Counter("voice_loads", "Attempts to load a voice by result.", ("result",), registry=self.registry)
        self.load_seconds = Histogram(
            "voice_load_seconds", "Time to fetch, check and load one voice.", buckets=SECONDS, registry=self.registry
        )
        self.generation = Gauge(
            "voice_desired_generation", "Generation of the desired voices that is followed.", registry=self.registry
        )

    def render(self) -> bytes:
        """Return all numbers in Prometheus' text format."""
        return generate_latest(self.registry)
