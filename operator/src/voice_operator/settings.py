"""The installation's configuration: images, bases, storage, resources. One YAML file, written by the Helm chart."""

from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from voice_operator.api.schema import Language
from voice_operator.errors import InvalidSettings
from voice_operator.manifests.alert import Mode, TargetKind
from voice_operator.pod_settings import Gpu, PodSecurity, PodTemplate
from voice_operator.reconcile.alerts import AlertKind
from voice_operator.rules import Policy, Tenancy, Tenant
from voice_operator.section import Section
from voice_operator.units import quantity, seconds
from voice_operator.validation import sentences

_MAX_CONFIG_BYTES = 1 << 20
_MAX_CA_BYTES = 256 << 10  # it travels in ConfigMaps, which hold 1 MiB, beside the list of a server's voices
_PROXY = "^(https?://[^ ]+)?$"
ALERT_URL = r"^https?://[^/?#@\s]+([/?][^#\s]*)?$"  # no password in it: that is what urlSecret is for

RECOGNISER_FOLDER = "/recogniser"  # where pods have the volume of the recogniser
SESSION_SECONDS = (900, 43_200)  # what token services take

_STORE_URI = r"^(s3://[a-z0-9][a-z0-9.-]*[a-z0-9](/[A-Za-z0-9._/-]*)?|file:///.*)$"
StoreUri = Annotated[str, Field(pattern=_STORE_URI)]
Tolerations = tuple[dict[str, Any], ...]


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
    volume: dict[str, Any] = Field(
        default_factory=dict, description="Volume with the base, mounted into stages and servers at /bases/<name>."
    )


class Recogniser(Section):
    """A Whisper folder that writes down speech: it checks texts, writes those that are missing, and measures voices."""

    uri: str = Field(pattern="^(s3://.+|file:///recogniser(/.*)?)$")
    digest: str = Field(pattern="^sha256:[0-9a-f]{64}$", description="As `voice-trainer recogniser` prints it.")
    languages: tuple[Language, ...] = Field(("en", "ja", "ko", "zh"), min_length=1)
    volume: dict[str, Any] = Field(
        default_factory=dict, description="Volume with the folder, mounted into stages at /recogniser."
    )


class SessionKeys(Section):
    """Keys of the store that the operator asks a token service for: each Job gets its own, for one voice's folders."""

    enabled: bool = False
    endpoint: str = Field(
        "",
        pattern="^(https?://[^/?#@ ]+/?)?$",
        description="Address of the token service; empty: the store's own where it has one, else AWS's, by region.",
    )
    role_arn: str = Field(
        "",
        pattern="^(arn:[a-z-]+:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+)?$",
        description="Role whose rights the keys narrow; AWS needs one, MinIO none.",
    )
    duration: str = Field("1h", description="How long keys last; they are renewed after half of it.")

    @property
    def duration_seconds(self) -> int:
        """``duration`` in seconds."""
        return seconds(self.duration)

    @field_validator("duration")
    @classmethod
    def _is_possible(cls, duration: str) -> str:
        if not SESSION_SECONDS[0] <= seconds(duration) <= SESSION_SECONDS[1]:
            raise ValueError(f"is {duration}; token services give keys for 15m to 12h")
        return duration


class Storage(Section):
    """Where everything between the stages, and every published voice, lies, and how pods reach it."""

    uri: StoreUri
    endpoint: str = Field(
        "",
        pattern="^(https?://[^/?#@ ]+/?)?$",
        description="Address of an S3 server, such as https://s3.example.org; empty: AWS, by region.",
    )
    region: str = Field("", pattern="^[a-zA-Z0-9-]*$", description="Empty: AWS_REGION of the Secret, else us-east-1.")
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto",
        description="Whether the bucket stands in the path or in the name of the host; auto: as the server needs it.",
    )
    ca_file: Path | None = Field(None, description="PEM file of the authorities that signed the server's certificate.")
    ca: str = Field("", max_length=_MAX_CA_BYTES, description="What is in caFile; the pods get it from the operator.")
    secret_name: str = Field(
        "",
        description=(
            "Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and perhaps AWS_SESSION_TOKEN in each namespace "
            "that has voices or servers; empty: pods get keys from their service account or their node."
        ),
    )
    session_keys: SessionKeys = Field(default_factory=SessionKeys)

    @field_validator("uri")
    @classmethod
    def _without_slash(cls, uri: str) -> str:
        return uri.rstrip("/")

    @model_validator(mode="before")
    @classmethod
    def _read_ca(cls, given: Any) -> Any:
        """Read caFile, so that every manifest is made from the settings alone."""
        file = given.get("caFile") if isinstance(given, dict) else None
        return given | {"ca": _certificates(file)} if file else given

    @model_validator(mode="after")
    def _session_keys_are_of_s3(self) -> Self:
        if self.session_keys.enabled and not self.uri.startswith("s3://"):
            raise ValueError(f"sessionKeys.enabled is true, but uri is {self.uri}; only s3:// has keys")
        return self

    def environment(self) -> dict[str, str]:
        """Return the variables that tell a pod where the store is; the keys come from elsewhere."""
        variables = {
            "AWS_ENDPOINT_URL_S3": self.endpoint.rstrip("/"),
            "AWS_REGION": self.region,
            "VOICE_S3_ADDRESSING": "" if self.addressing == "auto" else self.addressing,
        }
        return {name: value for name, value in variables.items() if value}


class Proxy(Section):
    """The HTTP proxy between the cluster and the store."""

    http: str = Field("", pattern=_PROXY, description="For http:// addresses.")
    https: str = Field("", pattern=_PROXY, description="For https:// addresses.")
    no_proxy: str = Field("", description="Hosts and domains that are reached directly, separated by commas.")

    def environment(self) -> dict[str, str]:
        """Return the variables; none without a proxy."""
        if not (self.http or self.https):
            return {}
        variables = {"HTTP_PROXY": self.http, "HTTPS_PROXY": self.https, "NO_PROXY": self.no_proxy}
        return {name: value for name, value in variables.items() if value}


class Placement(Section):
    """Resources of a pod, and where it may run."""

    resources: dict[str, dict[str, str | int | float]] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: Tolerations = ()
    pod: PodTemplate = Field(default_factory=PodTemplate, description="What is added to the pods.")


class StagePlacement(Placement):
    """Resources and placement of a stage Job's pod; ``scratch`` is the size of its local working folder."""

    scratch: str = "20Gi"
    max_memory: str = Field(
        "", description="Most memory of an attempt after others ran out of it; empty: twice the limit."
    )

    @property
    def max_memory_factor(self) -> Fraction | None:
        """By how much an attempt's memory may exceed the configured one; None: by anything.

        Raises:
            ValueError: ``max_memory`` or the memory that it bounds is no quantity.
        """
        memory = [self.resources.get(kind, {}).get("memory") for kind in ("limits", "requests")]
        configured = next((quantity(size) for size in memory if size is not None), None)
        if not self.max_memory:
            return Fraction(2) if memory[0] is not None else None
        return quantity(self.max_memory) / configured if configured else None


class Stages(Section):
    """The three Jobs of a voice."""

    prepare: StagePlacement = Field(default_factory=StagePlacement)
    train: StagePlacement = Field(default_factory=StagePlacement)
    evaluate: StagePlacement = Field(default_factory=StagePlacement)
    pod: PodTemplate = Field(default_factory=PodTemplate, description="What is added to the pods of all three.")
    gpu: Gpu = Field(default_factory=Gpu)
    service_account_name: str = Field(
        "", description="ServiceAccount of their pods, in each namespace that has voices; empty: the namespace's own."
    )
    spot_wait: str = Field(
        "10m", description="How long a pod of SpotThenOnDemand may wait for a node before it asks for on-demand ones."
    )

    @property
    def spot_wait_seconds(self) -> int:
        """``spot_wait`` in seconds."""
        return seconds(self.spot_wait)

    @model_validator(mode="after")
    def _amounts_are_possible(self) -> Self:
        try:
            seconds(self.spot_wait)
        except ValueError as error:
            raise ValueError(f"stages.spotWait: {error}") from error
        for name in ("prepare", "train", "evaluate"):
            stage: StagePlacement = getattr(self, name)
            try:
                factor = stage.max_memory_factor
            except ValueError as error:
                raise ValueError(f"stages.{name}: {error}") from error
            if factor is not None and factor < 1:
                raise ValueError(
                    f"stages.{name}.maxMemory is {stage.max_memory!r}, which is less than the memory in "
                    f"stages.{name}.resources; raise it or leave it out"
                )
        return self


class Inference(Placement):
    """The pods of every VoiceServer."""

    port: int = Field(8080, ge=1, le=65535)
    cache: str = Field("10Gi", description="Size of the local folder for bases and voices.")
    bare_names: str = Field(
        "",
        pattern="^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$",
        description="Namespace whose voices may be called by their name alone; empty: none.",
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the authorities that signed the servers' certificates, beside the system's."
    )
    environment: dict[str, str] = Field(default_factory=dict, description="Extra environment variables of the pods.")
    service_account_name: str = Field(
        "", description="ServiceAccount of the pods, in each namespace that has servers; empty: the namespace's own."
    )
    token_review: bool = Field(
        False, description="Let pods ask the API server whose a ServiceAccount token is; they get a token for it."
    )


class DisruptionBudget(Section):
    """How many pods of a server a drained node may take away at a time."""

    enabled: bool = True
    max_unavailable: int | str = 1


class DefaultServer(Section):
    """The installation's own VoiceServer, for voices whose namespace has none of that name."""

    namespace: str = Field(min_length=1)
    name: str = Field(min_length=1)
    spec: dict[str, Any] = Field(default_factory=dict, description="Its spec; empty: the operator makes none.")


class AlertTarget(Section):
    """Somebody who is told of alerts. Addresses come from here alone, never from a resource."""

    name: str = Field(pattern="^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")
    kind: TargetKind
    url: str | None = Field(None, pattern=ALERT_URL)
    url_file: Path | None = Field(None, description="File with the URL, where that is a secret itself, as Slack's is.")
    hmac_file: Path | None = Field(None, description="File with the signing secret, whsec_...; absent: not signed.")
    mode: Mode = Field("structured", description="Content mode of CloudEvents.")
    namespaces: tuple[str, ...] = Field(("*",), min_length=1, description="Whose voices; *: all.")
    alerts: tuple[AlertKind, ...] = Field((), description="Which alerts; empty: all.")

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.url is None) == (self.url_file is None):
            raise ValueError(f"alerts.targets: {self.name} needs either url or urlFile; give one of them")
        return self

    def wants(self, kind: AlertKind, namespace: str) -> bool:
        """Return whether the target is told of such an alert."""
        return (not self.alerts or kind in self.alerts) and not {"*", namespace}.isdisjoint(self.namespaces)


class Alerts(Section):
    """Who is told what people must know of voices."""

    targets: tuple[AlertTarget, ...] = Field((), max_length=16)
    consent_expiry_days: int = Field(14, ge=0, le=365, description="How many days before its end a consent is told of.")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [target.name for target in self.targets]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"alerts.targets: {', '.join(twice)} is there twice; names must be unique")
        return self


class Retention(Section):
    """How long the store itself keeps records, whoever asks it to delete them; the bucket must have object lock."""

    days: int = Field(0, ge=0, le=36500, description="0: as the bucket's own default says.")
    mode: Literal["GOVERNANCE", "COMPLIANCE"] = "GOVERNANCE"


class Hub(Section):
    """Copies of voices on the Hugging Face Hub."""

    token_secret: str = Field(
        "",
        pattern="^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        description=(
            "Secret in a voice's namespace whose key token may write to the Hub; empty: no voice is copied. A name of "
            "the installation, so that no spec can make a Job use another Secret."
        ),
    )
    endpoint: str = Field(
        "", pattern="^(https?://[^ ]+)?$", description="Address of the Hub; empty: https://huggingface.co."
    )


class Audit(Section):
    """The log of what was done to voices."""

    enabled: bool = True
    uri: Annotated[str, Field(pattern=f"({_STORE_URI})|^$")] = Field(
        "", description="Below it each namespace has a folder; empty: storage.uri and /audit."
    )
    retention: Retention = Field(default_factory=Retention)

    @field_validator("uri")
    @classmethod
    def _without_slash(cls, uri: str) -> str:
        return uri.rstrip("/")


class Kueue(Section):
    """Whether Kueue admits the Jobs."""

    enabled: bool = Field(False, description="Watch Kueue's Workloads, and stop suspended voices through them.")


class Settings(Section):
    """The whole file."""

    images: Images
    bases: dict[str, Base] = Field(min_length=1)
    recogniser: Recogniser | None = None
    default_base: str = Field("tiny", description="Base of the voices that name none; one of bases.")
    storage: Storage
    proxy: Proxy = Field(default_factory=Proxy)
    pod_security: PodSecurity = Field(default_factory=PodSecurity)
    stages: Stages = Field(default_factory=Stages)
    inference: Inference = Field(default_factory=Inference)
    pod_disruption_budget: DisruptionBudget = Field(default_factory=DisruptionBudget)
    default_server: DefaultServer | None = None
    tenancy: Tenancy = Field(default_factory=Tenancy)
    policy: Policy = Field(default_factory=Policy)
    alerts: Alerts = Field(default_factory=Alerts)
    audit: Audit = Field(default_factory=Audit)
    watch_namespaces: tuple[str, ...] = Field((), description="Empty: all namespaces.")
    operator_url: str = Field(
        "",
        pattern="^(https?://[^ ]+)?$",
        description="Where inference pods reach the operator; empty: they read the ConfigMap only.",
    )
    hub: Hub = Field(default_factory=Hub)
    kueue: Kueue = Field(default_factory=Kueue)
    listen: str = Field(
        "*:8080",
        pattern="^[^ ]+:[0-9]+$",
        description="Address of the operator's own HTTP endpoint; *: all addresses, IPv4 and IPv6.",
    )
    workers: int = Field(
        8,
        ge=1,
        le=64,
        description="How many objects are worked on at a time; at most three quarters for one namespace.",
    )
    resync_seconds: float = Field(
        30, gt=0, description="How often everything is listed again, in case that a watch lost an event."
    )
    lease_name: str = Field(
        "voice-operator",
        pattern="^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        description="Lease by which one of several replicas leads; empty: this process works without one.",
    )
    signing_key_secret: str = Field(
        "voice-operator-signing-key",
        pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description=(
            "Secret in the operator's own namespace with the key that seals revisions; the operator makes it where "
            "there is none. The ConfigMap of this name has the public half."
        ),
    )
    revocations_secret: str = Field(
        "voice-operator-revocations",
        pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        description=(
            "Name, without the number at its end, of the Secrets in the operator's own namespace that keep what was "
            "revoked, so that it outlives the resources."
        ),
    )
    max_concurrent_trainings: int = Field(
        0, ge=0, description="How many train and evaluate Jobs run at a time in all namespaces; 0: as many as start."
    )
    namespace: str = Field("voice-system", description="The operator's own namespace; POD_NAMESPACE has the last word.")

    @model_validator(mode="after")
    def _default_base_exists(self) -> Self:
        if self.default_base not in self.bases:
            known = ", ".join(sorted(self.bases))
            raise ValueError(
                f"defaultBase is {self.default_base!r}, which is not in bases ({known}); name one of these"
            )
        return self

    @model_validator(mode="after")
    def _volumes_are_where_their_bases_are(self) -> Self:
        for name, base in self.bases.items():
            folder = base_folder(name)
            if base.volume and base.uri != f"file://{folder}" and not base.uri.startswith(f"file://{folder}/"):
                raise ValueError(
                    f"bases.{name}.uri is {base.uri!r}, but its volume is mounted at {folder}: "
                    f"write file://{folder}, or a folder below it"
                )
        return self

    @model_validator(mode="after")
    def _the_recogniser_is_in_its_volume(self) -> Self:
        known = self.recogniser
        if known is not None and bool(known.volume) != known.uri.startswith(f"file://{RECOGNISER_FOLDER}"):
            raise ValueError(
                f"recogniser.uri is {known.uri!r} and recogniser.volume is {'given' if known.volume else 'not given'}: "
                f"a volume is mounted at {RECOGNISER_FOLDER}, so write file://{RECOGNISER_FOLDER} with a volume, and "
                "s3://… without one"
            )
        return self

    def recogniser_of(self, language: str) -> Recogniser | None:
        """Return the recogniser of a language, beside what the trainer has by itself."""
        known = self.recogniser
        return known if known is not None and language in known.languages else None

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Return the namespaces to watch, the operator's own among them; empty: all."""
        return tuple(sorted({*self.watch_namespaces, self.namespace})) if self.watch_namespaces else ()

    @property
    def default_server_id(self) -> str:
        """Namespace and name of the chart's own server; empty: it has none."""
        server = self.default_server
        return f"{server.namespace}/{server.name}" if server is not None else ""

    @property
    def audit_uri(self) -> str:
        """Where the folders of the audit log lie."""
        return self.audit.uri or f"{self.storage.uri}/audit"

    def tenant(self, namespace: str) -> Tenant:
        """Return what a namespace may use."""
        return self.tenancy.of(namespace, self.storage.uri)

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


def base_folder(name: str) -> str:
    """Return where pods have the volume of a base."""
    return f"/bases/{name}"


def _certificates(file: object) -> str:
    """Return a PEM file's text.

    Raises:
        ValueError: it cannot be read, is too large, or holds no certificate.
    """
    path = Path(str(file))
    try:
        with path.open("rb") as opened:
            text = opened.read(_MAX_CA_BYTES + 1).decode("ascii", errors="replace")
    except OSError as error:
        raise ValueError(
            f"storage.caFile: {path}: {error.strerror or error}; put the certificates of the store's authority there"
        ) from error
    if len(text) > _MAX_CA_BYTES:
        raise ValueError(
            f"storage.caFile: {path} is larger than {_MAX_CA_BYTES} bytes; keep the store's authorities only"
        )
    if "-----BEGIN CERTIFICATE-----" not in text:
        raise ValueError(f"storage.caFile: {path} holds no certificate; it must be PEM")
    return text
