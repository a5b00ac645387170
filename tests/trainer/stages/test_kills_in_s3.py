"""SIGKILL at random moments of stages in pods, over a real S3: what is visible is whole, and the end is the same voice.

`make test-faults` kills three times, from stage train on; `make test-kills` twenty, and says when each of them came.
"""

import json
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from tests.support.s3_server import environment_of, s3_server
from tests.support.trainer_process import killed_after

from voice_store import NotFound, Store, open_store

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("VOICE_TEST_KILLS", "3"))
TIMED = {"voice.json", "provenance.json", "report.json", "report.html"}  # have times in them
STAGES = ("prepare", "features", "train", "evaluate", "publish")
IMPORT_SECONDS = 3.0
BUCKET = "s3://voices"
WORKSPACE, REVISION = "studio/alice/input", "studio/alice/revisions/alice-3fa9c2d1"


@pytest.fixture
def environment(tool: Callable[[str], Path], tmp_path: Path) -> Iterator[dict[str, str]]:
    for bucket in ("voices", "reference"):
        (tmp_path / "buckets" / bucket).mkdir(parents=True)
    with s3_server(tool("versitygw"), tmp_path / "buckets") as port:
        yield os.environ | environment_of(port) | {"OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}


@pytest.fixture
def pod(
    job_document: dict[str, Any], spoken_dataset: Path, environment: dict[str, str], tmp_path: Path
) -> Callable[..., bool]:
    """Run stages in a process that has nothing but the store; returns whether it ended before it was killed."""
    job_document["dataset"]["uri"] = spoken_dataset.as_uri()
    job_document["training"]["epochs"] = 4

    def run(bucket: str, stages: str, seconds: float = 900.0) -> bool:
        job_document["store"] = {"workspace": f"{bucket}/{WORKSPACE}", "revision": f"{bucket}/{REVISION}"}
        (tmp_path / "job.json").write_text(json.dumps(job_document))
        words = ["run", "--job", str(tmp_path / "job.json"), "--stages", stages]
        log = environment | {"VOICE_TERMINATION_LOG": str(tmp_path / "termination-log")}
        return not killed_after(seconds, words, log)

    return run


def whole(store: Store, folder: str) -> dict[str, Any] | None:
    """What the manifest of a folder lists, held against the store; None: there is no manifest."""
    try:
        manifest: dict[str, Any] = json.loads(store.read(f"{folder}/manifest.json"))
    except NotFound:
        return None
    for name, expected in manifest["files"].items():
        data = store.read(f"{folder}/{name}")
        assert {"sha256": sha256(data).hexdigest(), "size": len(data)} == expected, f"{folder}/{name}"
    return manifest


def committed(store: Store) -> dict[str, bytes]:
    """The manifests of the stages that are done; whatever is visible is whole."""
    done: dict[str, bytes] = {}
    for stage in STAGES:
        with suppress(NotFound):
            done[stage] = store.read(f"{WORKSPACE}/{stage}/manifest.json")
            whole(store, f"{WORKSPACE}/{stage}")
    assert ("publish" not in done) or whole(store, REVISION) is not None, "done before the bundle is whole"
    whole(store, REVISION)
    return done


def published(store: Store) -> dict[str, Any]:
    """What the bundle holds, without what has times in it."""
    manifest = whole(store, REVISION)
    assert manifest is not None
    return {name: digest for name, digest in manifest["files"].items() if name not in TIMED}


def test_pods_that_are_killed_again_and_again_publish_the_same_voice(
    pod: Callable[..., bool], environment: dict[str, str]
) -> None:
    reference, store = (open_store(bucket, environment) for bucket in ("s3://reference", BUCKET))
    assert pod("s3://reference", "prepare,features")
    begun = time.monotonic()
    assert pod("s3://reference", "train,evaluate,publish")
    unbroken = time.monotonic() - begun
    expected = published(reference)
    assert "adapter_model.safetensors" in expected

    rng, kills, before = random.Random(11), 0, dict[str, bytes]()  # noqa: S311 -- repeatable moments
    if KILLS <= 3:
        assert pod(BUCKET, "prepare,features")
        before = committed(store)
    while kills < KILLS:
        moment = rng.uniform(IMPORT_SECONDS, unbroken)
        killed = not pod(BUCKET, ",".join(STAGES), moment)
        after = committed(store)
        print(f"{'a kill' if killed else 'the end'} after {moment:.1f} s: done are {', '.join(after)}")  # noqa: T201 -- `-s` shows it
        assert before.items() <= after.items(), "no committed stage is done again"
        before, kills = after, kills + killed
        if not killed:
            assert published(store) == expected
            store.delete_all([entry.key for entry in store.entries()])
            before = {}
    assert pod(BUCKET, ",".join(STAGES))
    assert published(store) == expected
    assert before.items() <= committed(store).items()
