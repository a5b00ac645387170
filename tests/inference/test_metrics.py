"""The metrics, scraped from the real endpoint after real requests, follow Prometheus' conventions."""

import asyncio
import io
import wave
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from voice_inference.metrics import Metrics

pytestmark = pytest.mark.anyio
SPEECH = "/v1/audio/speech"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def scrape(server: Any) -> dict[str, Metric]:
    answer = await server.client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {family.name: family for family in text_string_to_metric_families(answer.text)}


def value(families: dict[str, Metric], sample: str, **labels: str) -> float | None:
    found = [
        one.value
        for family in families.values()
        for one in family.samples
        if (one.name, one.labels) == (sample, labels)
    ]
    assert len(found) < 2
    return found[0] if found else None


async def test_requests_are_counted_and_timed_by_route(make_bundle: Any, desired: Any, start_server: Any) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        await server.create_speech("studio/alice")
        await server.create_speech("nobody")
        await server.client.get("/path/that/callers/choose")
        families = await scrape(server)
        shown = (await server.client.get("/metrics")).text
    requests, duration = "voice_inference_http_requests_total", "voice_inference_http_request_duration_seconds_count"
    assert value(families, requests, route=SPEECH, status="200") == 1
    assert value(families, requests, route=SPEECH, status="404") == 1
    assert value(families, requests, route="unknown", status="404") == 1
    assert value(families, duration, route=SPEECH) == 2
    assert "/path" not in shown


async def test_speech_is_measured_in_seconds_segments_and_time_to_first_audio(
    make_bundle: Any, desired: Any, start_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice = make_bundle().seal()
    desired.write(alice)
    async with start_server() as server:
        await server.until_ready(alice)
        before = await scrape(server)
        answer = await server.create_speech("studio/alice")
        monkeypatch.setattr("voice_inference.engine.sentence.max_tokens", lambda _: 3)
        await server.create_speech("studio/alice")
        while server.services.workers.busy:  # noqa: ASYNC110 -- the thread ends after the answer
            await asyncio.sleep(0.02)
        after = await scrape(server)
    with wave.open(io.BytesIO(answer.content)) as file:
        seconds = file.getnframes() / file.getframerate()
    segments = "voice_inference_segments_total"
    assert (
        value(before, segments, finish_reason="end_token") == value(before, segments, finish_reason="max_length") == 0
    )
    assert value(after, segments, finish_reason="end_token") == value(after, segments, finish_reason="max_length") == 1
    assert value(after, "voice_inference_audio_seconds_total") == pytest.approx(seconds + 3 / 25)
    assert value(after, "voice_inference_time_to_first_audio_seconds_count") == 2
    assert value(after, "voice_inference_real_time_factor_count") == 2
    assert value(after, "voice_inference_speech_requests_in_progress") == 0


async def test_loads_are_counted_by_result(make_bundle: Any, desired: Any, start_server: Any) -> None:
    alice, bob = make_bundle().seal(), make_bundle("studio/bob")
    broken = bob.seal()
    (bob.folder / "prompt.safetensors").unlink()
    desired.write(alice, broken)
    async with start_server() as server:
        await server.until(lambda voices: {voice["state"] for voice in voices.values()} == {"ready", "failed"})
        families = await scrape(server)
    assert value(families, "voice_inference_voices", state="ready") == 1
    assert value(families, "voice_inference_voices", state="failed") == 1
    assert value(families, "voice_inference_voice_loads_total", result="success") == 1
    assert value(families, "voice_inference_voice_loads_total", result="error") == 1
    assert value(families, "voice_inference_voice_load_duration_seconds_count") == 1
    assert value(families, "voice_inference_desired_generation") == 1


async def test_a_voice_counts_once_and_what_comes_next_apart(make_bundle: Any, desired: Any, start_server: Any) -> None:
    old, new = make_bundle(number=1).seal(), make_bundle(number=2).seal()
    desired.write(desired.entry(old, following=new), desired.entry(old, id="no id"))
    async with start_server() as server:
        await server.until(lambda voices: voices and voices["studio/alice"]["next"]["state"] == "ready")
        families = await scrape(server)
    for name in ("voice_inference_voices", "voice_inference_next_revisions"):
        assert [value(families, name, state=state) for state in ("loading", "ready", "failed")] == [0, 1, 0]
    assert value(families, "voice_inference_rejected_entries") == 1


def test_every_metric_has_a_prefix_help_and_a_base_unit() -> None:
    families = list(text_string_to_metric_families(Metrics().render().decode()))
    assert {"counter", "gauge", "histogram"} == {family.type for family in families}
    for family in families:
        assert family.name.startswith(("voice_inference_", "process_"))
        assert family.documentation.endswith(".")
        assert not family.name.endswith(("_ms", "_milliseconds", "_minutes"))


@pytest.mark.parametrize("name", ["time_to_first_audio", "load_duration", "real_time_factor"])
def test_buckets_cover_fractions_and_minutes(name: str) -> None:
    metrics = Metrics()
    histogram = getattr(metrics, name)
    bounds = [float(one.labels["le"]) for one in histogram.collect()[0].samples if one.name.endswith("_bucket")]
    assert bounds == sorted(set(bounds))
    assert bounds[0] <= 0.05
    assert bounds[-2] >= 4
    assert bounds[-1] == float("inf")
