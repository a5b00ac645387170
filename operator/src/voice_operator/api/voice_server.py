"""VoiceServer: pods that share one base and serve many voices."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from voice_operator.api.conditions import Conditions
from voice_operator.api.schema import Digest, Message, ObjectName, Schema, ShortText, Uri, atomic_list, rules


def _text(quantity: object) -> object:
    """Return the text of a quantity that was written as a number, such as ``cpu: 4``."""
    return str(quantity) if isinstance(quantity, int | float) and not isinstance(quantity, bool) else quantity


Quantity = Annotated[
    str, BeforeValidator(_text), Field(max_length=32, json_schema_extra={"x-kubernetes-int-or-string": True})
]
Label = Annotated[str, Field(max_length=253)]
NamespaceName = Annotated[
    str,
    Field(
        max_length=63,
        json_schema_extra=rules(
            (
                "self == '*' || self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
                "spec.allowedNamespaces must list names of namespaces, or '*' for all",
            )
        ),
    ),
]


class Resources(Schema):
    """Requests and limits of one pod, as in a container."""

    requests: Annotated[dict[Label, Quantity], Field(max_length=16)] | None = None
    limits: Annotated[dict[Label, Quantity], Field(max_length=16)] | None = None


class PodMetric(Schema):
    """A metric of the pods that an adapter serves as custom.metrics.k8s.io, and what each pod should have of it."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    average: Quantity = Field(description="The average over all pods to aim at, as 2 or 500m.")


class Autoscaling(Schema):
    """How many pods, by their load: the operator makes a HorizontalPodAutoscaler of the server's name."""

    min_replicas: int = Field(1, ge=1, le=1000)
    max_replicas: int = Field(ge=1, le=1000)
    cpu_percent: int = Field(
        70, ge=0, le=1000, description="CPU of the pods, as a percentage of their requests, to aim at; 0: not by CPU."
    )
    pod_metrics: Annotated[tuple[PodMetric, ...], Field(max_length=8, json_schema_extra=atomic_list())] = ()
    scale_down_seconds: int = Field(
        300, ge=0, le=3600, description="How long the load must have been lower before pods are taken away."
    )


class VoiceServerSpec(Schema):
    """How many pods, with which base."""

    base: str = Field(
        max_length=40,
        description="Base model, by its name in the operator's configuration; voices of other bases are not loaded.",
        json_schema_extra=rules(
            (
                "self.matches('^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
                "spec.base must be the name of a base, such as v2Pro",
            )
        ),
    )
    replicas: int = Field(
        1,
        ge=0,
        le=1000,
        description="Pods, where autoscaling does not say how many; the scale subresource changes this.",
    )
    autoscaling: Autoscaling | None = Field(
        None,
        json_schema_extra=rules(
            (
                "self.minReplicas <= self.maxReplicas",
                "spec.autoscaling.minReplicas must not exceed spec.autoscaling.maxReplicas",
            ),
            (
                "self.cpuPercent > 0 || size(self.podMetrics) > 0",
                "spec.autoscaling needs cpuPercent or podMetrics to scale by",
            ),
        ),
    )
    zero_without_voices: bool = Field(False, description="No pods while the server has no voices to serve.")
    resources: Resources | None = Field(
        None, description="Requests and limits of each pod; absent: the operator's configuration."
    )
    allowed_namespaces: (
        Annotated[tuple[NamespaceName, ...], Field(max_length=256, json_schema_extra=atomic_list())] | None
    ) = Field(
        None,
        description=(
            "Namespaces whose voices may use the server, beside its own; '*': all. Absent: its own (the installation's "
            "default server: all); voices of others that it serves already stay until the field is set."
        ),
    )
    max_voices: int = Field(
        1000,
        ge=0,
        le=10000,
        description="Voices that the server takes; what it serves already stays where it is lowered.",
    )
    keys_secret: ObjectName | None = Field(
        None,
        description=(
            "Secret in the server's namespace with API keys, one file of `voice-inference key new` each: nobody speaks "
            "without one. Absent: anybody who reaches the server speaks with all its voices."
        ),
        json_schema_extra=rules(
            ("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')", "spec.keysSecret must be the name of a Secret")
        ),
    )
    tls_secret: ObjectName | None = Field(
        None,
        description=(
            "Secret in the server's namespace with tls.crt and tls.key, as cert-manager writes them, for the name "
            "`<server>.<namespace>.svc`: pods and Service then speak HTTPS alone, on port 443. Absent: HTTP."
        ),
        json_schema_extra=rules(
            ("self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')", "spec.tlsSecret must be the name of a Secret")
        ),
    )


class ServedVoice(Schema):
    """One voice as the pods report it."""

    voice: str = Field(max_length=320, description="namespace/name")
    revision: ObjectName
    digest: Digest
    state: Literal["Loading", "Ready", "Failed"]
    loaded_on: int = Field(0, ge=0, description="Pods that serve exactly this digest.")
    error: Message = ""


class CountedPod(Schema):
    """A pod whose requests are counted: as long as it answers, it tells which voices were asked for."""

    name: ObjectName
    since: Annotated[str, Field(max_length=32)] = Field("", description="When its process began; empty: not told yet.")
    ending: bool = Field(False, description="It has answered once more since its deletion began.")


class VoiceServerStatus(Schema):
    """The state of the pods."""

    observed_generation: int = Field(-1, ge=-1)
    replicas: int = Field(0, ge=0)
    ready_replicas: int = Field(0, ge=0)
    selector: str = Field("", max_length=1024, description="Label selector of the pods, for the scale subresource.")
    voice_count: int = Field(0, ge=0, description="Voices that the server must serve.")
    voices: Annotated[tuple[ServedVoice, ...], Field(max_length=500, json_schema_extra=atomic_list())] = Field(
        (), description="The first 500 voices, by name."
    )
    generation: int = Field(0, ge=0, description="Generation of the desired-voices document.")
    endpoint: Uri | None = None
    base: ShortText | None = None
    pods: Annotated[tuple[CountedPod, ...], Field(max_length=256, json_schema_extra=atomic_list())] = ()
    uncounted: Annotated[str, Field(max_length=10)] | None = Field(
        None,
        description=(
            "Last day (UTC) on which a pod ended without a last answer, or did not answer: nobody knows what it was "
            "asked for, so all voices of the server count as used that day."
        ),
    )
    conditions: Conditions = ()
