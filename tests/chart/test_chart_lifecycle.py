"""Upgrade, rollback, uninstall and reinstallation on a real API server: what must survive does."""

import json

import pytest

pytestmark = pytest.mark.cluster

CRD = "voiceservers.voice.sovits.dev"


@pytest.fixture
def empty_cluster(cluster):
    yield cluster
    cluster.clear()


def do_as_told(cluster, notes):
    """Run the `kubectl patch` that the notes print when Helm takes over a server that it did not make."""
    patch = notes.split("kubectl patch vserver default -n voice-system --type merge -p '")[1].split("'")[0]
    done = cluster.kubectl("patch", "vserver", "default", "-n", "voice-system", "--type", "merge", "-p", patch)
    assert done.returncode == 0, done.stderr


def test_the_server_lives_through_upgrade_rollback_uninstall_and_reinstallation(empty_cluster):
    cluster = empty_cluster
    assert "kubectl patch" not in cluster.install()
    uid = cluster.server()["metadata"]["uid"]
    do_as_told(cluster, cluster.upgrade({"serving": {"replicas": 2}}))
    assert cluster.server()["spec"]["replicas"] == 2
    larger = {"serving": {"replicas": 3, "resources": {"limits": {"memory": "8Gi"}}}}
    assert "kubectl patch" not in cluster.upgrade(larger)
    assert cluster.server()["spec"]["replicas"] == 3
    assert cluster.server()["spec"]["resources"] == {"limits": {"memory": "8Gi"}}
    cluster.helm("rollback", "2")
    open_to_all = {"allowedNamespaces": ["*"], "maxVoices": 1000}
    assert cluster.server()["spec"] == {"base": "tiny", "replicas": 2} | open_to_all
    cluster.helm("rollback", "1")  # in which the server was a hook, not an object of the release
    assert cluster.server()["metadata"]["uid"] == uid
    cluster.helm("uninstall")
    assert cluster.server()["metadata"]["uid"] == uid
    do_as_told(cluster, cluster.install({"serving": {"replicas": 5}}))
    assert cluster.server()["spec"]["replicas"] == 5
    assert cluster.server()["metadata"]["uid"] == uid


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
