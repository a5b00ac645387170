"""A kubeconfig with embedded certificates, as Python's TLS wants it."""

from __future__ import annotations

import base64
import ssl
import tempfile
from pathlib import Path

import yaml


def credentials_of(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The API server's address, and a context with its authority and the client's certificate."""
    document = yaml.safe_load(kubeconfig.read_text())
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as pair:  # ssl reads certificates from files only
        pair.write(_decoded(user["client-certificate-data"]) + "\n" + _decoded(user["client-key-data"]))
        pair.flush()
        context.load_cert_chain(pair.name)
    return str(cluster["server"]), context


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
