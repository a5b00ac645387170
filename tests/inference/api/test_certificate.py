"""HTTPS by a mounted Secret: a real server, certificates of an authority of ours, files swapped as the kubelet does."""

import asyncio
import json
import re
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from cryptography import x509
from dev.ports import free_port
from tests.inference.conftest import StartProcess
from tests.support.waiting import wait_for
from websockets.asyncio.client import connect as connect_socket

from voice_inference.api.certificate import ServerCertificate
from voice_inference.errors import InvalidSettings
from voice_inference.metrics import Metrics

NAME = "default.voice-system.svc"
SECONDS = 60  # the machine may be busy


class Secret:
    """A mounted Secret: its files are links through ``..data``, which the kubelet replaces as one."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.folder = folder
        self._number = 0
        folder.mkdir()
        self.renew()
        for name in ("tls.crt", "tls.key"):
            (folder / name).symlink_to(f"..data/{name}")

    def issue(self) -> tuple[bytes, bytes]:
        leaf = self.authority.issue_cert(NAME, "127.0.0.1")
        return b"".join(part.bytes() for part in leaf.cert_chain_pems), leaf.private_key_pem.bytes()

    def put(self, certificate: bytes, key: bytes) -> None:
        """Swap the files."""
        self._number += 1
        version, link = self.folder / f"..version-{self._number}", self.folder / "..data_tmp"
        version.mkdir()
        (version / "tls.crt").write_bytes(certificate)
        (version / "tls.key").write_bytes(key)
        link.symlink_to(version.name)
        link.replace(self.folder / "..data")

    def renew(self) -> int:
        """Swap the files for a new pair; return the certificate's serial number."""
        certificate, key = self.issue()
        self.put(certificate, key)
        return x509.load_pem_x509_certificate(certificate).serial_number

    @property
    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context


@dataclass
class Server:
    port: int
    secret: Secret
    log: Path

    def serial(self, *, name: str | None = NAME) -> int:
        """The serial number of the certificate that a new connection is shown."""
        trust = self.secret.trust
        trust.check_hostname = name is not None
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as raw,
            trust.wrap_socket(raw, server_hostname=name) as connection,
        ):
            data = connection.getpeercert(binary_form=True)
            assert data is not None
            return x509.load_der_x509_certificate(data).serial_number

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"https://127.0.0.1:{self.port}{path}", verify=self.secret.trust, timeout=SECONDS)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without voices."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    secret = Secret(folder / "tls")
    found = Server(port, secret, folder / "log")
    flags = {"voices": folder / "none.json", "cache": folder / "cache", "port": port, "host": "127.0.0.1"}
    flags |= {"tls": secret.folder, "max-connections": 12}
    command = [
        sys.executable,
        "-m",
        "voice_inference",
        "serve",
        *(f"--{name}={value}" for name, value in flags.items()),
    ]
    with found.log.open("wb") as stderr, subprocess.Popen(command, stderr=stderr) as process:
        try:
            wait_for("the server", lambda: answers(lambda: found.get("/healthz")), SECONDS)
            yield found
        finally:
            process.terminate()
    assert "Traceback" not in found.log.read_text()


def answers(ask: Callable[[], httpx.Response]) -> bool:
    try:
        return ask().status_code == 200
    except httpx.TransportError:
        return False


def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on(server: Server) -> None:
    with httpx.Client(base_url=f"https://127.0.0.1:{server.port}", verify=server.secret.trust) as kept:
        assert kept.get("/healthz").status_code == 200
        renewed = server.secret.renew()
        assert server.serial() != renewed
        wait_for("the new certificate", lambda: server.serial() == renewed, SECONDS)
        assert server.serial(name=None) == renewed, "the kubelet's probes name no server"
        assert kept.get("/healthz").status_code == 200
    ends = x509.load_pem_x509_certificate((server.secret.folder / "tls.crt").read_bytes()).not_valid_after_utc
    shown = re.search(r"\nvoice_inference_certificate_not_after_timestamp_seconds (\S+)", server.get("/metrics").text)
    assert shown
    assert float(shown[1]) == ends.timestamp()


def test_a_pair_that_does_not_fit_changes_nothing_but_the_log(server: Server) -> None:
    before = server.serial()
    length = len(server.log.read_text())
    server.secret.put(server.secret.issue()[0], server.secret.issue()[1])
    wait_for("the sentence", lambda: "the certificate of before serves on" in server.log.read_text()[length:], SECONDS)
    assert server.serial() == before
    mended = server.secret.renew()
    wait_for("the next certificate", lambda: server.serial() == mended, SECONDS)


def test_plain_http_gets_nothing(server: Server) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{server.port}/healthz", timeout=SECONDS)
    assert server.get("/healthz").status_code == 200


def test_handshakes_that_never_end_are_ended_and_are_no_more_than_connections_may_be(server: Server) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port), timeout=SECONDS) for _ in range(30)]
    try:
        for one in silent:
            assert one.recv(1) == b"", "the server closes it"
    finally:
        for one in silent:
            one.close()
    assert server.get("/healthz").status_code == 200


def test_speech_and_sockets_come_over_tls(
    make_bundle: Any, desired: Any, start_process: StartProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    desired.write(make_bundle().seal())
    secret = Secret(tmp_path_factory.mktemp("secret") / "tls")
    with start_process("--tls", str(secret.folder), verify=secret.trust) as process:
        body = {"input": "Hello.", "voice": "studio/alice", "response_format": "wav"}
        assert process.client.post("/v1/audio/speech", json=body).content.startswith(b"RIFF")
        url = str(process.client.base_url.copy_with(scheme="wss", path="/v1/audio/speech/stream"))
        assert asyncio.run(first_message(url, secret.trust))["type"] == "session.created"


async def first_message(url: str, trust: ssl.SSLContext) -> Any:
    """What a session of a WebSocket begins with.

    The library's threads would read and write one TLS connection at the same time, which OpenSSL cannot: in 1 of 300
    such handshakes the request got lost.
    """
    async with connect_socket(url, ssl=trust, open_timeout=SECONDS) as stream:
        await stream.send(json.dumps({"type": "session.config", "voice": "studio/alice"}))
        return json.loads(await asyncio.wait_for(stream.recv(), SECONDS))


@pytest.mark.parametrize(
    ("damaged", "words"),
    [
        pytest.param(lambda one, other: (one[0], other[1]), "certificate and key do not fit", id="another's key"),
        pytest.param(lambda one, _: (b"no certificate", one[1]), "one of them is none", id="no certificate"),
        pytest.param(lambda one, _: (one[0], b""), "one of them is none", id="no key"),
    ],
)
def test_a_pair_that_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, damaged: Callable[..., tuple[bytes, bytes]], words: str
) -> None:
    secret = Secret(tmp_path / "tls")
    secret.put(*damaged(secret.issue(), secret.issue()))
    with pytest.raises(InvalidSettings, match=rf"VOICE_TLS=.*{words}.*it needs tls.crt and tls.key"):
        ServerCertificate(secret.folder, Metrics())


def test_a_folder_without_files_is_named_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"VOICE_TLS=.*tls.crt cannot be read: No such file"):
        ServerCertificate(tmp_path, Metrics())
