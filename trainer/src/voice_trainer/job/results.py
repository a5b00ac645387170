"""The documents a stage leaves in the store: manifest, progress, failure."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from voice_store import content_of_file
from voice_trainer.job.document import Document

STAGE_SCHEMA = "voice.sovits.dev/stage/v1"
PROGRESS_SCHEMA = "voice.sovits.dev/progress/v1"
FAILURE_SCHEMA = "voice.sovits.dev/failure/v1"

Summary = dict[str, Any]


class FileDigest(Document):
    """The expected size and digest of a file."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0)


class StageManifest(Document):
    """A finished stage: the last document it writes, and its commit point."""

    schema_: Literal["voice.sovits.dev/stage/v1"] = Field("voice.sovits.dev/stage/v1", alias="schema")
    stage: str
    input_hash: str
    evaluation_hash: str = ""
    """Of evaluate and publish: which gates and sentences; empty where the job names none."""
    started_at: str
    completed_at: str
    files: dict[str, FileDigest]
    summary: Summary
    tools: dict[str, str]


class Progress(Document):
    """How far a stage is."""

    schema_: Literal["voice.sovits.dev/progress/v1"] = Field("voice.sovits.dev/progress/v1", alias="schema")
    stage: str
    percent: int = Field(ge=0, le=100)
    epoch: int = 0
    eta_seconds: int = 0
    metrics: dict[str, str] = Field(default_factory=dict)
    updated_at: str


class Failure(Document):
    """Why a run ended without success."""

    schema_: Literal["voice.sovits.dev/failure/v1"] = Field("voice.sovits.dev/failure/v1", alias="schema")
    stage: str
    exit_code: int
    reason: str
    message: str


def to_json(document: Document) -> bytes:
    """Render a document as one line of UTF-8 JSON with the outside names."""
    return document.model_dump_json(by_alias=True).encode() + b"\n"


def now() -> str:
    """Return the time as RFC 3339 in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def digest_of(path: Path) -> FileDigest:
    """Return the SHA-256 and size of a file."""
    content = content_of_file(path)
    return FileDigest(sha256=content.sha256, size=content.size)


def tools() -> dict[str, str]:
    """Return the versions of the programs that took part so far; torch only where a stage has loaded it."""
    names = ["voice-trainer", "sovits-core", *(["torch"] if "torch" in sys.modules else [])]
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # a source tree that was never installed
            found[name] = "unknown"
    return found
