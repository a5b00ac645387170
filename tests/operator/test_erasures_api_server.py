"""Deletion beside a real API server: at any moment, and while no operator runs."""

import random
import time
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SEED = 20261129
SCORES = {"pesq": "3.9", "stoi": "0.91"}
STEPS = ("prepare", "train", "evaluate", "ready")  # the moments that tests/faults/test_erasures.py has twenty of
GONE_SECONDS = 60


def files_of(scene: Any, voice: str) -> list[Path]:
    folder = scene.trainer.store / "operator-tests" / voice
    return [path for path in folder.rglob("*") if path.is_file()]


def live_until(scene: Any, voice: str, step: str) -> None:
    """Let the voice live until the Job of a step runs and has written something, or until it is served."""
    scene.apply(voice)
    for stage in STEPS[: STEPS.index(step)]:
        if stage == "evaluate":
            scene.finish(voice, stage, passed=True, scores=SCORES)
        else:
            scene.finish(voice, stage)
    if step == "ready":
        scene.wait_until_ready(voice)
    else:
        scene.kubelet.run(scene.reach_job(voice, step))
        scene.trainer.progress(voice, step, 40)


def test_a_voice_that_is_deleted_at_any_moment_leaves_nothing(scene: Any) -> None:
    steps = random.Random(SEED).sample(STEPS, 3)  # noqa: S311 -- no secret
    voices = [f"mortal{number}" for number in range(len(steps))]
    for step, voice in zip(steps, voices, strict=True):
        live_until(scene, voice, step)
        assert files_of(scene, voice)
    for voice in voices:
        scene.user.delete("voicemodel", voice)
    for voice in voices:
        scene.wait("the files to go", lambda: not files_of(scene, voice), seconds=GONE_SECONDS)  # noqa: B023
        late = scene.trainer.store / "operator-tests" / voice / ("f" * 64) / "train" / "late"
        late.parent.mkdir(parents=True)
        late.write_bytes(b"written by a pod that is cut off")
    for voice in voices:
        tombstone = scene.trainer.store / "_erased" / "operator-tests" / f"{voice}.json"
        scene.wait("the tombstone", tombstone.exists, seconds=GONE_SECONDS)
        assert files_of(scene, voice) == [], "what came late is gone too"
        marker = scene.trainer.store / "_voices" / "operator-tests" / f"{voice}.json"
        scene.wait("the marker to go, which is removed after it", lambda: not marker.exists())  # noqa: B023
        assert not scene.user.exists("voicemodel", voice)


def test_a_voice_that_is_made_anew_at_once_gets_nothing_of_the_earlier_one(scene: Any) -> None:
    """Whether the garbage collector or the operator is first."""
    live_until(scene, "anew", "ready")
    old = scene.user.get("vrev", scene.user.status("anew")["activeRevision"])
    digests = {path.name: path.stat().st_ino for path in files_of(scene, "anew")}
    assert digests
    scene.user.delete("voicemodel", "anew")
    scene.apply("anew")
    present = scene.user.get("voicemodel", "anew")["metadata"]["uid"]

    def owned_by_the_present_one() -> bool:
        if not scene.user.exists("vrev", old["metadata"]["name"]):
            return False
        found = scene.user.get("vrev", old["metadata"]["name"])["metadata"]
        assert found["uid"] == old["metadata"]["uid"]
        return present in {owner["uid"] for owner in found["ownerReferences"]}

    def has_begun_anew() -> bool:
        assert not owned_by_the_present_one()
        assert "anew" not in scene.served()
        assert not scene.user.status("anew").get("activeRevision")
        jobs = scene.user.objects("jobs", "voice.sovits.dev/voice-model=anew")
        return any(present in {owner["uid"] for owner in job["metadata"]["ownerReferences"]} for job in jobs)

    scene.wait("the first Job", has_begun_anew, seconds=GONE_SECONDS)
    assert not scene.user.exists("vrev", old["metadata"]["name"])
    assert not [path for path in files_of(scene, "anew") if path.stat().st_ino in digests.values()]


def test_nothing_waits_for_an_operator_that_is_gone_and_the_next_one_erases(scene: Any) -> None:
    live_until(scene, "orphan", "ready")
    revision = scene.user.status("orphan")["activeRevision"]
    assert scene.operator.stop() == 0
    try:
        started = time.monotonic()
        scene.user.delete("voicemodel", "orphan")
        scene.wait("the voice to go", lambda: not scene.user.exists("voicemodel", "orphan"))
        scene.wait("its revision to go", lambda: not scene.user.exists("voicerevision", revision), seconds=60)
        assert time.monotonic() - started < 60
        assert files_of(scene, "orphan")
    finally:
        scene.operator.start()
    scene.wait("the files to go", lambda: not files_of(scene, "orphan"), seconds=GONE_SECONDS)
