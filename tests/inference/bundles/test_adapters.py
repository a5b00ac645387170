"""Adapters that were used last are in memory, the others in files that are hashed before they are used."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voice_inference.bundles.adapters import AdapterCache, Adapters
from voice_inference.bundles.base import Base
from voice_inference.bundles.loader import Loader
from voice_inference.bundles.voice import ADAPTER, MIB, Voice
from voice_inference.errors import InvalidVoice
from voice_inference.metrics import Metrics


def adapters(kilobytes: int) -> Adapters:
    shared = {"a": np.zeros(kilobytes * 256, np.float32)}
    return Adapters(shared, shared, {})


def value(metrics: Metrics, name: str) -> float:
    return metrics.registry.get_sample_value(f"voice_inference_{name}") or 0.0


class Shelf:
    """A cache, and what had to be read."""

    def __init__(self, kilobytes: int) -> None:
        self.metrics = Metrics()
        self.cache = AdapterCache(kilobytes * 1024, self.metrics)
        self.read = list[str]()

    def get(self, name: str, kilobytes: int = 10) -> Adapters:
        def read() -> Adapters:
            self.read.append(name)
            return adapters(kilobytes)

        return self.cache.get(name, read)


def test_shared_arrays_are_counted_once() -> None:
    assert adapters(10).size == 10 * 1024


def test_what_was_used_last_stays() -> None:
    shelf = Shelf(30)
    for name in ("one", "two", "three", "one", "four", "one", "three", "two"):
        shelf.get(name)
    assert shelf.read == ["one", "two", "three", "four", "two"]
    assert value(shelf.metrics, "adapters_in_memory") == 3
    assert value(shelf.metrics, "adapter_reads_total") == 5


def test_one_that_is_larger_than_the_cache_is_kept_alone() -> None:
    shelf = Shelf(15)
    shelf.get("small")
    shelf.get("large", 40)
    shelf.get("large", 40)
    assert shelf.read == ["small", "large"]
    assert value(shelf.metrics, "adapters_in_memory") == 1


def test_what_is_put_again_is_counted_once() -> None:
    shelf = Shelf(30)
    for _ in range(5):
        shelf.cache.put("one", adapters(10))
    shelf.get("two")
    shelf.get("three")
    shelf.get("one")
    assert shelf.read == ["two", "three"]


@pytest.fixture
def crowded(tmp_path: Path) -> Loader:
    """A loader with room for one adapter."""
    return Loader(tmp_path / "cache", threads=1, adapters=AdapterCache(1, Metrics()))


@pytest.fixture
def evicted(make_bundle: Any, crowded: Loader, base: Base, tmp_path: Path) -> tuple[Voice, Path]:
    """A voice whose adapter is in its file alone, and that file."""
    voice = crowded.load_voice(make_bundle("studio/alice").seal(), base)
    file = next((tmp_path / "cache").rglob(ADAPTER))
    crowded.load_voice(make_bundle("studio/bob").seal(), base)
    return voice, file


def test_an_adapter_is_read_again_as_it_was(make_bundle: Any, evicted: tuple[Voice, Path], base: Base) -> None:
    again, bundle = evicted[0].adapters(), make_bundle("studio/alice")
    for graph, adapter in ((base.prefill, again.prefill), (base.step, again.step), (base.decode, again.decode)):
        for lora in graph.lora:
            assert np.array_equal(adapter[lora.name], np.stack([bundle.adapter[key] for key in lora.keys]))
            assert adapter[lora.name].dtype == np.float16


def test_a_pinned_voice_needs_its_file_no_more(evicted: tuple[Voice, Path]) -> None:
    voice, file = evicted
    pinned = voice.pinned()
    file.unlink()
    assert pinned.adapters().size > 0


def test_a_file_that_has_changed_or_gone_is_not_used(evicted: tuple[Voice, Path]) -> None:
    voice, file = evicted
    sound = file.read_bytes()
    file.write_bytes(sound[:-1] + bytes([sound[-1] ^ 1]))
    with pytest.raises(InvalidVoice, match="has changed in the cache; start the server again"):
        voice.adapters()
    file.unlink()
    with pytest.raises(InvalidVoice, match="cannot be read from the cache"):
        voice.adapters()


def test_bundles_that_are_pruned_leave_the_memory_too(make_bundle: Any, tmp_path: Path, base: Base) -> None:
    metrics = Metrics()
    loader = Loader(tmp_path / "cache", threads=1, adapters=AdapterCache(100 * MIB, metrics))
    kept, gone = (make_bundle(f"studio/{name}").seal() for name in ("alice", "bob"))
    for reference in (kept, gone):
        loader.load_voice(reference, base)
    assert value(metrics, "adapters_in_memory") == 2
    loader.prune({kept.digest})
    assert value(metrics, "adapters_in_memory") == 1
