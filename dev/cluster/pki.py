"""The cluster's certificates and kubeconfigs, made with openssl; a present and fitting one is kept."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from dev.cluster.settings import API_SERVICE_IP, DOMAIN, GPU_NODE, MAIN_NODE, Cluster
from dev.terminal import run

CA_DAYS = 3650
LEAF_DAYS = 365
RENEW_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class Identity:
    """A certificate and its key."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Authority:
    """Signs every certificate of one cluster."""

    folder: Path

    @property
    def certificate(self) -> Path:
        """The authority's own certificate."""
        return self.folder / "ca.crt"

    @property
    def key(self) -> Path:
        """The authority's private key."""
        return self.folder / "ca.key"

    def issue(
        self, name: str, *, common_name: str, organization: str = "", addresses: tuple[str, ...] = ()
    ) -> Identity:
        """A certificate for one component, for clients and, when it has addresses, for servers."""
        identity = Identity(self.folder / f"{name}.crt", self.folder / f"{name}.key")
        wanted = request(common_name, organization, addresses)
        settings = self.folder / f"{name}.cnf"
        if settings.exists() and settings.read_text() == wanted and lasts(identity.certificate):
            return identity
        settings.write_text(wanted)
        signing_request = self.folder / f"{name}.csr"
        new_key(identity.key)
        run(["openssl", "req", "-new", "-key", identity.key, "-config", settings, "-out", signing_request])
        sign: list[str | Path] = ["openssl", "x509", "-req", "-in", signing_request, "-CA", self.certificate]
        sign += ["-CAkey", self.key, "-CAcreateserial", "-days", str(LEAF_DAYS), "-extfile", settings]
        run([*sign, "-extensions", "extensions", "-out", identity.certificate])
        signing_request.unlink()
        return identity


def authority(cluster: Cluster) -> Authority:
    """The cluster's own authority, made on first use."""
    cluster.pki.mkdir(parents=True, exist_ok=True, mode=0o700)
    ca = Authority(cluster.pki)
    if not lasts(ca.certificate):
        # Everything signed by an earlier authority is worthless now.
        for leaf in cluster.pki.glob("*.cnf"):
            leaf.unlink()
        new_key(ca.key)
        command: list[str | Path] = ["openssl", "req", "-x509", "-new", "-key", ca.key, "-days", str(CA_DAYS)]
        command += [
            "-subj",
            "/CN=voice-operator-dev",
            "-addext",
            "keyUsage=critical,keyCertSign,cRLSign,digitalSignature",
        ]
        run([*command, "-out", ca.certificate])
    return ca


def api_server(ca: Authority) -> Identity:
    """The API server's certificate, for every name that it is reached by."""
    names = [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        f"kubernetes.default.svc.{DOMAIN}",
        "localhost",
    ]
    addresses = ["127.0.0.1", API_SERVICE_IP, MAIN_NODE.ip, GPU_NODE.ip]
    entries = (*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses))
    return ca.issue("kube-apiserver", common_name="kube-apiserver", addresses=entries)


def service_account_key(ca: Authority) -> Path:
    """Signs service account tokens."""
    key = ca.folder / "service-account.key"
    if not key.exists():
        new_key(key)
    return key


def kubeconfig(path: Path, cluster: Cluster, ca: Authority, identity: Identity) -> Path:
    """Write a kubeconfig that holds everything it needs, readable by its owner only."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "voice-dev",
        "clusters": [
            {
                "name": "voice-dev",
                "cluster": {"server": cluster.url, "certificate-authority-data": encoded(ca.certificate)},
            }
        ],
        "users": [
            {
                "name": "voice-dev",
                "user": {
                    "client-certificate-data": encoded(identity.certificate),
                    "client-key-data": encoded(identity.key),
                },
            }
        ],
        "contexts": [{"name": "voice-dev", "context": {"cluster": "voice-dev", "user": "voice-dev"}}],
    }
    text = json.dumps(document, indent=2) + "\n"  # JSON is YAML
    if not path.exists() or path.read_text() != text:
        path.touch(mode=0o600)
        path.write_text(text)
    path.chmod(0o600)
    return path


def encoded(path: Path) -> str:
    """A file as kubeconfigs embed it."""
    return base64.b64encode(path.read_bytes()).decode()


def new_key(path: Path) -> None:
    """Write a new private key, readable by its owner only."""
    path.touch(mode=0o600)
    # `ecparam`, not `genpkey`: kube-apiserver reads token signing keys in the older "EC PRIVATE KEY" form only.
    path.write_text(run(["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout"]))


def lasts(certificate: Path) -> bool:
    """Whether it exists and is good for another week."""
    if not certificate.exists():
        return False
    answer = run(["openssl", "x509", "-in", certificate, "-noout", "-checkend", str(RENEW_SECONDS)], check=False)
    return "will not expire" in answer


def request(common_name: str, organization: str, addresses: tuple[str, ...]) -> str:
    """A certificate as openssl wants it described."""
    usage = "clientAuth, serverAuth" if addresses else "clientAuth"
    lines = ["[req]", "prompt = no", "distinguished_name = name", "[name]"]
    lines += [f"O = {organization}"] if organization else []
    lines += [f"CN = {common_name}", "[extensions]", "basicConstraints = critical, CA:FALSE"]
    lines += ["keyUsage = critical, digitalSignature", f"extendedKeyUsage = {usage}"]
    lines += [f"subjectAltName = {', '.join(addresses)}"] if addresses else []
    return "\n".join(lines) + "\n"
