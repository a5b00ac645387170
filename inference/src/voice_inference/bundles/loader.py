"""Fetches and loads bases and voices by reference; blocks, so it runs in threads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import voice_store
from sovits_core.bundle.base import EMBEDDED
from sovits_core.errors import TextRejected
from sovits_core.serving.rounding import WeightBits
from sovits_core.text import phonemize
from voice_inference.bundles.adapters import AdapterCache
from voice_inference.bundles.base import BASES, Base, load_base
from voice_inference.bundles.budget import Budget
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.samples import Sample, list_samples, read_sample
from voice_inference.bundles.voice import ADAPTER_LIMIT, MIB, Voice, load_voice, memory_for, voice_bundles
from voice_inference.errors import DigestMismatch, FetchFailed, InvalidDocument
from voice_store import BundleCache, BundleKind, StoreFactory

LOAD_BUDGET = 192 * MIB  # of memory, for all voices that are being loaded at a time


class Loader:
    """Loads through a cache folder."""

    def __init__(
        self,
        cache: Path,
        *,
        threads: int,
        adapter_limit: int = ADAPTER_LIMIT,
        step_bits: WeightBits = 32,
        adapters: AdapterCache | None = None,
    ) -> None:
        """Load with so many threads for each network; ``adapters`` are those in memory, without it all are."""
        self._cache = BundleCache(cache)
        self._threads = threads
        self._step_bits = step_bits
        self._voices = voice_bundles(adapter_limit)
        self._budget = Budget(LOAD_BUDGET)
        self._adapters = adapters

    def load_base(self, reference: BaseReference) -> Base:
        """Fetch, check and load a base; raises ``LoadError``."""
        uri = reference.uri
        if not uri.startswith(EMBEDDED):
            uri = str(self._fetch(BASES, uri, reference.digest))
        base = load_base(uri, reference, threads=self._threads, step_bits=self._step_bits)
        for language in base.document.languages:  # warm-up: the first request would wait for a second of imports
            with suppress(TextRejected):  # a language of the base that the text front end does not offer
                phonemize("1", language)
        return base

    def load_voice(self, reference: VoiceReference, base: Base) -> Voice:
        """Fetch, check and load a voice for the base; raises ``LoadError``."""
        folder = self._fetch(self._voices, reference.uri, reference.digest)
        with self._budget.hold(memory_for(folder)):
            return load_voice(folder, reference, base, self._adapters)

    def prune(self, digests: set[str]) -> None:
        """Remove all cached bundles but those of the given digests; a rollback fetches a few megabytes again."""
        for kind in (BASES, self._voices):
            self._cache.keep_only(kind, digests)
        if self._adapters is not None:
            self._adapters.keep_only(digests)

    def samples(self, reference: VoiceReference) -> tuple[Sample, ...]:
        """Return what was spoken when the voice was evaluated; raises ``LoadError``."""
        with _as_load_errors():
            return list_samples(self._stores.open(reference.uri), reference)

    def sample(self, reference: VoiceReference, name: str) -> bytes | None:
        """Return the FLAC file of one of these; None: there is none of the name. Raises ``LoadError``."""
        with _as_load_errors():
            return read_sample(self._stores.open(reference.uri), reference, name)

    def _fetch(self, kind: BundleKind, uri: str, digest: str) -> Path:
        """Return the folder with the bundle's checked files; raises ``LoadError``."""
        with _as_load_errors():
            return self._cache.fetch(kind, lambda: self._stores.open(uri), digest)

    @cached_property
    def _stores(self) -> StoreFactory:
        """One connection for all bundles; made late, so that wrong settings are shown beside the voices."""
        return StoreFactory()


@contextmanager
def _as_load_errors() -> Iterator[None]:
    """Raise what the store raises as ``LoadError``, with the store's own sentence."""
    try:
        yield
    except voice_store.DigestMismatch as error:
        raise DigestMismatch(str(error)) from error
    except voice_store.InvalidIndex as error:
        raise InvalidDocument(str(error)) from error
    except voice_store.StoreError as error:
        raise FetchFailed(str(error)) from error
