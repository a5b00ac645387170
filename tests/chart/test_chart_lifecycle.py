"""Upgrade, rollback, uninstall and reinstallation on a real API server: what must survive does."""

import json

import pytest
from tests.chart.conftest import KEYS

pytestmark = pytest.mark.cluster

CRD = "voiceservers.voice.sovits.dev"


@pytest.fixture
def empty_cluster(cluster):
    yield cluster
    cluster.clear()


def test_the_server_of_an_earlier_chart_lives_through_upgrade_rollback_uninstall_and_reinstallation(empty_cluster):
    """The operator keeps it; Helm neither makes nor deletes one, and a chart before this one told Helm to keep it."""
    cluster = empty_cluster
    cluster.install()
    server = {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceServer",
        "metadata": {
            "name": "default",
            "namespace": "voice-system",
            "annotations": {"helm.sh/resource-policy": "keep"},
        },
        "spec": {"base": "tiny"},
    }
    assert cluster.kubectl("create", "-f", "-", stdin=json.dumps(server)).returncode == 0
    uid = cluster.server()["metadata"]["uid"]
    cluster.upgrade({"serving": {"replicas": 2}})
    cluster.helm("rollback", "1")
    cluster.helm("uninstall")
    cluster.install({"serving": {"replicas": 5}})
    assert cluster.server()["metadata"]["uid"] == uid


def test_without_helm_one_apply_installs_it_and_a_diff_finds_nothing(empty_cluster):
    """What Argo CD and Flux do: render, apply on the server's side, compare by a dry run."""
    given = {"storage": KEYS | {"secretNamespaces": ["studio"]}, "watchNamespaces": ["studio"]}
    manifests = empty_cluster.chart.template(given).stdout
    sides = ("--server-side", "--field-manager=gitops")
    applied = empty_cluster.kubectl("apply", *sides, "-f", "-", stdin=manifests)
    assert applied.returncode == 0, applied.stderr
    for flags in (sides, ()):
        compared = empty_cluster.kubectl("diff", *flags, "-f", "-", stdin=manifests)
        assert (compared.returncode, compared.stdout) == (0, ""), compared.stderr
    deleted = empty_cluster.kubectl("delete", "--wait=true", "-f", "-", stdin=manifests)
    assert deleted.returncode == 0, deleted.stderr


def test_an_upgrade_repairs_the_kinds_and_without_keep_they_go_with_the_release(empty_cluster):
    cluster = empty_cluster
    cluster.install({"crds": {"keep": False}})
    cluster.kubectl(
        "patch", "crd", CRD, "--type=json", "-p", json.dumps([{"op": "remove", "path": "/spec/names/shortNames"}])
    )
    cluster.upgrade({"crds": {"keep": False}})
    assert cluster.get("crd", CRD)["spec"]["names"]["shortNames"] == ["vserver"]
    cluster.helm("uninstall")
    gone = cluster.kubectl("wait", "--for=delete", f"crd/{CRD}", "--timeout=30s")
    assert gone.returncode == 0, gone.stderr
