"""The desired-voices document and its two sources: a mounted file and the operator."""

from __future__ import annotations

import logging
from http import HTTPStatus
from pathlib import Path
from typing import Literal

import urllib3
from pydantic import Field, ValidationError, model_validator

from sovits_core.validation import one_line
from voice_inference.bundles.references import BaseReference, Document, VoiceReference
from voice_inference.errors import FetchFailed, InvalidDocument

SCHEMA = "voice.sovits.dev/desired-voices/v1"
DOCUMENT_LIMIT = 16 * 1024 * 1024  # bytes; 50,000 voices
CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0

log = logging.getLogger(__name__)


class DesiredVoices(Document):
    """The base and the voices that a server must serve."""

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
    """Parse the document.

    Raises:
        InvalidDocument: a field is missing or wrong; the message names it.
    """
    try:
        return DesiredVoices.model_validate_json(data)
    except ValidationError as error:
        raise InvalidDocument(f"the desired voices from {source} are not valid: {one_line(error)}") from error


class FileSource:
    """A mounted ConfigMap: readable while the operator is down, and up to a minute behind it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data: bytes | None = None
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
        if data != self._data:  # the file itself is compared: a ConfigMap's times and inodes say nothing
            self._parsed = parse_desired(data, source=str(self))
            self._data = data
        return self._parsed


class OperatorSource:
    """The operator's HTTP endpoint: changes arrive with the next poll, and no body while the ETag is unchanged."""

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


class NewestSource:
    """Several sources at once: each one's last good document counts, and the highest generation wins."""

    def __init__(self, sources: tuple[FileSource | OperatorSource, ...]) -> None:
        self._sources = sources
        self._documents: list[DesiredVoices | None] = [None] * len(sources)
        self._errors: list[str] = [""] * len(sources)

    def latest(self) -> DesiredVoices | None:
        """Return the newest document, or nothing while no source has given one; errors of sources are only logged."""
        for index, source in enumerate(self._sources):
            message = ""
            try:
                self._documents[index] = source.latest() or self._documents[index]
            except (FetchFailed, InvalidDocument) as error:
                message = str(error)
            if message != self._errors[index]:  # once per change: this runs every other second
                log.warning("%s", message or f"the desired voices can be read from {source} again")
            self._errors[index] = message
        documents = (document for document in self._documents if document)
        return max(documents, key=lambda document: document.generation, default=None)
