"""The server's parts, built once from its settings."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from voice_inference.access.callers import Limits
from voice_inference.access.gate import Gate, TokenVerifier
from voice_inference.access.key_folder import KeyFolder
from voice_inference.access.meters import Meters
from voice_inference.access.oidc import OidcTokens
from voice_inference.access.service_accounts import ServiceAccountTokens
from voice_inference.api.certificate import ServerCertificate
from voice_inference.api.sample_service import SampleService
from voice_inference.api.speech_service import SpeechService
from voice_inference.bundles.adapters import AdapterCache
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.voice import MIB
from voice_inference.engine.engine import Engine
from voice_inference.engine.provenance import Signer
from voice_inference.engine.watermark import Watermark
from voice_inference.engine.workers import Workers
from voice_inference.metrics import Metrics
from voice_inference.settings import Settings
from voice_inference.tracing import Tracing
from voice_inference.voices.registry import VoiceRegistry
from voice_inference.voices.seals import Seals
from voice_inference.voices.sources import FileSource, NewestSource, OperatorSource, Source
from voice_inference.voices.syncer import Syncer


@dataclass(frozen=True)
class Services:
    """The parts that routes use, and the syncer that the app runs."""

    registry: VoiceRegistry
    speech: SpeechService
    samples: SampleService
    metrics: Metrics
    workers: Workers
    syncer: Syncer
    settings: Settings
    gate: Gate
    meters: Meters
    clock: Callable[[], datetime]
    certificate: ServerCertificate | None
    tracing: Tracing
    ending: asyncio.Event = field(default_factory=asyncio.Event)  # set: sessions of WebSockets come to their end


def now() -> datetime:
    """Return the time in UTC."""
    return datetime.now(UTC)


def build_services(settings: Settings, clock: Callable[[], datetime] = now) -> Services:
    """Build all parts; nothing runs yet, and no voice is read. The clock tells which consents have ended.

    Raises:
        InvalidSettings: a mounted file that a setting names cannot be used.
    """
    metrics = Metrics()
    registry = VoiceRegistry(metrics, clock, bare_names=settings.bare_names)
    workers = Workers(threads=settings.batch, queue=settings.queue, metrics=metrics)
    seals = Seals(settings.public_key) if settings.public_key else None
    sources: list[Source] = []  # the operator first: its answer is fresher than a file of the same generation
    files = FileSource(settings.voices, seals) if settings.voices else None
    if settings.operator_url:
        sources.append(OperatorSource(settings.operator_url, seals, files.token if files else str))
    if files:
        sources.append(files)
    adapter_limit = settings.max_adapter_mib * MIB
    loader = Loader(
        settings.cache,
        threads=settings.threads_per_worker,
        adapter_limit=adapter_limit,
        step_bits=settings.step_bits,
        adapters=AdapterCache(settings.adapter_memory_mib * MIB, metrics),
    )
    syncer = Syncer(NewestSource(sources), loader, registry, metrics, poll_seconds=settings.poll_seconds)
    speech = SpeechService(
        registry,
        Engine(metrics, batch=settings.batch, lanes=settings.workers),
        workers,
        metrics,
        settings.aliases,
        verify=settings.verify,
        signer=Signer(settings.c2pa) if settings.c2pa else None,
        signed=settings.c2pa_formats,
        watermark=Watermark(settings.watermark, threads=settings.threads_per_worker) if settings.watermark else None,
    )
    limits = Limits(
        requests_per_minute=settings.key_requests_per_minute,
        concurrency=settings.key_concurrency,
        characters_per_minute=settings.key_characters_per_minute,
        characters_per_day=settings.key_characters_per_day,
    )
    gate = Gate(
        clock,
        keys=KeyFolder(settings.keys) if settings.keys else None,
        verifiers=_verifiers(settings, limits),
        operator=seals.key if seals else None,
        limits=limits,
    )
    certificate = ServerCertificate(settings.tls, metrics) if settings.tls else None
    meters, tracing = Meters(clock), Tracing(os.environ)
    samples = SampleService(loader, speech)
    return Services(
        registry, speech, samples, metrics, workers, syncer, settings, gate, meters, clock, certificate, tracing
    )


def _verifiers(settings: Settings, limits: Limits) -> list[TokenVerifier]:
    """Return who knows the holders of tokens."""
    found: list[TokenVerifier] = []
    if settings.oidc_issuer:
        claim, voices = settings.oidc_claim, settings.oidc_voices
        found.append(OidcTokens(settings.oidc_issuer, settings.oidc_audience, claim, voices, limits))
    if settings.token_review:
        credentials, audience = settings.api_credentials, settings.token_audience
        found.append(ServiceAccountTokens(settings.api_server, credentials, audience, limits))
    return found
