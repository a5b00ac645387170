"""Kueue beside a control plane without nodes: its CRDs, its webhooks, and its manager as a process of this machine."""

import base64
import json
import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml
from dev.ports import free_port
from dev.terminal import tail
from tests.support.waiting import wait_for

Object = dict[str, Any]

MODULE = "sigs.k8s.io/kueue"
NAMESPACE, BASE, SERVICE, SECRET = "kueue-system", "kueue", "kueue-webhook-service", "kueue-webhook-server-cert"
CONVERTED = (
    "localqueues",
    "clusterqueues",
    "workloads",
    "cohorts",
    "multikueueclusters",
)  # of its manager
GROUPS = {"batch", "kueue.x-k8s.io"}  # of the webhooks that serve Jobs
START_SECONDS = 120


class Kueue:
    """One manager; another configuration needs another start."""

    def __init__(self, program: Path, kubectl: Path, kubeconfig: Path, folder: Path, tools: Path) -> None:
        """``tools`` is the Go module that pins Kueue, ``folder`` is for what it reads and writes."""
        self._program, self._kubeconfig, self._folder = program, kubeconfig, folder
        self._kubectl = [str(kubectl), "--kubeconfig", str(kubeconfig)]
        self._port, self._health = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        asked = subprocess.run(
            ["go", "mod", "download", "-json", MODULE], cwd=tools, check=True, capture_output=True, text=True
        )
        self._config = Path(json.loads(asked.stdout)["Dir"]) / "config" / "components"

    def install(self) -> None:
        """Apply its kinds and its webhooks. These are reached by a Service that leads to this machine."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        about = {"name": SERVICE, "namespace": NAMESPACE}
        where = {"type": "ExternalName", "externalName": "localhost"}
        secret = {"name": SECRET, "namespace": NAMESPACE}
        self.apply(namespace)
        self.apply({"apiVersion": "v1", "kind": "Service", "metadata": about, "spec": where})
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": secret})
        self.run("apply", "--server-side", "-f", str(self._config / "crd" / "bases"))
        for kind in CONVERTED:
            client = {"service": about | {"path": "/convert", "port": self._port}}
            webhook = {"clientConfig": client, "conversionReviewVersions": ["v1"]}
            change = {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
            self.run("patch", "crd", f"{kind}.kueue.x-k8s.io", "--type", "merge", "-p", json.dumps(change))
        for document in yaml.safe_load_all((self._config / "webhook" / "manifests.yaml").read_text()):
            kind = "mutating" if document["kind"].startswith("Mutating") else "validating"
            document["metadata"]["name"] = f"{BASE}-{kind}-webhook-configuration"
            document["webhooks"] = [one for one in document["webhooks"] if GROUPS & {*one["rules"][0]["apiGroups"]}]
            for one in document["webhooks"]:
                one["clientConfig"]["service"] |= about | {"port": self._port}
            self.apply(document)

    def start(self, **configuration: Any) -> None:
        """Start the manager, in the place of one that runs, and wait until its webhooks answer."""
        self.stop()
        path, certificates = self._folder / "config.json", self._folder / "certificates"
        certificates.mkdir(exist_ok=True)
        path.write_text(json.dumps(self._configuration(certificates) | configuration))
        command = [self._program, f"--config={path}", "--zap-log-level=2"]
        with (self._folder / "kueue.log").open("ab") as log:
            environment = os.environ | {"KUBECONFIG": str(self._kubeconfig)}
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        wait_for("Kueue's certificate", lambda: self._has_certificate(certificates), START_SECONDS)
        wait_for("Kueue", self._is_ready, START_SECONDS)
        flavor = {"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "ResourceFlavor", "metadata": {"name": "default"}}
        wait_for("Kueue's webhooks", lambda: not self.run("apply", "-f", "-", stdin=flavor, check=False).returncode)

    def stop(self) -> None:
        """Stop the manager; what it has said stays."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def apply(self, document: Object) -> None:
        """Apply an object of any kind."""
        self.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=document)

    def run(self, *arguments: str, stdin: Object | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run kubectl as an administrator."""
        text = None if stdin is None else json.dumps(stdin)
        done = subprocess.run(
            [*self._kubectl, *arguments], input=text, text=True, capture_output=True, check=False, timeout=60
        )
        assert not check or not done.returncode, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done

    def _configuration(self, certificates: Path) -> Object:
        return {
            "apiVersion": "config.kueue.x-k8s.io/v1beta2",
            "kind": "Configuration",
            "namespace": NAMESPACE,
            "health": {"healthProbeBindAddress": f"127.0.0.1:{self._health}"},
            "metrics": {"bindAddress": "0"},
            "webhook": {"host": "127.0.0.1", "port": self._port, "certDir": str(certificates)},
            "leaderElection": {"leaderElect": False},
            "internalCertManagement": {"enable": True, "webhookServiceName": SERVICE, "webhookSecretName": SECRET},
            "integrations": {"frameworks": ["batch/job"]},
            "featureGates": {"VisibilityOnDemand": False},  # it would want a port that is always the same
        }

    def _has_certificate(self, folder: Path) -> bool:
        """Put the Secret that it makes where a kubelet would mount it; return whether it is there."""
        self._is_alive()
        found = json.loads(self.run("get", "secret", SECRET, "-n", NAMESPACE, "-o", "json").stdout).get("data") or {}
        for name, content in found.items():
            (folder / name).write_bytes(base64.b64decode(content))
        return "tls.crt" in found

    def _is_ready(self) -> bool:
        self._is_alive()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._health}/readyz", timeout=5):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def _is_alive(self) -> None:
        assert self._process is not None
        assert self._process.poll() is None, f"Kueue ended:\n{tail(self._folder / 'kueue.log')}"
