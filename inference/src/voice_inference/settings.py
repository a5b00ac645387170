"""What the server can be told, as one typed object, read from flags and the environment."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from voice_inference.errors import InvalidSettings

PREFIX = "VOICE_"
CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


class Settings(BaseModel):
    """All settings; a field ``operator_url`` is the flag ``--operator-url`` and the variable ``VOICE_OPERATOR_URL``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    voices: Path | None = Field(None, description="file with the desired voices (a mounted ConfigMap)")
    operator_url: str = Field(
        "", pattern="^(https?://.+)?$", description="URL where the operator serves the desired voices"
    )
    cache: Path = Field(Path("/var/cache/voice-inference"), description="writable folder for bases and voices")
    host: str = Field("0.0.0.0", description="address to listen on")  # noqa: S104 -- a pod is reached from outside
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    threads: int = Field(0, ge=0, le=256, description="threads of one inference; 0: the CPU limit over the workers")
    workers: int = Field(1, ge=1, le=64, description="sentences spoken at the same time")
    queue: int = Field(16, ge=0, le=10_000, description="requests that may wait; more are answered with 429")
    poll_seconds: float = Field(2.0, ge=0.05, le=3600, description="pause between looks at the desired voices")
    grace_seconds: int = Field(25, ge=0, le=3600, description="time for running requests after SIGTERM")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe message shown")

    @property
    def threads_per_worker(self) -> int:
        """Return how many threads one inference uses."""
        return self.threads or max(1, cpu_limit() // self.workers)


def cpu_limit(cpu_max: Path = CGROUP_CPU) -> int:
    """Return how many CPUs this process may use: its cgroup's limit rounded up, at most those it is bound to."""
    bound = len(os.sched_getaffinity(0))
    try:
        quota, period = cpu_max.read_text().split()
    except (OSError, ValueError):  # no cgroup v2 here
        return bound
    if quota == "max":
        return bound
    return max(1, min(bound, -(-int(quota) // int(period))))


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Give the parser one flag per setting."""
    for name, field in Settings.model_fields.items():
        default = f" (default: {field.default})" if field.default not in {None, ""} else ""
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            metavar=name.rsplit("_", 1)[-1].upper(),
            help=f"{field.description}{default} [{PREFIX}{name.upper()}]",
        )


def read_settings(flags: Mapping[str, str | None], environment: Mapping[str, str]) -> Settings:
    """Combine flags, which win, with the environment.

    Raises:
        InvalidSettings: a value is of the wrong kind, or nothing names the desired voices.
    """
    given: dict[str, str] = {}
    for name in Settings.model_fields:
        value = flags.get(name)
        if value is None:
            value = environment.get(f"{PREFIX}{name.upper()}")
        if value:
            given[name] = value
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise InvalidSettings("; ".join(_complaints(error, flags))) from error
    if settings.voices is None and not settings.operator_url:
        raise InvalidSettings("nothing names the desired voices; give --voices, --operator-url, or both")
    return settings


def _complaints(error: ValidationError, flags: Mapping[str, str | None]) -> Sequence[str]:
    """Name the flag or variable of each wrong value."""
    complaints = []
    for problem in error.errors():
        name = str(problem["loc"][0])
        from_flag = flags.get(name) is not None
        source = f"--{name.replace('_', '-')}" if from_flag else f"{PREFIX}{name.upper()}"
        # Kubernetes sets VOICE_PORT=tcp://... in the pods beside a Service called "voice".
        link = "tcp://" in str(problem["input"]) and not from_flag
        hint = " (set by a Service link; use enableServiceLinks: false)" if link else ""
        complaints.append(f"{source} is {problem['input']!r}: {problem['msg']}{hint}")
    return complaints
