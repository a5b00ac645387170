"""Acts on their way to the log: passes never wait, namespaces take turns, and a dead store costs time alone."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import KEY, signing

from voice_operator import audit as module
from voice_operator.api.voice_status import Act, AuditState, VoiceModelStatus
from voice_operator.audit import AuditLog
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.events import EventRecorder
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.errors import StoreError
from voice_operator.manifests.audit_check import breaks_in
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority
from voice_operator.reconcile.audit import tagged
from voice_operator.reconcile.names import Key
from voice_operator.settings import Settings

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
ALICE = Key("VoiceModel", "studio", "alice")


def an_act(number: int) -> Act:
    return Act(id=f"{number:032x}", act="Served", time="2026-11-23T06:07:00Z")


@dataclass
class Process:
    """One process of the operator, as far as its audit log goes."""

    server: ApiServer
    folder: Path
    now: datetime = NOW
    woken: list[Key] = field(default_factory=list)

    def __post_init__(self) -> None:
        images, bases = {"trainer": "t", "inference": "i"}, {"tiny": {"uri": "embedded:tiny"}}
        storage = {"uri": f"file://{self.folder}"}
        settings = Settings.model_validate({"images": images, "bases": bases, "storage": storage})
        self.caches, self.metrics = Caches(), Metrics()
        self.kube = Kube(lambda: kopf.ConnectionInfo(server=self.server.url), Metrics())
        self.store = open_store(settings.storage.uri, {})
        cluster = Cluster(self.kube, self.caches, self.store, Inference(self.caches), settings, signing(self.caches))
        self.audit = AuditLog(
            cluster, EventRecorder(self.kube), enqueue=self._enqueue, metrics=self.metrics, clock=lambda: self.now
        )

    def _enqueue(self, key: Key, priority: Priority) -> None:
        assert priority is Priority.LOW
        self.woken.append(key)

    @contextmanager
    def running(self) -> Iterator[None]:
        task = asyncio.create_task(self.audit.run())
        try:
            yield
        finally:
            task.cancel()

    def offer(self, key: Key, *numbers: int, after: int = 0) -> None:
        state = AuditState(pending=tuple(map(an_act, numbers)), sequence=after, since="2026-11-23T06:07:00Z")
        self.audit.offer(key, f"uid-{key.name}", VoiceModelStatus(audit=state))

    def records(self, namespace: str = "studio") -> list[Any]:
        return [json.loads(path.read_bytes()) for path in sorted((self.folder / "audit" / namespace).glob("*.json"))]

    def ids(self, namespace: str = "studio") -> list[int]:
        return [int(record["act"]["id"], 16) for record in self.records(namespace)]

    def sample(self, name: str, **labels: str) -> float:
        found = self.metrics.registry.get_sample_value(f"voice_operator_audit_{name}", labels)
        assert found is not None
        return found

    def reasons(self) -> list[str]:
        return [item["reason"] for (plural, _, _), item in self.server.objects.items() if plural == "events"]


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 -- what is awaited happens in threads
        await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BASE_DELAY_SECONDS", 0.02)


def run(scenario: Callable[[Callable[[], Process]], Awaitable[None]], folder: Path) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            processes: list[Process] = []

            def start() -> Process:
                processes.append(Process(server, folder))
                return processes[-1]

            try:
                await scenario(start)
            finally:
                for process in processes:
                    await process.kube.close()
                    process.store.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def test_acts_of_a_voice_are_recorded_in_order_and_its_status_learns_of_all_at_once(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        process = start()
        with process.running():
            process.offer(ALICE, 1, 2, 3)
            process.offer(ALICE, 1, 2, 3)  # the next pass, before the log has them
            assert process.sample("pending") == 3
            await until(lambda: process.woken)
        assert process.ids() == [1, 2, 3]
        assert process.woken == [ALICE]
        assert process.sample("pending") == 0
        assert process.sample("records_total", result="written") == 3

    run(scenario, tmp_path)


def test_each_namespace_has_a_chain_of_its_own(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        process, others = start(), Key("VoiceModel", "team", "alice")
        with process.running():
            process.offer(ALICE, 1)
            process.offer(others, 2)
            await until(lambda: len(process.woken) == 2)
        assert (process.ids(), process.ids("team")) == ([1], [2])
        assert all(record["sequence"] == 1 for record in process.records() + process.records("team"))

    run(scenario, tmp_path)


def test_a_store_that_hangs_holds_up_no_pass_and_is_told_once(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        process, hangs = start(), asyncio.Event()
        create = process.store.create

        async def hanging(*arguments: Any) -> bool:
            if not hangs.is_set():
                await asyncio.sleep(0.05)
                raise StoreError("the object store has not answered within 12 s")
            return await create(*arguments)

        process.store.create = hanging  # type: ignore[method-assign]
        with process.running():
            before = asyncio.get_running_loop().time()
            for number in range(200):
                process.offer(Key("VoiceModel", "studio", f"v{number}"), number)
            assert asyncio.get_running_loop().time() - before < 0.1
            await until(lambda: process.sample("records_total", result="failed") >= 3)
            assert process.sample("pending") == 200
            assert process.reasons() == ["AuditDelayed"]
            hangs.set()
            await until(lambda: process.sample("pending") == 0)
        assert process.ids() == list(range(200))

    run(scenario, tmp_path)


def test_a_process_that_dies_before_the_status_is_written_records_nothing_twice(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        first, second = start(), start()
        with first.running():
            first.offer(ALICE, 1, 2)
            await until(lambda: first.woken)
        with second.running():
            second.offer(ALICE, 1, 2, 3)
            await until(lambda: second.woken)
        assert second.ids() == [1, 2, 3]

    run(scenario, tmp_path)


def test_a_process_that_begins_goes_on_where_statuses_say_that_the_log_is(tmp_path: Path) -> None:
    """So a log whose end was cut off is not written anew as if nothing had been there."""

    async def scenario(start: Callable[[], Process]) -> None:
        state = tagged(AuditState(sequence=7, record="sha256:" + "7" * 64), "uid-bob", KEY.key_for("audit-state"))
        process = start()
        metadata = {"namespace": "studio", "name": "bob", "uid": "uid-bob", "generation": 1, "resourceVersion": "5"}
        process.caches.voices.update({"metadata": metadata, "spec": {}, "status": {"audit": state.document()}})
        with process.running():
            process.offer(ALICE, 1, after=7)
            await until(lambda: process.woken)
        (record,) = process.records()
        assert (record["sequence"], record["previous"]) == (8, "sha256:" + "7" * 64)
        assert process.reasons() == ["AuditRecordLost"]
        assert process.sample("records_total", result="lost") == 1

    run(scenario, tmp_path)


FOLDER = Key("VoiceFolder", "studio", "alice")


def test_an_act_that_no_status_keeps_is_recorded_once_and_the_folder_learns_of_it(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        process = start()
        with process.running():
            assert not process.audit.record(FOLDER, "uid-alice", an_act(1))
            assert not process.audit.record(FOLDER, "uid-alice", an_act(1)), "it is on its way"
            await until(lambda: process.woken == [FOLDER])
            assert process.audit.record(FOLDER, "uid-alice", an_act(1))
        (record,) = process.records()
        assert (record["voice"], record["uid"]) == ("alice", "uid-alice")

    run(scenario, tmp_path)


def test_such_an_act_is_recorded_once_by_two_processes(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        for process in (start(), start()):
            with process.running():
                assert not process.audit.record(FOLDER, "uid-alice", an_act(1))
                await until(lambda: process.woken)  # noqa: B023
        assert process.ids() == [1]

    run(scenario, tmp_path)


def test_an_act_that_cannot_be_recorded_yet_holds_nobody_up(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        process = start()
        (tmp_path / "audit").write_text("no folder")
        with process.running():
            assert not process.audit.record(FOLDER, "uid-alice", an_act(1))
            await until(lambda: process.reasons() == ["AuditDelayed"])
            (tmp_path / "audit").unlink()
            await until(lambda: process.sample("pending") == 0)
        assert len(process.records()) == 1

    run(scenario, tmp_path)


def test_what_it_writes_is_whole(tmp_path: Path) -> None:
    async def scenario(start: Callable[[], Process]) -> None:
        process = start()
        with process.running():
            process.offer(ALICE, *range(30))
            await until(lambda: process.woken)
        records = [path.read_bytes() for path in sorted((tmp_path / "audit" / "studio").iterdir())]
        assert list(breaks_in("studio", enumerate(records, 1), (KEY.public,))) == []

    run(scenario, tmp_path)
