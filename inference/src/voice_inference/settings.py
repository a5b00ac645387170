"""The server's settings: one typed object from flags and environment variables; flags win."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, CliPositionalArg, CliSettingsSource, SettingsConfigDict

from sovits_core.cpus import usable_cpus
from sovits_core.serving.rounding import WeightBits
from sovits_core.validation import sentences
from voice_inference.access.callers import VoicePattern
from voice_inference.engine.provenance import SignedFormat
from voice_inference.errors import InvalidSettings
from voice_inference.logs import LogFormat

PREFIX = "VOICE_"
LOCAL = {"host": "127.0.0.1", "bare_names": "local"}  # of a registry, where nothing else is asked for


class Settings(BaseSettings):
    """All settings; a field ``operator_url`` is the flag ``--operator-url`` and the variable ``VOICE_OPERATOR_URL``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        cli_kebab_case=True,
        cli_hide_none_type=True,
        cli_show_env_vars=True,
        frozen=True,
        extra="forbid",
    )

    registry: CliPositionalArg[Path | None] = Field(
        None, description="folder of voice-trainer train: serve its voices on this machine alone (VOICE_REGISTRY)"
    )
    voices: Path | None = Field(
        None, description="file with the desired voices (a mounted ConfigMap); its shards lie beside it"
    )
    operator_url: str = Field(
        "", pattern="^(https?://.+)?$", description="URL where the operator serves the desired voices"
    )
    public_key: str = Field(
        "", description="key of the operator's seals, in base64; revisions without one are refused (empty: accepted)"
    )
    bare_names: str = Field(
        "",
        pattern="^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
        description="namespace whose voices may be called by their name alone; empty: every name needs its namespace",
    )
    aliases: dict[str, str] = Field(
        {}, description='names that mean a voice, as JSON: {"alloy": "studio/alice"} for clients that ask for OpenAI\'s'
    )
    verify: bool = Field(
        False, description="listen to sentences in English, and speak those again that lack words (a tenth of a second)"
    )
    cors_origins: tuple[str, ...] = Field(
        (),
        description='origins whose pages may call from a browser, as JSON: ["https://app.example.com"], ["*"] for all',
    )
    keys: Path | None = Field(
        None, description="folder with API keys (a mounted Secret); then nobody speaks without one. Default: anybody"
    )
    token_review: bool = Field(
        False, description="let in ServiceAccounts of the cluster, for the voices of their namespace, by TokenReview"
    )
    token_audience: str = Field("voice-inference", description="audience of their tokens; no others are taken")
    api_server: str = Field("", description="https:// address of the API server for these reviews; empty: the pod's")
    api_credentials: Path = Field(
        Path("/var/run/secrets/kubernetes.io/serviceaccount"), description="folder with the token and ca.crt for it"
    )
    oidc_issuer: str = Field("", description="https:// address of an OpenID Connect issuer whose tokens are let in")
    oidc_audience: str = Field("", description="audience of its tokens; no others are taken")
    oidc_claim: str = Field("voices", min_length=1, description="claim that gives voices: patterns as namespace/*")
    oidc_voices: dict[str, tuple[VoicePattern, ...]] = Field(
        {}, description='patterns by value of that claim, as JSON: {"speech-team": ["studio/*"]}; empty: the values are'
    )
    key_requests_per_minute: int = Field(
        600, ge=0, le=1_000_000, description="speech requests a minute of one caller with a key or token; 0: any"
    )
    key_concurrency: int = Field(0, ge=0, le=10_000, description="its requests at a time; 0: three quarters of all")
    key_characters_per_minute: int = Field(0, ge=0, le=1_000_000_000, description="its characters a minute; 0: any")
    key_characters_per_day: int = Field(
        0, ge=0, le=1_000_000_000_000, description="its characters a day, in UTC; 0: any number"
    )
    c2pa: Path | None = Field(
        None, description="folder with tls.crt and tls.key (a mounted Secret) that files are signed with, as C2PA asks"
    )
    c2pa_formats: tuple[SignedFormat, ...] = Field(
        ("wav", "flac"),
        description='formats that are signed then, as JSON; "mp3" is possible too, and then comes whole',
    )
    watermark: Path | None = Field(
        None, description="folder with the networks of a watermark in the sound (make watermark); sentences come whole"
    )
    playground: bool = Field(True, description="a page at / that speaks with the voices of this server")
    access_log: bool = Field(True, description="one JSON object on standard output for each request, without its text")
    cache: Path = Field(Path("/var/cache/voice-inference"), description="writable folder for bases and voices")
    host: str = Field("*", description="address to listen on; *: all addresses, IPv4 and IPv6")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on, 0: a free one")
    tls: Path | None = Field(
        None, description="folder with tls.crt and tls.key (a mounted Secret): HTTPS alone is spoken. Default: HTTP"
    )
    batch: int = Field(
        8, ge=1, le=64, description="requests that are spoken at the same time; their tokens are chosen together"
    )
    workers: int = Field(1, ge=1, le=64, description="networks that compute at the same time, each on its own threads")
    threads: int = Field(0, ge=0, le=256, description="threads of one network, 0: usable CPUs over the workers")
    s1_weights: Literal["fp32", "int8", "int4"] = Field(
        "fp32", description="weights of S1's layers; int8 and int4 choose tokens faster, and not always the same"
    )
    queue: int = Field(16, ge=0, le=10_000, description="requests that may wait; more are answered with 429")
    max_adapter_mib: int = Field(128, ge=1, le=4096, description="largest adapter of a voice, in MiB; more are refused")
    adapter_memory_mib: int = Field(
        1024,
        ge=1,
        le=1_048_576,
        description="memory for adapters, in MiB; others are read from the cache when asked",
    )
    poll_seconds: float = Field(2.0, ge=0.05, le=3600, description="interval between polls of the desired voices")
    max_connections: int = Field(512, ge=1, le=65_536, description="connections at a time; more are closed at once")
    request_seconds: float = Field(
        10.0, gt=0, le=3600, description="time for a request to arrive, header and body; then it is answered with 408"
    )
    write_seconds: float = Field(
        30.0, gt=0, le=3600, description="time for a client to read what waits for it; then its connection is closed"
    )
    grace_seconds: int = Field(25, ge=0, le=3600, description="time for running requests after SIGTERM")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least severe message logged")
    log_format: LogFormat = Field("text", description="json: one object a line, which is how images have it")

    @property
    def threads_per_worker(self) -> int:
        """Number of threads that one network uses."""
        return self.threads or max(1, usable_cpus() // self.workers)

    @property
    def step_bits(self) -> WeightBits:
        """Bits of a weight in S1's step."""
        bits: dict[str, WeightBits] = {"fp32": 32, "int8": 8, "int4": 4}
        return bits[self.s1_weights]


def add_flags(parser: argparse.ArgumentParser) -> CliSettingsSource[Settings]:
    """Add one flag per setting, with its description, default and variable; ``read_settings`` takes the result."""
    return CliSettingsSource(Settings, root_parser=parser)


def read_settings(source: CliSettingsSource[Settings], flags: argparse.Namespace) -> Settings:
    """Return the settings of the given flags and the environment.

    Raises:
        InvalidSettings: a value is wrong, or nothing names the desired voices.
    """
    try:
        settings = CliApp.run(Settings, cli_args=flags, cli_settings_source=source)
    except ValidationError as error:
        raise InvalidSettings("; ".join(_sentences(error, flags))) from error
    if settings.registry is not None:
        settings = _with_registry(settings, settings.registry)
    if settings.voices is None and not settings.operator_url:
        raise InvalidSettings("nothing names the desired voices; give --voices, --operator-url, or both")
    return settings


def _with_registry(settings: Settings, folder: Path) -> Settings:
    """Return the settings of a server for the voices in a folder; what was asked for stays."""
    voices = folder / "voices.json"
    if not voices.is_file():
        raise InvalidSettings(
            f"{voices} does not exist: {folder} is no folder with trained voices; "
            f"train one with voice-trainer train FOLDER --out {folder}"
        )
    found = {"voices": voices, "cache": folder / ".cache", **LOCAL}
    return settings.model_copy(update={name: found[name] for name in found.keys() - settings.model_fields_set})


def _sentences(error: ValidationError, flags: argparse.Namespace) -> Iterable[str]:
    """Yield one sentence per wrong value, with the name of its flag or variable."""
    for problem, sentence in zip(error.errors(), sentences(error), strict=False):  # the last may say "and 2 more"
        name = str(problem["loc"][0])
        from_flag = bool(getattr(flags, name, None))
        source = f"--{name.replace('_', '-')}" if from_flag else f"{PREFIX}{name.upper()}"
        # Kubernetes sets VOICE_PORT=tcp://... in the pods beside a Service called "voice".
        service_link = "tcp://" in str(problem["input"]) and not from_flag
        hint = "; set by a Service link, use enableServiceLinks: false" if service_link else ""
        yield f"{sentence.replace(name, source, 1)}{hint}"
