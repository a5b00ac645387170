"""The real operator runs with the chart's configuration and with no rights but those of the chart's ServiceAccount."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import yaml

pytestmark = pytest.mark.cluster

TIMEOUT_SECONDS = 90


@pytest.fixture(params=[[], ["studio"]], ids=["in the whole cluster", "in watched namespaces"])
def installed(cluster, request):
    cluster.install({"watchNamespaces": request.param})
    yield cluster
    cluster.clear()


@pytest.fixture
def operator(installed, tmp_path):
    """Start the operator as its pod would; return its process and its log."""
    config = yaml.safe_load(installed.get("configmap", "voice-operator", "-n", "voice-system")["data"]["config.yaml"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        config["listen"] = f"127.0.0.1:{probe.getsockname()[1]}"
    config["storage"]["uri"] = (tmp_path / "store").as_uri()
    config["tenancy"]["datasets"] = ["s3://"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig_of_the_service_account(installed)))
    environment = os.environ | {
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "POD_NAMESPACE": "voice-system",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",  # servers need no store
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    command = [sys.executable, "-m", "voice_operator", "run", "--config", tmp_path / "config.yaml"]
    log = tmp_path / "log"
    with log.open("w") as lines, subprocess.Popen(command, env=environment, stdout=lines, stderr=lines) as process:
        yield process, log
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def kubeconfig_of_the_service_account(cluster):
    token = cluster.kubectl("create", "token", "voice-operator", "-n", "voice-system")
    assert token.returncode == 0, token.stderr
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    config["users"] = [{"name": user["name"], "user": {"token": token.stdout.strip()}} for user in config["users"]]
    return config


def wait(operator, condition):
    process, log = operator
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)


def test_the_operator_makes_the_default_servers_children(installed, operator):
    _, log = operator
    children = ["deployment/default", "service/default", "configmap/default-voices", "pdb/default"]
    wait(operator, lambda: installed.kubectl("get", "-n", "voice-system", *children).returncode == 0)
    assert "forbidden" not in log.read_text().lower()
    policy = installed.get("networkpolicy", "voice-operator-inference", "-n", "voice-system")["spec"]
    budget = installed.get("pdb", "default", "-n", "voice-system")["spec"]
    pod = installed.get("deployment", "default", "-n", "voice-system")["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert budget["selector"]["matchLabels"].items() <= labels
    (container,) = pod["spec"]["containers"]
    assert {"secretName": "voice-operator-s3", "defaultMode": 0o440} in [
        one.get("secret") for one in pod["spec"]["volumes"]
    ]
    assert container["ports"][0]["containerPort"] == policy["ingress"][0]["ports"][0]["port"]


def test_the_operator_starts_and_stops_a_training_with_its_rights_and_under_its_policies(installed, operator):
    _, log = operator
    spec = {
        "language": "en",
        # With a digest, so that nothing is listed.
        "dataset": {"uri": "s3://voices/datasets/studio/alice", "digest": f"sha256:{'0' * 64}"},
        # With evidence of its own: what was revoked in the run before stays revoked for the same recordings.
        "consent": {"holder": "Alice A.", "statement": "I agree.", "evidence": f"https://example.org/{time.time_ns()}"},
    }
    voice = {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": {"name": "alice"},
        "spec": spec,
    }
    applied = installed.kubectl("apply", "-n", "studio", "-f", "-", stdin=json.dumps(voice))
    assert applied.returncode == 0, applied.stderr

    def jobs():
        return installed.get("jobs", "-n", "studio")["items"]

    wait(operator, jobs)
    (job,) = jobs()
    documents = [item["metadata"]["name"] for item in installed.get("configmaps", "-n", "studio")["items"]]
    assert any(name.endswith("-prepare") for name in documents)
    assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    wait(operator, lambda: "status" in installed.get("voice", "alice", "-n", "studio"))
    assert installed.get("events.events.k8s.io", "-n", "studio")["items"], "events are written too"

    revoked = '{"spec": {"consent": {"revoked": true}}}'
    assert installed.kubectl("patch", "voice", "alice", "-n", "studio", "--type=merge", "-p", revoked).returncode == 0
    wait(operator, lambda: all(one["metadata"].get("deletionTimestamp") for one in jobs()))
    assert installed.kubectl("delete", "voice", "alice", "-n", "studio", "--wait=false").returncode == 0
    said = log.read_text().lower()
    assert "forbidden" not in said
    assert "account may" not in said


@pytest.fixture
def leaving(cluster):
    """A namespace that a test deletes."""
    assert cluster.kubectl("create", "namespace", "leaving").returncode == 0
    yield "leaving"
    cluster.kubectl("delete", "namespace", "leaving", "--ignore-not-found", "--wait=false")


@pytest.mark.parametrize("installed", [["leaving"]], indirect=True, ids=["in watched namespaces"])
def test_a_watched_namespace_goes_within_a_minute_and_so_do_its_files(leaving, installed, operator, tmp_path):
    """Its RoleBinding goes with it, so whatever waited for the operator would wait for ever."""
    spec = {
        "language": "en",
        "dataset": {"uri": "s3://voices/datasets/leaving/alice", "digest": f"sha256:{'0' * 64}"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    voice = {
        "apiVersion": "voice.sovits.dev/v1alpha1",
        "kind": "VoiceModel",
        "metadata": {"name": "alice"},
        "spec": spec,
    }
    applied = installed.kubectl("apply", "-n", leaving, "-f", "-", stdin=json.dumps(voice))
    assert applied.returncode == 0, applied.stderr
    wait(operator, lambda: installed.get("voice", "alice", "-n", leaving).get("status", {}).get("inputHash"))
    digest = installed.get("voice", "alice", "-n", leaving)["status"]["inputHash"]
    folder = tmp_path / "store" / leaving / "alice"
    (folder / digest / "prepare").mkdir(parents=True)
    (folder / digest / "prepare" / "clip.flac").write_bytes(b"fLaC")
    started = time.monotonic()
    assert installed.kubectl("delete", "namespace", leaving, "--wait=false").returncode == 0
    wait(operator, lambda: installed.kubectl("get", "namespace", leaving).returncode != 0)
    assert time.monotonic() - started < 60
    wait(operator, lambda: not [path for path in folder.rglob("*") if path.is_file()])
