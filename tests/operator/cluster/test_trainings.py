"""Which Jobs count as running trainings."""

from typing import Any

import pytest

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.trainings import running_trainings
from voice_operator.reconcile.names import Key

VOICE = Key("VoiceModel", "studio", "alice")


def a_job(*, suspend: bool = False, **conditions: str) -> dict[str, Any]:
    found = [{"type": kind, "status": status} for kind, status in conditions.items()]
    metadata = {
        "namespace": "studio",
        "name": "j",
        "resourceVersion": "1",
        "labels": {"voice.sovits.dev/voice-model": "alice"},
    }
    return {"metadata": metadata, "spec": {"suspend": suspend}, "status": {"conditions": found}}


def running(job: dict[str, Any], stage: str = "train") -> frozenset[Key]:
    job["metadata"]["labels"]["voice.sovits.dev/stage"] = stage
    caches = Caches()
    caches.jobs.update(job)
    return running_trainings(caches)


@pytest.mark.parametrize(
    ("job", "counts"),
    [
        pytest.param(a_job(), True, id="one that runs"),
        pytest.param(a_job(SuccessCriteriaMet="True"), True, id="one whose pod is ending"),
        pytest.param(a_job(Failed="False"), True, id="one that has not failed"),
        pytest.param(a_job(Complete="True"), False, id="none that is complete"),
        pytest.param(a_job(Failed="True"), False, id="none that has failed"),
        pytest.param(a_job(suspend=True), False, id="none that is suspended"),
    ],
)
def test_a_training_counts(job: dict[str, Any], counts: bool) -> None:
    assert running(job) == ({VOICE} if counts else set())


def test_evaluations_count_and_preparations_do_not() -> None:
    assert running(a_job(), "evaluate") == {VOICE}
    assert running(a_job(), "prepare") == set()
