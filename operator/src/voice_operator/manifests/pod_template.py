"""Adds an installation's own fields to a pod of the operator's, and refuses what would change what the pod is."""

from collections.abc import Iterator
from typing import Any

from voice_operator.api.schema import GROUP
from voice_operator.errors import InvalidSettings
from voice_operator.manifests.pod import container_security
from voice_operator.manifests.strategic_merge import strategic_merge
from voice_operator.pod_settings import PodTemplate

Template = dict[str, Any]

VOLUME_KINDS = frozenset(  # of the restricted Pod Security Standard
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
KEPT = ("restartPolicy", "automountServiceAccountToken", "activeDeadlineSeconds")
NODE = ("hostNetwork", "hostPID", "hostIPC")
RESERVED = (f"{GROUP}/", "app.kubernetes.io/", "batch.kubernetes.io/", "kueue.x-k8s.io/")  # prefixes of labels
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}  # of containers that are added


def with_template(template: Template, given: PodTemplate, container: str, where: str) -> Template:
    """Return a pod template with what the installation adds.

    Args:
        template: metadata and spec of the operator's own pod.
        given: the installation's fields.
        container: name of the operator's own container.
        where: the chart value that holds ``given``, for sentences.

    Raises:
        InvalidSettings: it would take away or change what the operator wrote, or what keeps a pod harmless.
    """
    try:
        merged = strategic_merge(template, given.as_patch(container))
        if given.affinity:
            own = template["spec"].get("affinity") or {}
            merged["spec"] = merged["spec"] | {"affinity": both(own, given.affinity)}
        merged = strategic_merge(merged, given.patch)
        added = [_secured(one) for one in merged["spec"].get("initContainers", ())]
        if added:
            merged["spec"] = merged["spec"] | {"initContainers": added}
        problem = next(_problems(template, merged, container), None)
    except ValueError as error:
        raise InvalidSettings(f"{where}: {error}") from error
    except (AttributeError, KeyError, TypeError) as error:
        raise InvalidSettings(
            f"{where}: a field has not the form that it has in a pod ({error!r}); correct it"
        ) from error
    if problem is not None:
        raise InvalidSettings(f"{where}: {problem}")
    return merged


def both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """Return an affinity that asks for what two of them ask for."""
    merged: dict[str, Any] = {}
    for kind in ("nodeAffinity", "podAffinity", "podAntiAffinity"):
        one, other = first.get(kind) or {}, second.get(kind) or {}
        required, preferred = (f"{name}DuringSchedulingIgnoredDuringExecution" for name in ("required", "preferred"))
        found: dict[str, Any] = {}
        if kind == "nodeAffinity":
            terms = [part[required]["nodeSelectorTerms"] for part in (one, other) if part.get(required)]
            if terms:
                found[required] = {"nodeSelectorTerms": terms[0] if len(terms) == 1 else _all_of(*terms)}
        elif together := [*one.get(required, ()), *other.get(required, ())]:
            found[required] = together
        if wished := [*one.get(preferred, ()), *other.get(preferred, ())]:
            found[preferred] = wished
        if found:
            merged[kind] = found
    return merged


def _all_of(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return terms of which one holds where one of each list holds: terms are alternatives, parts of a term are not."""
    return [
        {name: [*one.get(name, ()), *other.get(name, ())] for name in sorted({*one, *other})}
        for one in ours
        for other in theirs
    ]


def _secured(container: dict[str, Any]) -> dict[str, Any]:
    """Return a container with what the restricted standard asks for, unless it says otherwise (and is refused)."""
    return container | {"securityContext": SECURITY | (container.get("securityContext") or {})}


def _problems(before: Template, after: Template, container: str) -> Iterator[str]:
    """Yield what is wrong with the merged template, as sentences."""
    yield from _labels(before["metadata"].get("labels", {}), after["metadata"].get("labels", {}))
    old, new = before["spec"], after["spec"]
    for field in KEPT:
        if new.get(field) != old.get(field):
            yield f"{field} is the operator's to say ({old.get(field)!r}); leave it out"
    for field in NODE:
        if new.get(field):
            yield f"{field} would give pods the node's own; leave it out"
    if len(new["containers"]) != 1 or new["containers"][0]["name"] != container:
        yield (
            "a second container would keep Jobs from ending; write it into initContainers with restartPolicy: Always, "
            "which makes it a sidecar"
        )
        return
    context = old["securityContext"]
    if {name: new["securityContext"].get(name) for name in context} != context:
        yield "securityContext is the operator's to say; ids are those of the chart value podSecurity"
    yield from _own_container(old["containers"][0], new["containers"][0])
    yield from _volumes(old.get("volumes", []), new.get("volumes", []))
    for one in new.get("initContainers", ()):
        yield from _added_container(one)


def _labels(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    for name, value in before.items():
        if after.get(name) != value:
            yield f"the label {name} is the operator's own ({value}); name another one"
    for name in sorted(after.keys() - before.keys()):
        if name.startswith(RESERVED):
            yield f"the label {name} has one of the operator's prefixes ({', '.join(RESERVED)}); name another"


def _own_container(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    for field in ("image", "command", "args", "workingDir"):
        if after.get(field) != before.get(field):
            yield f"{field} of the container {before['name']} is the operator's to say; leave it out"
    if after.get("securityContext") != container_security():
        yield f"securityContext of the container {before['name']} is the operator's to say; leave it out"
    variables = {one["name"]: one for one in after.get("env", ())}
    for one in before.get("env", ()):
        if variables.get(one["name"]) != one:
            yield f"the variable {one['name']} is written by the operator; leave it out"
    yield from _mounts(before.get("volumeMounts", ()), after.get("volumeMounts", ()))


def _mounts(own: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    mounts = {one["mountPath"]: one for one in after}
    for one in own:
        if mounts.pop(one["mountPath"], None) != one:
            yield f"{one['mountPath']} is a folder of the operator's own; choose another mountPath"
    for path in mounts:
        for one in own:
            if _lies_in(one["mountPath"], path) or (one.get("readOnly") and _lies_in(path, one["mountPath"])):
                yield f"mountPath {path} covers {one['mountPath']} or lies in it, a folder of the operator's own"


def _lies_in(path: str, folder: str) -> bool:
    return f"{path.rstrip('/')}/".startswith(f"{folder.rstrip('/')}/")


def _volumes(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[str]:
    own = {one["name"]: one for one in before}
    names = [one["name"] for one in after]
    for name, one in own.items():
        if name not in names or ("emptyDir" not in one and one not in after):
            yield f"the volume {name} is the operator's own; name another"
    for name, one in ((one["name"], one) for one in after if one != own.get(one["name"])):
        kinds = one.keys() - {"name"}
        if len(kinds) != 1 or not kinds <= VOLUME_KINDS:
            yield (
                f"the volume {name} is of the kind {', '.join(sorted(kinds)) or 'none'}; "
                f"use one of {', '.join(sorted(VOLUME_KINDS))}"
            )
        elif any("serviceAccountToken" in source for source in (one.get("projected") or {}).get("sources", ())):
            yield f"the volume {name} has a token of the ServiceAccount, which no pod of a stage or server gets"


def _added_container(container: dict[str, Any]) -> Iterator[str]:
    name, context = container["name"], container["securityContext"]
    if not container.get("image"):
        yield f"the container {name} needs an image"
    if context.get("privileged") or context["allowPrivilegeEscalation"] or context.get("capabilities", {}).get("add"):
        yield f"the container {name} asks for privileges; pods of stages and servers have none"
    if any(port.get("hostPort") for port in container.get("ports", ())):
        yield f"the container {name} asks for a port of the node; leave hostPort out"
