"""Where the desired voices come from: mounted files and the operator, each of which may be away or behind."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

import urllib3

from voice_inference.errors import FetchFailed, InvalidDocument
from voice_inference.voices.desired import DesiredVoices, parse_desired
from voice_inference.voices.seals import Seals

DOCUMENT_LIMIT = 16 * 1024 * 1024  # bytes; 50,000 voices
CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0

log = logging.getLogger(__name__)


class Source(Protocol):
    """A source of the desired voices; blocks."""

    def latest(self) -> DesiredVoices | None:
        """Return the document as it is now, or nothing where none has been written; raises ``LoadError``."""
        ...


class LastGood:
    """A source whose last good document stays in force while it cannot be read, which is logged once per change."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._document: DesiredVoices | None = None
        self._error = ""

    def latest(self) -> DesiredVoices | None:
        """Return the newest good document; raises nothing."""
        message = ""
        try:
            self._document = self._source.latest()
        except (FetchFailed, InvalidDocument) as error:
            message = str(error)
        if message != self._error:  # this runs every other second
            log.warning("%s", message or f"the desired voices can be read from {self._source} again")
        self._error = message
        return self._document


class ShardFile:
    """One key of a mounted ConfigMap: readable while the operator is down, and up to 90 s behind it."""

    def __init__(self, path: Path, seals: Seals | None = None) -> None:
        self._path = path
        self._seals = seals
        self._data: bytes | None = None
        self._parsed: DesiredVoices | None = None

    def __str__(self) -> str:
        return str(self._path)

    def latest(self) -> DesiredVoices | None:
        """Return the document as it is now, or nothing where there is no file; raises ``LoadError``."""
        try:
            with self._path.open("rb") as file:
                data = file.read(DOCUMENT_LIMIT + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FetchFailed(f"{self._path} cannot be read: {error.strerror}") from error
        if len(data) > DOCUMENT_LIMIT:
            raise InvalidDocument(f"{self._path} is larger than {DOCUMENT_LIMIT} bytes")
        if data != self._data:  # the file itself is compared: a ConfigMap's times and inodes say nothing
            self._parsed = parse_desired(data, source=str(self), seals=self._seals)
            self._data = data
        return self._parsed


class FileSource:
    """The shards in one folder as one document: ``voices.json``, then ``voices-1.json`` and so on.

    Each shard lists the voices whose ids have its hash, so while their number stays they are independent: one that is
    damaged keeps its own last good content alone.
    """

    def __init__(self, path: Path, seals: Seals | None = None) -> None:
        self._path = path
        self._seals = seals
        self._files = [LastGood(ShardFile(path, seals))]
        self._shards: list[DesiredVoices] = []
        self._union: DesiredVoices | None = None

    def __str__(self) -> str:
        return str(self._path)

    def latest(self) -> DesiredVoices | None:
        """Return the union of all shards, or nothing where none has been written.

        Raises:
            InvalidDocument: the shards do not belong together, as their number is being changed, or one is missing.
        """
        first = self._files[0].latest()
        if first is None and self._union is None:
            return None
        shards = self._read_shards(first)
        if shards != self._shards:
            self._shards, self._union = shards, union(shards)
        return self._union

    def token(self) -> str:
        """Return what the operator asks of whoever wants the list from it; empty: nothing is known."""
        return self._union.token if self._union else ""

    def _read_shards(self, first: DesiredVoices | None) -> list[DesiredVoices]:
        count = first.shards if first else 1
        self._files = self._files[:count] + [
            LastGood(ShardFile(self._path_of(number), self._seals)) for number in range(len(self._files), count)
        ]
        shards = []
        for number, shard in enumerate([first, *(file.latest() for file in self._files[1:])]):
            if shard is None:
                raise InvalidDocument(f"{self._path_of(number)} is missing: shard {number} of {count}")
            if (shard.shard, shard.shards) != (number, count):
                raise InvalidDocument(
                    f"{self._path_of(number)} is shard {shard.shard} of {shard.shards}, not {number} of {count}"
                )
            shards.append(shard)
        return shards

    def _path_of(self, shard: int) -> Path:
        return self._path.with_stem(f"{self._path.stem}-{shard}") if shard else self._path


class OperatorSource:
    """The operator's HTTP endpoint: changes arrive with the next poll, and no body while the ETag is unchanged."""

    def __init__(self, url: str, seals: Seals | None = None, token: Callable[[], str] = str) -> None:
        self._url = url
        self._seals = seals
        self._token = token
        self._shown = ""
        self._http = urllib3.PoolManager(
            maxsize=1, retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        )
        self._etag: str | None = None
        self._parsed: DesiredVoices | None = None

    def __str__(self) -> str:
        return self._url

    def latest(self) -> DesiredVoices | None:
        """Return the document as it is now; raises ``LoadError``."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        self._shown = self._token() or self._shown  # a list that somebody wrote by hand has none
        if self._shown:
            headers["Authorization"] = f"Bearer {self._shown}"
        try:
            response = self._http.request("GET", self._url, headers=headers, redirect=False, preload_content=False)
            try:
                data = response.read(DOCUMENT_LIMIT + 1)
            finally:
                response.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise FetchFailed(f"the operator does not answer at {self._url}: {error}") from error
        if response.status == HTTPStatus.NOT_MODIFIED:
            return self._parsed
        if response.status != HTTPStatus.OK:
            raise FetchFailed(f"the operator answered {response.status} at {self._url}")
        if len(data) > DOCUMENT_LIMIT:
            raise InvalidDocument(f"the operator's answer at {self._url} is larger than {DOCUMENT_LIMIT} bytes")
        self._parsed = parse_desired(data, source=self._url, seals=self._seals)
        self._etag = response.headers.get("ETag")
        return self._parsed


class NewestSource:
    """Several sources as one: the highest generation wins, and of equal ones the source that is named first."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = [LastGood(source) for source in sources]

    def latest(self) -> DesiredVoices | None:
        """Return the newest document, or nothing while no source has given one; raises nothing."""
        documents = [document for source in self._sources if (document := source.latest())]
        if not documents:
            return None
        newest = max(documents, key=lambda document: document.generation)
        for other in documents:
            newest = corrected(newest, other)
        return newest


def union(shards: Sequence[DesiredVoices]) -> DesiredVoices:
    """Return all shards as one document, which is as new as the newest of them."""
    newest = max(shards, key=lambda shard: shard.generation)
    return DesiredVoices(
        newest.generation,
        newest.base,
        tuple(voice for shard in shards for voice in shard.voices),
        tuple(sentence for shard in shards for sentence in shard.rejected),
        token=newest.token,
    )


def corrected(newest: DesiredVoices, other: DesiredVoices) -> DesiredVoices:
    """Return the newest document, with the other one's word on shards of it that are older.

    The kubelet brings shards one by one: a voice that the operator has removed would come back until its shard follows.
    """
    if all(voice.generation >= other.generation for voice in newest.voices):
        return newest
    known = {voice.id: voice for voice in other.voices}
    voices = (voice if voice.generation >= other.generation else known.get(voice.id) for voice in newest.voices)
    return replace(newest, voices=tuple(voice for voice in voices if voice))
