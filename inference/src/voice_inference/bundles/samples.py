"""The sentences that a voice's evaluation spoke: read from its bundle in the store when somebody wants to hear them.

A bundle also holds recordings of the speaker and what other revisions said: of its sounds only those are read that
its report lists as spoken by this voice. Nothing is kept here, so nothing outlives the voice.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import Field, ValidationError

from sovits_core.bundle.document import Document
from sovits_core.validation import one_line
from voice_inference.bundles.references import VoiceReference
from voice_inference.bundles.voice import MAX_CONTAINERS, MIB, voice_bundles
from voice_inference.errors import InvalidDocument
from voice_store import Content, Store, check_digest, parse_index

REPORT: Final = "report.json"
REPORT_LIMIT: Final = 4 * MIB
SOUND_LIMIT: Final = 4 * MIB  # a minute of 32 kHz in 16 bits, uncompressed
MAX_SAMPLES: Final = 32
_FILE: Final = re.compile(r"samples/(sentence-[0-9]{1,3})\.flac")
_KIND: Final = voice_bundles()


class Sample(Document):
    """One sentence; ``file`` is where its sound is in the bundle."""

    text: str = Field(max_length=10_000)
    file: str = Field("", max_length=200)

    @property
    def name(self) -> str:
        """What callers call it; empty: its sound is none that they may hear."""
        found = _FILE.fullmatch(self.file)
        return found[1] if found else ""


class _Report(Document):
    samples: tuple[Sample, ...] = Field((), max_length=1000)


def list_samples(store: Store, reference: VoiceReference) -> tuple[Sample, ...]:
    """Return what can be heard, in the report's order; nothing where the bundle has no report.

    Raises:
        InvalidDocument: the report is malformed.
        voice_store.StoreError: a file is not what the digest promises, or the store does not answer.
    """
    files = _files(store, reference)
    if REPORT not in files:
        return ()
    data = _read(store, REPORT, files[REPORT], REPORT_LIMIT)
    if data.count(b"{") + data.count(b"[") > MAX_CONTAINERS:
        raise InvalidDocument(f"{REPORT} has more than {MAX_CONTAINERS} objects and lists")
    try:
        report = _Report.model_validate_json(data)
    except ValidationError as error:
        raise InvalidDocument(f"{REPORT}: {one_line(error)}") from error
    return tuple(one for one in report.samples if one.name and one.file in files)[:MAX_SAMPLES]


def read_sample(store: Store, reference: VoiceReference, name: str) -> bytes | None:
    """Return the FLAC file of a sample; None: there is no sample of that name. Raises as ``list_samples``."""
    found = next((one.file for one in list_samples(store, reference) if one.name == name), None)
    return _read(store, found, _files(store, reference)[found], SOUND_LIMIT) if found else None


def _files(store: Store, reference: VoiceReference) -> Mapping[str, Content]:
    data = store.read(_KIND.index, limit=MIB)
    check_digest(data, reference.digest, store.describe(_KIND.index))
    return parse_index(data, _KIND, reference.id)


def _read(store: Store, name: str, promised: Content, limit: int) -> bytes:
    if promised.size > limit:
        raise InvalidDocument(f"{name} has {promised.size} bytes, at most {limit} are read")
    data = store.read(name, limit=promised.size)
    check_digest(data, promised.digest, store.describe(name))
    return data
