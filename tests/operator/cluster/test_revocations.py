"""Revocations are noted as watches tell of them, written beside all passes, and read before anything is trained."""

import asyncio
import base64
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import kopf
import pytest
from aiohttp import web
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import seal_of, sealed_revision, signing

from voice_operator.cluster import revocations as module
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.objects import voice_record
from voice_operator.cluster.revocations import Revocations, claim_of
from voice_operator.handlers import Enqueuer
from voice_operator.manifests.revocation_list import shard_of
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.reconcile.desired import VoiceRecord
from voice_operator.reconcile.revocations import Claim, HashedClaim, hashed_claim

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
WHERE = ("voice-system", "revocations")
EARLIER = "2026-11-01T00:00:00Z"
LISTED, MADE = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def a_voice(
    name: str = "alice",
    uid: str = "uid-1",
    *,
    revoked: bool = False,
    created: str = "2026-11-01T00:00:00Z",
    **spec: Any,
) -> dict[str, Any]:
    consent = {"holder": "Alice A.", "statement": "I agree.", "revoked": revoked}
    about = {"name": name, "namespace": "studio", "uid": uid, "generation": 1, "creationTimestamp": created}
    status = {"dataset": {"uri": "s3://d/alice", "fingerprint": LISTED}}
    return {"metadata": about | {"resourceVersion": uid[-1]}, "spec": {"consent": consent} | spec, "status": status}


def record(**about: Any) -> VoiceRecord:
    return voice_record(a_voice(**about), None)


class Operator:
    """One process: its caches, what it remembers, and the task that writes it."""

    def __init__(self, server: ApiServer) -> None:
        self.enqueuer = Enqueuer(WorkQueue(), Metrics())
        self.caches: Caches = self.enqueuer.caches
        self.revocations = Revocations(self.caches, signing(self.caches), lambda: NOW)
        self.enqueuer.on_permission = self.revocations.note
        self.kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())

    def is_revoked(self, voice: VoiceRecord, *recordings: str) -> bool:
        claim = claim_of(voice.id, voice.uid, voice.created, voice.consent, recordings)
        return self.revocations.why(claim) is not None

    @contextmanager
    def running(self) -> Iterator[None]:
        task = asyncio.create_task(self.revocations.run(self.kube, *WHERE))
        try:
            yield
        finally:
            task.cancel()


async def until(condition: Callable[[], Any]) -> None:
    while not condition():  # noqa: ASYNC110 -- the server of the test tells nobody
        await asyncio.sleep(0.005)


def run(scenario: Callable[[ApiServer, Callable[[], Operator]], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            operators: list[Operator] = []

            def start() -> Operator:
                operators.append(Operator(server))
                return operators[-1]

            try:
                await scenario(server, start)
            finally:
                for operator in operators:
                    await operator.kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def secrets(server: ApiServer) -> dict[str, Any]:
    return {name: item for (plural, _, name), item in server.objects.items() if plural == "secrets"}


AGAIN = record(uid="uid-2", created="2026-12-01T00:00:00Z")
RENAMED = record(name="bob", uid="uid-3", created="2026-12-01T00:00:00Z")


def test_a_revocation_outlives_its_voice_and_the_process() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        first = start()
        with first.running():
            await first.revocations.is_loaded.wait()
            first.caches.revisions.update(_revision())
            first.caches.voices.update(a_voice(revoked=True))
            first.caches.voices.delete(a_voice(revoked=True))
            assert first.is_revoked(AGAIN)  # before anything is written
            await until(lambda: secrets(server))
        second = start()
        with second.running():
            await second.revocations.is_loaded.wait()
            assert second.is_revoked(AGAIN)
            assert second.is_revoked(RENAMED, LISTED)
            assert second.is_revoked(RENAMED, MADE)
            assert not second.is_revoked(RENAMED)
            assert not second.is_revoked(record(uid="uid-4", created="2026-12-01T00:00:00Z", consent=OTHERS), LISTED)

    OTHERS = {"holder": "Bob", "statement": "I agree.", "evidence": "s3://e/bob.pdf"}
    run(scenario)


def test_what_is_noted_in_the_moment_of_the_end_is_written_before_it() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        first = start()
        with first.running():
            await first.revocations.is_loaded.wait()
            first.caches.voices.update(a_voice(revoked=True))
        assert not secrets(server)
        await first.revocations.finish(first.kube, *WHERE)
        second = start()
        with second.running():
            await second.revocations.is_loaded.wait()
            assert second.is_revoked(AGAIN)

    run(scenario)


def _revision(*, sealed: bool = True) -> dict[str, Any]:
    item = sealed_revision("alice", "alice-1", "sha256:" + "a" * 64)
    item["spec"]["dataset"] = {"uri": "s3://d/alice", "digest": MADE}
    if sealed:
        item["metadata"]["annotations"] = seal_of("studio", "alice-1", item["spec"])
    return item


def test_a_revision_that_somebody_made_by_hand_revokes_nobody_elses_recordings() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        operator = start()
        with operator.running():
            await operator.revocations.is_loaded.wait()
            operator.caches.revisions.update(_revision(sealed=False))
            operator.caches.voices.update(a_voice(revoked=True))
            assert operator.is_revoked(RENAMED, LISTED)
            assert not operator.is_revoked(RENAMED, MADE)

    run(scenario)


def test_a_voice_that_was_revoked_and_deleted_between_two_events_is_remembered() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        operator = start()
        with operator.running():
            await operator.revocations.is_loaded.wait()
            operator.caches.voices.update(a_voice())
            assert not operator.is_revoked(AGAIN, LISTED)
            operator.caches.voices.update(_newer(a_voice(revoked=True)))
            operator.caches.voices.delete(_newer(a_voice(revoked=True)))
            assert operator.is_revoked(AGAIN)

    run(scenario)


def _newer(item: dict[str, Any]) -> dict[str, Any]:
    return item | {"metadata": item["metadata"] | {"resourceVersion": "9"}}


def test_what_was_noted_before_the_secrets_were_read_counts_too() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        operator = start()
        operator.caches.voices.update(a_voice(revoked=True))
        with operator.running():
            await until(lambda: secrets(server))
            assert operator.is_revoked(AGAIN)

    run(scenario)


def test_many_revocations_at_once_are_a_few_writes_and_none_at_rest() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        operator = start()
        with operator.running():
            await operator.revocations.is_loaded.wait()
            server.requests.clear()
            for number in range(500):
                operator.revocations.note(record(name=f"v{number}", uid=f"uid-{number}", revoked=True))
            await until(lambda: len(secrets(server)) == module.SHARDS)
            await asyncio.sleep(0.1)
            assert len(server.requests) == 2 * module.SHARDS
            for number in range(500):
                operator.revocations.note(record(name=f"v{number}", uid=f"uid-{number}", revoked=True))
            await asyncio.sleep(0.05)
            assert len(server.requests) == 2 * module.SHARDS

    run(scenario)


def test_nothing_is_known_until_the_secrets_are_read_and_that_is_tried_until_it_works(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)

    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        server.answers = [403, 403]
        operator = start()
        with operator.running():
            await asyncio.sleep(0.01)
            assert not operator.revocations.is_loaded.is_set()
            await operator.revocations.is_loaded.wait()

    run(scenario)


def test_a_write_that_fails_is_tried_again(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.02)

    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        refused: list[str] = []

        def refuses(request: web.Request) -> bool:
            if request.method == "PATCH" and len(refused) < 2:
                refused.append(request.path)
            return request.method == "PATCH" and len(refused) < 2

        operator = start()
        with operator.running():
            await operator.revocations.is_loaded.wait()
            server.refuses = refuses
            operator.caches.voices.update(a_voice(revoked=True))
            await until(lambda: secrets(server))
            assert operator.is_revoked(AGAIN)

    run(scenario)


def test_a_secret_of_a_backup_keeps_its_salt_and_gets_what_was_noted_since() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        first = start()
        with first.running():
            first.revocations.note(record(name="old", uid="uid-1", revoked=True))
            await until(lambda: secrets(server))
        (name,) = secrets(server)
        kept = server.objects["secrets", "voice-system", name]
        second = start()
        server.objects.clear()
        with second.running():
            await second.revocations.is_loaded.wait()
            server.objects["secrets", "voice-system", name] = kept  # restored while it runs
            uid = next(f"uid-{number}" for number in range(2, 99) if shard_of(f"uid-{number}") == shard_of("uid-1"))
            second.revocations.note(record(name="alice", uid=uid, revoked=True))
            await until(lambda: len(_lines(server, name)) == 2)
            assert second.is_revoked(record(uid="uid-x", created="2026-12-01T00:00:00Z"))
            assert second.is_revoked(record(name="old", uid="uid-y", created="2026-12-01T00:00:00Z"))

    run(scenario)


def _lines(server: ApiServer, name: str) -> list[bytes]:
    data = server.objects["secrets", "voice-system", name]["data"]
    return base64.b64decode(data["revocations"]).splitlines()


def test_a_list_hashes_each_voice_once_and_not_at_each_revocation(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(claim: Claim, salt: bytes) -> HashedClaim:
        hashed.append(claim.uid)
        return hashed_claim(claim, salt)

    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        operator = start()
        with operator.running():
            await operator.revocations.is_loaded.wait()
            later = record(uid="uid-2", created="2026-12-01T00:00:00Z")
            beside = [record(name=f"v{number}", uid=f"beside-{number}") for number in range(50)]
            assert not any(operator.revocations.covers(voice) for voice in (later, *beside))
            operator.caches.voices.update(a_voice(revoked=True))
            for number in range(20):  # in all Secrets
                operator.revocations.note(record(name=f"x{number}", uid=f"uid-x{number}", revoked=True))
                assert operator.revocations.covers(later)
                assert not any(operator.revocations.covers(voice) for voice in beside)
            assert sorted(hashed) == sorted(voice.uid for voice in (later, *beside))
            operator.caches.revisions.update(_revision())
            assert operator.revocations.covers(record(uid="uid-2", created="2026-12-01T00:00:00Z"))
            assert len(hashed) == len(beside) + 2, "what a voice states may have changed"

    monkeypatch.setattr(module, "hashed_claim", counted)
    run(scenario)


def test_secrets_that_are_missing_get_the_salt_of_those_that_are_there() -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        for uids in (["uid-1"], [f"uid-{number}" for number in range(40)]):
            operator = start()
            with operator.running():
                await operator.revocations.is_loaded.wait()
                for uid in uids:
                    operator.revocations.note(record(uid=uid, revoked=True))
                await until(lambda uids=uids: len(secrets(server)) == len({shard_of(uid) for uid in uids}))
        salts = {item["data"]["salt"] for item in secrets(server).values()}
        assert (len(secrets(server)), len(salts)) == (module.SHARDS, 1)

    run(scenario)


@pytest.mark.parametrize("at", ["", "never", "2999-01-01T00:00:00Z", 7, None])
def test_a_time_that_somebody_put_into_a_status_harms_nobody(at: Any) -> None:
    async def scenario(server: ApiServer, start: Callable[[], Operator]) -> None:
        operator = start()
        with operator.running():
            await operator.revocations.is_loaded.wait()
            odd = a_voice(revoked=True, dataset=[at])
            odd["status"] = {"revokedAt": at, "dataset": at}
            operator.caches.voices.update(odd)
            assert operator.is_revoked(AGAIN)
            assert not operator.is_revoked(RENAMED)
            assert "2026-11-23T06:07:00Z" in str(operator.revocations.why(_claim(AGAIN)))

    run(scenario)


def _claim(voice: VoiceRecord) -> Any:
    return claim_of(voice.id, voice.uid, voice.created, voice.consent, ())
