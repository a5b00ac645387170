"""An installed chart on a real API server: what is there, what the operator may do, which manifests are accepted."""

import json

import pytest
import yaml

pytestmark = pytest.mark.cluster

KINDS = ["VoiceModel", "VoiceRevision", "VoiceServer"]
NEEDED = [
    ("watch", "voicemodels.voice.sovits.dev"),
    ("patch", "voicemodels.voice.sovits.dev/status"),
    ("create", "voicerevisions.voice.sovits.dev"),
    ("delete", "jobs.batch"),
    ("get", "deployments.apps"),
    ("patch", "deployments.apps"),
    ("create", "configmaps"),
    ("create", "services"),
    ("create", "secrets"),
    ("patch", "secrets"),
    ("watch", "pods"),
    ("patch", "pods"),
    ("list", "leases.coordination.k8s.io"),
    ("create", "events.events.k8s.io"),
    ("patch", "horizontalpodautoscalers.autoscaling"),
    ("delete", "horizontalpodautoscalers.autoscaling"),
    ("create", "poddisruptionbudgets.policy"),
    ("list", "events.events.k8s.io"),
]
NOT_NEEDED = [
    ("list", "secrets"),
    ("get", "secrets"),
    ("watch", "secrets"),
    ("create", "pods"),
    ("delete", "voicemodels.voice.sovits.dev"),
    ("create", "roles.rbac.authorization.k8s.io"),
]


@pytest.fixture(scope="module")
def notes(cluster):
    """Install the chart once for this file; what Helm said."""
    yield cluster.install()
    cluster.clear()


def test_the_kinds_are_there(cluster, notes):
    crds = [item["spec"] for item in cluster.get("crd")["items"] if item["spec"]["group"] == "voice.sovits.dev"]
    assert sorted(crd["names"]["kind"] for crd in crds) == KINDS


def test_the_secret_is_where_voices_and_servers_are(cluster, notes):
    for namespace in ("voice-system", "studio"):
        assert "AWS_ACCESS_KEY_ID" in cluster.get("secret", "voice-operator-s3", "-n", namespace)["data"]
    assert "The Secret voice-operator-s3 is in: studio, voice-system." in notes


def test_the_notes_tell_two_commands_and_a_manifest_that_is_accepted(cluster, notes):
    manifest = notes.split("kubectl apply -n YOUR_NAMESPACE -f - <<'END'\n")[1].split("   END\n")[0]
    assert "kubectl get voices -n YOUR_NAMESPACE -w" in notes
    applied = cluster.kubectl(
        "apply", "--dry-run=server", "-n", "studio", "-f", "-", stdin=manifest.replace("YOUR_NAMESPACE", "studio")
    )
    assert applied.returncode == 0, applied.stderr


@pytest.mark.parametrize("name", ["alice.yaml", "alice-full.yaml", "server.yaml"])
def test_the_api_server_accepts_the_examples(cluster, notes, repository, name):
    manifest = (repository / "examples" / name).read_text()
    applied = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest)
    assert applied.returncode == 0, applied.stderr
    assert yaml.safe_load(manifest)["metadata"]["name"] in applied.stdout


def test_what_the_example_values_render_passes_strict_validation(cluster, notes, example_values):
    for name in ("dev", "production"):  # the others differ in what kubeconform reads as well
        # The development cluster has no Prometheus operator.
        items = [item for item in cluster.chart.objects(example_values[name]) if item["kind"] != "ServiceMonitor"]
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        applied = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest)
        assert applied.returncode == 0, applied.stderr


def test_without_keys_the_notes_tell_which_service_accounts_must_exist(cluster, notes):
    values = {"storage": {}, "stages": {"serviceAccount": {"create": True}}}
    told = cluster.helm("upgrade", cluster.chart.folder, "--dry-run=server", values=values)
    assert "There is no Secret with keys for the object store" in told
    assert (
        "Jobs run as the ServiceAccount voice-operator-stages, which must exist in each namespace with voices." in told
    )
    assert "Servers run as" not in told


def test_the_operator_may_work_everywhere_and_may_not_look_around(cluster, notes):
    for namespace in ("studio", "default"):
        assert [right for right in NEEDED if not cluster.operator_may(*right, namespace)] == []
        assert [right for right in NOT_NEEDED if cluster.operator_may(*right, namespace)] == []


def test_with_watched_namespaces_the_operator_has_no_rights_elsewhere(cluster, notes):
    cluster.upgrade({"watchNamespaces": ["studio"]})
    for namespace in ("studio", "voice-system"):
        assert [right for right in NEEDED if not cluster.operator_may(*right, namespace)] == []
    assert [right for right in NEEDED + NOT_NEEDED if cluster.operator_may(*right, "default")] == []


def test_a_second_release_for_a_watched_namespace_is_refused(cluster, notes):
    cluster.upgrade({"watchNamespaces": ["studio"]})
    where = ("--kubeconfig", cluster.kubeconfig, "--namespace", "audiobooks")
    values = {"watchNamespaces": ["studio"], "crds": {"enabled": False}, "serving": {"create": False}}
    second = cluster.chart.run("install", "second", cluster.chart.folder, *where, values=values)
    assert second.returncode != 0
    assert 'Role "voice-operator" in namespace "studio" exists and cannot be imported' in second.stderr
