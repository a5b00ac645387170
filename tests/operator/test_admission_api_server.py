"""A limit on trainings against a real API server: who waits says so, and a free slot is taken at once."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import yaml

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

VOICES = ("first", "second", "third")


@pytest.fixture(scope="module")
def limited(scene: Any) -> Iterator[Any]:
    """The operator with a single slot."""
    config = scene.operator.config.read_text()
    assert scene.operator.stop() == 0
    scene.operator.config.write_text(yaml.safe_dump(yaml.safe_load(config) | {"maxConcurrentTrainings": 1}))
    scene.operator.start()
    yield scene
    for name in VOICES:
        scene.user.delete("voicemodel", name)
    scene.wait("the Jobs to go", lambda: not any(map(scene.user.jobs, VOICES)), seconds=60)
    assert scene.operator.stop() == 0
    scene.operator.config.write_text(config)
    scene.operator.start()


def place(scene: Any, voice: str) -> str:
    ready = scene.user.condition(voice, "Ready")
    return str(ready["message"]) if ready["reason"] == "WaitingForSlot" else ""


def test_one_training_at_a_time(limited: Any) -> None:
    scene, user = limited, limited.user
    for name in VOICES:
        scene.apply(name)
        scene.finish(name, "prepare")
        scene.wait("its turn or its place", lambda name=name: place(scene, name) or len(user.jobs(name)) > 1)
    train = scene.reach_job("first", "train")
    assert place(scene, "second") == (
        "train is number 1 in line for a slot: 1 of 1 are taken (chart value operator.maxConcurrentTrainings)"
    )
    assert place(scene, "third").startswith("train is number 2 in line")
    assert user.status("second")["phase"] == "Training"

    scene.trainer.commit("first", "train")
    scene.kubelet.end(train)
    evaluate = scene.reach_job("first", "evaluate")
    time.sleep(2)
    assert len(user.jobs("second")) == 1, "what has been trained is evaluated before another training starts"

    scene.finish("first", "evaluate", passed=True, scores={"pesq": "3.9"})
    started = scene.reach_job("second", "train")
    ended = user.get("job", evaluate)["status"]["completionTime"]
    began = user.get("job", started)["metadata"]["creationTimestamp"]
    assert datetime.fromisoformat(began) - datetime.fromisoformat(ended) <= timedelta(seconds=10), (
        "by its end, not by a resync"
    )

    user.delete("voicemodel", "second")
    scene.reach_job("third", "train")
