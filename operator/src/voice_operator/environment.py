"""Environment variables of the operator's process. A flag takes precedence over its variable, that over the default."""

import socket
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from voice_operator.errors import InvalidSettings
from voice_operator.logs import LogFormat
from voice_operator.validation import sentences

PREFIX = "VOICE_OPERATOR_"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def _service_account_namespace() -> str:
    return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if SERVICE_ACCOUNT_NAMESPACE.is_file() else ""


class Environment(BaseSettings):
    """Settings of one process, beside the configuration file of all; an empty variable counts as absent."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="forbid")

    config: Path = Field(Path("/etc/voice-operator/config.yaml"), description="configuration file")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    log_format: LogFormat = Field("text", description="form of the log: text, or JSON lines for collectors")
    identity: str = Field(
        default_factory=socket.gethostname,
        validation_alias="POD_NAME",
        description="this replica's name in the Lease; empty: the host's name",
    )
    namespace: str = Field(
        default_factory=_service_account_namespace,
        validation_alias="POD_NAMESPACE",
        description="the operator's own namespace; empty: the configuration file's",
    )

    @classmethod
    def load(cls, **flags: Any) -> Self:
        """Read the environment; ``flags`` that are not None take precedence.

        Raises:
            InvalidSettings: a variable has an invalid value; the message names it.
        """
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
        except ValidationError as error:
            raise InvalidSettings("\n".join(f"{PREFIX}{_upper(line)}" for line in sentences(error))) from error


def _upper(sentence: str) -> str:
    """Return the sentence with its field as the environment spells it."""
    field, colon, rest = sentence.partition(":")
    return f"{field.upper()}{colon}{rest}"
