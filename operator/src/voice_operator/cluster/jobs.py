"""Reads a Job, its pods and their Events: running, waiting (and why), being deleted, succeeded or failed (and why)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import cast, get_args

from voice_operator.api.voice_model import Capacity
from voice_operator.api.voice_status import STAGES, StageName
from voice_operator.cluster.failed import failure_of, report_of
from voice_operator.cluster.kube import Object
from voice_operator.cluster.pods import age, moment, phase, status_of, true_condition
from voice_operator.cluster.waiting import unscheduled_since, until_unexplained, waiting_for
from voice_operator.cluster.workloads import QueueState, observed_workload, why_waiting
from voice_operator.manifests import labels
from voice_operator.reconcile.observed import ObservedJob, Problem

NO_WORKLOAD_SECONDS = 15.0  # Kueue makes one within a second


def observed_job(
    job: Object,
    pods: Iterable[Object],
    events: Iterable[Object],
    queue: QueueState | None = None,
    *,
    input_hash: str | None,
    now: datetime,
) -> ObservedJob | None:
    """Read a stage Job; None for a Job that has our label but is no stage Job.

    ``events`` are those of the object that ``waiting.unexplained`` names, ``queue`` is what Kueue says of the Job.
    """
    observed = _identity(job, queue, input_hash)
    if observed is None:
        return None
    pods = list(pods)
    if true_condition(job, "Complete"):
        return replace(observed, state="Succeeded", report=report_of(pods))
    if failed := true_condition(job, "Failed"):
        return replace(observed, state="Failed", failure=failure_of(job, failed, pods))
    if job["metadata"].get("deletionTimestamp"):
        since = moment(job["metadata"]["deletionTimestamp"])
        return replace(observed, state="Deleting", deleting_since=since, held_by=tuple(_finalizers(job, pods)))
    if observed.suspended and (observed.queued or not observed.held):
        missing = queue is not None and queue.workload is None and age(job, now) <= NO_WORKLOAD_SECONDS
        due = NO_WORKLOAD_SECONDS - age(job, now) + 1 if missing else None
        return replace(observed, waiting=_why_suspended(observed, queue, job, now), next_check=due)
    return replace(
        observed,
        waiting=waiting_for(pods, events, now),
        started=any(phase(pod) != "Pending" for pod in pods),
        unscheduled_since=unscheduled_since(pods),
        next_check=until_unexplained(job, pods, now) or None,
    )


def _why_suspended(observed: ObservedJob, queue: QueueState | None, job: Object, now: datetime) -> Problem | None:
    """Return why a Job is suspended that the operator does not resume; None: Kueue is about to."""
    metadata = job["metadata"]
    if queue is not None and queue.workload is not None:
        return why_waiting(queue.workload, queue.number)
    if observed.queued and queue is not None and age(job, now) > NO_WORKLOAD_SECONDS:
        name = metadata["labels"].get(labels.PRIORITY_CLASS)
        known = f", and whether there is a WorkloadPriorityClass {name}" if name else ""
        return Problem("WorkloadMissing", f"Kueue has made no Workload of the Job; see whether Kueue runs{known}")
    if observed.queued:
        return Problem("Queued", "the Job waits in its queue")
    where = f"{metadata['name']} -n {metadata['namespace']}"
    resume = f'kubectl patch job {where} --type merge -p \'{{"spec":{{"suspend":false}}}}\''
    return Problem("JobSuspended", f"somebody suspended it; to let it go on: {resume}")


def is_finished(job: Object) -> bool:
    """Return whether the Job has succeeded or failed."""
    return bool(true_condition(job, "Complete") or true_condition(job, "Failed"))


def _identity(job: Object, queue: QueueState | None, input_hash: str | None) -> ObservedJob | None:
    metadata, spec = job["metadata"], job.get("spec") or {}
    job_labels = metadata.get("labels") or {}
    stage, attempt = job_labels.get(labels.STAGE), str(job_labels.get(labels.ATTEMPT, ""))
    if stage not in STAGES or not attempt.isdecimal():
        return None
    hash_label, capacity = job_labels.get(labels.INPUT_HASH, ""), job_labels.get(labels.CAPACITY)
    annotations = metadata.get("annotations") or {}
    workload = None if queue is None else queue.workload
    return ObservedJob(
        name=metadata["name"],
        stage=cast("StageName", stage),
        attempt=int(attempt),
        input_hash=input_hash if input_hash and hash_label == input_hash[: labels.LABEL_LENGTH] else hash_label,
        suspended=bool(spec.get("suspend")),
        held=labels.SUSPENDED in annotations,
        queued=labels.QUEUE_NAME in job_labels or workload is not None,
        workload=None if workload is None else observed_workload(workload),
        capacity=cast("Capacity", capacity) if capacity in get_args(Capacity) else None,
        evaluation_hash=annotations.get(labels.EVALUATION_HASH, ""),
        template_hash=annotations.get(labels.TEMPLATE_HASH, ""),
        started_at=status_of(job).get("startTime"),
        created_at=moment(metadata.get("creationTimestamp")),
    )


def _finalizers(job: Object, pods: Iterable[Object]) -> Iterable[str]:
    yield from job["metadata"].get("finalizers") or ()
    for pod in pods:
        for finalizer in pod["metadata"].get("finalizers") or ():
            yield f"{finalizer} of pod {pod['metadata']['name']}"
