"""The desired-voices document, and the two places it is read from: a mounted file and the operator."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import urllib3
from pydantic import Field, ValidationError, model_validator

from voice_inference.bundles.references import BaseReference, Document, VoiceReference
from voice_inference.errors import FetchFailed, InvalidDocument

SCHEMA = "voice.sovits.dev/desired-voices/v1"
DOCUMENT_LIMIT = 16 * 1024 * 1024  # bytes; 50,000 voices
CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0

log = logging.getLogger(__name__)


class DesiredVoices(Document):
    """Everything that a server must serve."""

    schema_: Literal["voice.sovits.dev/desired-voices/v1"] = Field(alias="schema")
    generation: int = Field(ge=0)
    base: BaseReference
    voices: tuple[VoiceReference, ...] = Field(max_length=50_000, strict=False)

    @model_validator(mode="after")
    def _ids_are_unique(self) -> DesiredVoices:
        seen: set[str] = set()
        for voice in self.voices:
            if voice.id in seen:
                raise ValueError(f"the voice {voice.id} is listed twice")
            seen.add(voice.id)
        return self


def parse_desired(data: bytes, *, source: str) -> DesiredVoices:
    """Read the document.

    Raises:
        InvalidDocument: it is no such document; the message names the field.
    """
    try:
        return DesiredVoices.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "document"
        raise InvalidDocument(f"the desired voices from {source} are not valid: {where}: {first['msg']}") from error


class FileSource:
    """A mounted ConfigMap: works while the operator is away, and lags behind it by up to a minute."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read: bytes | None = None
        self._parsed: DesiredVoices | None = None

    def __str__(self) -> str:
        return str(self._path)

    def latest(self) -> DesiredVoices | None:
        """Return the document as it is now, or nothing where none has been written; raises ``LoadError``."""
        try:
            with self._path.open("rb") as file:
                data = file.read(DOCUMENT_LIMIT + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FetchFailed(f"{self._path} cannot be read: {error.strerror}") from error
        if len(data) > DOCUMENT_LIMIT:
            raise InvalidDocument(f"{self._path} is larger than {DOCUMENT_LIMIT} bytes")
        if data != self._read:  # the file itself is compared: a ConfigMap's times and inodes say nothing
            self._parsed = parse_desired(data, source=str(self))
            self._read = data
        return self._parsed


class OperatorSource:
    """The operator's own answer: a change is seen with the next poll; nothing is sent while its ETag stays."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = urllib3.PoolManager(
            maxsize=1, retries=False, timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
        )
        self._etag: str | None = None
        self._parsed: DesiredVoices | None = None

    def __str__(self) -> str:
        return self._url

    def latest(self) -> DesiredVoices | None:
        """Return the document as it is now, or nothing where none has been written; raises ``LoadError``."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
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
        self._parsed = parse_desired(data, source=self._url)
        self._etag = response.headers.get("ETag")
        return self._parsed


class NewestOf:
    """Several sources at once: each one's last good answer counts, and the highest generation wins."""

    def __init__(self, sources: tuple[FileSource | OperatorSource, ...]) -> None:
        self._sources = sources
        self._answers: list[DesiredVoices | None] = [None] * len(sources)
        self._complaints: list[str] = [""] * len(sources)

    def latest(self) -> DesiredVoices | None:
        """Return the newest document, or nothing while no source has given one; a failing source is only logged."""
        for place, source in enumerate(self._sources):
            complaint = ""
            try:
                self._answers[place] = source.latest() or self._answers[place]
            except (FetchFailed, InvalidDocument) as error:
                complaint = str(error)
            if complaint != self._complaints[place]:  # once per change: this runs every other second
                log.warning("%s", complaint or f"the desired voices can be read from {source} again")
            self._complaints[place] = complaint
        return max((answer for answer in self._answers if answer), key=lambda answer: answer.generation, default=None)
