"""What an administrator decides: images, bases, storage, resources. One YAML file, written by the Helm chart."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from voice_operator.errors import InvalidSettings

CONFIG_VARIABLE = "VOICE_OPERATOR_CONFIG"
DEFAULT_CONFIG = Path("/etc/voice-operator/config.yaml")
NAMESPACE_VARIABLE = "POD_NAMESPACE"
SERVICE_ACCOUNT_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

_MAX_CONFIG_BYTES = 1 << 20

StoreUri = Annotated[str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[A-Za-z0-9._/-]*)?|file:///.*)$")]
Tolerations = tuple[dict[str, Any], ...]


class Section(BaseModel):
    """A part of the file: camelCase, closed, so that a misspelt key is an error and not a surprise."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="forbid")


class Images(Section):
    """Which images the children run."""

    trainer: str = Field(min_length=1)
    inference: str = Field(min_length=1)
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    pull_secrets: tuple[str, ...] = ()


class Base(Section):
    """A base model that voices may name."""

    uri: str = Field(min_length=1, description="embedded:tiny, s3://... or file:///...")
    digest: str = Field("", pattern="^(sha256:[0-9a-f]{64})?$")


class Storage(Section):
    """Where everything between the stages, and every published voice, lies."""

    uri: StoreUri
    secret_name: str = Field(
        "", description="Secret with AWS_* keys in each namespace that has voices or servers; empty: none."
    )

    @field_validator("uri")
    @classmethod
    def _without_slash(cls, uri: str) -> str:
        return uri.rstrip("/")


class Placement(Section):
    """What a pod asks for and where it may run."""

    resources: dict[str, dict[str, str | int | float]] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: Tolerations = ()


class StagePlacement(Placement):
    """What a stage Job's pod asks for; ``scratch`` is the size of its local working folder."""

    scratch: str = "20Gi"


class Stages(Section):
    """The three Jobs of a voice."""

    prepare: StagePlacement = Field(default_factory=StagePlacement)
    train: StagePlacement = Field(default_factory=StagePlacement)
    evaluate: StagePlacement = Field(default_factory=StagePlacement)


class Inference(Placement):
    """The pods of every VoiceServer."""

    port: int = Field(8080, ge=1, le=65535)
    cache: str = Field("10Gi", description="Size of the local folder for bases and voices.")
    environment: dict[str, str] = Field(default_factory=dict, description="Extra environment variables of the pods.")


class DefaultServer(Section):
    """Where the chart's own VoiceServer is, for voices whose namespace has none of that name."""

    namespace: str = Field(min_length=1)
    name: str = Field(min_length=1)


class Settings(Section):
    """The whole file."""

    images: Images
    bases: dict[str, Base] = Field(min_length=1)
    default_base: str = Field("tiny", description="Base of the voices that name none; one of bases.")
    storage: Storage
    stages: Stages = Field(default_factory=Stages)
    inference: Inference = Field(default_factory=Inference)
    default_server: DefaultServer | None = None
    watch_namespaces: tuple[str, ...] = Field((), description="Empty: all namespaces.")
    operator_url: str = Field(
        "",
        pattern="^(https?://[^ ]+)?$",
        description="Where inference pods reach the operator; empty: they read the ConfigMap only.",
    )
    listen: str = Field(
        "0.0.0.0:8080", pattern="^[^ ]+:[0-9]+$", description="Address of the operator's own HTTP endpoint."
    )
    workers: int = Field(4, ge=1, le=64, description="How many objects are worked on at a time.")
    resync_seconds: float = Field(300, gt=0, description="How often everything is looked at again.")
    namespace: str = Field("voice-system", description="The operator's own namespace; POD_NAMESPACE has the last word.")

    @model_validator(mode="after")
    def _default_base_exists(self) -> Self:
        if self.default_base not in self.bases:
            known = ", ".join(sorted(self.bases))
            raise ValueError(
                f"defaultBase is {self.default_base!r}, which is not in bases ({known}); name one of these"
            )
        return self

    @property
    def places(self) -> tuple[str, ...]:
        """Return the namespaces to look at, the operator's own among them; empty: all."""
        return tuple(sorted({*self.watch_namespaces, self.namespace})) if self.watch_namespaces else ()

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the file.

        Raises:
            InvalidSettings: the file cannot be read, or a key is wrong; the message names file and key.
        """
        try:
            with path.open("rb") as file:
                content = yaml.safe_load(file.read(_MAX_CONFIG_BYTES))
        except OSError as error:
            raise InvalidSettings(
                f"{path}: {error.strerror or error}; set {CONFIG_VARIABLE} or --config to the configuration file"
            ) from error
        except yaml.YAMLError as error:
            raise InvalidSettings(f"{path}: not YAML: {error}") from error
        if not isinstance(content, dict):
            raise InvalidSettings(
                f"{path}: expected a mapping with images, bases and storage, found {type(content).__name__}"
            )
        if namespace := _own_namespace(environment):
            content["namespace"] = namespace
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InvalidSettings("\n".join(f"{path}: {line}" for line in sentences(error))) from error


def sentences(error: ValidationError) -> list[str]:
    """Return one line per problem: the key, what is wrong, and the value found."""
    lines = []
    for problem in error.errors(include_url=False):
        if problem["type"] == "value_error":  # a sentence of ours, which names the key and what was found
            lines.append(str(problem["ctx"]["error"]))
            continue
        key = ".".join(str(part) for part in problem["loc"]) or "the document"
        found = "" if problem["type"] == "missing" else f" (found {str(problem['input'])[:100]!r})"
        lines.append(f"{key}: {problem['msg']}{found}")
    return lines


def _own_namespace(environment: Mapping[str, str]) -> str:
    if name := environment.get(NAMESPACE_VARIABLE):
        return name
    return SERVICE_ACCOUNT_NAMESPACE.read_text().strip() if SERVICE_ACCOUNT_NAMESPACE.is_file() else ""
