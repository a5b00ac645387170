"""The installation's configuration: images, bases, storage, resources. One YAML file, written by the Helm chart."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from voice_operator.errors import InvalidSettings
from voice_operator.validation import sentences

_MAX_CONFIG_BYTES = 1 << 20

StoreUri = Annotated[str, Field(pattern=r"^(s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[A-Za-z0-9._/-]*)?|file:///.*)$")]
Tolerations = tuple[dict[str, Any], ...]


class Section(BaseModel):
    """A part of the file: camelCase, closed, so that a misspelt key is an error."""

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
    """Resources of a pod, and where it may run."""

    resources: dict[str, dict[str, str | int | float]] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: Tolerations = ()


class StagePlacement(Placement):
    """Resources and placement of a stage Job's pod; ``scratch`` is the size of its local working folder."""

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
    resync_seconds: float = Field(300, gt=0, description="How often everything is reconciled again.")
    namespace: str = Field("voice-system", description="The operator's own namespace; POD_NAMESPACE has the last word.")

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces to watch, the operator's own among them; empty: all."""
        return tuple(sorted({*self.watch_namespaces, self.namespace})) if self.watch_namespaces else ()

    @classmethod
    def load(cls, path: Path, *, namespace: str = "") -> Self:
        """Read the file; ``namespace`` takes precedence over the file's, unless it is empty.

        Raises:
            InvalidSettings: the file cannot be read, or a key is wrong; the message names file and key.
        """
        try:
            with path.open("rb") as file:
                content = yaml.safe_load(file.read(_MAX_CONFIG_BYTES))
        except OSError as error:
            raise InvalidSettings(
                f"{path}: {error.strerror or error}; set VOICE_OPERATOR_CONFIG or --config to the configuration file"
            ) from error
        except yaml.YAMLError as error:
            raise InvalidSettings(f"{path}: not YAML: {error}") from error
        if not isinstance(content, dict):
            raise InvalidSettings(
                f"{path}: expected a mapping with images, bases and storage, found {type(content).__name__}"
            )
        if namespace:
            content["namespace"] = namespace
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise InvalidSettings("\n".join(f"{path}: {line}" for line in sentences(error))) from error
