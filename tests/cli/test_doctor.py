"""The doctor on a real installation, and on the same one with one thing broken at a time."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.cli.conftest import Voice
from tests.support.waiting import wait_for

from voice_cli.doctor.checks import Finding, examine
from voice_cli.doctor.facts import Facts, Unknown, gather, try_store
from voice_cli.kubectl import Kubectl

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

NAMESPACE = "operator-tests"
LABELS = {
    "app.kubernetes.io/part-of": "voice-operator",
    "app.kubernetes.io/component": "operator",
    "app.kubernetes.io/version": "0.1.0",
}
POLICIES = [f"{NAMESPACE}.voice-operator.{name}" for name in ("review", "voices")]


@pytest.fixture
def installed(scene: Any, settings_file: Path, cluster: None) -> Any:
    """What the chart would add to the operator's process: its Deployment, configuration and policies."""
    user = scene.user
    metadata = {"name": "voice-operator", "namespace": NAMESPACE, "labels": LABELS}
    container = {"name": "operator", "image": "voice-operator:0.1.0"}
    template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}
    objects: list[dict[str, Any]] = [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec},
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"config.yaml": settings_file.read_text()},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "voice-store", "namespace": NAMESPACE}},
    ]
    rule = {"apiGroups": ["voice.sovits.dev"], "apiVersions": ["*"], "resources": ["none"], "operations": ["CREATE"]}
    for name in POLICIES:
        about = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
        checks = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": "true"}]}
        objects.append(about | {"kind": "ValidatingAdmissionPolicy", "spec": checks})
        bound = {"policyName": name, "validationActions": ["Deny"]}
        objects.append(about | {"kind": "ValidatingAdmissionPolicyBinding", "spec": bound})
    manifest = yaml.safe_dump_all(objects)
    user.run("apply", "-f", "-", stdin=manifest)
    wait_for("a ready operator", lambda: _is_ready(scene))
    yield user
    user.run("delete", "-f", "-", "--wait=false", stdin=manifest)


def _is_ready(scene: Any) -> bool:
    """Let the pods of the Deployment be up, as a kubelet would; whether the Deployment has noticed."""
    for pod in scene.user.objects("pods", ",".join(f"{key}={value}" for key, value in LABELS.items())):
        scene.kubelet.make_pod_ready(pod["metadata"]["name"], "127.0.0.1")
    return bool(scene.user.get("deployment", "voice-operator")["status"].get("availableReplicas"))


def test_a_whole_installation_and_each_fault_of_it(
    installed: Any, bucket: Any, voice: Voice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOICE_DATASETS", "s3://voices/datasets/operator-tests")
    facts = gather(Kubectl(), "0.1.0", "s3://voices/datasets/operator-tests", write=True)
    levels = {(one.level, one.what): one.sentence for one in examine(facts) if one.level != "ok"}
    assert {key for key in levels if key[0] == "fault"} == set(), levels
    assert facts.store == "read and written"
    for name, (broken, what, said, remedy) in FAULTS.items():
        found = [one for one in examine(broken(copy.deepcopy(facts))) if one.level == "fault"]
        assert (found[0].what, len(found)) == (what, 1), (name, found)
        assert said in found[0].sentence, name
        assert remedy in found[0].remedy, name

    done = voice("doctor", "-o", "json", "--as", "nobody", "--read-only")
    findings = [Finding(**one) for one in json.loads(done.out)]
    assert done.code == 1, [one.sentence for one in findings if one.what == "your rights"]
    rights = next(one for one in findings if one.what == "your rights")
    assert (rights.level, rights.sentence) == ("fault", "nobody may not see voices of operator-tests")
    assert {"operator", "policies"} <= {one.what for one in findings if one.level == "unknown"} | {"policies"}
    assert done.last_line.startswith("error: your rights: ")


def _pod(reason: str, message: str) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    metadata = {"name": "voice-operator-1", "namespace": NAMESPACE}
    return {"metadata": metadata, "status": {"containerStatuses": [{"state": state}]}}


def _without_pods(facts: Facts, reason: str, message: str) -> Facts:
    facts.deployments[0]["status"] = {}  # type: ignore[index]
    return replace(facts, pods=[_pod(reason, message)])


def _definitions(facts: Facts, change: Callable[[dict[str, Any]], None]) -> Facts:
    change(facts.definitions[0])  # type: ignore[index]
    return facts


def _scaled(facts: Facts) -> Facts:
    facts.deployments[0]["spec"]["replicas"] = 0  # type: ignore[index]
    return facts


def _server(facts: Facts, ready: int) -> Facts:
    for one in facts.servers:  # type: ignore[union-attr]
        one["status"]["readyReplicas"] = ready
    return facts


def _unserved(definition: dict[str, Any]) -> None:
    definition["spec"]["versions"][0]["served"] = False


def _outdated(definition: dict[str, Any]) -> None:
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["source"]


def _unestablished(definition: dict[str, Any]) -> None:
    for one in definition["status"]["conditions"]:
        one["status"] = "False"
        one["message"] = "names conflict"


def _config(facts: Facts, **change: Any) -> Facts:
    return replace(facts, config={**facts.config, **change})  # type: ignore[dict-item]


FAULTS: dict[str, tuple[Callable[[Facts], Facts], str, str, str]] = {
    "an old API server": (
        lambda facts: replace(facts, server={"major": "1", "minor": "27+", "gitVersion": "v1.27.3"}),
        "API server",
        "v1.27.3 is too old",
        "1.30",
    ),
    "no CRD": (
        lambda facts: replace(facts, definitions=facts.definitions[1:]),  # type: ignore[index]
        "resources",
        "voicemodels.voice.sovits.dev is not installed",
        "crds",
    ),
    "another version": (
        lambda facts: _definitions(facts, _unserved),
        "resources",
        "this program needs voice.sovits.dev/v1alpha1",
        "release's own",
    ),
    "an old CRD": (lambda facts: _definitions(facts, _outdated), "resources", "older release", "Apply crds/"),
    "a CRD with a conflict": (
        lambda facts: _definitions(facts, _unestablished),
        "resources",
        "not established: names conflict",
        "delete",
    ),
    "no operator": (
        lambda facts: replace(facts, deployments=[]),
        "operator",
        "no operator is installed",
        "helm install",
    ),
    "scaled to 0": (_scaled, "operator", "scaled to 0", "--replicas=1"),
    "no image": (
        lambda facts: _without_pods(facts, "ImagePullBackOff", "not found"),
        "operator",
        "has no ready pod: voice-operator-1 ImagePullBackOff: not found",
        "images.operator",
    ),
    "a missing Secret of the operator": (
        lambda facts: _without_pods(facts, "CreateContainerConfigError", 'secret "s3" not found'),
        "operator",
        'secret "s3" not found',
        "storage.existingSecret",
    ),
    "a crash": (
        lambda facts: _without_pods(facts, "CrashLoopBackOff", "back-off"),
        "operator",
        "CrashLoopBackOff",
        "--previous",
    ),
    "an operator that hangs": (
        lambda facts: replace(facts, now=facts.now + timedelta(minutes=5)),
        "leader",
        "has not renewed its lease for 5m",
        "clocks",
    ),
    "no leader": (lambda facts: replace(facts, lease=None), "leader", "no process", "log"),
    "no policy": (
        lambda facts: replace(
            facts, policies=facts.policies[1:] if POLICIES[0] == facts.policies[0] else [POLICIES[1]]
        ),  # type: ignore[index]
        "policies",
        "operator-tests.voice-operator.review is missing",
        "admission.enabled",
    ),
    "no binding": (
        lambda facts: replace(facts, bindings=[POLICIES[0]]),
        "policies",
        "operator-tests.voice-operator.voices has no binding",
        "admission.enabled",
    ),
    "another namespace": (
        lambda facts: _config(facts, watchNamespaces=["voice-system"]),
        "namespace",
        "operator-tests is not watched",
        "watchNamespaces",
    ),
    "no keys": (
        lambda facts: replace(facts, secrets=[]),
        "store's keys",
        "no Secret voice-store in operator-tests",
        "secretNamespaces",
    ),
    "no server": (lambda facts: replace(facts, servers=[]), "servers", "there is: none", "allowedNamespaces"),
    "no ready server": (lambda facts: _server(facts, 0), "servers", "default has no ready pod", "describe"),
    "recordings elsewhere": (
        lambda facts: replace(facts, datasets="s3://voices/private"),
        "object store",
        "may not use recordings below s3://voices/private",
        "s3://voices/datasets/operator-tests/",
    ),
    "no store": (
        lambda facts: replace(facts, store=Unknown("http://127.0.0.1:1 does not answer")),
        "object store",
        "does not answer",
        "AWS_ENDPOINT_URL_S3",
    ),
}


def test_a_bucket_that_is_not_there_is_named(bucket: Any) -> None:
    found = try_store("s3://elsewhere/datasets", write=False)
    assert isinstance(found, Unknown)
    assert "elsewhere" in found.why


def test_without_a_cluster_there_is_one_sentence(voice: Voice, tool: Callable[[str], Path], monkeypatch: Any) -> None:
    monkeypatch.setenv("PATH", f"{tool('kubectl').parent}:/usr/bin:/bin")
    done = voice("doctor")
    assert (done.code, done.out) == (6, "")
    assert done.err.startswith("error: the API server cannot be reached: ")
