"""Each metric counts the event that it is named after."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from voice_operator.controller import Controller
from voice_operator.errors import OperatorError, StoreError
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue, run_worker
from voice_operator.reconcile.names import Key

ALICE = Key("VoiceModel", "studio", "alice")


def value(metrics: Metrics, name: str, /, **labels: str) -> float:
    families = text_string_to_metric_families(metrics.render().decode())
    found = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


def reconcile_once(outcome: Callable[[Key], Awaitable[float | None]]) -> Metrics:
    """One key through queue, worker and controller."""
    metrics = Metrics()

    async def ignore(_: Key, __: OperatorError) -> None:
        """No API server is here to record an Event."""

    async def scenario() -> None:
        queue = WorkQueue(metrics)
        controller = Controller(queue, metrics, {"VoiceModel": outcome}, ignore)
        worker = asyncio.create_task(run_worker(queue, controller.reconcile))
        queue.add(ALICE)
        assert value(metrics, "workqueue_depth", name="voicemodel") == 1
        await asyncio.sleep(0.05)
        assert not worker.done(), "no error ends a worker"
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        queue.shut_down()

    asyncio.run(asyncio.wait_for(scenario(), timeout=5))
    return metrics


async def succeed(_: Key) -> None:
    await asyncio.sleep(0.01)


async def wait(_: Key) -> float:
    return 60.0


async def fail(_: Key) -> None:
    raise StoreError("no answer")


async def crash(_: Key) -> None:
    raise ValueError("a bug")


@pytest.mark.parametrize(
    ("outcome", "result", "retries", "panics"),
    [
        pytest.param(succeed, "success", 0, 0, id="a pass that is done"),
        pytest.param(wait, "requeue_after", 0, 0, id="a pass that wants another one later"),
        pytest.param(fail, "error", 1, 0, id="a dependency that failed"),
        pytest.param(crash, "error", 1, 1, id="a bug"),
    ],
)
def test_a_pass_is_counted(
    outcome: Callable[[Key], Awaitable[float | None]], result: str, retries: int, panics: int
) -> None:
    metrics = reconcile_once(outcome)
    assert value(metrics, "controller_runtime_reconcile_total", controller="voicemodel") == 1
    assert value(metrics, "controller_runtime_reconcile_total", controller="voicemodel", result=result) == 1
    assert value(metrics, "controller_runtime_reconcile_panics_total") == panics
    assert value(metrics, "controller_runtime_reconcile_time_seconds_count", controller="voicemodel") == 1
    assert value(metrics, "workqueue_adds_total", name="voicemodel") == 1
    assert value(metrics, "workqueue_retries_total", name="voicemodel") == retries
    assert value(metrics, "workqueue_depth", name="voicemodel") == 0
    assert value(metrics, "workqueue_queue_duration_seconds_count", name="voicemodel") == 1
    assert value(metrics, "workqueue_work_duration_seconds_count", name="voicemodel") == 1


def test_durations_are_those_of_the_pass() -> None:
    metrics = reconcile_once(succeed)
    work = value(metrics, "workqueue_work_duration_seconds_sum", name="voicemodel")
    assert 0.01 <= value(metrics, "controller_runtime_reconcile_time_seconds_sum", controller="voicemodel") <= work
    assert value(metrics, "workqueue_queue_duration_seconds_sum", name="voicemodel") > 0


EVENT_TO_JOB = "voice_operator_event_to_job_duration_seconds_count"


def test_a_job_counts_from_the_event_that_led_to_it() -> None:
    metrics = Metrics()
    metrics.event_received(ALICE)
    with metrics.event_to_job(ALICE) as job_created:
        job_created()
    assert value(metrics, EVENT_TO_JOB) == 1
    with metrics.event_to_job(ALICE) as job_created:
        job_created()
    assert value(metrics, EVENT_TO_JOB) == 1, "a poll is no event"


def test_a_failed_pass_does_not_forget_the_event() -> None:
    metrics = Metrics()
    metrics.event_received(ALICE)
    with pytest.raises(StoreError), metrics.event_to_job(ALICE):
        raise StoreError("no answer")
    with metrics.event_to_job(ALICE) as job_created:
        job_created()
    assert value(metrics, EVENT_TO_JOB) == 1
