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


def test_the_operator_makes_the_default_servers_children(installed, operator):
    process, log = operator
    children = ["deployment/default", "service/default", "configmap/default-voices"]
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while installed.kubectl("get", "-n", "voice-system", *children).returncode != 0:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.5)
    assert "forbidden" not in log.read_text().lower()
    policy = installed.get("networkpolicy", "voice-operator-inference", "-n", "voice-system")["spec"]
    budget = installed.get("pdb", "voice-operator-default", "-n", "voice-system")["spec"]
    pod = installed.get("deployment", "default", "-n", "voice-system")["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    assert policy["podSelector"]["matchLabels"].items() <= labels
    assert budget["selector"]["matchLabels"].items() <= labels
    (container,) = pod["spec"]["containers"]
    assert {"secretName": "voice-operator-s3", "defaultMode": 0o440} in [
        one.get("secret") for one in pod["spec"]["volumes"]
    ]
    assert container["ports"][0]["containerPort"] == policy["ingress"][0]["ports"][0]["port"]
