"""What Argo CD and Flux are given: the overlay builds, resources have fields that there are, notifications read well.

Argo CD's templates are Go's, with sprig: helm runs them. Its conditions are written in what expr and Python share.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml

from voice_operator.api.voice_model import VoiceModelSpec

PROVIDERS = ("slack", "msteams", "generic", "generic-hmac", "github", "gitlab", "gitea", "bitbucket", "alertmanager")
SOURCES = ("Bucket", "GitRepository", "Kustomization", "HelmRelease", "HelmRepository", "OCIRepository")
COMMIT = "20e4734f9b9167f8d65e4086ddeeb98f8297478d"
TEXT, SWITCH = {"type": "string"}, {"type": "boolean"}


def known(required: list[str], **fields: Any) -> dict[str, Any]:
    """The schema of an object with these fields and no others."""
    return {"type": "object", "required": required, "properties": fields, "additionalProperties": False}


def choice(*values: str) -> dict[str, Any]:
    return {"enum": list(values)}


NAMED = known(["name"], name=TEXT)
# The fields of each kind's spec, as its API's reference lists them; values where it lists these.
SPECS = {
    "notification.toolkit.fluxcd.io/v1beta3/Provider": known(
        ["type"],
        type=choice(*PROVIDERS),
        **dict.fromkeys(("channel", "username", "address", "timeout", "proxy", "commitStatusExpr"), TEXT),
        **dict.fromkeys(("secretRef", "certSecretRef", "proxySecretRef"), NAMED),
        suspend=SWITCH,
    ),
    "notification.toolkit.fluxcd.io/v1beta3/Alert": known(
        ["providerRef", "eventSources"],
        providerRef=NAMED,
        eventSeverity=choice("info", "error"),
        eventSources={
            "type": "array",
            "minItems": 1,
            "items": known(
                ["kind", "name"],
                kind=choice(*SOURCES),
                **dict.fromkeys(("apiVersion", "name", "namespace"), TEXT),
            ),
        },
        eventMetadata={"type": "object", "additionalProperties": TEXT},
        inclusionList={"type": "array", "items": TEXT},
        exclusionList={"type": "array", "items": TEXT},
        suspend=SWITCH,
    ),
    "kustomize.toolkit.fluxcd.io/v1/Kustomization": known(
        ["interval", "prune", "sourceRef"],
        **dict.fromkeys(("interval", "timeout", "retryInterval", "path", "targetNamespace"), TEXT),
        **dict.fromkeys(("prune", "wait", "suspend", "force"), SWITCH),
        sourceRef=known(["kind", "name"], kind=choice("GitRepository", "OCIRepository", "Bucket"), name=TEXT),
    ),
    "argoproj.io/v1alpha1/Application": known(
        ["project", "destination"],
        project=TEXT,
        source=known(["repoURL"], repoURL=TEXT, path=TEXT, targetRevision=TEXT),
        destination=known([], server=TEXT, name=TEXT, namespace=TEXT),
        syncPolicy=known(
            [],
            automated=known([], selfHeal=SWITCH, prune=SWITCH, allowEmpty=SWITCH, enabled=SWITCH),
            syncOptions={"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z]+=[a-zA-Z]+$"}},
        ),
    ),
}


@pytest.fixture
def gitops(repository: Path) -> Path:
    return repository / "ci" / "gitops"


def test_the_overlay_builds_with_the_fields_of_a_voice(gitops: Path, tool: Callable[[str], Path]) -> None:
    command = [tool("kubectl"), "kustomize", str(gitops / "overlays" / "studio")]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (document,) = list(yaml.safe_load_all(built))
    spec: Any = VoiceModelSpec.model_validate(document["spec"])
    assert (spec.review.approvals, document["metadata"]["namespace"]) == (2, "studio")
    assert document["metadata"]["annotations"]["argocd.argoproj.io/sync-options"] == "Prune=false"


@pytest.mark.parametrize("name", ["argocd.yaml", "flux.yaml", "flux-notifications.yaml"])
def test_resources_have_the_fields_that_there_are(gitops: Path, name: str) -> None:
    for one in yaml.safe_load_all((gitops / name).read_text()):
        jsonschema.validate(one["spec"], SPECS[f"{one['apiVersion']}/{one['kind']}"])
        assert set(one) == {"apiVersion", "kind", "metadata", "spec"}


def test_alerts_are_about_what_there_is(gitops: Path) -> None:
    documents = list(yaml.safe_load_all((gitops / "flux-notifications.yaml").read_text()))
    providers = {one["metadata"]["name"] for one in documents if one["kind"] == "Provider"}
    alerts = [one["spec"] for one in documents if one["kind"] == "Alert"]
    assert {one["providerRef"]["name"] for one in alerts} == providers
    (applied,) = yaml.safe_load_all((gitops / "flux.yaml").read_text())
    there = {("Kustomization", applied["metadata"]["name"])}
    there.add((applied["spec"]["sourceRef"]["kind"], applied["spec"]["sourceRef"]["name"]))
    assert {(source["kind"], source["name"]) for one in alerts for source in one["eventSources"]} == there


@pytest.fixture
def notifications(gitops: Path) -> dict[str, Any]:
    """The data of Argo CD's ConfigMap, each entry read."""
    data = yaml.safe_load((gitops / "argocd-notifications.yaml").read_text())["data"]
    return {name: yaml.safe_load(text) for name, text in data.items()}


@pytest.fixture(scope="session")
def helm(tool: Callable[[str], Path]) -> Path:
    """Found before a test has a home of its own, which has no cache of programs."""
    return tool("helm")


@pytest.fixture
def helm_text(helm: Path, tmp_path: Path) -> Callable[..., str]:
    """Run a Go template by helm, which has the same functions."""
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: message, version: 0.1.0}")
    (tmp_path / "templates" / "message.yaml").write_text("message: {{ tpl .Values.template .Values | toJson }}")

    def run(**values: Any) -> str:
        (tmp_path / "input.yaml").write_text(json.dumps(values))
        command = [str(helm), "template", str(tmp_path), "--values", str(tmp_path / "input.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return str(yaml.safe_load(done.stdout)["message"])

    return run


def application(health: str, phase: str | None = "Succeeded", **status: Any) -> dict[str, Any]:
    """An Application as Argo CD's API has it."""
    operation = None if phase is None else {"phase": phase, "message": "one or more objects failed to apply"}
    voice = {
        "kind": "VoiceModel",
        "name": "alice",
        "namespace": "studio",
        "health": {"status": health, "message": "why"},
    }
    return {
        "metadata": {"name": "voices"},
        "status": {
            "sync": {"revision": COMMIT},
            "health": {"status": health},
            "operationState": operation,
            "resources": [{"kind": "ConfigMap", "name": "other"}, voice],
        }
        | status,
    }


def fired(notifications: dict[str, Any], app: dict[str, Any]) -> set[str]:
    """The triggers whose condition holds."""
    seen = json.loads(json.dumps(app), object_hook=lambda found: SimpleNamespace(**found))
    names = {"app": seen, "nil": None}
    return {
        name.removeprefix("trigger.")
        for name, (condition,) in notifications.items()
        if name.startswith("trigger.") and eval(condition["when"].replace("!= nil", "is not nil"), {}, names)  # noqa: S307 -- ours
    }


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        pytest.param(application("Healthy"), {"voices-ready"}, id="ready"),
        pytest.param(application("Degraded"), {"voices-failed"}, id="failed"),
        pytest.param(application("Progressing", "Failed"), {"voices-failed"}, id="refused"),
        pytest.param(application("Suspended"), {"voices-waiting"}, id="review"),
        pytest.param(application("Progressing"), set(), id="training"),
        pytest.param(application("Healthy", None), set(), id="never synced"),
    ],
)
def test_a_trigger_fires_for_what_people_must_know(
    notifications: dict[str, Any], app: dict[str, Any], expected: set[str]
) -> None:
    assert fired(notifications, app) == expected


def test_subscriptions_triggers_and_templates_belong_together(gitops: Path, notifications: dict[str, Any]) -> None:
    (app,) = yaml.safe_load_all((gitops / "argocd.yaml").read_text())
    subscribed = {name.rpartition("/")[2].split(".", 1)[1] for name in app["metadata"]["annotations"]}
    triggers = {name.partition(".")[2]: one for name, one in notifications.items() if name.startswith("trigger.")}
    assert subscribed == {f"{name}.slack" for name in triggers}
    sent = {template for (one,) in triggers.values() for template in one["send"]}
    assert sent == {name.partition(".")[2] for name in notifications if name.startswith("template.")}


@pytest.mark.parametrize(
    ("template", "app", "lines"),
    [
        pytest.param(
            "voices-ready",
            application("Healthy"),
            ["voices: every voice of commit 20e4734f9b91 is served."],
            id="ready",
        ),
        pytest.param(
            "voices-failed",
            application("Degraded"),
            [
                "voices: commit 20e4734f9b91 did not become voices.",
                "alice: why",
                "https://argocd.example.org/applications/voices",
            ],
            id="failed",
        ),
        pytest.param(
            "voices-failed",
            application("Progressing", "Failed", resources=[{"kind": "VoiceModel", "name": "alice"}]),
            [
                "voices: commit 20e4734f9b91 did not become voices.",
                "one or more objects failed to apply",
                "https://argocd.example.org/applications/voices",
            ],
            id="refused, and without health in the Application",
        ),
        pytest.param(
            "voices-waiting",
            application("Suspended"),
            [
                "voices: a voice of commit 20e4734f9b91 waits for people.",
                "alice: why (`kubectl voice listen alice -n studio`)",
            ],
            id="review",
        ),
    ],
)
def test_a_message_reads_well(
    notifications: dict[str, Any], helm_text: Callable[..., str], template: str, app: dict[str, Any], lines: list[str]
) -> None:
    message = notifications[f"template.{template}"]["message"]
    printed = helm_text(template=message, app=app, context=notifications["context"])
    assert printed.strip().splitlines() == lines
