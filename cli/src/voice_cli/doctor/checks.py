"""What is wrong with an installation, each fault with its remedy; pure: the same facts give the same findings."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from voice_cli.api import API_VERSION, REVISION, SERVER, VOICE, Object, name_of
from voice_cli.doctor.facts import Facts, Unknown, group_rules
from voice_cli.installation import recordings_prefixes
from voice_cli.times import duration, parsed

Level = Literal["ok", "warning", "fault", "unknown"]
OLDEST_SERVER = (1, 30)  # ValidatingAdmissionPolicies are stable since then
LEASE_SECONDS = 60.0
POLICY_NAMES = ("review", "voices")
GPU = "nvidia.com/gpu"
NEEDED = (  # who wants to do what, and which verbs on which resource that takes; the first is the least
    ("see voices", "voicemodels", ("get", "list", "watch")),
    ("see revisions", "voicerevisions", ("get", "list")),
    ("push, roll back and retry", "voicemodels", ("create", "patch")),
    ("approve and reject", "voicerevisions", ("patch", "approve")),
)
NEWEST_FIELDS = (("spec", "source", "properties", "commit"), ("spec", "dataset", "properties", "digest"))


@dataclass(frozen=True)
class Finding:
    """One thing that was examined."""

    level: Level
    what: str
    sentence: str
    remedy: str = ""

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def examine(facts: Facts) -> list[Finding]:
    """Return the findings of all checks, in the order in which a person would mend things."""
    return [finding for check in CHECKS for finding in check(facts)]


def check_server(facts: Facts) -> Iterator[Finding]:
    """The API server's version."""
    if isinstance(facts.server, Unknown):
        yield Finding("unknown", "API server", facts.server.why)
        return
    version = tuple(int("".join(filter(str.isdigit, str(facts.server.get(key))))) for key in ("major", "minor"))
    shown = str(facts.server.get("gitVersion"))
    if version < OLDEST_SERVER:
        yield Finding("fault", "API server", f"{shown} is too old", "Upgrade to Kubernetes 1.30 or later.")
    else:
        who = "" if isinstance(facts.person, Unknown) else f", you are {facts.person}"
        yield Finding("ok", "API server", f"{shown}{who}, namespace {facts.namespace}")


def check_definitions(facts: Facts) -> Iterator[Finding]:
    """The CustomResourceDefinitions: there, established, of this version."""
    if isinstance(facts.definitions, Unknown):
        yield Finding("unknown", "resources", facts.definitions.why)
        return
    found = {name_of(one): one for one in facts.definitions}
    faults = [fault for name in (VOICE, REVISION, SERVER) if (fault := _definition_fault(name, found.get(name)))]
    yield from faults
    if not faults:
        yield Finding("ok", "resources", f"VoiceModel, VoiceRevision and VoiceServer of {API_VERSION}")


def _definition_fault(name: str, found: Object | None) -> Finding | None:
    if found is None:
        remedy = (
            "`helm upgrade --install` the chart with crds.install: true, or `kubectl apply --server-side -f crds/`."
        )
        return Finding("fault", "resources", f"{name} is not installed", remedy)
    conditions = {str(one["type"]): one for one in (found.get("status") or {}).get("conditions") or ()}
    established = conditions.get("Established") or {}
    if established.get("status") != "True":
        why = established.get("message") or "it was made just now"
        return Finding("fault", "resources", f"{name} is not established: {why}", "Wait, or delete what has its names.")
    versions = {str(one["name"]): one for one in found["spec"].get("versions") or ()}
    served = versions.get(API_VERSION.rpartition("/")[2])
    if served is None or not served.get("served"):
        named = ", ".join(sorted(versions)) or "nothing"
        return Finding(
            "fault",
            "resources",
            f"{name} serves {named}, this program needs {API_VERSION}",
            "Use the release's own `voice`.",
        )
    if name == VOICE and not all(_has_field(served, path) for path in NEWEST_FIELDS):
        return Finding("fault", "resources", f"{name} is of an older release", "Apply crds/ of the operator's release.")
    return None


def _has_field(version: Object, path: tuple[str, ...]) -> bool:
    found: Any = (version.get("schema") or {}).get("openAPIV3Schema") or {}
    for step in ("properties", path[0], "properties", *path[1:]):
        found = found.get(step) if isinstance(found, dict) else None
    return found is not None


def check_operator(facts: Facts) -> Iterator[Finding]:
    """The operator's Deployment: one, available, of this release."""
    if isinstance(facts.deployments, Unknown):
        yield Finding(
            "unknown", "operator", facts.deployments.why, "Ask an administrator to run `kubectl voice doctor`."
        )
        return
    if not facts.deployments:
        yield Finding(
            "fault", "operator", "no operator is installed", "`helm install voice-operator …`; see docs/install.md."
        )
        return
    for one in facts.deployments:
        where = f"{one['metadata']['namespace']}/{name_of(one)}"
        wanted, ready = (
            int(one["spec"].get("replicas", 1)),
            int((one.get("status") or {}).get("availableReplicas") or 0),
        )
        if wanted == 0:
            yield Finding(
                "fault",
                "operator",
                f"{where} is scaled to 0",
                f"`kubectl scale deployment/{name_of(one)} --replicas=1`",
            )
        elif ready == 0:
            yield Finding(
                "fault", "operator", f"{where} has no ready pod{_waiting(facts, one)}", _pod_remedy(facts, one)
            )
        else:
            yield Finding("ok", "operator", f"{where}: {ready} of {wanted} pods are ready")
        yield from _version_finding(facts, one)
    if len(facts.deployments) > 1:
        names = ", ".join(f"{one['metadata']['namespace']}/{name_of(one)}" for one in facts.deployments)
        yield Finding(
            "warning", "operator", f"there are several: {names}", "Each needs namespaces of its own (watchNamespaces)."
        )


def _waiting(facts: Facts, deployment: Object) -> str:
    """Return why a pod of the operator does not start."""
    reasons = [f": {pod} {reason}: {message}" for pod, reason, message in _waits(facts, deployment)]
    return reasons[0].rstrip(": ") if reasons else ""


def _waits(facts: Facts, deployment: Object) -> Iterator[tuple[str, str, str]]:
    pods = [] if isinstance(facts.pods, Unknown) else facts.pods
    for pod in pods:
        if pod["metadata"].get("namespace") != deployment["metadata"]["namespace"]:
            continue
        status = pod.get("status") or {}
        for container in status.get("containerStatuses") or ():
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting:
                ended = (container.get("lastState") or {}).get("terminated") or {}
                message = str(ended.get("message") or waiting.get("message") or "").strip()
                yield name_of(pod), str(waiting.get("reason")), message.splitlines()[-1] if message else ""
        for condition in status.get("conditions") or ():
            if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
                yield name_of(pod), str(condition.get("reason")), str(condition.get("message") or "")


def _pod_remedy(facts: Facts, deployment: Object) -> str:
    reasons = {reason for _, reason, _ in _waits(facts, deployment)}
    space = deployment["metadata"]["namespace"]
    if reasons & {"ImagePullBackOff", "ErrImagePull", "InvalidImageName"}:
        return "Correct the chart's images.operator, or images.pullSecrets."
    if "CreateContainerConfigError" in reasons:
        return "Create the Secret or ConfigMap that it names; storage.existingSecret is one."
    if "Unschedulable" in reasons:
        return "Make room on the nodes, or correct operator.nodeSelector and tolerations."
    return f"`kubectl logs -n {space} deployment/{name_of(deployment)} --previous` says why it ends."


def _version_finding(facts: Facts, deployment: Object) -> Iterator[Finding]:
    labels = deployment["metadata"].get("labels") or {}
    version = str(labels.get("app.kubernetes.io/version") or "")
    if version and version.split(".")[:2] != facts.cli_version.split(".")[:2] and facts.cli_version != "0":
        sentence = f"the operator is of {version}, this program of {facts.cli_version}"
        yield Finding("warning", "operator", sentence, f"Install voice-cli {version}.")


def check_lease(facts: Facts) -> Iterator[Finding]:
    """Whether a process of the operator leads, and works."""
    if isinstance(facts.deployments, Unknown) or not facts.deployments:
        return
    if isinstance(facts.lease, Unknown):
        yield Finding("unknown", "leader", facts.lease.why)
        return
    spec = (facts.lease or {}).get("spec") or {}
    renewed = parsed(spec.get("renewTime"))
    if not spec.get("holderIdentity") or renewed is None:
        yield Finding("fault", "leader", "no process of the operator leads", "Look at its pods' log.")
        return
    old = (facts.now - renewed).total_seconds()
    if old > LEASE_SECONDS:
        sentence = f"{spec['holderIdentity']} has not renewed its lease for {duration(old)}: nothing is reconciled"
        yield Finding("fault", "leader", sentence, "Delete that pod; compare the nodes' clocks if it lives.")
    else:
        yield Finding("ok", "leader", f"{spec['holderIdentity']}, renewed {duration(old)} ago")


def check_namespace(facts: Facts) -> Iterator[Finding]:
    """Whether the operator works in the caller's namespace, and finds the store's keys there."""
    if isinstance(facts.config, Unknown):
        if not isinstance(facts.deployments, Unknown) and facts.deployments:
            yield Finding("unknown", "namespace", facts.config.why)
        return
    watched = facts.config.get("watchNamespaces") or []
    if watched and facts.namespace not in watched:
        sentence = f"{facts.namespace} is not watched; the operator works in {', '.join(map(str, watched))}"
        yield Finding("fault", "namespace", sentence, f"Add {facts.namespace} to the chart's watchNamespaces.")
    else:
        yield Finding("ok", "namespace", f"{facts.namespace} is watched")
    storage = facts.config.get("storage") or {}
    secret = str(storage.get("secretName") or "")
    if not secret or (storage.get("sessionKeys") or {}).get("enabled"):
        return
    if isinstance(facts.secrets, Unknown):
        yield Finding("unknown", "store's keys", facts.secrets.why)
    elif secret not in facts.secrets:
        remedy = f"Copy it from the operator's namespace, or add {facts.namespace} to storage.secretNamespaces."
        yield Finding(
            "fault", "store's keys", f"there is no Secret {secret} in {facts.namespace}: no Job can start", remedy
        )
    else:
        yield Finding("ok", "store's keys", f"Secret {secret}")


def check_policies(facts: Facts) -> Iterator[Finding]:
    """The admission policies about people: there, and bound."""
    if isinstance(facts.deployments, Unknown) or not facts.deployments:
        return
    if isinstance(facts.policies, Unknown) or isinstance(facts.bindings, Unknown):
        why = facts.policies.why if isinstance(facts.policies, Unknown) else "bindings are not shown to you"
        yield Finding("unknown", "policies", why)
        return
    deployment, remedy = facts.deployments[0], "`helm upgrade` with admission.enabled: true."
    faults = []
    for name in (f"{deployment['metadata']['namespace']}.{name_of(deployment)}.{one}" for one in POLICY_NAMES):
        if name not in facts.policies:
            sentence = f"{name} is missing: the API server does not hold people to their own names"
            faults.append(Finding("fault", "policies", sentence, remedy))
        elif name not in facts.bindings:
            faults.append(Finding("fault", "policies", f"{name} has no binding, so it checks nothing", remedy))
    yield from faults or [Finding("ok", "policies", f"{len(POLICY_NAMES)} about people, bound")]


def check_voice_servers(facts: Facts) -> Iterator[Finding]:
    """Whether somebody serves voices of the namespace."""
    if isinstance(facts.servers, Unknown):
        yield Finding("unknown", "servers", facts.servers.why)
        return
    usable = [one for one in facts.servers if _serves(one, facts)]
    if not usable:
        there = ", ".join(f"{one['metadata']['namespace']}/{name_of(one)}" for one in facts.servers) or "none"
        remedy = "Create a VoiceServer, or add the namespace to spec.allowedNamespaces of one."
        yield Finding(
            "fault", "servers", f"no VoiceServer takes voices of {facts.namespace}; there is: {there}", remedy
        )
    for one in usable:
        where, status = f"{one['metadata']['namespace']}/{name_of(one)}", one.get("status") or {}
        ready, replicas = int(status.get("readyReplicas") or 0), int(one["spec"].get("replicas", 1))
        known = f"vserver {name_of(one)} -n {one['metadata']['namespace']}"
        if replicas == 0:
            yield Finding("fault", "servers", f"{where} is scaled to 0", f"`kubectl scale {known} --replicas=1`")
        elif ready == 0:
            yield Finding("fault", "servers", f"{where} has no ready pod", f"`kubectl describe {known}`")
        else:
            voices, base = status.get("voiceCount", 0), one["spec"].get("base")
            yield Finding("ok", "servers", f"{where}: {ready} of {replicas} pods, base {base}, {voices} voices")


def _serves(server: Object, facts: Facts) -> bool:
    space = str(server["metadata"]["namespace"])
    if space == facts.namespace:
        return True
    allowed = server["spec"].get("allowedNamespaces")
    if allowed is not None:
        return "*" in allowed or facts.namespace in allowed
    config = {} if isinstance(facts.config, Unknown) else facts.config
    default = config.get("defaultServer") or {}
    return (space, name_of(server)) == (default.get("namespace"), default.get("name"))


def check_rights(facts: Facts) -> Iterator[Finding]:
    """What the caller may do in the namespace."""
    if isinstance(facts.rules, Unknown):
        yield Finding("unknown", "your rights", facts.rules.why)
        return
    verbs = group_rules(facts.rules)
    able: list[str] = []
    unable: list[str] = []
    for task, resource, needed in NEEDED:
        has = verbs.get(resource, set()) | verbs.get("*", set())
        (able if "*" in has or set(needed) <= has else unable).append(task)
    if NEEDED[0][0] in unable:
        who = "you" if isinstance(facts.person, Unknown) else facts.person
        remedy = f"Ask for a RoleBinding to view or edit in {facts.namespace}."
        yield Finding("fault", "your rights", f"{who} may not see voices of {facts.namespace}", remedy)
        return
    may_not = f"; not: {', '.join(unable)}" if unable else ""
    yield Finding("ok", "your rights", f"{', '.join(able)}{may_not}")


def check_store(facts: Facts) -> Iterator[Finding]:
    """Whether recordings can be put where they belong, from this machine."""
    if not facts.datasets:
        remedy = "Set VOICE_DATASETS to the prefix of your recordings."
        yield Finding("unknown", "object store", "nobody says where recordings go", remedy)
        return
    if isinstance(facts.store, Unknown):
        remedy = "Set AWS_ENDPOINT_URL_S3 and keys for this machine; who only reads voices needs none."
        yield Finding("fault", "object store", facts.store.why, remedy)
    else:
        yield Finding("ok", "object store", f"{facts.datasets} can be {facts.store} from here")
    config = {} if isinstance(facts.config, Unknown) else facts.config
    allowed = recordings_prefixes(config, facts.namespace)
    mine = f"{facts.datasets.replace('{namespace}', facts.namespace).rstrip('/')}/"
    if allowed and not any(mine.startswith(f"{one.rstrip('/')}/") for one in allowed):
        remedy = f"Put recordings below {' or '.join(allowed)}."
        yield Finding(
            "fault", "object store", f"{facts.namespace} may not use recordings below {facts.datasets}", remedy
        )


def check_nodes(facts: Facts) -> Iterator[Finding]:
    """Whether a node has a GPU, or a pool may have one."""
    if isinstance(facts.nodes, Unknown):
        return  # most people may not list nodes, and Jobs say themselves what they wait for
    gpus = sum(int(((one.get("status") or {}).get("allocatable") or {}).get(GPU) or 0) for one in facts.nodes)
    if gpus:
        yield Finding("ok", "GPUs", f"{gpus} on {len(facts.nodes)} nodes")
    else:
        remedy = "A pool that is scaled to zero comes by itself; without one, set spec.compute.gpus: 0."
        yield Finding("warning", "GPUs", f"none of {len(facts.nodes)} nodes has {GPU}", remedy)


Check = Callable[[Facts], Iterator[Finding]]
CHECKS: tuple[Check, ...] = (
    check_server,
    check_definitions,
    check_operator,
    check_lease,
    check_policies,
    check_namespace,
    check_voice_servers,
    check_nodes,
    check_rights,
    check_store,
)
