"""What the cluster and the object store say of an installation, each question asked once and at the same time."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import yaml

from voice_cli.api import GROUP, REVISION, SERVER, VOICE, Object
from voice_cli.errors import CliError, NotFound
from voice_cli.installation import CONFIG_FILE, OPERATOR_LABELS, recordings_prefix
from voice_cli.kubectl import Kubectl
from voice_store import NotFound as NoSuchFile
from voice_store import StoreError, open_store

OPERATOR = f"{OPERATOR_LABELS},app.kubernetes.io/component=operator"
PROBE = ".voice-doctor-probe"
POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"
BINDINGS = "validatingadmissionpolicybindings.admissionregistration.k8s.io"


@dataclass(frozen=True)
class Unknown:
    """A question that was not answered: the caller may not ask it, or there is nobody to answer."""

    why: str


@dataclass(frozen=True)
class Facts:
    """The answers; each may be ``Unknown``."""

    namespace: str
    now: datetime
    person: str | Unknown
    cli_version: str
    server: Object | Unknown  # the API server's version
    definitions: list[Object] | Unknown
    deployments: list[Object] | Unknown
    pods: list[Object] | Unknown = field(default_factory=list)
    config: Object | Unknown = field(default_factory=dict)
    lease: Object | Unknown | None = None  # None: there is none
    policies: list[str] | Unknown = field(default_factory=list)
    bindings: list[str] | Unknown = field(default_factory=list)
    servers: list[Object] | Unknown = field(default_factory=list)
    secrets: list[str] | Unknown = field(default_factory=list)  # names in the namespace
    rules: list[Object] | Unknown = field(default_factory=list)  # the caller's, in the namespace
    nodes: list[Object] | Unknown = field(default_factory=list)
    datasets: str = ""  # prefix of recordings; empty: nobody says
    store: str | Unknown = ""  # what was tried and worked; empty: nothing was tried
    readable: bool = True  # whether the store could be read where it could not be written


def gather(kubectl: Kubectl, cli_version: str, datasets: str, *, write: bool) -> Facts:
    """Ask everything.

    Raises:
        Unavailable: the API server does not answer, so that nothing else can be told.
    """
    server = kubectl.raw("/version")
    namespace = kubectl.namespace()
    asked: dict[str, Callable[[], Any]] = {
        "person": kubectl.whoami,
        "definitions": lambda: _definitions(kubectl),
        "deployments": lambda: kubectl.items("deployments.apps", labels=OPERATOR, everywhere=True),
        "pods": lambda: kubectl.items("pods", labels=OPERATOR, everywhere=True),
        "policies": lambda: [str(one["metadata"]["name"]) for one in kubectl.items(POLICIES)],
        "bindings": lambda: [str((one.get("spec") or {}).get("policyName")) for one in kubectl.items(BINDINGS)],
        "servers": lambda: kubectl.items(SERVER, everywhere=True),
        "secrets": lambda: [str(one["metadata"]["name"]) for one in kubectl.items("secrets")],
        "rules": lambda: _rules(kubectl, namespace),
        "nodes": lambda: kubectl.items("nodes"),
    }
    with ThreadPoolExecutor(len(asked)) as pool:
        running = {name: pool.submit(_answer, question) for name, question in asked.items()}
        answers = {name: future.result() for name, future in running.items()}
    deployment = _first(answers["deployments"])
    config = _answer(lambda: _config(kubectl, deployment)) if deployment else Unknown("there is no operator")
    installed = "" if isinstance(config, Unknown) else recordings_prefix(config, namespace)
    prefix = datasets.replace("{namespace}", namespace) or installed
    return Facts(
        namespace=namespace,
        now=datetime.now(UTC),
        cli_version=cli_version,
        server=server,
        config=config,
        lease=_answer(lambda: _lease(kubectl, deployment)) if deployment else None,
        datasets=prefix,
        store=try_store(prefix.replace("{voice}", ""), write=write) if prefix else "",
        **answers,
    )


def try_store(uri: str, *, write: bool) -> str | Unknown:
    """List a prefix, and write and remove an object below it; return what worked."""
    try:
        store = open_store(uri)
        next(iter(store.entries()), None)
        if not write:
            return "read"
        store.write(PROBE, b"voice doctor")
        store.delete(PROBE)
    except NoSuchFile:
        return "read"
    except (StoreError, OSError) as error:
        return Unknown(str(error))
    return "read and written"


def _answer(question: Callable[[], Any]) -> Any:
    try:
        return question()
    except CliError as error:
        return Unknown(str(error))


def _definitions(kubectl: Kubectl) -> list[Object]:
    """Return the CustomResourceDefinitions of ours that there are."""
    found = []
    for name in (VOICE, REVISION, SERVER):
        try:
            found.append(kubectl.json("get", "customresourcedefinitions", name, namespaced=False))
        except NotFound:
            continue
    return found


def _rules(kubectl: Kubectl, namespace: str) -> list[Object]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    # By path: who has few rights may not look up the kind first.
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    found = json.loads(
        kubectl.text("create", f"--raw={path}", "--filename=-", stdin=json.dumps(review), namespaced=False)
    )
    rules: list[Object] = (found.get("status") or {}).get("resourceRules") or []
    return rules


def _first(deployments: list[Object] | Unknown) -> Object | None:
    return None if isinstance(deployments, Unknown) or not deployments else deployments[0]


def _config(kubectl: Kubectl, deployment: Object) -> Object:
    there = kubectl.within(str(deployment["metadata"]["namespace"]))
    found = there.json("get", "configmap", str(deployment["metadata"]["name"]))
    try:
        config: Object = yaml.safe_load((found.get("data") or {}).get(CONFIG_FILE) or "{}") or {}
    except yaml.YAMLError as error:
        raise CliError(f"the operator's configuration is no YAML: {' '.join(str(error).split())[:200]}") from error
    return config


def _lease(kubectl: Kubectl, deployment: Object) -> Object | None:
    there = kubectl.within(str(deployment["metadata"]["namespace"]))
    try:
        return there.json("get", "leases.coordination.k8s.io", str(deployment["metadata"]["name"]))
    except NotFound:
        return None


def group_rules(rules: list[Object]) -> dict[str, set[str]]:
    """Return the verbs that rules give on each resource of ours."""
    verbs: dict[str, set[str]] = {}
    for rule in rules:
        if not {GROUP, "*"} & set(rule.get("apiGroups") or ()) or rule.get("resourceNames"):
            continue
        for resource in rule.get("resources") or ():
            verbs.setdefault(str(resource), set()).update(map(str, rule.get("verbs") or ()))
    return verbs
