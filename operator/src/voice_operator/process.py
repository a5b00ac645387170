"""Wires the parts together and runs them until SIGTERM or SIGINT."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from voice_operator.admission import Admission
from voice_operator.alerts import AlertDispatcher
from voice_operator.audit import AuditLog
from voice_operator.cluster.alert_client import AlertClient
from voice_operator.cluster.credentials import load_credentials
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.lease import LeaderElection
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.pod_trust import PodTrust
from voice_operator.cluster.revocations import Revocations
from voice_operator.cluster.session_keys import session_minter
from voice_operator.cluster.signing import Signing
from voice_operator.cluster.store import Store, open_store
from voice_operator.cluster.watchdog import Watchdog
from voice_operator.controller import Controller, Reconcile
from voice_operator.default_server import keep_default_server
from voice_operator.erasures import ErasureReconciler
from voice_operator.handlers import Enqueuer, watch
from voice_operator.http import application, serve
from voice_operator.metrics import Metrics
from voice_operator.queue import Crew, Priority, WorkQueue, crews, run_worker
from voice_operator.reconcile.names import Key, KindName
from voice_operator.relists import relist_own_kinds
from voice_operator.revisions import RevisionReconciler
from voice_operator.servers import ServerReconciler
from voice_operator.settings import Settings
from voice_operator.voice_lists import VoiceListReconciler
from voice_operator.voices import VoiceReconciler

TRAINING_CREWS = ("general", "large")  # they wait until it is known what was revoked; lists and urgent keys do not


async def run(settings: Settings, identity: str) -> None:
    """Run the operator until SIGTERM or SIGINT; ``identity`` is this replica's name.

    Raises:
        InvalidSettings: the object store's environment is incomplete.
        ClusterError: there are no credentials for an API server.
        LeadershipLost, WatchStalled: the process must begin anew.
        InstallationConflict: another installation works in the same namespaces.
    """
    metrics, namespaces = Metrics(), settings.namespaces
    kube = Kube(load_credentials, metrics)
    store = open_store(settings.storage.uri)
    queue, recorder, watchdog = WorkQueue(metrics), EventRecorder(kube), Watchdog()
    enqueuer = Enqueuer(queue, metrics)
    metrics.watch_voices(lambda: ((one.phase or "Preparing", one.reason) for one in enqueuer.caches.voices.values()))
    store.listings.on_end = lambda owner: queue.add(Key("VoiceModel", *owner), Priority.LOW)
    signing = Signing(enqueuer.caches)
    inference = Inference(enqueuer.caches, signing, PodTrust(settings.inference.ca_file))
    revocations = Revocations(enqueuer.caches, signing, _now)
    enqueuer.on_permission = revocations.note
    minter = session_minter(settings.storage.session_keys, _now)
    cluster = Cluster(kube, enqueuer.caches, store, inference, settings, signing, minter, revocations)
    lists = VoiceListReconciler(cluster, queue, _now)
    alert_client = AlertClient(settings.alerts.targets, settings.storage.ca)
    alerts = AlertDispatcher(settings.alerts, alert_client.post, enqueue=queue.add, metrics=metrics, clock=_now)
    audit = AuditLog(cluster, recorder, enqueue=queue.add, metrics=metrics, clock=_now)
    erasures = ErasureReconciler(cluster, recorder, queue, _now, audit if settings.audit.enabled else None)
    enqueuer.on_deleted, audit.before_served = erasures.on_deleted, erasures.note_served
    reconcilers = _reconcilers(
        cluster, queue, lists, erasures, recorder=recorder, alerts=alerts, audit=audit, metrics=metrics
    )
    controller = Controller(queue, metrics, reconcilers, recorder.record_error)
    listed, has_synced = asyncio.Event(), asyncio.Event()
    election = _election(kube, store, settings, identity)
    leads = _always() if election is None else election.is_leader
    reflectors = enqueuer.caches.reflectors(kube, namespaces, kueue=settings.kueue.enabled)

    async def lead(part: Callable[..., Coroutine[Any, Any, None]], *arguments: Any, **named: Any) -> None:
        await has_synced.wait()
        await leads.wait()
        await signing.load(kube, settings.namespace, settings.signing_key_secret)
        await part(*arguments, **named)

    async def work(crew: Crew) -> None:
        if crew.name in TRAINING_CREWS:
            await revocations.is_loaded.wait()
        await run_worker(queue, controller.reconcile, crew)

    runner = await serve(application(lists, metrics, has_synced, watchdog.check), settings.listen)
    parts: dict[str, Coroutine[Any, Any, None]] = {
        "watches": watch(enqueuer.caches, watchdog, namespaces),
        "relists": relist_own_kinds(
            kube, enqueuer, watchdog, namespaces, seconds=settings.resync_seconds, has_synced=listed
        ),
        "watchdog": watchdog.run(),
        "sync": _sync((listed, *(reflector.has_synced for reflector in reflectors)), has_synced),
        "alerts": alerts.run(),
        "sweeps": lead(erasures.sweep),
        "audit": audit.run(),
        "default server": lead(keep_default_server, kube, settings.default_server, seconds=settings.resync_seconds),
        "revocations": lead(revocations.run, kube, settings.namespace, settings.revocations_secret),
    }
    parts |= {f"reflector {number}": one.run(settings.resync_seconds) for number, one in enumerate(reflectors)}
    for crew in crews(settings.workers):
        for number in range(crew.size):
            parts[f"{crew.name} worker {number}"] = lead(work, crew)
    if election is not None:
        parts["election"] = election.run()
    first: list[Callable[[], Coroutine[Any, Any, None]]] = [
        store.finish,
        partial(revocations.finish, kube, settings.namespace, settings.revocations_secret),
        *(() if election is None else (election.release,)),
    ]
    try:
        await _run_until_one_ends(parts)
    finally:
        queue.shut_down()
        await runner.cleanup()
        for close in (*first, alert_client.close, inference.close, kube.close):
            await close()
        cluster.close()


def _election(kube: Kube, store: Store, settings: Settings, identity: str) -> LeaderElection | None:
    """Return what lets one of several replicas work, and fences the others off; None: this process works alone."""
    if not settings.lease_name:
        return None
    election = LeaderElection(
        kube,
        namespace=settings.namespace,
        name=settings.lease_name,
        identity=identity,
        namespaces=settings.namespaces,
    )
    kube.fence = store.fence = election.fence
    return election


async def _sync(parts: Iterable[asyncio.Event], has_synced: asyncio.Event) -> None:
    """Set ``has_synced`` once all parts are."""
    for part in parts:
        await part.wait()
    has_synced.set()
    await asyncio.Event().wait()


def _always() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _reconcilers(
    cluster: Cluster,
    queue: WorkQueue,
    lists: VoiceListReconciler,
    erasures: ErasureReconciler,
    *,
    recorder: EventRecorder,
    alerts: AlertDispatcher,
    audit: AuditLog,
    metrics: Metrics,
) -> dict[KindName, Reconcile]:
    """Return what brings the objects of each kind a step further."""
    recorded = audit if cluster.settings.audit.enabled else None
    voices = VoiceReconciler(
        cluster=cluster,
        recorder=recorder,
        admission=Admission(cluster.settings.max_concurrent_trainings, queue.add),
        alerts=alerts,
        erasures=erasures,
        metrics=metrics,
        clock=_now,
        audit=recorded,
    )
    return {
        "VoiceModel": voices.reconcile,
        "VoiceServer": ServerReconciler(cluster, lists, queue, metrics, _now).reconcile,
        "VoiceRevision": RevisionReconciler(cluster, recorder).reconcile,
        "VoiceList": lists.reconcile,
        "VoiceFolder": erasures.reconcile,
    }


async def _run_until_one_ends(parts: dict[str, Coroutine[Any, Any, None]]) -> None:
    """Run all parts; the watches end on a signal, and if any other part ends, the process must not go on without it."""
    tasks = [asyncio.create_task(part, name=name) for name, part in parts.items()]
    try:
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _now() -> datetime:
    return datetime.now(UTC)
