"""The chain of audit records, on a real S3 server: one record for each act, whoever writes and whatever fails."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from minio import Minio
from minio.error import S3Error
from tests.support.s3_server import ACCESS_KEY, KEYS, SECRET_KEY, s3_server
from tests.support.signing import KEY

from voice_operator.api.voice_status import Act
from voice_operator.cluster.audit_chain import AuditChain
from voice_operator.cluster.store import open_store
from voice_operator.errors import StoreError
from voice_operator.manifests.audit_check import breaks_in
from voice_operator.manifests.audit_record import Subject, record_bytes, record_name
from voice_operator.reconcile.audit import Position
from voice_operator.settings import Retention

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
NAMESPACE = "studio"
ALICE = Subject(NAMESPACE, "alice", "uid")
START = Position()


def act(number: int) -> Act:
    return Act(id=f"{number:032x}", act="Served", time="2026-11-23T06:07:00Z", revision="alice-3fa9c2d1")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], Path]) -> Iterator[tuple[int, Path]]:
    """The port of an S3 server, and the folder of its buckets; versions of the bucket `locked` are kept."""
    folder, versions = tmp_path_factory.mktemp("s3"), tmp_path_factory.mktemp("versions")
    (folder / "voices").mkdir()
    with s3_server(tool("versitygw"), folder, backend=("--versioning-dir", str(versions))) as port:
        yield port, folder


class Bucket:
    """A folder of one test in the store, and how often it was asked for what."""

    def __init__(self, port: int, folder: Path, prefix: str) -> None:
        self.environment = {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}", **KEYS}
        self.uri = f"s3://voices/{prefix}"
        self._folder = folder / "voices" / prefix
        self.requests: Counter[str] = Counter()

    def path(self, sequence: int) -> Path:
        return self._folder / NAMESPACE / record_name(sequence)

    def records(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self._folder / NAMESPACE).iterdir())]

    def ids(self) -> list[int]:
        return [int(json.loads(record)["act"]["id"], 16) for record in self.records()]

    def is_whole(self) -> bool:
        return not list(breaks_in(NAMESPACE, enumerate(self.records(), 1), (KEY.public,)))

    def chain(self, now: datetime = NOW, retention: Retention | None = None) -> AuditChain:
        """The chain as a process that has just begun knows it."""
        store = open_store("s3://voices", self.environment)
        for name in ("read", "create", "retain"):
            setattr(store, name, self._counted(name, getattr(store, name)))
        return AuditChain(store, self.uri, NAMESPACE, key=lambda: KEY, clock=lambda: now, retention=retention)

    def _counted(self, name: str, call: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
        async def counted(*arguments: Any) -> Any:
            self.requests[name] += 1
            return await call(*arguments)

        return counted


@pytest.fixture
def bucket(gateway: tuple[int, Path], request: pytest.FixtureRequest) -> Bucket:
    return Bucket(*gateway, prefix=f"audit-{abs(hash(request.node.name))}")


async def fill(chain: AuditChain, first: int, last: int) -> Position:
    position = START
    for number in range(first, last + 1):
        position = await chain.append(ALICE, act(number), START, since=NOW)
    return position


def test_each_act_is_one_record_that_names_the_one_before_it_and_costs_one_request(bucket: Bucket) -> None:
    async def scenario() -> None:
        chain = bucket.chain()
        await fill(chain, 1, 1)
        bucket.requests.clear()
        assert (await fill(chain, 2, 20)).sequence == 20
        assert bucket.requests == {"create": 19}

    asyncio.run(scenario())
    assert bucket.ids() == list(range(1, 21))
    assert bucket.is_whole()


@pytest.mark.parametrize(("behind", "most"), [(0, 2), (1, 4), (60, 14)])
def test_a_process_that_begins_finds_the_end_from_what_it_knows_in_few_requests(
    behind: int, most: int, bucket: Bucket
) -> None:
    async def scenario() -> None:
        chain = bucket.chain()
        hint = await fill(chain, 1, 70 - behind)
        await fill(chain, 71 - behind, 70)
        bucket.requests.clear()
        assert (await bucket.chain().append(ALICE, act(71), hint, since=NOW, after=70)).sequence == 71
        assert bucket.requests["create"] == 1
        assert bucket.requests["read"] <= most

    asyncio.run(scenario())
    assert bucket.is_whole()


def test_two_writers_at_once_make_one_chain_and_each_act_once(bucket: Bucket) -> None:
    """The first thirty acts are offered to both, as in a change of leaders; the others to one of them."""

    async def scenario() -> None:
        async def write(numbers: range) -> None:
            chain = bucket.chain()
            for number in numbers:
                await chain.append(ALICE, act(number), START, since=NOW)

        await asyncio.gather(write(range(1, 46)), write(range(1, 31)), write(range(50, 60)))

    asyncio.run(scenario())
    assert sorted(bucket.ids()) == [*range(1, 46), *range(50, 60)]
    assert bucket.is_whole()


def test_an_act_that_an_earlier_process_recorded_is_found_and_not_recorded_again(bucket: Bucket) -> None:
    async def scenario() -> None:
        noted = await fill(bucket.chain(), 1, 20)
        written = await bucket.chain().append(
            ALICE, act(21), noted, since=NOW, after=noted.sequence
        )  # and died before anybody knew
        await fill(bucket.chain(), 22, 25)
        bucket.requests.clear()
        assert await bucket.chain().append(ALICE, act(21), START, since=NOW, after=noted.sequence) == written
        assert bucket.requests["create"] == 0

    asyncio.run(scenario())
    assert bucket.ids() == list(range(1, 26))


def test_an_act_that_no_status_keeps_is_searched_for_back_to_its_time(bucket: Bucket) -> None:
    async def scenario() -> None:
        for hour in range(10):
            await bucket.chain(NOW + timedelta(hours=hour)).append(
                ALICE, act(hour), START, since=NOW + timedelta(hours=hour)
            )
        bucket.requests.clear()
        chain, since = bucket.chain(NOW + timedelta(hours=11)), NOW + timedelta(hours=8)
        assert (await chain.append(ALICE, act(8), START, since=since)).sequence == 9
        assert (await chain.append(ALICE, act(11), START, since=since)).sequence == 11
        assert bucket.requests["create"] == 1

    asyncio.run(scenario())
    assert bucket.ids() == [*range(10), 11]


def test_an_answer_that_was_lost_makes_no_second_record(bucket: Bucket) -> None:
    async def scenario() -> None:
        chain = bucket.chain()
        await fill(chain, 1, 2)
        create = chain._store.create

        async def forgetful(*arguments: Any) -> bool:
            await create(*arguments)
            raise StoreError("no answer")

        chain._store.create = forgetful  # type: ignore[method-assign]
        with pytest.raises(StoreError):
            await chain.append(ALICE, act(3), START, since=NOW)
        chain._store.create = create  # type: ignore[method-assign]
        assert (await chain.append(ALICE, act(3), START, since=NOW)).sequence == 3

    asyncio.run(scenario())
    assert bucket.ids() == [1, 2, 3]


def test_a_record_that_somebody_else_put_there_counts_for_no_act(bucket: Bucket) -> None:
    """It has the id of the act that comes next, and everything else of a record but a signature."""

    async def scenario() -> None:
        position = await fill(bucket.chain(), 1, 3)
        forged = json.loads(record_bytes(ALICE, act(4), position, NOW, KEY))
        forged["act"]["act"] = "Approved"
        bucket.path(4).write_text(json.dumps(forged))
        assert (await bucket.chain().append(ALICE, act(4), position, since=NOW)).sequence == 5

    asyncio.run(scenario())
    (found,) = breaks_in(NAMESPACE, enumerate(bucket.records(), 1), (KEY.public,))
    assert found.sequence == 4


def test_an_end_that_was_cut_off_stays_a_hole(bucket: Bucket) -> None:
    """What the cluster knows to have been there is not written over, so that nobody can hide the cut."""

    async def scenario() -> None:
        known = await fill(bucket.chain(), 1, 6)
        for sequence in (5, 6):
            bucket.path(sequence).unlink()
        chain = bucket.chain()
        assert (await chain.append(ALICE, act(7), known, since=NOW)).sequence == 7
        assert chain.lost == known

    asyncio.run(scenario())
    numbered = [
        (number, bucket.path(number).read_bytes() if bucket.path(number).exists() else None) for number in range(1, 8)
    ]
    assert [one.sequence for one in breaks_in(NAMESPACE, numbered, (KEY.public,))] == [5, 6]


def test_a_bucket_with_object_lock_keeps_each_record(gateway: tuple[int, Path], bucket: Bucket) -> None:
    client = Minio(f"127.0.0.1:{gateway[0]}", ACCESS_KEY, SECRET_KEY, secure=False)
    client.make_bucket("locked", object_lock=True)
    bucket.uri = "s3://locked/audit"

    async def scenario() -> None:
        chain = bucket.chain(now=datetime.now(UTC), retention=Retention(days=30, mode="COMPLIANCE"))
        await fill(chain, 1, 2)
        assert bucket.requests == {"read": 1, "create": 2, "retain": 2}

    asyncio.run(scenario())
    key = f"audit/{NAMESPACE}/{record_name(1)}"
    version = client.stat_object("locked", key).version_id
    assert version
    with pytest.raises(S3Error, match=r"WORM|locked|AccessDenied|ObjectLocked"):
        client.remove_object("locked", key, version)
    assert json.loads(client.get_object("locked", key, version_id=version).read())["sequence"] == 1


def test_a_store_without_object_lock_says_so(bucket: Bucket) -> None:
    with pytest.raises(StoreError):
        asyncio.run(fill(bucket.chain(retention=Retention(days=30)), 1, 1))
