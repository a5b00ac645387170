"""A server with room for fewer adapters than it has voices speaks with all of them."""

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_voices_whose_adapters_are_not_in_memory_are_read_when_somebody_speaks(
    make_bundle: Any, desired: Any, start_server: Any
) -> None:
    voices = [make_bundle(f"studio/{name}", rank=64).seal() for name in ("alice", "bob", "carol")]
    desired.write(*voices)
    async with start_server(adapter_memory_mib=1) as server:
        await server.until_ready(*voices)

        async def speak(name: str) -> bytes:
            answer = await server.create_speech(f"studio/{name}", "Hi.")
            assert answer.status_code == 200, answer.text
            content: bytes = answer.content
            return content

        alone = {name: await speak(name) for name in ("alice", "bob", "carol")}
        assert len({*alone.values()}) == 3
        names = [*alone] * 4
        again = await asyncio.gather(*[speak(name) for name in names])
        assert all(audio == alone[name] for name, audio in zip(names, again, strict=True))
        shown = (await server.client.get("/metrics")).text
    samples = {one.name: one.value for family in text_string_to_metric_families(shown) for one in family.samples}
    assert samples["voice_inference_adapters_in_memory"] == 1
    assert samples["voice_inference_adapter_reads_total"] >= 3
