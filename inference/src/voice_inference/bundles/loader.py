"""Fetches and loads bases and voices by reference; blocks, so it runs in threads."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from sovits_core.bundle.base import EMBEDDED
from sovits_core.errors import TextRejected
from sovits_core.text import phonemize
from voice_inference.bundles.base import BASES, Base, load_base
from voice_inference.bundles.fetch import Cache
from voice_inference.bundles.references import BaseReference, VoiceReference
from voice_inference.bundles.voice import VOICES, Voice, load_voice


class Loader:
    """Loads through a cache folder; ``threads`` is the number that one inference may use."""

    def __init__(self, cache: Path, *, threads: int) -> None:
        self._cache = Cache(cache)
        self._threads = threads

    def load_base(self, reference: BaseReference) -> Base:
        """Fetch, check and load a base; raises ``LoadError``."""
        uri = reference.uri
        if not uri.startswith(EMBEDDED):
            uri = str(self._cache.fetch(BASES, uri, reference.digest))
        base = load_base(uri, reference, threads=self._threads)
        for language in base.document.languages:  # warm-up: the first request would wait for a second of imports
            with suppress(TextRejected):  # a language of the base that the text front end does not offer
                phonemize("1", language)
        return base

    def load_voice(self, reference: VoiceReference, base: Base) -> Voice:
        """Fetch, check and load a voice for the base; raises ``LoadError``."""
        return load_voice(self._cache.fetch(VOICES, reference.uri, reference.digest), reference, base)

    def prune(self, digests: set[str]) -> None:
        """Remove all cached bundles but those of the given digests; a rollback fetches a few megabytes again."""
        for kind in (BASES, VOICES):
            self._cache.keep_only(kind, digests)
