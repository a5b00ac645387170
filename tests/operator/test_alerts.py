"""Deliveries to real HTTP servers: slow, broken, busy or dead ones, and what a restart of the operator repeats."""

import asyncio
import logging
import ssl
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from aiohttp import web
from tests.support.alert_receiver import WRITTEN_SECRET, Receiver, a_receiver, answers, hangs_up

from voice_operator import alerts as module
from voice_operator.alerts import AlertDispatcher
from voice_operator.api.conditions import Condition
from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.cluster import alert_client
from voice_operator.cluster.alert_client import AlertClient, answer_of
from voice_operator.metrics import Metrics
from voice_operator.queue import Priority
from voice_operator.reconcile.names import Key
from voice_operator.reconcile.observed import Voice
from voice_operator.settings import Alerts

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)


class Operator:
    """As much of the operator as alerts need: voices with statuses, and passes over them."""

    def __init__(self, *targets: dict[str, Any], ca: str = "") -> None:
        self.statuses: dict[Key, VoiceModelStatus] = {}
        self.reasons: dict[Key, str] = {}
        self.writes = 0
        self.metrics = Metrics()
        settings = Alerts.model_validate({"targets": targets})
        self.client = AlertClient(settings.targets, ca)
        self.alerts = AlertDispatcher(
            settings,
            self.client.post,
            enqueue=self._enqueue,
            metrics=self.metrics,
            clock=lambda: NOW,
            jitter=lambda: 0.0,
        )

    def fails(self, name: str = "alice", reason: str = "BaseNotFound", namespace: str = "studio") -> Key:
        """A voice has a problem: a pass finds it."""
        key = Key("VoiceModel", namespace, name)
        self.reasons[key] = reason
        self.reconcile(key)
        return key

    def reconcile(self, key: Key) -> None:
        voice = self._voice(key)
        status = self.alerts.with_outcomes(key, voice.uid, self._status(key))
        if status != self.statuses.get(key):
            self.writes += 1
            self.statuses[key] = status
        self.alerts.offer(key, voice, status)

    def count(self, result: str, target: str = "hook") -> float:
        found = [sample for family in self.metrics.alerts.collect() for sample in family.samples]
        return sum(
            one.value
            for one in found
            if one.name.endswith("_total") and (one.labels["result"], one.labels["target"]) == (result, target)
        )

    def restarted(self, *targets: dict[str, Any]) -> "Operator":
        """Return another process, which knows what is written and nothing else."""
        other = Operator(*targets)
        other.statuses = dict(self.statuses)
        other.reasons = dict(self.reasons)
        return other

    def _enqueue(self, key: Key, _: Priority) -> None:
        asyncio.get_running_loop().call_soon(self.reconcile, key)

    def _voice(self, key: Key) -> Voice:
        consent = {"holder": "Alice A.", "statement": "I agree."}
        spec = {"language": "en", "base": "tiny", "dataset": {"uri": "s3://d/a"}, "consent": consent}
        status = self.statuses.get(key, VoiceModelStatus())
        return Voice(key.namespace, key.name, f"uid-{key.name}", 1, VoiceModelSpec.model_validate(spec), status)

    def _status(self, key: Key) -> VoiceModelStatus:
        reason = self.reasons.get(key, "")
        stalled = Condition(
            type="Stalled",
            status="True" if reason else "False",
            reason=reason or "NotStalled",
            last_transition_time="x",
        )
        ready = Condition(
            type="Ready", status="False", reason=reason or "Training", message="why; remedy", last_transition_time="x"
        )
        records = self.statuses.get(key, VoiceModelStatus()).alerts
        return VoiceModelStatus(conditions=(ready, stalled), alerts=records)


def target(receiver: Receiver | None = None, name: str = "hook", **about: Any) -> dict[str, Any]:
    url = {} if receiver is None else {"url": receiver.url}
    return {"name": name, "kind": "webhook"} | url | about


def run(scenario: Callable[[Receiver], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with a_receiver() as receiver:
            await scenario(receiver)

    asyncio.run(asyncio.wait_for(whole(), timeout=40))


class Working:
    """Run an operator's workers for the time of a block; at its end they are cancelled, as when the process dies."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    async def __aenter__(self) -> Operator:
        self._task = asyncio.create_task(self._operator.alerts.run())
        return self._operator

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._operator.client.close()


async def sleeps(_: web.Request) -> web.StreamResponse:
    """Answer after the end of the test."""
    await asyncio.sleep(60)
    return web.Response()


async def until(condition: Callable[[], Any], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 -- what it waits for has no event
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BASE_DELAY_SECONDS", 0.05)
    monkeypatch.setattr(alert_client, "TIMEOUT", aiohttp.ClientTimeout(total=10))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_an_alert_arrives_once_signed_and_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "hmac").write_text(WRITTEN_SECRET + "\n")

    async def scenario(receiver: Receiver) -> None:
        hook = target(receiver, hmacFile=str(tmp_path / "hmac"))
        async with Working(Operator(hook)) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
            writes = operator.writes
            for _ in range(5):
                operator.reconcile(key)
            await asyncio.sleep(0.2)
            assert operator.writes == writes == 2, "the status, and that it was told"
        assert len(receiver.arrived) == 1
        assert receiver.is_signed()
        assert not receiver.is_signed(secret=b"another secret of thirty-two byte")
        assert receiver.documents[0]["data"]["message"] == "why; remedy"
        assert operator.count("sent") == 1
        async with Working(operator.restarted(hook)) as other:
            other.reconcile(key)
            await asyncio.sleep(0.2)
        assert len(receiver.arrived) == 1
        assert other.writes == 0

    run(scenario)


def test_a_server_that_fails_gets_it_again_under_the_same_id() -> None:
    async def scenario(receiver: Receiver) -> None:
        receiver.behaviours = [answers(500), hangs_up, answers(404)]
        async with Working(Operator(target(receiver))) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
        assert len(receiver.arrived) == 4
        assert len(set(receiver.ids)) == 1
        assert (operator.count("retried"), operator.count("sent"), operator.count("failed")) == (3, 1, 0)

    run(scenario)


@pytest.mark.parametrize(
    ("attempts", "jitter", "seconds"),
    [
        (1, 0.0, 2.0),
        (2, 0.0, 4.0),
        (9, 0.0, 512.0),
        (10, 0.0, 600.0),
        (5000, 0.0, 600.0),
        (1, 1.0, 3.0),
        (99, 0.5, 750.0),
    ],
)
def test_the_pauses_between_attempts_double_and_stay_bounded(
    attempts: int, jitter: float, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    assert module.delay_seconds(attempts, jitter) == seconds


def test_a_server_that_does_not_answer_in_time_gets_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_client, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))

    async def scenario(receiver: Receiver) -> None:
        receiver.behaviours = [sleeps]
        async with Working(Operator(target(receiver))) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
        assert len(receiver.arrived) >= 2
        assert len(set(receiver.ids)) == 1

    run(scenario)


def test_a_busy_server_is_left_alone_as_long_as_it_asks_for() -> None:
    async def scenario(receiver: Receiver) -> None:
        receiver.behaviours = [answers(429, Retry_After="1")]
        async with Working(Operator(target(receiver))) as operator:
            operator.fails("alice")
            await until(lambda: operator.count("retried"))
            begun = time.monotonic()
            operator.fails("bob")  # for the same server, which is busy whoever asks
            await until(lambda: len(receiver.arrived) >= 2)
            assert time.monotonic() - begun > 0.8
            await until(lambda: operator.count("sent") == 2)
        assert len(set(receiver.ids)) == 2

    run(scenario)


@pytest.mark.parametrize(
    ("status", "header", "result", "seconds"),
    [
        pytest.param(200, "", "sent", None, id="ok"),
        pytest.param(204, "", "sent", None, id="no content"),
        pytest.param(301, "", "retry", None, id="a redirect is not followed and may be corrected in the values"),
        pytest.param(404, "", "retry", None, id="so may an address"),
        pytest.param(401, "", "retry", None, id="so may a right"),
        pytest.param(400, "", "refused", None, id="this body is refused again"),
        pytest.param(410, "", "refused", None, id="gone for good"),
        pytest.param(429, "17", "retry", 17.0, id="busy for so long"),
        pytest.param(503, "99999999999999", "retry", 999999999.0, id="bounded later"),
        pytest.param(503, "soon", "retry", None, id="no time"),
        pytest.param(503, "-5", "retry", None, id="a time that is none"),
        pytest.param(503, "Mon, 01 Jan 2001 00:00:00 GMT", "retry", 0.0, id="a time that has passed"),
    ],
)
def test_what_an_answer_means(status: int, header: str, result: str, seconds: float | None) -> None:
    answer = answer_of(status, header)
    assert (answer.result, answer.retry_after) == (result, seconds)


def test_a_pause_that_a_server_asks_for_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RETRY_AFTER_SECONDS", 0.2)

    async def scenario(receiver: Receiver) -> None:
        receiver.behaviours = [answers(503, Retry_After="86400")]
        async with Working(Operator(target(receiver))) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts, 3)

    run(scenario)


def test_a_refusal_is_final_and_told_on_the_voice() -> None:
    async def scenario(receiver: Receiver) -> None:
        receiver.always = answers(400)
        async with Working(Operator(target(receiver))) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
            await asyncio.sleep(0.2)
        assert [record.failed for record in operator.statuses[key].alerts or ()] == [("hook",)]
        assert len(receiver.arrived) == 1
        assert operator.count("failed") == 1

    run(scenario)


def test_a_dead_server_is_given_up_after_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GIVE_UP_SECONDS", 0.3)

    async def scenario(receiver: Receiver) -> None:
        dead = target(receiver)
        dead["url"] = "http://127.0.0.1:1/"
        async with Working(Operator(dead)) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
        assert [record.failed for record in operator.statuses[key].alerts or ()] == [("hook",)]
        assert operator.count("retried") >= 1

    run(scenario)


def test_a_slow_and_a_dead_server_cost_others_nothing() -> None:
    async def scenario(receiver: Receiver) -> None:
        async with a_receiver() as other:
            other.always = sleeps
            dead = {"name": "dead", "kind": "webhook", "url": "http://127.0.0.1:1/"}
            async with Working(Operator(target(other, "slow"), dead, target(receiver, "good"))) as operator:
                for number in range(50):
                    operator.fails(f"voice-{number}")
                assert not receiver.arrived, "a pass only offers"
                await until(lambda: operator.count("sent", "good") == 50)
                assert len(other.arrived) == 2, "two at a time, which hold nothing up"
                assert operator.count("retried", "dead")
        assert len(set(receiver.ids)) == 50

    run(scenario)


def test_the_queue_of_a_target_is_bounded_and_what_found_no_room_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PENDING", 3)

    async def scenario(receiver: Receiver) -> None:
        operator = Operator(target(receiver))
        keys = [operator.fails(f"voice-{number}") for number in range(5)]  # before anything is sent
        assert operator.count("dropped") == 2
        async with Working(operator):
            await until(lambda: operator.count("sent") == 3)
            for key in keys:
                operator.reconcile(key)  # as the full resync does
            await until(lambda: operator.count("sent") == 5)
        assert len(set(receiver.ids)) == len(receiver.arrived) == 5

    run(scenario)


def test_a_crash_before_the_delivery_loses_nothing_and_one_after_it_repeats_the_id() -> None:
    async def scenario(receiver: Receiver) -> None:
        first = Operator(target(receiver))
        key = first.fails()  # dies before its workers begin
        async with Working(first.restarted(target(receiver))) as second:
            second.reconcile(key)
            await until(lambda: receiver.arrived)
            second.statuses[key] = first.statuses[key]  # dies before it has written that
        assert len(receiver.arrived) == 1
        second.statuses[key] = first.statuses[key]
        async with Working(second.restarted(target(receiver))) as third:
            third.reconcile(key)
            await until(lambda: third.statuses[key].alerts)
        assert len(receiver.arrived) == 2
        assert len(set(receiver.ids)) == 1, "so that receivers drop the second"

    run(scenario)


def test_a_target_that_comes_later_is_told_what_is_due_and_the_others_nothing() -> None:
    async def scenario(receiver: Receiver) -> None:
        async with Working(Operator(target(receiver))) as operator:
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
        async with (
            a_receiver() as second,
            Working(operator.restarted(target(receiver), target(second, "second"))) as restarted,
        ):
            restarted.reconcile(key)
            await until(lambda: restarted.count("sent", "second") == 1)
        assert (len(receiver.arrived), len(second.arrived)) == (1, 1)

    run(scenario)


def test_what_is_mended_meanwhile_is_told_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BASE_DELAY_SECONDS", 0.3)

    async def scenario(receiver: Receiver) -> None:
        receiver.behaviours = [answers(500)]
        async with Working(Operator(target(receiver))) as operator:
            key = operator.fails()
            await until(lambda: operator.count("retried"))
            operator.reasons.pop(key)
            operator.reconcile(key)
            assert operator.alerts._lanes["hook"].pending == 0
            await asyncio.sleep(0.5)
            assert len(receiver.arrived) == 1
            operator.fails()
            await until(lambda: operator.statuses[key].alerts)
        assert len(set(receiver.ids)) == 1

    run(scenario)


def test_what_is_due_again_while_it_is_sent_takes_one_place() -> None:
    async def scenario(receiver: Receiver) -> None:
        async with Working(Operator(target(receiver))) as operator:

            async def mended_and_broken_again(_: web.Request) -> web.StreamResponse:
                operator.reasons.pop(key)
                operator.reconcile(key)
                operator.fails()
                return web.Response()

            receiver.behaviours = [mended_and_broken_again]
            key = operator.fails()
            await until(lambda: operator.statuses[key].alerts)
            await until(operator.alerts._lanes["hook"].ready.empty)
            assert operator.alerts._lanes["hook"].pending == 0

    run(scenario)


def test_a_condition_that_comes_and_goes_is_told_once() -> None:
    async def scenario(receiver: Receiver) -> None:
        async with Working(Operator(target(receiver))) as operator:
            for reason in ("BaseNotFound", "", "BaseNotFound", "PinNotFound", "BaseNotFound", "", "PinNotFound"):
                key = operator.fails(reason=reason)
                await until(lambda: not reason or reason in str(operator.statuses[key].alerts))  # noqa: B023
            await asyncio.sleep(0.1)
        assert [document["data"]["reason"] for document in receiver.documents] == ["BaseNotFound", "PinNotFound"]

    run(scenario)


def test_a_voice_that_was_made_anew_has_alerts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(receiver: Receiver) -> None:
        async with Working(Operator(target(receiver))) as operator:
            monkeypatch.setattr(operator, "_enqueue", lambda *_: None)
            operator.alerts._enqueue = lambda *_: None
            key = operator.fails()
            await until(lambda: operator.count("sent") == 1)
            operator.statuses.clear()
            made_anew = operator._voice(key)
            status = operator._status(key)
            made_anew = Voice(key.namespace, key.name, "another-uid", 1, made_anew.spec, status)
            assert operator.alerts.with_outcomes(key, "another-uid", status).alerts is None
            operator.alerts.offer(key, made_anew, status)
            await until(lambda: len(receiver.arrived) == 2)
        assert len(set(receiver.ids)) == 2

    run(scenario)


def test_a_voice_that_is_gone_leaves_no_memory() -> None:
    async def scenario(receiver: Receiver) -> None:
        async with Working(Operator(target(receiver))) as operator:
            operator.alerts._enqueue = lambda key, _: operator.alerts.forget(key)
            operator.fails()
            operator.alerts.forget(Key("VoiceModel", "studio", "alice"))
            await until(lambda: operator.count("sent") == 1)
            assert not operator.alerts._deliveries
            assert operator.alerts._lanes["hook"].pending == 0

    run(scenario)


@pytest.mark.parametrize(
    ("about", "told"),
    [
        pytest.param({}, {"studio/alice", "stage/bob"}, id="all"),
        pytest.param({"namespaces": ["stage"]}, {"stage/bob"}, id="a namespace's"),
        pytest.param({"namespaces": ["*", "nowhere"]}, {"studio/alice", "stage/bob"}, id="all in words"),
        pytest.param({"alerts": ["GatesFailed"]}, {"stage/bob"}, id="some kinds"),
        pytest.param({"alerts": ["GatesFailed"], "namespaces": ["studio"]}, set(), id="both"),
    ],
)
def test_who_is_told_of_what(about: dict[str, Any], told: set[str]) -> None:
    async def scenario(receiver: Receiver) -> None:
        async with Working(Operator(target(receiver, **about))) as operator:
            operator.fails("alice", "BaseNotFound")
            operator.fails("bob", "GatesFailed", "stage")
            await until(lambda: len(receiver.arrived) == len(told))
            await asyncio.sleep(0.1)
        found = {f"{one['data']['namespace']}/{one['data']['voice']}" for one in receiver.documents}
        assert found == told

    run(scenario)


def test_redirects_are_not_followed() -> None:
    async def scenario(receiver: Receiver) -> None:
        async with a_receiver() as inside:
            receiver.behaviours = [answers(307, Location=inside.url)]
            async with Working(Operator(target(receiver))) as operator:
                key = operator.fails()
                await until(lambda: operator.statuses[key].alerts)
            assert inside.arrived == []
            assert len(receiver.arrived) == 2

    run(scenario)


def test_a_secret_address_is_read_anew_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url, hmac = tmp_path / "url", tmp_path / "hmac"

    async def scenario(receiver: Receiver) -> None:
        receiver.always = answers(403)
        secret = f"http://127.0.0.1:{receiver.port}/services/T000/B000/very-secret"
        hook = target(urlFile=str(url), hmacFile=str(hmac))
        async with Working(Operator(hook)) as operator:
            assert f"alerts cannot be sent to hook: {url}: No such file" in caplog.text
            key = operator.fails()
            await until(lambda: operator.count("retried") >= 1)
            url.write_text("ftp://secret-host/very-secret")
            hmac.write_text("very-secret")
            await until(lambda: "holds no URL" in caplog.text)
            url.write_text(secret + "\n")
            await until(lambda: "no signing secret" in caplog.text)
            hmac.write_text(WRITTEN_SECRET)
            await until(lambda: receiver.arrived)
            receiver.always = hangs_up
            await until(lambda: len(receiver.arrived) >= 3)
            receiver.always = None
            await until(lambda: operator.statuses[key].alerts)
        assert receiver.is_signed()

    run(scenario)
    assert "very-secret" not in caplog.text
    assert WRITTEN_SECRET not in caplog.text


def test_the_server_must_prove_who_it_is(caplog: pytest.LogCaptureFixture) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    arrived: list[str] = []

    async def handle(request: web.Request) -> web.Response:
        arrived.append(await request.text())
        return web.Response()

    async def whole() -> None:
        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        hook = {"name": "hook", "kind": "webhook", "url": f"https://127.0.0.1:{runner.addresses[0][1]}/"}
        async with Working(Operator(hook)) as operator:
            operator.fails()
            await until(lambda: operator.count("retried"))
        assert arrived == []
        async with Working(Operator(hook, ca=authority.cert_pem.bytes().decode())) as operator:
            operator.fails()
            await until(lambda: operator.count("sent"))
        await runner.cleanup()

    asyncio.run(asyncio.wait_for(whole(), timeout=40))
    assert "the certificate is not trusted; storage.caConfigMap adds an authority" in caplog.text


def test_the_proxy_is_used_but_not_for_what_is_reached_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(receiver: Receiver) -> None:
        async with a_receiver() as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            monkeypatch.setenv("NO_PROXY", "127.0.0.1")
            outside = {"name": "outside", "kind": "webhook", "url": "http://hooks.example.com/x"}
            async with Working(Operator(target(receiver, "inside"), outside)) as operator:
                operator.fails()
                await until(lambda: operator.count("sent", "inside") and operator.count("sent", "outside"))
            assert len(receiver.arrived) == len(proxy.arrived) == 1
            assert proxy.arrived[0][0]["host"] == "hooks.example.com"

    run(scenario)
