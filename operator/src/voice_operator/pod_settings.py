"""What an installation adds to the pods of stages and servers: named fields of a pod, its ids, its GPUs, a patch."""

from typing import Any, Self

from pydantic import Field, model_validator

from voice_operator.section import Section

Objects = tuple[dict[str, Any], ...]

USER = 65532  # "nonroot" in distroless images; ours use the same


class PodSecurity(Section):
    """Ids that pods run with; without ``runAsUser`` none is written, and the cluster gives them (OpenShift's SCCs)."""

    run_as_user: int | None = Field(USER, ge=1)
    run_as_group: int | None = Field(USER, ge=0)
    fs_group: int | None = Field(USER, ge=0, description="Group of the files in volumes.")

    @property
    def ids(self) -> dict[str, int]:
        """The ids as a pod's security context has them."""
        if self.run_as_user is None:
            return {}
        given = {"runAsUser": self.run_as_user, "runAsGroup": self.run_as_group, "fsGroup": self.fs_group}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def secret_mode(self) -> int:
        """File mode of mounted Secrets: the group's where volumes have one of the pod's, else everybody's in it."""
        return 0o440 if "fsGroup" in self.ids else 0o444


class Gpu(Section):
    """What a GPU is called here: ``nvidia.com/mig-1g.10gb`` is a slice, ``amd.com/gpu`` another vendor's."""

    resource: str = Field("nvidia.com/gpu", pattern="^[a-z0-9.-]+/[A-Za-z0-9._-]+$")
    taint: str = Field("nvidia.com/gpu", min_length=1, description="Taint of GPU nodes that pods with GPUs tolerate.")


KEYS = {"env": "name", "volumes": "name", "volume_mounts": "mountPath", "init_containers": "name"}


class PodTemplate(Section):
    """Fields of a pod that are added to the operator's own; as in a Kubernetes pod, where nothing else is said."""

    service_account_name: str = ""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    env: Objects = Field((), description="Variables of the operator's own container.")
    env_from: Objects = ()
    volumes: Objects = ()
    volume_mounts: Objects = Field((), description="Mounts of the operator's own container.")
    init_containers: Objects = Field(
        (), description="With restartPolicy Always one is a sidecar, which ends with a Job."
    )
    affinity: dict[str, Any] = Field(default_factory=dict)
    topology_spread_constraints: Objects = ()
    priority_class_name: str = ""
    runtime_class_name: str = ""
    scheduler_name: str = ""
    host_aliases: Objects = ()
    image_pull_secrets: Objects = ()
    dns_policy: str = ""
    dns_config: dict[str, Any] = Field(default_factory=dict)
    patch: dict[str, Any] = Field(
        default_factory=dict, description="Strategic merge patch of the pod template (metadata, spec): the last resort."
    )

    @model_validator(mode="after")
    def _items_have_names(self) -> Self:
        for field, key in KEYS.items():
            names = [item.get(key) for item in getattr(self, field)]
            if not all(isinstance(name, str) and name for name in names):
                raise ValueError(f"{field}: each item needs a {key}")
            if len(names) != len(set(names)):
                raise ValueError(f"{field}: {key}s must be unique, but they are {', '.join(names)}")
        return self

    def as_patch(self, container: str) -> dict[str, Any]:
        """Return the named fields, without affinity, as a strategic merge patch of a pod template."""
        own = {"env": self.env, "envFrom": self.env_from, "volumeMounts": self.volume_mounts}
        spec: dict[str, Any] = {
            "serviceAccountName": self.service_account_name,
            "volumes": self.volumes,
            "initContainers": self.init_containers,
            "topologySpreadConstraints": self.topology_spread_constraints,
            "priorityClassName": self.priority_class_name,
            "runtimeClassName": self.runtime_class_name,
            "schedulerName": self.scheduler_name,
            "hostAliases": self.host_aliases,
            "imagePullSecrets": self.image_pull_secrets,
            "dnsPolicy": self.dns_policy,
            "dnsConfig": self.dns_config,
            "containers": [{"name": container, **_given(own)}] if _given(own) else [],
        }
        metadata = _given({"labels": self.labels, "annotations": self.annotations})
        return _given({"metadata": metadata, "spec": _given(spec)})


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items() if value}
