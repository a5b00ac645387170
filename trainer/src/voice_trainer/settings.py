"""Settings from the environment, as one typed object; everything about a voice stands in the job document instead."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from sovits_core.validation import one_line
from voice_trainer.errors import UsageError

NAME_WIDTH = 23  # of the help text's first column
TERMINATION_LOG = Path("/dev/termination-log")


class TerminationSettings(BaseSettings):
    """The one setting that a failure to read the others needs; it cannot be invalid."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, validate_by_name=True)

    termination_log: Path = Field(
        TERMINATION_LOG, validation_alias="VOICE_TERMINATION_LOG", description="file for one line of JSON on failure"
    )


class Settings(TerminationSettings):
    """All settings; the alias of a field is the environment variable."""

    scratch: Path | None = Field(
        None,
        validation_alias="VOICE_SCRATCH",
        description="folder for local work (default: a temporary one, removed at the end)",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info",
        validation_alias="VOICE_LOG_LEVEL",
        description="least severe message shown: debug, info, warning, error",
    )
    progress_seconds: float = Field(
        30.0,
        ge=1,
        le=3600,
        validation_alias="VOICE_PROGRESS_SECONDS",
        description="least time between two log lines of progress, where there is no terminal",
    )


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        UsageError: ``InvalidSettings``; a value is of the wrong kind, and the message names its variable.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise UsageError(one_line(error), reason="InvalidSettings") from error


def settings_help() -> str:
    """Return one line per setting: variable, meaning, default."""
    lines = []
    for field in Settings.model_fields.values():
        default = "" if field.default is None else f" (default: {field.default})"
        lines.append(f"  {field.validation_alias!s:<{NAME_WIDTH}}{field.description}{default}\n")
    return "".join(lines)
