"""The operator asks a pod that shows its voices to nobody without a key: the operator's code, and the real server."""

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dev.ports import free_port
from tests.inference.conftest import BASE
from tests.support.signing import KEY, SINCE, signing
from tests.support.waiting import wait_for

from voice_inference.access.operator_requests import SCHEME, SKEW_SECONDS, is_signed
from voice_operator.cluster.caches import Caches
from voice_operator.cluster.inference import Inference
from voice_operator.cluster.pod_trust import PodTrust
from voice_operator.cluster.signing import Signing
from voice_operator.reconcile.observed import PodVoices
from voice_operator.reconcile.seals import statement
from voice_operator.signing import SigningKey, authorization, new_key

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ASKED = {"method": "GET", "address": "10.1.2.3:8080", "path": "/v1/voices"}
PUBLIC = Ed25519PublicKey.from_public_bytes(base64.b64decode(KEY.public.text))
START_SECONDS = 180.0  # the machine may be busy
ALICE = {"id": "studio/alice", "revision": "alice-1", "digest": "sha256:" + "a" * 64, "spec": "sha256:" + "b" * 64}


def signed(key: SigningKey = KEY, at: datetime = NOW, **asked: str) -> str:
    scheme, _, credentials = authorization(key, **ASKED | asked, now=at).partition(" ")
    assert scheme == SCHEME
    return credentials


def test_the_server_knows_what_the_operator_signs() -> None:
    assert is_signed(PUBLIC, signed(), **ASKED, now=NOW)


@pytest.mark.parametrize(
    "credentials",
    [
        pytest.param(signed(address="10.1.2.4:8080"), id="for another pod"),
        pytest.param(signed(path="/v1/audio/speech"), id="for another path"),
        pytest.param(signed(method="POST"), id="for another method"),
        pytest.param(signed(at=NOW - timedelta(seconds=SKEW_SECONDS + 1)), id="too old"),
        pytest.param(signed(at=NOW + timedelta(seconds=SKEW_SECONDS + 1)), id="of tomorrow"),
        pytest.param(signed(SigningKey(new_key(), SINCE)), id="by another key"),
        pytest.param("1." + signed().partition(".")[2], id="with another time"),
        pytest.param(signed()[:-1], id="cut"),
        pytest.param("", id="nothing"),
    ],
)
def test_nothing_else_counts(credentials: str) -> None:
    assert not is_signed(PUBLIC, credentials, **ASKED, now=NOW)


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A server process with keys, and with a voice that cannot be loaded: what the operator must learn."""
    with running(tmp_path) as found:
        yield found


@contextmanager
def running(tmp_path: Path, **more: str) -> Iterator[int]:
    """The port of such a server, with more variables."""
    seal = KEY.sign(statement(voice=ALICE["id"], **{name: ALICE[name] for name in ("revision", "digest", "spec")}))
    document = {
        "schema": "voice.sovits.dev/desired-voices/v1",
        "generation": 1,
        "base": BASE.model_dump(),
        "voices": [{"uri": "file:///nowhere", "seal": seal, **ALICE}],
    }
    (tmp_path / "voices.json").write_text(json.dumps(document))
    (tmp_path / "keys").mkdir()
    port = free_port()
    variables = {
        "VOICE_VOICES": str(tmp_path / "voices.json"),
        "VOICE_KEYS": str(tmp_path / "keys"),
        "VOICE_CACHE": str(tmp_path / "cache"),
        "VOICE_HOST": "127.0.0.1",
        "VOICE_PORT": str(port),
        "VOICE_PUBLIC_KEY": KEY.public.text,
        **more,
    }
    command = [sys.executable, "-m", "voice_inference", "serve"]
    log = tmp_path / "log"
    with (
        log.open("w") as output,
        subprocess.Popen(command, env=os.environ | variables, stdout=output, stderr=output) as process,
    ):
        try:
            deadline = time.monotonic() + START_SECONDS
            # The last is what it says of a voice that it cannot load.
            while not (accepts(port) and all(word in log.read_text() for word in ("startup complete", "studio/alice"))):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield port
        finally:
            process.kill()


def accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def pods_seen(port: int, signing: Signing | None, scheme: str = "http", trust: PodTrust | None = None) -> PodVoices:
    """What the operator's code learns of one pod."""
    caches = Caches()
    pod: dict[str, Any] = {
        "metadata": {"namespace": "studio", "name": "pod", "uid": "1", "resourceVersion": "1"},
        "spec": {"containers": [{"name": "inference", "ports": [{"name": scheme, "containerPort": port}]}]},
        "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    pod["metadata"]["labels"] = {"voice.sovits.dev/server": "default"}
    caches.server_pods.update(pod)

    async def ask() -> PodVoices:
        inference = Inference(caches, signing, trust)
        try:
            (found,) = await inference.pods("studio", "default")
            return found
        finally:
            await inference.close()

    return asyncio.run(ask())


def test_the_operator_sees_the_voices_of_a_server_with_keys_and_nobody_else_does(port: int) -> None:
    caches = Caches()
    found = pods_seen(port, signing(caches))
    assert found.voices.keys() == {"studio/alice"}
    assert pods_seen(port, None).voices == {}, "without a signature it is nobody"
    assert pods_seen(port, Signing(caches, SigningKey(new_key(), SINCE))).voices == {}
    address = f"127.0.0.1:{port}"
    now = datetime.now(UTC)
    header = authorization(KEY, method="GET", address=address, path="/v1/voices", now=now)

    def status(path: str, header: str) -> int:
        return httpx.get(f"http://{address}{path}", headers={"Authorization": header}).status_code

    assert status("/v1/voices", header) == 200
    assert status("/v1/audio/voices", header) == 401
    elsewhere = authorization(KEY, method="GET", address="127.0.0.2:80", path="/v1/voices", now=now)
    stolen = httpx.get(f"http://{address}/v1/voices", headers={"Authorization": elsewhere, "Host": "127.0.0.2:80"})
    assert stolen.status_code == 401, "the address is the connection's, not what the request says"


def test_the_operator_asks_over_tls_whom_its_authorities_vouch_for(tmp_path: Path) -> None:
    authority, file = trustme.CA(), tmp_path / "ca.crt"
    tls = tmp_path / "tls"
    tls.mkdir()

    def certify(name: str) -> None:
        leaf = authority.issue_cert(name)
        (tls / "tls.crt").write_bytes(b"".join(part.bytes() for part in leaf.cert_chain_pems))
        (tls / "tls.key").write_bytes(leaf.private_key_pem.bytes())

    certify("default.studio.svc")
    keyring, trust = signing(Caches()), PodTrust(file)
    with running(tmp_path, VOICE_TLS=str(tls)) as port:
        assert "inference.caFile is" in pods_seen(port, keyring, "https", trust).distrusted, "there is no file yet"
        trustme.CA().cert_pem.write_to_path(file)
        stranger = pods_seen(port, keyring, "https", trust)
        assert not stranger.voices
        assert "is not taken for default.studio.svc (unable to get local issuer certificate)" in stranger.distrusted
        authority.cert_pem.write_to_path(file)
        assert pods_seen(port, keyring, "https", trust).voices.keys() == {"studio/alice"}, "the file is read again"
        assert not pods_seen(port, keyring, "http", trust).voices
        certify("default.team.svc")
        wait_for("the other name", lambda: pods_seen(port, keyring, "https", trust).distrusted, START_SECONDS)
        assert "Hostname mismatch" in pods_seen(port, keyring, "https", trust).distrusted
