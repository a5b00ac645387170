"""Requests to the API server, against a small server that answers as each test wants."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import kopf
import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from voice_operator.cluster import kube as kube_module
from voice_operator.cluster.kube import CONFIG_MAPS, JOBS, VOICE_MODELS, Kube
from voice_operator.errors import ClusterError, Conflict, NotFound
from voice_operator.metrics import Metrics

Answer = Callable[[web.Request], Awaitable[web.Response]]
VOICE = {"metadata": {"name": "alice", "namespace": "studio"}}


def with_server(
    answer: Answer,
    scenario: Callable[[Kube], Awaitable[None]],
    port: int,
    token: Callable[[], str] = lambda: "first",
    metrics: Metrics | None = None,
) -> None:
    def credentials() -> kopf.ConnectionInfo:
        return kopf.ConnectionInfo(server=f"http://127.0.0.1:{port}", token=token())

    async def whole() -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        kube = Kube(credentials, metrics or Metrics())
        try:
            await scenario(kube)
        finally:
            await kube.close()
            await runner.cleanup()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def always(status: int, body: object) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(status=status, text=text, content_type="application/json")

    return answer


def test_a_list_follows_its_pages(find_port: Callable[[], int]) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        last = "continue" in request.query
        metadata = {} if last else {"continue": "a token=&"}
        return web.json_response({"metadata": metadata, "items": [{"page": len(asked)}]})

    async def scenario(kube: Kube) -> None:
        assert await kube.list(JOBS, "studio", {"a": "b", "c": "d"}) == [{"page": 1}, {"page": 2}]

    with_server(answer, scenario, find_port())
    path = "/apis/batch/v1/namespaces/studio/jobs?limit=500&labelSelector=a%3Db%2Cc%3Dd"
    assert asked == [path, f"{path}&continue=a+token%3D%26"]


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
def test_a_refusal_is_an_error_of_our_own(
    status: int, body: object, error: type[ClusterError], sentence: str, find_port: Callable[[], int]
) -> None:
    async def scenario(kube: Kube) -> None:
        with pytest.raises(error, match=sentence) as caught:
            await kube.get(VOICE_MODELS, "studio", "alice")
        assert "GET /apis/voice.sovits.dev/v1alpha1/namespaces/studio/voicemodels/alice" in str(caught.value)

    with_server(always(status, body), scenario, find_port())


def test_an_apply_names_its_field_manager(find_port: Callable[[], int]) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.method == "PATCH"
        assert request.content_type == "application/apply-patch+yaml"
        assert request.raw_path.endswith("/voicemodels/alice/status?fieldManager=voice-operator&force=true")
        assert request.headers["Authorization"] == "Bearer first"
        return web.json_response(await request.json() | {"applied": True})

    async def scenario(kube: Kube) -> None:
        assert await kube.apply(VOICE_MODELS, VOICE, subresource="status") == VOICE | {"applied": True}

    with_server(answer, scenario, find_port())


def test_deleting_what_is_gone_is_fine(find_port: Callable[[], int]) -> None:
    async def scenario(kube: Kube) -> None:
        await kube.delete(JOBS, "studio", "gone")

    with_server(always(404, {"reason": "NotFound"}), scenario, find_port())


def test_an_answer_without_end_is_cut_off(find_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "MAX_ANSWER_BYTES", 1000)

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match=r"TooLarge: .* larger than 1000 bytes"):
            await kube.get(CONFIG_MAPS, "studio", "large")

    with_server(always(200, {"data": "x" * 2000}), scenario, find_port())


def test_a_server_that_hangs_is_left(find_port: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kube_module, "TIMEOUT", kube_module.aiohttp.ClientTimeout(total=None, sock_read=0.2))

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match=r"Unreachable: .*imeout"):
            await kube.get(CONFIG_MAPS, "studio", "x")

    with_server(hang, scenario, find_port())


def test_nobody_at_the_address(find_port: Callable[[], int]) -> None:
    port = find_port()

    async def scenario(_: Kube) -> None:
        kube = Kube(lambda: kopf.ConnectionInfo(server=f"http://127.0.0.1:{port + 1}"), Metrics())
        with pytest.raises(ClusterError, match=r"Unreachable: Cannot connect to host 127\.0\.0\.1"):
            await kube.get(CONFIG_MAPS, "studio", "x")
        await kube.close()

    with_server(always(200, {}), scenario, port)


def test_a_token_that_was_replaced_is_read_again(find_port: Callable[[], int]) -> None:
    tokens = iter(["old", "new"])
    metrics = Metrics()

    async def answer(request: web.Request) -> web.Response:
        known = request.headers["Authorization"] == "Bearer new"
        return web.json_response({"reason": "Unauthorized"} | VOICE, status=200 if known else 401)

    async def scenario(kube: Kube) -> None:
        with pytest.raises(ClusterError, match="Unauthorized"):
            await kube.get(VOICE_MODELS, "studio", "alice")
        assert (await kube.get(VOICE_MODELS, "studio", "alice"))["metadata"] == VOICE["metadata"]

    with_server(answer, scenario, find_port(), token=lambda: next(tokens), metrics=metrics)
    families = text_string_to_metric_families(metrics.render().decode())
    samples = [s for family in families for s in family.samples if s.name == "rest_client_requests_total"]
    assert {s.labels["code"]: s.value for s in samples} == {"401": 1, "200": 1}
    assert {(s.labels["verb"], s.labels["resource"]) for s in samples} == {("get", "voicemodels")}
