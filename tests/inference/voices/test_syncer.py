"""What is to be served is loaded first, what comes next beside it, and a removal waits for neither."""

import asyncio
import logging
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from voice_inference.bundles.base import Base
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import Voice
from voice_inference.errors import FetchFailed
from voice_inference.metrics import Metrics
from voice_inference.voices.registry import VoiceRegistry
from voice_inference.voices.sources import FileSource, NewestSource
from voice_inference.voices.syncer import PARALLEL_LOADS, Syncer

pytestmark = pytest.mark.anyio
TIMEOUT_SECONDS = 60.0  # the machine may be busy
POLL_SECONDS = 0.02


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class HeldLoader(Loader):
    """The real loader; it writes down what it begins, and the loads of some names hang, as with a store that hangs."""

    def __init__(self, cache: Path) -> None:
        super().__init__(cache, threads=1)
        self.begun: list[str] = []
        self.kept: set[str] = set()
        self._held: dict[str, threading.Event] = {}

    def hold(self, *names: str) -> None:
        self._held |= {name: threading.Event() for name in names}

    def release(self) -> None:
        for event in self._held.values():
            event.set()

    def load_base(self, reference: BaseReference) -> Base:
        self._begin(reference.name)
        return super().load_base(reference)

    def load_voice(self, reference: VoiceReference, base: Base) -> Voice:
        self._begin(reference.revision)
        return super().load_voice(reference, base)

    def prune(self, digests: set[str]) -> None:
        self.kept = digests
        super().prune(digests)

    def _begin(self, name: str) -> None:
        self.begun.append(name)
        if name in self._held and not self._held[name].wait(TIMEOUT_SECONDS):
            raise FetchFailed("the test has ended")


class Sync:
    """A running syncer."""

    def __init__(self, registry: VoiceRegistry, loader: HeldLoader) -> None:
        self.registry = registry
        self.loader = loader

    def entries(self) -> dict[str, Any]:
        return {entry.desired.id.partition("/")[2]: entry for entry in self.registry}

    def serving(self) -> dict[str, str]:
        return {
            name: entry.serving.reference.revision if entry.serving else "" for name, entry in self.entries().items()
        }

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            while not condition():  # noqa: ASYNC110 -- seen from outside, as a client does
                await asyncio.sleep(POLL_SECONDS)


@pytest.fixture
def start_sync(desired: Any, clock: Any, tmp_path: Path, loaded_once: None) -> Any:
    @asynccontextmanager
    async def start() -> AsyncIterator[Sync]:
        metrics = Metrics()
        loader, registry = HeldLoader(tmp_path / "cache"), VoiceRegistry(metrics, clock)
        source = NewestSource([FileSource(desired.path)])
        task = asyncio.create_task(Syncer(source, loader, registry, metrics, poll_seconds=POLL_SECONDS).run())
        try:
            yield Sync(registry, loader)
        finally:
            loader.release()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    return start


async def test_a_removal_waits_for_no_load(make_bundle: Any, desired: Any, start_sync: Any) -> None:
    alice, bob = make_bundle("studio/alice").seal(), make_bundle("studio/bob").seal()
    bob = desired.entry(bob, following=make_bundle("studio/bob", 2).seal())
    hanging = [make_bundle(f"studio/hanging{number}").seal() for number in range(2 * PARALLEL_LOADS["current"])]
    other = {"name": "other", "uri": "file:///nowhere/other", "digest": "sha256:" + "1" * 64}
    hanging.append(desired.entry(make_bundle("studio/carol").seal(), base=other))
    desired.write(alice, bob)
    async with start_sync() as sync:
        sync.loader.hold("bob-2", "other", *(f"hanging{number}-1" for number in range(len(hanging))))
        await sync.until(
            lambda: sync.serving() == {"alice": "alice-1", "bob": "bob-1"} and "bob-2" in sync.loader.begun
        )
        desired.write(alice, bob, *hanging)
        await sync.until(lambda: {"other", "hanging0-1"} <= {*sync.loader.begun})
        desired.write(bob, *hanging)
        await sync.until(lambda: "alice" not in sync.serving())
        assert sync.serving()["bob"] == "bob-1"
        assert {entry.current.state for name, entry in sync.entries().items() if name != "bob"} == {"loading"}


async def test_one_namespace_has_half_of_the_loads_while_others_wait(
    make_bundle: Any, desired: Any, start_sync: Any
) -> None:
    mine = [make_bundle("studio/alice").seal(), make_bundle("studio/bob").seal()]
    theirs = [make_bundle(f"crowd/hanging{number}").seal() for number in range(3 * PARALLEL_LOADS["current"])]
    desired.write(*theirs, *mine)
    async with start_sync() as sync:
        sync.loader.hold(*(f"hanging{number}-1" for number in range(len(theirs))))
        await sync.until(lambda: {"alice", "bob"} <= {name for name, revision in sync.serving().items() if revision})
        begun = [name for name in sync.loader.begun if name.startswith("hanging")]
        await sync.until(lambda: len([one for one in sync.loader.begun if one.startswith("hanging")]) == 4)
        assert len(begun) <= PARALLEL_LOADS["current"], "and all of them once nobody else waits"


async def test_what_comes_next_waits_until_all_that_is_to_be_served_has_begun(
    make_bundle: Any, desired: Any, start_sync: Any
) -> None:
    pairs = [[make_bundle(f"studio/voice{name}", number).seal() for number in (1, 2)] for name in range(8)]
    desired.write(*[desired.entry(old, following=new) for old, new in pairs])
    async with start_sync() as sync:
        sync.loader.hold(*(old.revision for old, _ in pairs))
        await sync.until(lambda: len(sync.loader.begun) == 1 + PARALLEL_LOADS["current"])
        await asyncio.sleep(5 * POLL_SECONDS)
        assert not any(name.endswith("-2") for name in sync.loader.begun)
        sync.loader.release()
        await sync.until(lambda: all(entry.next.state == "ready" for entry in sync.entries().values()))


async def test_a_next_revision_that_hangs_delays_nothing_that_is_to_be_served(
    make_bundle: Any, desired: Any, start_sync: Any
) -> None:
    pairs = [[make_bundle(f"studio/voice{name}", number).seal() for number in (1, 2)] for name in range(8)]
    entries = [desired.entry(old, following=new) for old, new in pairs]
    desired.write(*entries)
    async with start_sync() as sync:
        sync.loader.hold(*(new.revision for _, new in pairs))
        await sync.until(lambda: sum(name.endswith("-2") for name in sync.loader.begun) == PARALLEL_LOADS["next"])
        desired.write(*entries, make_bundle("studio/late").seal())
        await sync.until(lambda: sync.serving().get("late") == "late-1")
        assert sum(name.endswith("-2") for name in sync.loader.begun) == PARALLEL_LOADS["next"]


async def test_the_swap_to_a_next_revision_downloads_and_builds_nothing_a_second_time(
    make_bundle: Any, desired: Any, start_sync: Any, tmp_path: Path
) -> None:
    old, new = make_bundle(number=1).seal(), make_bundle(number=2).seal()
    desired.write(desired.entry(old, following=new))
    async with start_sync() as sync:
        await sync.until(lambda: (found := sync.entries().get("alice")) and found.next.state == "ready")
        held = sync.entries()["alice"].next.voice
        await sync.until(lambda: sync.serving() == {"alice": "alice-1"})
        shutil.rmtree(tmp_path / "store")
        desired.write(new)
        await sync.until(lambda: sync.serving() == {"alice": "alice-2"})
        assert sync.registry.find("studio/alice") is held
        assert sorted(sync.loader.begun) == ["alice-1", "alice-2", "tiny"]


async def test_a_next_revision_that_is_promoted_while_it_loads_is_loaded_once(
    make_bundle: Any, desired: Any, start_sync: Any
) -> None:
    old, new = make_bundle(number=1).seal(), make_bundle(number=2).seal()
    desired.write(desired.entry(old, following=new))
    async with start_sync() as sync:
        sync.loader.hold("alice-2")
        await sync.until(lambda: sync.serving() == {"alice": "alice-1"} and "alice-2" in sync.loader.begun)
        desired.write(new)
        await sync.until(lambda: sync.entries()["alice"].next is None)
        assert sync.serving() == {"alice": "alice-1"}
        sync.loader.release()
        await sync.until(lambda: sync.serving() == {"alice": "alice-2"})
        assert sorted(sync.loader.begun) == ["alice-1", "alice-2", "tiny"]


async def test_a_next_revision_that_fails_is_tried_again_with_backoff(
    make_bundle: Any, desired: Any, start_sync: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_inference.voices.syncer.INITIAL_BACKOFF_SECONDS", 0.05)
    old, bundle = make_bundle(number=1).seal(), make_bundle(number=2)
    new = bundle.seal()
    manifest = bundle.folder / "manifest.json"
    promised = manifest.read_bytes()
    manifest.write_bytes(b"{}")
    desired.write(desired.entry(old, following=new))
    async with start_sync() as sync:
        await sync.until(lambda: (found := sync.entries().get("alice")) and found.next.state == "failed")
        assert "digest" in sync.entries()["alice"].next.error
        manifest.write_bytes(promised)
        await sync.until(lambda: sync.entries()["alice"].next.state == "ready")
        assert sync.serving() == {"alice": "alice-1"}


async def test_the_cache_keeps_what_is_served_what_comes_next_and_all_their_bases(
    make_bundle: Any, desired: Any, start_sync: Any, stored_base: Any
) -> None:
    old, new, gone = make_bundle(number=1).seal(), make_bundle(number=2).seal(), make_bundle("studio/gone").seal()
    other = stored_base.change(name="other").model_dump()
    desired.write(desired.entry(old, following=new), gone)
    async with start_sync() as sync:
        await sync.until(lambda: gone.digest in sync.loader.kept)
        desired.write(desired.entry(old, next=new.model_dump() | {"base": other}))
        await sync.until(lambda: gone.digest not in sync.loader.kept)
        expected = {old.digest, new.digest, other["digest"]}
        assert expected <= sync.loader.kept
        await sync.until(lambda: sync.registry.loaded_base(BaseReference.model_validate(other)))
        await sync.until(lambda: sync.entries()["alice"].next.state == "failed")  # it was made for the other base
        assert "trained on the base" in sync.entries()["alice"].next.error


async def test_an_entry_that_is_left_out_is_logged_once_and_hides_no_removal(
    make_bundle: Any, desired: Any, start_sync: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    alice, bob = make_bundle("studio/alice").seal(), make_bundle("studio/bob").seal()
    desired.write(alice, bob)
    async with start_sync() as sync:
        await sync.until(lambda: sync.serving() == {"alice": "alice-1", "bob": "bob-1"})
        desired.write(bob, desired.entry(alice, id="no id"))
        await sync.until(lambda: sync.serving() == {"bob": "bob-1"})
        await asyncio.sleep(5 * POLL_SECONDS)
        desired.write(bob)
        await sync.until(lambda: sync.registry.generation == 3)
        await asyncio.sleep(5 * POLL_SECONDS)
    first, second, third = [record.getMessage() for record in caplog.records]
    assert first.startswith("an entry of the desired voices is left out: voices.1 ('no id'): id: ")
    assert (second[-3:], third[-3:]) == (": 1", ": 0")
