"""Requests to the API server, against a small server that answers as each test wants."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import aiohttp
import kopf
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from tests.support.api_server import eventually, serving

from voice_operator.cluster import kube as kube_module
from voice_operator.cluster.kube import CONFIG_MAPS, JOBS, LEASES, VOICE_MODELS, Kube
from voice_operator.errors import ClusterError, Conflict, Expired, LeadershipLost, NotFound
from voice_operator.metrics import Metrics

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Scenario = Callable[[Kube], Awaitable[None]]
ANSWER = {"metadata": {"name": "alice", "resourceVersion": "7"}}  # an object, and a list of none
VOICE = {"metadata": {"name": "alice", "namespace": "studio"}}
LEASE = {"metadata": {"name": "voice-operator", "namespace": "voice-system"}}


def with_server(
    answer: Answer, scenario: Scenario, token: Callable[[], str] = lambda: "first", metrics: Metrics | None = None
) -> None:
    async def whole() -> None:
        async with serving(answer) as url:
            kube = Kube(lambda: kopf.ConnectionInfo(server=url, token=token()), metrics or Metrics())
            try:
                await scenario(kube)
            finally:
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def always(status: int, body: object) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="application/json")

    return answer


def test_a_list_follows_its_pages() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        last = "continue" in request.query
        metadata = {"resourceVersion": "41"} | ({} if last else {"continue": "a token=&"})
        return web.json_response({"metadata": metadata, "items": [{"page": len(asked)}]})

    async def scenario(kube: Kube) -> None:
        assert await kube.list(JOBS, "studio", {"a": "b", "c": "d"}) == [{"page": 1}, {"page": 2}]
        assert [(page.items, page.version) async for page in kube.pages(JOBS, None, {"a": None})] == [
            ([{"page": 3}], 41),
            ([{"page": 4}], 41),
        ]

    with_server(answer, scenario)
    path = "/apis/batch/v1/namespaces/studio/jobs?limit={}&labelSelector=a%3Db%2Cc%3Dd"
    everywhere = "/apis/batch/v1/jobs?limit={}&labelSelector=a"
    token = "&continue=a+token%3D%26"
    pages = [path, path + token, everywhere, everywhere + token]
    assert asked == [page.format(size) for page, size in zip(pages, (50, 100, 200, 400), strict=True)]


def a_list(objects: int, size: int, asked: list[int]) -> Answer:
    """So many objects of so many bytes; ``asked`` gets the limit of each request."""

    async def answer(request: web.Request) -> web.Response:
        limit, begin = int(request.query["limit"]), int(request.query.get("continue", "0"))
        asked.append(limit)
        end = min(begin + limit, objects)
        metadata = {"resourceVersion": "41"} | ({"continue": str(end)} if end < objects else {})
        items = [{"metadata": {"name": f"voice{number}"}, "padding": "x" * size} for number in range(begin, end)]
        return web.json_response({"metadata": metadata, "items": items})

    return answer


def test_pages_shrink_to_what_objects_weigh() -> None:
    asked: list[int] = []

    async def scenario(kube: Kube) -> None:
        assert len(await kube.list(VOICE_MODELS)) == 130
        assert asked[0] == kube_module.FIRST_PAGE
        assert max(asked[1:]) * (255 << 10) <= kube_module.PAGE_BYTES
        before = len(asked)
        await kube.list(VOICE_MODELS)
        assert asked[before] == asked[1], "the next list knows it already"

    with_server(a_list(130, 255 << 10, asked), scenario)


def test_a_page_that_is_too_large_is_asked_for_again_with_fewer_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "MAX_ANSWER_BYTES", 10_000)
    asked: list[int] = []

    async def scenario(kube: Kube) -> None:
        names = [item["metadata"]["name"] for item in await kube.list(VOICE_MODELS)]
        assert names == [f"voice{number}" for number in range(60)], "each once, and in order"
        assert asked[:3] == [50, 12, 3]

    with_server(a_list(60, 2000, asked), scenario)


def test_one_object_that_is_too_large_is_an_error_and_no_endless_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "MAX_ANSWER_BYTES", 1000)
    asked: list[int] = []

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match="TooLarge"):
            await kube.list(VOICE_MODELS)
        assert asked == [50, 12, 3, 1]

    with_server(a_list(60, 2000, asked), scenario)


def test_after_a_page_that_was_too_slow_the_next_list_begins_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    asked: list[int] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(int(request.query["limit"]))
        await asyncio.sleep(0.01 * asked[-1])
        return web.json_response({"metadata": {"resourceVersion": "41"}, "items": []})

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match="Unreachable"):
            await kube.list(VOICE_MODELS)
        await kube.list(VOICE_MODELS)
        assert asked == [50, 12]

    with_server(answer, scenario)


def test_lists_keep_no_other_request_waiting() -> None:
    async def answer(request: web.Request) -> web.Response:
        if "limit" in request.query:
            await asyncio.sleep(60)
        return web.json_response(VOICE)

    async def scenario(kube: Kube) -> None:
        lists = [asyncio.create_task(kube.list(VOICE_MODELS)) for _ in range(3 * kube_module.CONNECTIONS)]
        await asyncio.sleep(0.1)
        async with asyncio.timeout(2):
            assert await kube.get(VOICE_MODELS, "studio", "alice") == VOICE
        for one in lists:
            one.cancel()
        await asyncio.gather(*lists, return_exceptions=True)

    with_server(answer, scenario)


def test_a_list_whose_continuation_is_too_old_must_begin_anew() -> None:
    async def answer(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return web.json_response({"reason": "Expired", "message": "too old"}, status=410)
        return web.json_response({"metadata": {"resourceVersion": "41", "continue": "x"}, "items": [{"page": 1}]})

    async def scenario(kube: Kube) -> None:
        with pytest.raises(Expired, match="too old"):
            await kube.list(JOBS)

    with_server(answer, scenario)


@pytest.mark.parametrize(
    ("status", "body", "error", "sentence"),
    [
        pytest.param(404, {"reason": "NotFound", "message": "no alice"}, NotFound, "NotFound: no alice", id="missing"),
        pytest.param(409, {"reason": "AlreadyExists", "message": "x"}, Conflict, "AlreadyExists: x", id="a conflict"),
        pytest.param(403, {"reason": "Forbidden", "message": "no"}, ClusterError, "Forbidden: no", id="a refusal"),
        pytest.param(502, "<html>bad gateway</html>", ClusterError, "HTTP status 502", id="a proxy's own page"),
        pytest.param(404, "[]", NotFound, "HTTP status 404", id="JSON that is no object"),
    ],
)
def test_a_refusal_is_an_error_of_our_own(status: int, body: object, error: type[ClusterError], sentence: str) -> None:
    async def scenario(kube: Kube) -> None:
        with pytest.raises(error, match=sentence) as caught:
            await kube.get(VOICE_MODELS, "studio", "alice")
        assert "GET /apis/voice.sovits.dev/v1alpha1/namespaces/studio/voicemodels/alice" in str(caught.value)

    with_server(always(status, body), scenario)


@pytest.mark.parametrize("body", ["<html>log in</html>", "[]", "\x1f\ufffd compressed"])
def test_an_answer_that_is_no_object_is_no_empty_list(body: str) -> None:
    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match=r"InvalidAnswer: \d+ bytes that are no JSON object"):
            await kube.list(JOBS, "studio")

    with_server(always(200, body), scenario)


@pytest.mark.parametrize("body", [{}, {"items": None}, {"items": [], "metadata": {"resourceVersion": "new"}}])
def test_an_object_that_is_no_list_is_no_empty_list(body: object) -> None:
    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match=r"InvalidAnswer: a list without a resourceVersion"):
            await kube.list(JOBS, "studio")

    with_server(always(200, body), scenario)


def test_an_apply_names_its_field_manager() -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.method == "PATCH"
        assert request.content_type == "application/apply-patch+yaml"
        assert request.raw_path.endswith("/voicemodels/alice/status?fieldManager=voice-operator&force=true")
        assert request.headers["Authorization"] == "Bearer first"
        return web.json_response(await request.json() | {"applied": True})

    async def scenario(kube: Kube) -> None:
        assert await kube.apply(VOICE_MODELS, VOICE, subresource="status") == VOICE | {"applied": True}

    with_server(answer, scenario)


def test_deleting_what_is_gone_is_fine() -> None:
    async def scenario(kube: Kube) -> None:
        await kube.delete(JOBS, "studio", "gone")

    with_server(always(404, {"reason": "NotFound"}), scenario)


def test_an_answer_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "MAX_ANSWER_BYTES", 1000)

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match=r"TooLarge: .* larger than 1000 bytes"):
            await kube.get(CONFIG_MAPS, "studio", "large")

    with_server(always(200, {"data": "x" * 2000}), scenario)


def test_a_server_that_hangs_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.2))

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match=r"Unreachable: .*imeout"):
            await kube.get(CONFIG_MAPS, "studio", "x")

    with_server(hang, scenario)


def test_nobody_at_the_address(find_port: Callable[[], int]) -> None:
    async def scenario() -> None:
        kube = Kube(lambda: kopf.ConnectionInfo(server=f"http://127.0.0.1:{find_port()}"), Metrics())
        with pytest.raises(ClusterError, match=r"Unreachable: Cannot connect to host 127\.0\.0\.1"):
            await kube.get(CONFIG_MAPS, "studio", "x")
        await kube.close()

    asyncio.run(scenario())


def test_a_token_that_was_replaced_is_read_again() -> None:
    tokens = iter(["old", "new"])
    metrics = Metrics()

    async def answer(request: web.Request) -> web.Response:
        known = request.headers["Authorization"] == "Bearer new"
        return web.json_response({"reason": "Unauthorized"} | VOICE, status=200 if known else 401)

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match="Unauthorized"):
            await kube.get(VOICE_MODELS, "studio", "alice")
        assert (await kube.get(VOICE_MODELS, "studio", "alice"))["metadata"] == VOICE["metadata"]

    with_server(answer, scenario, token=lambda: next(tokens), metrics=metrics)
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [s for family in families for s in family.samples if s.name == "rest_client_requests_total"]
    assert {s.labels["code"]: s.value for s in samples} == {"401": 1, "200": 1}
    assert {(s.labels["verb"], s.labels["resource"]) for s in samples} == {("get", "voicemodels")}


def an_event(kind: str, version: int) -> dict[str, object]:
    return {"type": kind, "object": {"metadata": {"name": "prepare", "resourceVersion": str(version)}, "note": "ä" * 9}}


@pytest.mark.parametrize(
    ("behind", "skew"),
    [(3600, 3600), (-3600, -3600), (5, 0)],
    ids=["this clock is ahead", "this clock is behind", "as exact as an answer tells"],
)
def test_answers_tell_the_clock_of_the_api_server(behind: float, skew: float) -> None:
    async def answer(_: web.Request) -> web.Response:
        date = format_datetime(datetime.now(UTC) - timedelta(seconds=behind), usegmt=True)
        return web.json_response(ANSWER, headers={"Date": date})

    async def scenario(kube: Kube) -> None:
        assert kube.skew == timedelta()
        await kube.get(VOICE_MODELS, "studio", "alice")
        assert abs(kube.skew.total_seconds() - skew) < (2 if skew else 0.1)

    with_server(answer, scenario)


def test_an_answer_without_a_date_tells_nothing() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response(ANSWER, headers={"Date": "tomorrow"})

    async def scenario(kube: Kube) -> None:
        kube.skew = timedelta(hours=1)
        await kube.get(VOICE_MODELS, "studio", "alice")
        assert kube.skew == timedelta(hours=1)

    with_server(answer, scenario)


def a_watch(*pieces: bytes, then: Callable[[web.Request], Awaitable[None]] | None = None) -> Answer:
    """Answer with a stream that arrives in these pieces."""

    async def answer(request: web.Request) -> web.StreamResponse:
        stream = web.StreamResponse()
        stream.enable_chunked_encoding()
        await stream.prepare(request)
        for piece in pieces:
            await stream.write(piece)
            await asyncio.sleep(0.01)
        if then is not None:
            await then(request)
        return stream

    return answer


def lines(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps(event, ensure_ascii=False).encode() + b"\n" for event in events)


def test_a_watch_yields_every_event_however_the_stream_is_cut() -> None:
    events = [an_event("ADDED", 42), an_event("BOOKMARK", 43), an_event("DELETED", 44)]
    stream = lines(*events)

    async def scenario(kube: Kube) -> None:
        assert [event async for event in kube.watch(JOBS, "studio", {"a": None}, "41")] == events

    with_server(a_watch(stream), scenario)
    with_server(a_watch(*(stream[place : place + 7] for place in range(0, len(stream), 7))), scenario)
    with_server(a_watch(stream, b'{"type": "ADD'), scenario)  # an event that did not arrive is none


def test_a_watch_asks_for_bookmarks_and_for_an_end() -> None:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        return await a_watch()(request)

    async def scenario(kube: Kube) -> None:
        assert [event async for event in kube.watch(JOBS, None, {"a": None, "b": "c"}, "41")] == []

    with_server(answer, scenario)
    assert asked[0].path == "/apis/batch/v1/jobs"
    assert dict(asked[0].query) == {
        "watch": "true",
        "allowWatchBookmarks": "true",
        "resourceVersion": "41",
        "timeoutSeconds": "300",
        "labelSelector": "a,b=c",
    }


async def hang(_: web.Request) -> None:
    await asyncio.sleep(5)


async def cut_off(request: web.Request) -> None:
    assert request.transport is not None
    request.transport.close()


GONE = {"code": 410, "reason": "Expired", "message": "too old resource version: 41 (99)"}
ETCD = {"code": 500, "reason": "InternalError", "message": "etcdserver: leader changed"}


@pytest.mark.parametrize(
    ("answer", "error", "sentence"),
    [
        pytest.param(always(410, GONE), Expired, "too old resource version", id="a version that is too old"),
        pytest.param(
            a_watch(lines({"type": "ERROR", "object": GONE})), Expired, "too old resource", id="and in the stream"
        ),
        pytest.param(
            a_watch(lines({"type": "ERROR", "object": ETCD})), ClusterError, "leader changed", id="any other ERROR"
        ),
        pytest.param(always(403, {"reason": "Forbidden", "message": "no"}), ClusterError, "Forbidden", id="a refusal"),
        pytest.param(a_watch(then=hang), ClusterError, "Unreachable: .*imeout", id="silence"),
        pytest.param(a_watch(then=cut_off), ClusterError, "Unreachable: ", id="a cut connection"),
        pytest.param(a_watch(b"x" * 200), ClusterError, "Unreachable: .* larger than 100 bytes", id="no end of line"),
        pytest.param(a_watch(b"<html>\n"), ClusterError, "Unreachable: ", id="something else than events"),
    ],
)
def test_a_watch_fails_by(
    answer: Answer, error: type[ClusterError], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_module, "WATCH_TIMEOUT", aiohttp.ClientTimeout(total=None, sock_read=0.2))
    monkeypatch.setattr(kube_module, "MAX_EVENT_BYTES", 100)

    async def scenario(kube: Kube) -> None:
        with pytest.raises(error, match=sentence):
            async for _ in kube.watch(JOBS, "studio", None, "41"):
                pass

    with_server(answer, scenario)


class Throttling:
    """Answers 429 to some requests, and notes when which arrived."""

    def __init__(self, *seconds: str, together: int = 1) -> None:
        self._seconds = list(seconds)
        self._barrier = asyncio.Barrier(together)  # so many requests are answered when all of them are there
        self.arrived: list[tuple[str, float]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.arrived.append((request.path.rpartition("/")[2], asyncio.get_running_loop().time()))
        if len(self.arrived) <= self._barrier.parties:
            await self._barrier.wait()
        if not self._seconds:
            return await a_watch()(request) if "watch" in request.query else web.json_response(ANSWER)
        status = {"reason": "TooManyRequests", "message": "please wait"}
        return web.json_response(status, status=429, headers={"Retry-After": self._seconds.pop(0)})

    def since(self, name: str) -> float:
        """Seconds between the first request and the last one with this last part of its path."""
        return max(at for path, at in self.arrived if path == name) - self.arrived[0][1]


async def drain(kube: Kube) -> None:
    async for _ in kube.watch(JOBS, None, None, "41"):
        pass


async def throttled(kube: Kube) -> None:
    """Wait until an answer with 429 has arrived."""
    await eventually("the answer", lambda: kube._throttled_until > time.monotonic())


def test_no_request_arrives_before_retry_after_is_over() -> None:
    server = Throttling("1")

    async def scenario(kube: Kube) -> None:
        first = asyncio.create_task(kube.get(VOICE_MODELS, "studio", "alice"))
        await throttled(kube)
        others = [kube.apply(VOICE_MODELS, {"metadata": {"name": "bob", "namespace": "studio"}}), drain(kube)]
        await asyncio.gather(first, *others)
        assert [path for path, _ in server.arrived[:1]] == ["alice"]

    with_server(server.answer, scenario)
    assert len(server.arrived) == 4
    assert min(server.since(name) for name in ("alice", "bob", "jobs")) >= 0.99


def test_of_two_waits_the_longer_one_counts() -> None:
    server = Throttling("1", "2", "0", together=3)

    async def scenario(kube: Kube) -> None:
        await asyncio.gather(*(kube.get(VOICE_MODELS, "studio", name) for name in ("alice", "bob", "carol")))

    with_server(server.answer, scenario)
    assert sum(at - server.arrived[0][1] < 1.9 for _, at in server.arrived) == 3
    assert len(server.arrived) == 6


def test_a_watch_that_is_refused_holds_the_other_requests_back() -> None:
    server = Throttling("1")

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match="TooManyRequests"):
            await drain(kube)
        await kube.get(VOICE_MODELS, "studio", "alice")

    with_server(server.answer, scenario)
    assert server.since("alice") >= 0.99


def test_whoever_is_refused_again_and_again_is_told() -> None:
    server = Throttling(*["0"] * 9)

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match="TooManyRequests: please wait"):
            await kube.get(VOICE_MODELS, "studio", "alice")

    with_server(server.answer, scenario)
    assert len(server.arrived) == 4


def test_the_lease_is_renewed_while_other_requests_wait() -> None:
    server = Throttling("9")

    async def scenario(kube: Kube) -> None:
        first = asyncio.create_task(kube.get(VOICE_MODELS, "studio", "alice"))
        await throttled(kube)
        await kube.replace(LEASES, LEASE)
        first.cancel()

    with_server(server.answer, scenario)
    assert server.since("voice-operator") < 5


def test_the_lease_is_renewed_while_all_connections_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "TIMEOUT", aiohttp.ClientTimeout(total=9))

    hanging = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal hanging
        if "leases" not in request.path:
            hanging += 1
            await hang(request)
        return web.json_response(LEASE)

    async def scenario(kube: Kube) -> None:
        names = [str(number) for number in range(2 * kube_module.CONNECTIONS)]
        others = [asyncio.create_task(kube.get(VOICE_MODELS, "studio", name)) for name in names]
        await eventually("all connections to be taken", lambda: hanging == kube_module.CONNECTIONS)
        async with asyncio.timeout(3):
            await kube.replace(LEASES, LEASE)
        for other in others:
            other.cancel()

    with_server(answer, scenario)


def fenced() -> None:
    raise LeadershipLost("the lease was not renewed for 10 s")


WRITES: dict[str, Callable[[Kube], Awaitable[object]]] = {
    "create": lambda kube: kube.create(VOICE_MODELS, VOICE),
    "apply": lambda kube: kube.apply(VOICE_MODELS, VOICE),
    "merge": lambda kube: kube.merge(VOICE_MODELS, "studio", "alice", {}),
    "replace": lambda kube: kube.replace(VOICE_MODELS, VOICE),
    "delete": lambda kube: kube.delete(VOICE_MODELS, "studio", "alice"),
}


@pytest.mark.parametrize("verb", WRITES)
def test_behind_the_fence_nothing_can(verb: str) -> None:
    server = Throttling()

    async def scenario(kube: Kube) -> None:
        kube.fence = fenced
        with pytest.raises(LeadershipLost):
            await WRITES[verb](kube)
        assert not server.arrived

    with_server(server.answer, scenario)


def test_behind_the_fence_one_may_read_and_ask_for_the_lease() -> None:
    async def scenario(kube: Kube) -> None:
        kube.fence = fenced
        await kube.get(VOICE_MODELS, "studio", "alice")
        await kube.list(VOICE_MODELS)
        await kube.create(LEASES, LEASE)
        await kube.replace(LEASES, LEASE)

    with_server(Throttling().answer, scenario)


def test_a_lease_that_ends_during_a_wait_stops_the_write() -> None:
    server = Throttling("1")

    async def scenario(kube: Kube) -> None:
        write = asyncio.create_task(kube.apply(VOICE_MODELS, VOICE))
        await throttled(kube)
        kube.fence = fenced
        with pytest.raises(LeadershipLost):
            await write

    with_server(server.answer, scenario)
    assert len(server.arrived) == 1
