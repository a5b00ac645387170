"""The server's parts, made once from its settings."""

from __future__ import annotations

from dataclasses import dataclass

from voice_inference.api.speech_service import Speaker
from voice_inference.bundles.loader import Loader
from voice_inference.engine.engine import Engine
from voice_inference.engine.workers import Workers
from voice_inference.metrics import Metrics
from voice_inference.settings import Settings
from voice_inference.voices.desired import FileSource, NewestOf, OperatorSource
from voice_inference.voices.registry import Voices
from voice_inference.voices.syncer import Agent


@dataclass(frozen=True)
class Services:
    """What routes may use, and what the app runs beside them."""

    voices: Voices
    speaker: Speaker
    metrics: Metrics
    workers: Workers
    agent: Agent


def build_services(settings: Settings) -> Services:
    """Make all parts; nothing runs and nothing is read yet."""
    metrics = Metrics()
    voices = Voices(metrics)
    workers = Workers(threads=settings.workers, queue=settings.queue, metrics=metrics)
    sources: list[FileSource | OperatorSource] = []
    if settings.voices:
        sources.append(FileSource(settings.voices))
    if settings.operator_url:
        sources.append(OperatorSource(settings.operator_url))
    loader = Loader(settings.cache, threads=settings.threads_per_worker)
    agent = Agent(NewestOf(tuple(sources)), loader, voices, metrics, poll_seconds=settings.poll_seconds)
    speaker = Speaker(voices, Engine(metrics), workers, metrics)
    return Services(voices, speaker, metrics, workers, agent)
