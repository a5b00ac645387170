"""Sections of the configuration that bind tenants: what a namespace may use, and the bounds of every object."""

import re
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from voice_operator.api.evaluation import LESS_IS_BETTER, Gate, Metric
from voice_operator.api.schema import DECIMAL
from voice_operator.section import Section
from voice_operator.units import seconds

_SEGMENTS = r"[A-Za-z0-9_=+@,{}-][A-Za-z0-9._=+@,{} -]*"
_FOLDER = rf"(s3://|file:///|\{{storage\}}/?)({_SEGMENTS}(/{_SEGMENTS})*/?)?"
DATASET_PREFIX = f"^{_FOLDER}$"
EVIDENCE_PREFIX = rf"^({_FOLDER}|https://({_SEGMENTS}(/{_SEGMENTS})*/?)?)$"

DatasetPrefixes = Annotated[
    tuple[Annotated[str, Field(max_length=1024, pattern=DATASET_PREFIX)], ...], Field(max_length=64)
]
EvidencePrefixes = Annotated[
    tuple[Annotated[str, Field(max_length=1024, pattern=EVIDENCE_PREFIX)], ...], Field(max_length=64)
]
Names = Annotated[tuple[str, ...], Field(max_length=64)]
Servers = Annotated[tuple[Annotated[str, Field(pattern=r"^[^/ ]+/[^/ ]+$")], ...], Field(max_length=64)]


class Tenant(Section):
    """What one namespace may use; what is absent is as for all others."""

    datasets: DatasetPrefixes | None = None
    evidence: EvidencePrefixes | None = None
    bases: Names | None = None
    servers: Servers | None = None
    priority_classes: Names | None = None


class Tenancy(Section):
    """What a namespace may use. ``{storage}`` stands for storage.uri and ``{namespace}`` for the namespace."""

    datasets: DatasetPrefixes = Field(
        ("{storage}/datasets/{namespace}/",),
        description="Where the recordings of a namespace's voices may lie; s3:// alone: anywhere.",
    )
    evidence: EvidencePrefixes = Field(
        ("{storage}/evidence/{namespace}/", "https://"), description="Where the evidence of consents may lie."
    )
    bases: Names | None = Field(None, description="Bases that a namespace may use; absent: all.")
    servers: Servers | None = Field(
        None,
        description="Servers that its voices may name, as namespace/name or namespace/*; absent: all that admit them.",
    )
    priority_classes: Names | None = Field(
        None, description="Kueue's WorkloadPriorityClasses that its voices may name; absent: all."
    )
    namespaces: dict[str, Tenant] = Field(default_factory=dict, description="Exceptions, by namespace.")

    def of(self, namespace: str, storage_uri: str) -> Tenant:
        """Return what a namespace may use, with nothing absent but what is unbounded and no placeholder left."""
        special = self.namespaces.get(namespace, Tenant())

        def expanded(given: tuple[str, ...] | None, default: tuple[str, ...] | None) -> tuple[str, ...] | None:
            chosen = default if given is None else given
            return None if chosen is None else tuple(_expanded(text, namespace, storage_uri) for text in chosen)

        return Tenant.model_construct(
            datasets=expanded(special.datasets, self.datasets),
            evidence=expanded(special.evidence, self.evidence),
            bases=self.bases if special.bases is None else special.bases,
            servers=expanded(special.servers, self.servers),
            priority_classes=self.priority_classes if special.priority_classes is None else special.priority_classes,
        )


class MinimumGate(Section):
    """A score that every voice must reach; a voice may ask for more."""

    metric: Metric
    min: str | None = Field(None, pattern=DECIMAL)
    max: str | None = Field(None, pattern=DECIMAL)

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.min is None) == (self.max is None):
            raise ValueError(f"the gate on {self.metric} must have either min or max")
        if self.metric in LESS_IS_BETTER and self.max is None:
            raise ValueError(f"the gate on {self.metric} must have max, as less is better")
        if self.metric in {"speakerSimilarity", "dnsmos"} and self.min is None:
            raise ValueError(f"the gate on {self.metric} must have min, as more is better")
        return self

    @property
    def gate(self) -> Gate:
        """The gate, as a voice would name it."""
        return Gate(metric=self.metric, min=self.min, max=self.max)


class Required(Section):
    """Whether something that is a voice's own choice is everybody's duty."""

    required: bool = False


class Maxima(Section):
    """The most of each; None: no bound."""

    gpus: int | None = Field(None, ge=0, description="spec.compute.gpus of a voice.")
    epochs: int | None = Field(None, ge=1, description="spec.training.epochs.")
    timeout: str | None = Field(None, description="spec.compute.timeout, as 12h.")
    replicas: int | None = Field(None, ge=0, description="spec.replicas of a server.")
    voices_per_namespace: int | None = Field(None, ge=0)
    object_bytes: int | None = Field(
        None, ge=4096, description="Size of a VoiceModel without its status, as JSON: labels, annotations and spec."
    )

    @field_validator("timeout")
    @classmethod
    def _is_a_duration(cls, timeout: str | None) -> str | None:
        if timeout is not None:
            seconds(timeout)
        return timeout


class Policy(Section):
    """Bounds of all objects of the installation."""

    gates: tuple[MinimumGate, ...] = Field((), max_length=8, description="Scores that every new voice must reach.")
    review: Required = Field(default_factory=Required)
    evidence: Required = Field(default_factory=Required)
    max: Maxima = Field(default_factory=Maxima)
    server_name_pattern: str = Field("", description="Regular expression of VoiceServers' whole names; empty: any.")

    @field_validator("server_name_pattern")
    @classmethod
    def _is_an_expression(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"{pattern!r} is no regular expression: {error}") from error
        return pattern

    @property
    def minimum_gates(self) -> tuple[Gate, ...]:
        """The gates that are added to those of every voice."""
        return tuple(gate.gate for gate in self.gates)


def _expanded(text: str, namespace: str, storage_uri: str) -> str:
    return text.replace("{storage}", storage_uri).replace("{namespace}", namespace)
