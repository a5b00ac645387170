"""Wires the parts together and runs them until SIGTERM or SIGINT."""

import asyncio
import contextlib
from datetime import UTC, datetime

import kopf

from voice_operator.admission import Admission
from voice_operator.cluster.credentials import load_credentials
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.controller import Controller
from voice_operator.handlers import register
from voice_operator.http import application, serve
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue, run_worker
from voice_operator.resync import resync
from voice_operator.revisions import RevisionReconciler
from voice_operator.servers import ServerReconciler
from voice_operator.settings import Settings
from voice_operator.voices import VoiceReconciler


async def run(settings: Settings) -> None:
    """Run the operator until SIGTERM or SIGINT.

    Raises:
        InvalidSettings: the object store's environment is incomplete.
        ClusterError: there are no credentials for an API server.
    """
    metrics = Metrics()
    kube = Kube(load_credentials, metrics)
    store = open_store(settings.storage.uri)
    inference = Inference(kube)
    cluster = Cluster(kube, store, inference, settings)
    queue, recorder, has_synced = WorkQueue(metrics), EventRecorder(kube), asyncio.Event()
    servers = ServerReconciler(cluster, queue, metrics, _now)
    admission = Admission(settings.max_concurrent_trainings, queue.add)
    voices = VoiceReconciler(
        cluster=cluster, servers=servers, recorder=recorder, admission=admission, metrics=metrics, clock=_now
    )
    revisions = RevisionReconciler(cluster, recorder, _now)
    controller = Controller(
        queue,
        metrics,
        {"VoiceModel": voices.reconcile, "VoiceServer": servers.reconcile, "VoiceRevision": revisions.reconcile},
        recorder.record_error,
    )
    registry = kopf.OperatorRegistry()
    register(registry, queue, servers, metrics, namespaced=bool(settings.namespaces))
    runner = await serve(application(servers, metrics, has_synced), settings.listen)
    namespaces = settings.namespaces
    kopf_task = asyncio.create_task(
        kopf.operator(registry=registry, standalone=True, clusterwide=not namespaces, namespaces=namespaces),
        name="kopf",
    )
    tasks = [
        kopf_task,
        asyncio.create_task(resync(kube, queue, namespaces, settings.resync_seconds, has_synced), name="resync"),
        *(
            asyncio.create_task(run_worker(queue, controller.reconcile), name=f"worker {number}")
            for number in range(settings.workers)
        ),
    ]
    try:
        # kopf ends on a signal; if any other part ends, the process must not go on without it.
        finished, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        queue.shut_down()
        await runner.cleanup()
        await inference.close()
        store.close()
        await kube.close()


def _now() -> datetime:
    return datetime.now(UTC)
