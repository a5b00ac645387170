"""Voices are deleted at any moment, in a bucket that keeps versions: nothing is left, and it is recorded once."""

import json
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.faults.bucket import Bucket
from tests.faults.lab import Lab
from tests.faults.s3_proxy import Crash
from tests.support.s3_server import environment_of, keep_versions, s3_server, versions_of
from tests.support.waiting import wait_for

from voice_operator.erasures import SETTLE_SECONDS
from voice_store import StoreError, open_store

pytestmark = [pytest.mark.faults, pytest.mark.cluster, pytest.mark.slow]

SEED = 20261129
MOMENTS = 20
LIFE_SECONDS = 10.0  # from a voice's creation to some time after it is served
LATE_SECONDS = 3.0  # for which somebody still writes after the deletion, as on a node that is cut off
AT_A_TIME = 4
GONE_SECONDS = 120.0
MAX_WRITES = 16  # to the store, in the end of one voice; more than there are


@pytest.fixture(scope="session")
def s3(tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """As everywhere, but the bucket keeps versions."""
    folder = tmp_path_factory.mktemp("versioned")
    for made in (folder / "data" / "voices", folder / "versions"):
        made.mkdir(parents=True)
    with s3_server(tool("versitygw"), folder / "data", versions=folder / "versions") as port:
        keep_versions(port)
        yield port, folder / "data" / "voices"


@dataclass(frozen=True)
class TwiceWritten(Bucket):
    """A bucket whose objects are written through the server, and each twice: there is always an older version."""

    port: int = 0

    def write(self, uri: str, content: bytes) -> None:
        folder, _, name = uri.rpartition("/")
        for _ in range(2):
            open_store(folder, environment_of(self.port)).write(name, content)


def a_lab(scenario: Any, port: int) -> tuple[Lab, TwiceWritten]:
    lab = scenario.lab()
    bucket = TwiceWritten(lab.bucket.uri, lab.bucket.folder, port)
    lab.node._bucket = bucket
    return lab, bucket


def remains(lab: Lab, port: int, voice: str) -> list[str]:
    """Every version and marker of the voice's folder."""
    return versions_of(port, f"{lab.namespace}/{lab.namespace}/{voice}/")


def test_a_voice_that_is_deleted_at_any_moment_leaves_nothing(scenario: Any, s3: tuple[int, Path]) -> None:
    port, _ = s3
    lab, bucket = a_lab(scenario, port)
    moments = random.Random(SEED)  # noqa: S311 -- no secret
    plans = [(f"mortal{number:02}", moments.uniform(0, LIFE_SECONDS)) for number in range(MOMENTS)]

    def live(plan: tuple[str, float]) -> str:
        voice, moment = plan
        lab.apply(voice)
        time.sleep(moment)
        digest = lab.status(voice).get("inputHash")
        lab.delete(voice)
        started, number = time.monotonic(), 0
        while digest and time.monotonic() < started + LATE_SECONDS:  # else no pod was ever told where to write
            with suppress(StoreError):  # the server may be erasing this very object's older version
                bucket.write(f"{bucket.uri}/{lab.namespace}/{voice}/{digest}/train/late-{number}", b"late")
            number += 1
            time.sleep(0.3)
        wait_for(f"{voice} to leave nothing", lambda: not remains(lab, port, voice), GONE_SECONDS)
        scenario.took(time.monotonic() - started)
        return voice

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        voices = list(pool.map(live, plans))
    time.sleep(SETTLE_SECONDS + 5)
    assert {voice: found for voice in voices if (found := remains(lab, port, voice))} == {}
    assert [voice for voice in voices if lab.remains(voice)] == []
    stays = tuple(f"{lab.namespace}/{folder}/" for folder in ("_erased", "audit"))

    def everything_else() -> list[str]:
        return [key for key in versions_of(port, f"{lab.namespace}/") if not key.startswith(stays)]

    with suppress(AssertionError):
        wait_for("markers and journals to go", lambda: not everything_else(), GONE_SECONDS)
    assert everything_else() == []


def test_a_voice_that_is_made_anew_at_any_moment_loses_nothing_of_its_own(scenario: Any, s3: tuple[int, Path]) -> None:
    port, _ = s3
    lab, _ = a_lab(scenario, port)
    moments = random.Random(SEED + 1)  # noqa: S311 -- no secret
    plans = [(f"again{number:02}", moments.uniform(0, LIFE_SECONDS)) for number in range(MOMENTS // 4)]

    def live(plan: tuple[str, float]) -> str:
        voice, moment = plan
        lab.apply(voice)
        time.sleep(moment)
        lab.delete(voice)
        wait_for("the object to go", lambda: lab.client.find("voicemodels", voice) is None, 30)
        lab.apply(voice, training={"seed": 2})  # so that its Jobs have other names: the watcher tells them apart
        scenario.took(lab.until_ready(voice, GONE_SECONDS))
        return voice

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        voices = list(pool.map(live, plans))
    time.sleep(SETTLE_SECONDS + 5)
    for voice in voices:
        assert lab.is_ready(voice)
        bundle = lab.status(voice)["artifacts"]
        assert lab.bucket.digest(f"{bundle['uri']}/manifest.json") == bundle["digest"]


def acts_of(lab: Lab, voice: str, kind: str) -> list[Any]:
    """The acts of one kind that the audit log has about a voice."""
    paths = sorted((lab.bucket.folder / "audit" / lab.namespace).glob("*.json"))
    records = [json.loads(path.read_bytes()) for path in paths]
    return [one["act"] for one in records if (one["voice"], one["act"]["act"]) == (voice, kind)]


@pytest.mark.parametrize("why", ["VoiceDeleted", "ErasureRequested"])
def test_an_erasure_is_recorded_once_after_whatever_step_the_operator_dies(
    scenario: Any, s3: tuple[int, Path], why: str
) -> None:
    port, _ = s3
    lab, _ = a_lab(scenario, port)
    voices = {number: f"dying{number:02}" for number in range(1, MAX_WRITES, scenario.repetitions.every)}
    for number, voice in voices.items():
        lab.apply(voice)
        lab.until_ready(voice, GONE_SECONDS)
        lab.until_quiet()
        crash, started = Crash(lab.operator.kill, number), time.monotonic()
        journals = f"{lab.namespace}/_voices/{lab.namespace}/{voice}/"
        with lab.s3.crash(crash):
            if why == "VoiceDeleted":
                lab.delete(voice)
            else:
                lab.edit(voice, consent={"revoked": True, "erase": True})
            wait_for("the record", lambda: acts_of(lab, voice, "Erased"), GONE_SECONDS)  # noqa: B023
            wait_for("the journal to go", lambda: not versions_of(port, journals), GONE_SECONDS)  # noqa: B023
        assert remains(lab, port, voice) == []
        if not crash.applied:
            break
        scenario.took(time.monotonic() - started)
    assert not crash.applied, "all steps were tried"
    ended = list(voices.values())[: list(voices).index(number) + 1]
    for voice in ended:
        (erased,) = acts_of(lab, voice, "Erased")
        assert erased["reason"].startswith(f"{why}: ")
        assert len(acts_of(lab, voice, "Unloaded")) == 1
