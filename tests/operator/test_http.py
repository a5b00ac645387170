"""The operator's own endpoint: voices with an ETag, probes, metrics."""

import asyncio
import hashlib
import socket
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aiohttp
import kopf
import pytest
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.parser import text_string_to_metric_families
from tests.support.signing import signing

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.observe import Cluster
from voice_operator.cluster.store import open_store
from voice_operator.errors import ClusterError, OperatorError, OwnershipConflict, WatchStalled
from voice_operator.http import application, serve
from voice_operator.metrics import Metrics
from voice_operator.queue import WorkQueue
from voice_operator.settings import Settings
from voice_operator.voice_lists import RenderedList, VoiceListReconciler

VOICES = "/servers/voice-system/default/voices.json"
TOKEN = "t0ken"
SHOWN = {"Authorization": f"Bearer {TOKEN}"}


class Lists(VoiceListReconciler):
    """Answers with what a test says was written."""

    body: bytes = b""

    async def rendered(self, namespace: str, server: str) -> RenderedList | None:
        del namespace, server  # one list for all
        return RenderedList(self.body, hashlib.sha256(self.body).hexdigest(), TOKEN, 1) if self.body else None


Scenario = Callable[[aiohttp.ClientSession, Lists, asyncio.Event], Awaitable[None]]


@pytest.fixture
def kube() -> Kube:
    """A client of an API server that gets no request here."""
    return Kube(lambda: kopf.ConnectionInfo(server="http://127.0.0.1:9"), Metrics())


def run(
    scenario: Scenario,
    kube: Kube,
    port: int,
    check: Callable[[], None] = lambda: None,
    host: str = "127.0.0.1",
) -> None:
    settings = Settings.model_validate(
        {
            "images": {"trainer": "t", "inference": "i"},
            "bases": {"tiny": {"uri": "embedded:tiny"}},
            "storage": {"uri": "file:///nowhere"},
        }
    )

    async def whole() -> None:
        metrics, has_synced = Metrics(), asyncio.Event()
        caches = Caches()
        cluster = Cluster(kube, caches, open_store("file:///"), Inference(caches), settings, signing(caches))
        lists = Lists(cluster, WorkQueue(metrics), lambda: datetime.now(UTC))
        runner = await serve(application(lists, metrics, has_synced, check), f"{host}:{port}")
        try:
            async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
                await scenario(session, lists, has_synced)
        finally:
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(whole(), timeout=10))


def test_voices_are_sent_once_and_then_only_when_they_change(kube: Kube, find_port: Callable[[], int]) -> None:
    async def scenario(session: aiohttp.ClientSession, lists: Lists, _: asyncio.Event) -> None:
        lists.body = b'{"generation": 1}'
        async with session.get(VOICES, headers=SHOWN) as first:
            assert await first.json() == {"generation": 1}
            tag = first.headers["ETag"]
        async with session.get(VOICES, headers=SHOWN | {"If-None-Match": tag}) as same:
            assert (same.status, await same.read()) == (304, b"")
        lists.body = b'{"generation": 2}'
        async with session.get(VOICES, headers=SHOWN | {"If-None-Match": tag}) as changed:
            assert (changed.status, await changed.json()) == (200, {"generation": 2})

    run(scenario, kube, find_port())


@pytest.mark.parametrize("shown", ["", f"Bearer {TOKEN}x", f"bearer{TOKEN}", "Bearer ", TOKEN, "Bearer \u00fc"])
def test_who_lacks_the_token_of_a_list_learns_not_even_that_there_is_one(
    shown: str, kube: Kube, find_port: Callable[[], int]
) -> None:
    async def scenario(session: aiohttp.ClientSession, lists: Lists, _: asyncio.Event) -> None:
        async with session.get(VOICES, headers={"Authorization": shown}) as unknown:
            said = await unknown.text()
        lists.body = b'{"generation": 1}'
        tag = f'"{hashlib.sha256(lists.body).hexdigest()}"'
        async with session.get(VOICES, headers={"Authorization": shown, "If-None-Match": tag}) as refused:
            assert (unknown.status, refused.status, await refused.text()) == (401, 401, said)
            assert refused.headers["WWW-Authenticate"] == "Bearer"

    run(scenario, kube, find_port())


def test_a_token_that_is_no_text_is_one_that_is_not_known(kube: Kube, find_port: Callable[[], int]) -> None:
    port = find_port()

    async def scenario(_: aiohttp.ClientSession, lists: Lists, __: asyncio.Event) -> None:
        lists.body = b'{"generation": 1}'
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET {VOICES} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ".encode()
        writer.write(head + b"\xff\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 401 ")
        writer.close()

    run(scenario, kube, port)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(OwnershipConflict("ConfigMap default-voices has another owner"), id="a name that is taken"),
        pytest.param(ClusterError("GET /x", reason="Unreachable", message="no answer"), id="the API server is away"),
    ],
)
def test_pods_are_told_to_ask_again_where_a_standby_cannot_read_the_list(
    error: OperatorError, kube: Kube, find_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    async def scenario(session: aiohttp.ClientSession, lists: Lists, _: asyncio.Event) -> None:
        monkeypatch.setattr(lists, "rendered", fail)
        async with session.get(VOICES) as answer:
            assert (answer.status, await answer.text()) == (503, "the list cannot be read now\n")

    run(scenario, kube, find_port())


def test_ready_only_after_the_api_server_answered(kube: Kube, find_port: Callable[[], int]) -> None:
    async def scenario(session: aiohttp.ClientSession, _: Lists, has_synced: asyncio.Event) -> None:
        async with session.get("/healthz") as alive, session.get("/readyz") as early:
            assert (alive.status, early.status) == (200, 503)
        has_synced.set()
        async with session.get("/readyz") as late:
            assert late.status == 200

    run(scenario, kube, find_port())


def test_unhealthy_where_the_process_must_begin_anew(kube: Kube, find_port: Callable[[], int]) -> None:
    def check() -> None:
        raise WatchStalled("kopf's watcher for voicemodels has ended")

    async def scenario(session: aiohttp.ClientSession, _: Lists, __: asyncio.Event) -> None:
        async with session.get("/healthz") as answer:
            assert (answer.status, "voicemodels" in await answer.text()) == (503, True)

    run(scenario, kube, find_port(), check)


def test_metrics_are_scraped_in_the_format_that_prometheus_expects(kube: Kube, find_port: Callable[[], int]) -> None:
    async def scenario(session: aiohttp.ClientSession, _: Lists, __: asyncio.Event) -> None:
        async with session.get("/metrics") as answer:
            assert answer.headers["Content-Type"] == CONTENT_TYPE_LATEST
            families = list(text_string_to_metric_families(await answer.text()))
        assert all(family.documentation for family in families), "each metric has its HELP"
        samples = {
            (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
        }
        assert samples["workqueue_depth", "voicemodel"] == 0
        assert samples["controller_runtime_reconcile_total", "voiceserver", "error"] == 0
        assert samples[("process_resident_memory_bytes",)] > 2**20

    run(scenario, kube, find_port())


def test_a_star_means_all_addresses_of_both_families(kube: Kube, find_port: Callable[[], int]) -> None:
    port = find_port()

    async def scenario(session: aiohttp.ClientSession, _: Lists, __: asyncio.Event) -> None:
        async with session.get("/healthz") as answer:
            assert answer.status == 200
        if socket.has_ipv6:
            async with session.get(f"http://[::1]:{port}/healthz") as answer:
                assert answer.status == 200

    run(scenario, kube, port, host="*")
