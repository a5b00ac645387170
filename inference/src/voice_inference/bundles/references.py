"""References to one base and one revision of a voice, as the desired-voices document writes them."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LABEL = r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?"  # Kubernetes names

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Uri = Annotated[str, Field(min_length=1, max_length=2048)]


class Document(BaseModel):
    """Part of a document that others write: unknown fields are ignored, known ones are checked."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)


class BaseReference(Document):
    """Which base model the voices are for; an embedded base may go without a digest, as it is part of the image."""

    name: str = Field(max_length=253)
    uri: Uri
    digest: Digest | Literal[""] = ""

    @cached_property
    def identity(self) -> str:
        """Equal for the same bytes, wherever they lie: a base that was copied elsewhere is not loaded twice."""
        return self.digest or self.uri

    @model_validator(mode="after")
    def _needs_digest(self) -> BaseReference:
        if not self.digest and not self.uri.startswith("embedded:"):
            raise ValueError(f"the base {self.uri} needs a digest")
        return self


class VoiceReference(Document):
    """One revision of one voice."""

    id: str = Field(pattern=f"^{LABEL}/{LABEL}$", max_length=507)
    revision: str = Field(pattern=f"^{LABEL}$", max_length=253)
    uri: Uri
    digest: Digest
