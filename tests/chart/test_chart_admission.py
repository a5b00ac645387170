"""The chart's admission policies on a real API server: what the operator's account may not do whatever RBAC lets it."""

import json
import time

import pytest
import yaml

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_server import VoiceServerSpec
from voice_operator.api.voice_status import VoiceModelStatus
from voice_operator.manifests.pod_check import check_pods
from voice_operator.manifests.server import deployment
from voice_operator.manifests.stage_job import stage_job
from voice_operator.reconcile.effects import StartJob
from voice_operator.reconcile.observed import Voice, VoiceServer
from voice_operator.settings import Settings

pytestmark = pytest.mark.cluster

OPERATOR = "system:serviceaccount:voice-system:voice-operator"
LABELS = {"app.kubernetes.io/managed-by": "voice-operator"}
DIGEST = "sha256:" + "0" * 64
SECURITY = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
TIMEOUT_SECONDS = 30
A_SPEC = {
    "language": "en",
    "base": "tiny",
    "dataset": {"uri": "s3://voices/datasets/studio/alice"},
    "consent": {"holder": "Alice A.", "statement": "I agree."},
}


def as_if_rbac_allowed_everything(cluster, name, subject):
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": subject}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(binding | {"roleRef": role, "subjects": [subject]}))


@pytest.fixture(scope="module")
def installed(cluster):
    """The chart, and accounts for which RBAC is no limit, so that only the policies are."""
    for name, subject in (("all", OPERATOR), ("all-bob", "bob"), ("all-velero", "velero")):
        as_if_rbac_allowed_everything(cluster, name, subject)
    trusted = {"alsoTrusted": {"users": ["velero"]}}
    cluster.install({"watchNamespaces": ["studio", "audiobooks"], "admission": trusted})
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while write(cluster, "create", a_config_map(labels={}), dry=True) == "":  # policies come into force within seconds
        assert time.monotonic() < deadline, "the policies never came into force"
        time.sleep(0.2)
    yield cluster
    cluster.kubectl("delete", "clusterrolebinding", "all", "all-bob", "all-velero")
    cluster.clear()


def write(cluster, verb, body, *flags, user=OPERATOR, dry=False):
    """Send an object as somebody; returns what the API server says against it, and nothing where it agrees."""
    dry_run = ["--dry-run=server"] if dry else []
    done = cluster.kubectl(verb, "--as", user, *dry_run, *flags, "-f", "-", stdin=json.dumps(body))
    return done.stderr if done.returncode else ""


def metadata(name="x", *, labels=LABELS, namespace="studio"):
    return {"name": name, "namespace": namespace, "labels": dict(labels)}


def a_config_map(**about):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(**about), "data": {}}


def a_secret(kind="Opaque", **about):
    account = {"annotations": {"kubernetes.io/service-account.name": "default"}}
    return {"apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata(**about) | account}


def a_pod(**changes):
    container = {"name": "stage", "image": "voice-trainer:0.1.0", "args": ["run"], "securityContext": SECURITY}
    volumes = [
        {"name": "job", "configMap": {"name": "x"}},
        {"name": "keys", "secret": {"secretName": "voice-operator-s3"}},
        {"name": "work", "emptyDir": {}},
        {"name": "voices", "projected": {"sources": [{"configMap": {"name": "x"}}]}},
    ]
    pod = {"restartPolicy": "Never", "automountServiceAccountToken": False, "volumes": volumes}
    pod["containers"] = [container | changes.pop("container", {})]
    pod["volumes"] = volumes + changes.pop("volumes", [])
    return pod | changes


def a_job(pod=None, **about):
    spec = {"template": {"spec": pod or a_pod()}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(**about), "spec": spec}


def a_deployment(pod):
    pod = pod | {"restartPolicy": "Always"}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": pod}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(), "spec": spec}


def a_service(**spec):
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(),
        "spec": {"ports": [{"port": 80}], "selector": {"a": "b"}} | spec,
    }


def a_budget(**about):
    return {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata(**about), "spec": {}}


def a_server(name, namespace):
    about = {"metadata": metadata(name, namespace=namespace), "spec": {"base": "tiny"}}
    return {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceServer"} | about


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(a_config_map(), id="a ConfigMap with its label"),
        pytest.param(a_secret(), id="a Secret with its label"),
        pytest.param(a_secret(name="signing-key", namespace="voice-system"), id="a signing key"),
        pytest.param(a_job(), id="a Job like its own"),
        pytest.param(a_deployment(a_pod(container={"image": "voice-inference:0.1.0"})), id="a Deployment"),
        pytest.param(a_service(), id="a Service"),
        pytest.param(a_budget(), id="a budget"),
        pytest.param(a_server("default", "voice-system"), id="the default server"),
    ],
)
def test_the_operator_may_make(installed, body):
    assert write(installed, "create", body, dry=True) == ""


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(a_config_map(labels={}), "lacks the label", id="a ConfigMap without its label"),
        pytest.param(a_secret(labels={}), "lacks the label", id="a Secret without its label"),
        pytest.param(a_job(labels={}), "lacks the label", id="a Job without its label"),
        pytest.param(a_budget(labels={}), "lacks the label", id="a budget without its label"),
        pytest.param(a_server("default", "studio"), "writes the default server of its own", id="a server elsewhere"),
        pytest.param(a_server("other", "voice-system"), "writes the default server of its own", id="another server"),
        pytest.param(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(), "spec": a_pod()},
            "may not CREATE /pods; it writes Jobs",
            id="a pod",
        ),
        pytest.param(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": metadata(),
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "admin"},
            },
            "may not CREATE rbac.authorization.k8s.io/rolebindings",
            id="rights",
        ),
        pytest.param(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata()},
            "may not CREATE /serviceaccounts",
            id="an account",
        ),
        pytest.param(
            {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata()},
            "may only write the Lease voice-system/voice-operator",
            id="somebody else's Lease",
        ),
        pytest.param(
            a_secret(kind="kubernetes.io/service-account-token"), "of the type Opaque", id="a Secret that gets a token"
        ),
        pytest.param(a_service(type="LoadBalancer"), "of the type ClusterIP", id="a Service for the world"),
        pytest.param(a_service(externalIPs=["203.0.113.1"]), "without external addresses", id="an address of others"),
    ],
)
def test_the_operator_may_not_make(installed, body, sentence):
    assert sentence in write(installed, "create", body, "--validate=false", dry=True)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        pytest.param({"container": {"image": "evil:1"}}, "may not run the image evil:1; it runs voice-", id="image"),
        pytest.param({"initContainers": [{"name": "i", "image": "evil:1"}]}, "the image", id="another first container"),
        pytest.param({"container": {"command": ["sh"]}}, "another command", id="command"),
        pytest.param({"serviceAccountName": "builder"}, "as the ServiceAccount builder", id="account"),
        pytest.param({"automountServiceAccountToken": True}, "automountServiceAccountToken=false", id="token"),
        pytest.param({"hostNetwork": True}, "hostNetwork, hostPID, hostIPC", id="the node's network"),
        pytest.param({"hostPID": True}, "hostNetwork, hostPID, hostIPC", id="the node's processes"),
        pytest.param(
            {"container": {"ports": [{"containerPort": 1, "hostPort": 1}]}}, "or a hostPort", id="a port of the node"
        ),
        pytest.param({"container": {"securityContext": {"privileged": True}}}, "privileged", id="privileged"),
        pytest.param({"container": {"securityContext": {}}}, "allowPrivilegeEscalation=false", id="escalation"),
        pytest.param(
            {"container": {"securityContext": SECURITY | {"capabilities": {"add": ["SYS_ADMIN"]}}}},
            "added capabilities",
            id="capabilities",
        ),
        pytest.param({"volumes": [{"name": "h", "hostPath": {"path": "/"}}]}, "no hostPath", id="the node's files"),
        pytest.param(
            {"volumes": [{"name": "c", "persistentVolumeClaim": {"claimName": "c"}}]}, "no other claim", id="a claim"
        ),
        pytest.param(
            {"volumes": [{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
            "no token",
            id="a projected token",
        ),
    ],
)
def test_the_operators_jobs_and_deployments_are_its_own_images_in_plain_pods(installed, changes, sentence):
    for body in (a_job(a_pod(**changes)), a_deployment(a_pod(**changes))):
        assert sentence in write(installed, "create", body, dry=True)


def test_the_operator_may_not_touch_what_is_somebody_elses(installed):
    theirs = a_config_map(name="theirs", labels={})
    assert write(installed, "create", theirs, user="bob") == ""
    taken = a_config_map(name="theirs")
    flags = ("--server-side", "--force-conflicts")
    assert "it lacks the label" in write(installed, "apply", taken, *flags)
    done = installed.kubectl("delete", "configmap", "theirs", "-n", "studio", "--as", OPERATOR)
    assert "may not DELETE /configmaps theirs" in done.stderr
    installed.kubectl("delete", "configmap", "theirs", "-n", "studio")


def test_the_operator_marks_the_pods_of_servers_and_changes_nothing_else_of_pods(installed):
    def pod(name, **labels):
        containers = [{"name": "server", "image": "voice-inference:0.1.0"}]
        about = {"name": name, "namespace": "studio", "labels": labels, "annotations": {"theirs": "1"}}
        return {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": {"containers": containers}}

    def said(name, patch):
        flags = ("-n", "studio", "--as", OPERATOR, "--type=strategic", "-p", json.dumps(patch))
        done = installed.kubectl("patch", "pod", name, *flags)
        return done.stderr if done.returncode else ""

    mark = {"metadata": {"annotations": {"voice.sovits.dev/list-generation": "7"}}}
    for body in (pod("server", **{"voice.sovits.dev/server": "default"}), pod("other", **LABELS)):
        installed.kubectl("delete", "pod", body["metadata"]["name"], "-n", "studio", "--ignore-not-found")
        assert write(installed, "create", body, user="bob") == ""
    assert said("server", mark) == ""
    assert said("server", {"metadata": {"annotations": {"voice.sovits.dev/list-generation": "8"}}}) == ""
    refused = "it writes the annotation voice.sovits.dev/list-generation on the pods of servers"
    for name, patch in (
        ("other", mark),
        ("server", {"metadata": {"annotations": {"other": "1"}}}),
        ("server", {"metadata": {"annotations": {"theirs": None}}}),
        ("server", {"metadata": {"annotations": {"theirs": "2"}}}),
        ("server", {"metadata": {"labels": {"voice.sovits.dev/server": "another"}}}),
        ("server", {"spec": {"containers": [{"name": "server", "image": "evil:1"}]}}),
        ("server", {"metadata": {"finalizers": ["a.b/c"]}}),
    ):
        assert refused in said(name, patch), (name, patch)
    done = installed.kubectl("delete", "pod", "server", "-n", "studio", "--as", OPERATOR)
    assert "may not DELETE /pods; it writes Jobs" in done.stderr
    for name in ("server", "other"):
        installed.kubectl("delete", "pod", name, "-n", "studio", "--force")


def test_a_job_of_an_earlier_image_can_still_be_suspended_and_deleted(installed):
    """An upgrade changes the images; Jobs that run meanwhile are the operator's still."""
    old = a_job(a_pod(container={"image": "voice-trainer:0.0.9"}), name="old")
    assert write(installed, "create", old, user="bob") == ""
    where = ("job", "old", "-n", "studio", "--as", OPERATOR)
    suspended = installed.kubectl("patch", *where, "--type=merge", "-p", '{"spec": {"suspend": true}}')
    assert suspended.returncode == 0, suspended.stderr
    assert installed.kubectl("delete", *where).returncode == 0


def a_revision(repository):
    crd = yaml.safe_load((repository / "crds" / "voicerevisions.voice.sovits.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    body = {"apiVersion": "voice.sovits.dev/v1alpha1", "kind": "VoiceRevision", "metadata": metadata("alice-3fa9c2d1")}
    known = {
        "voiceModel": "alice",
        "inputHash": "3fa9c2d1" * 8,
        "workspace": "s3://voices/studio/alice/" + "3fa9c2d1" * 8,
        "language": "en",
        "dataset": {"uri": "s3://voices/datasets/studio/alice", "digest": DIGEST},
        "base": {"name": "tiny", "uri": "embedded:tiny", "digest": ""},
        "training": {},
        "trainerImage": "voice-trainer:0.1.0",
        "consent": {"holder": "Alice A.", "statement": "I agree.", "evidence": ""},
        "artifacts": {"uri": "s3://voices/studio/alice/revisions/alice-3fa9c2d1", "digest": DIGEST, "size": 1},
        "evaluation": {"scores": {}, "gates": []},
    }
    return body | {"spec": {name: value for name, value in known.items() if name in schema["properties"]}}


def test_only_the_operator_and_who_is_trusted_too_write_revisions_and_statuses(installed, repository):
    revision = a_revision(repository)
    refused = write(installed, "create", revision, user="bob")
    assert "VoiceRevisions are written by the voice operator alone, not by bob" in refused
    assert "admission.alsoTrusted" in refused
    assert write(installed, "create", revision, user="velero", dry=True) == ""
    assert write(installed, "create", revision) == ""

    changed = revision | {"spec": revision["spec"] | {"language": "ja"}}
    assert write(installed, "replace", changed, user="bob") != ""
    labelled = installed.kubectl("label", "vrev", "alice-3fa9c2d1", "-n", "studio", "team=a", "--as", "bob")
    assert labelled.returncode == 0, labelled.stderr

    status = ("--subresource=status", "--type=merge", "-n", "studio", "-p", '{"status": {"state": "Candidate"}}')
    by_bob = installed.kubectl("patch", "vrev", "alice-3fa9c2d1", *status, "--as", "bob")
    assert "the status of voicerevisions alice-3fa9c2d1 is written by the voice operator alone" in by_bob.stderr
    assert write(installed, "create", a_server("default", "voice-system")) == ""
    server = ("vserver", "default", "-n", "voice-system", "--subresource=status", "--type=merge")
    by_bob = installed.kubectl("patch", *server, "-p", '{"status": {"phase": "Ready"}}', "--as", "bob")
    assert "the status of voiceservers default is written" in by_bob.stderr

    deleted = installed.kubectl("delete", "vrev", "alice-3fa9c2d1", "-n", "studio", "--wait=false", "--as", OPERATOR)
    assert "may not delete voice.sovits.dev/voicerevisions" in deleted.stderr
    assert installed.kubectl("delete", "vrev", "alice-3fa9c2d1", "-n", "studio", "--as", "bob").returncode == 0


def test_an_installation_for_some_namespaces_leaves_revisions_elsewhere_to_others(installed, repository):
    revision = a_revision(repository)
    revision["metadata"]["namespace"] = "default"
    assert write(installed, "create", revision, user="bob", dry=True) == ""


def test_what_values_add_to_pods_is_let_through_and_nothing_beside_it(installed, tmp_path):
    claim = {"name": "site", "persistentVolumeClaim": {"claimName": "site", "readOnly": True}}
    driver = {"name": "secrets", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}}
    sidecar = {"name": "proxy", "image": "proxy:1", "command": ["proxy", "run"], "restartPolicy": "Always"}
    pod = {
        "serviceAccountName": "builder",
        "labels": {"team": "voices"},
        "env": [{"name": "SITE", "value": "a"}],
        "volumes": [claim, driver],
        "volumeMounts": [{"name": "site", "mountPath": "/site"}],
        "initContainers": [sidecar],
        "hostAliases": [{"ip": "10.0.0.9", "hostnames": ["s3.lan"]}],
        "patch": {"spec": {"terminationGracePeriodSeconds": 60}},
    }
    values = {"watchNamespaces": ["studio", "audiobooks"], "podSecurity": {"runAsUser": None}}
    installed.upgrade(values | {"stages": {"pod": pod}, "inference": {"pod": pod}})
    configuration = installed.get("configmap", "voice-operator", "-n", "voice-system")["data"]["config.yaml"]
    (tmp_path / "config.yaml").write_text(configuration)
    settings = Settings.load(tmp_path / "config.yaml", namespace="voice-system")
    check_pods(settings)
    voice = Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(A_SPEC), VoiceModelStatus())
    job = stage_job(voice, StartJob("train", 1), "3fa9c2d1" * 8, settings)
    served = deployment(VoiceServer("studio", "speech", "uid", 1, VoiceServerSpec(base="tiny")), settings)
    wait_until_admitted(installed, job)
    assert write(installed, "create", served, dry=True) == ""

    def changed(**fields):
        template = job["spec"]["template"]
        return job | {"spec": job["spec"] | {"template": template | {"spec": template["spec"] | fields}}}

    other = {"name": "other", "persistentVolumeClaim": {"claimName": "other"}}
    volumes = job["spec"]["template"]["spec"]["volumes"]
    assert "no other claim" in write(installed, "create", changed(volumes=[*volumes, other]), dry=True)
    secured = job["spec"]["template"]["spec"]["initContainers"][0]
    assert "another command" in write(
        installed, "create", changed(initContainers=[secured | {"command": ["sh"]}]), dry=True
    )


@pytest.fixture(scope="module")
def restricted(installed):
    """A namespace that takes only pods of the restricted Pod Security Standard."""
    level = {"pod-security.kubernetes.io/enforce": "restricted"}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "restricted", "labels": level}}
    assert installed.kubectl("apply", "-f", "-", stdin=json.dumps(namespace)).returncode == 0
    yield "restricted"
    installed.kubectl("delete", "namespace", "restricted", "--wait=false")


@pytest.mark.parametrize("ids", [{}, {"runAsUser": None}], ids=["our ids", "the cluster's ids"])
def test_pods_of_all_programs_are_let_in_where_only_restricted_ones_are(installed, restricted, tmp_path, ids):
    sidecar = {"name": "proxy", "image": "proxy:1", "restartPolicy": "Always"}
    values = {"podSecurity": ids, "stages": {"pod": {"initContainers": [sidecar]}}}
    rendered = {
        item["kind"]: item for item in installed.chart.objects(values) if item["kind"] in ("Deployment", "ConfigMap")
    }
    (tmp_path / "config.yaml").write_text(rendered["ConfigMap"]["data"]["config.yaml"])
    settings = Settings.load(tmp_path / "config.yaml", namespace="voice-system")
    voice = Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(A_SPEC), VoiceModelStatus())
    server = VoiceServer("studio", "speech", "uid", 1, VoiceServerSpec(base="tiny"))
    pods = [
        stage_job(voice, StartJob("train", 1), "3fa9c2d1" * 8, settings)["spec"]["template"]["spec"],
        deployment(server, settings)["spec"]["template"]["spec"],
        rendered["Deployment"]["spec"]["template"]["spec"] | {"serviceAccountName": "default"},
    ]
    about = {"name": "one", "namespace": restricted}
    for spec in pods:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": about, "spec": spec}
        assert write(installed, "create", pod, user="bob", dry=True) == ""
    privileged = pod | {"spec": pod["spec"] | {"hostNetwork": True}}
    assert "violates PodSecurity" in write(installed, "create", privileged, user="bob", dry=True), (
        "the standard is enforced"
    )


def wait_until_admitted(installed, body):
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while said := write(installed, "create", body, dry=True):
        assert time.monotonic() < deadline, said
        time.sleep(0.2)


def test_servers_alone_get_a_token_and_only_where_they_let_in_service_accounts(installed):
    """The last test here: it upgrades the release."""
    volume = {"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    body = a_deployment(a_pod(volumes=[volume]))
    assert "no token" in write(installed, "create", body, dry=True)
    inference = {"tokenReview": True, "serviceAccount": {"create": True}}
    installed.upgrade({"watchNamespaces": ["studio", "audiobooks"], "inference": inference})
    wait_until_admitted(installed, body)
    assert "no token" in write(installed, "create", a_job(a_pod(volumes=[volume])), dry=True)
