"""Real servers for the store's tests: versitygw with and without TLS, moto, a recording proxy, an answering machine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
import trustme
from dev.ports import free_port
from tests.support.s3_server import KEYS, s3_server
from tests.support.waiting import wait_for_port

REGION = "eu-central-1"
AWS_HOST = f"s3.{REGION}.amazonaws.com"
OWN_HOST = "objects.example.org"


@pytest.fixture(autouse=True)
def no_variables_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """minio's own provider for instances looks into the process's environment."""
    for name in os.environ:
        if name.startswith("AWS_") or name.upper() in {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"}:
            monkeypatch.delenv(name)


@dataclass(frozen=True)
class Gateway:
    """One versitygw: its port, and the folder in which each folder is a bucket."""

    port: int
    folder: Path

    def put(self, key: str, content: bytes = b"x") -> None:
        """Put a file into the bucket `voices` behind the server's back."""
        path = self.folder / "voices" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="session")
def start_gateway(
    tool: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    with ExitStack() as running:

        def start(*flags: str) -> Gateway:
            folder = tmp_path_factory.mktemp("gateway") / "data"
            (folder / "voices").mkdir(parents=True)
            return Gateway(running.enter_context(s3_server(tool("versitygw"), folder, *flags)), folder)

        yield start


@pytest.fixture(scope="session")
def gateway(start_gateway: StartGateway) -> Gateway:
    """A server without TLS, path-style, in the region us-east-1."""
    return start_gateway()


@pytest.fixture(scope="session")
def plain(gateway: Gateway) -> dict[str, str]:
    """The variables that lead to `gateway`."""
    return {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{gateway.port}", **KEYS}


@dataclass(frozen=True)
class Authority:
    """A certificate authority of our own."""

    pem: Path
    ca: trustme.CA
    folder: Path

    def flags(self, *names: str) -> tuple[str, ...]:
        """Issue a certificate; returns versitygw's flags for it."""
        issued = self.ca.issue_cert(*names)
        key, chain = self.folder / f"{names[0]}.key", self.folder / f"{names[0]}.crt"
        issued.private_key_pem.write_to_path(key)
        for number, part in enumerate(issued.cert_chain_pems):
            part.write_to_path(chain, append=number > 0)
        return "--cert", str(chain), "--key", str(key)


@pytest.fixture(scope="session")
def new_authority(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Authority]:
    def make() -> Authority:
        folder, ca = tmp_path_factory.mktemp("authority"), trustme.CA()
        ca.cert_pem.write_to_path(folder / "ca.pem")
        return Authority(folder / "ca.pem", ca, folder)

    return make


@pytest.fixture(scope="session")
def authority(new_authority: Callable[[], Authority]) -> Authority:
    return new_authority()


@pytest.fixture(scope="session")
def aws_gateway(start_gateway: StartGateway, authority: Authority) -> Gateway:
    """A server that calls itself AWS: TLS, its region, buckets in the host's name."""
    certificate = authority.flags(AWS_HOST, f"*.{AWS_HOST}")
    return start_gateway("--region", REGION, "--virtual-domain", AWS_HOST, *certificate)


@pytest.fixture(scope="session")
def own_gateway(start_gateway: StartGateway, authority: Authority) -> Gateway:
    """A server of somebody's own with TLS, that takes both addressings."""
    certificate = authority.flags(OWN_HOST, f"*.{OWN_HOST}", "127.0.0.1")
    return start_gateway("--virtual-domain", OWN_HOST, *certificate)


class Proxy:
    """An HTTP proxy that tunnels everything to one port of this machine, and notes where it was asked to go."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self.authorizations: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            def do_CONNECT(self) -> None:
                proxy.asked.append(self.path)
                proxy.authorizations.append(self.headers.get("Proxy-Authorization", ""))
                with socket.create_connection(("127.0.0.1", port)) as upstream:
                    self.send_response(200)
                    self.end_headers()
                    self._tunnel(upstream)

            def _tunnel(self, upstream: socket.socket) -> None:
                other = {self.connection: upstream, upstream: self.connection}
                with contextlib.suppress(ConnectionError):  # either side may leave without a word
                    while True:
                        for readable in select.select(list(other), [], [], 30)[0]:
                            data = readable.recv(65536)
                            if not data:
                                return
                            other[readable].sendall(data)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def proxy_to() -> Iterator[Callable[[Gateway], Proxy]]:
    running: list[Proxy] = []

    def start(gateway: Gateway) -> Proxy:
        running.append(Proxy(gateway.port))
        return running[-1]

    yield start
    for proxy in running:
        proxy.close()


@dataclass
class Answer:
    """What the answering machine says."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/xml"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Request:
    """What it was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Machine:
    """A real HTTP server that gives the answers a test chose, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Callable[[Request], Answer | None] = lambda _: Answer(404)
        machine = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                request = Request(self.command, self.path, dict(self.headers), body)
                machine.requests.append(request)
                answer = machine.answer(request)
                if answer is None:
                    return
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                if "Content-Length" not in answer.headers:
                    self.send_header("Content-Length", str(len(answer.body)))
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve  # noqa: N815 -- http.server wants these names

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def refuse(self, code: str, *, status: int = 400, message: str = "No.", **headers: str) -> None:
        """Answer everything with one of S3's errors, as AWS writes them."""
        body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = lambda _: Answer(status, body, headers=named)

    @staticmethod
    def page(status: int, body: bytes, **headers: str) -> Answer:
        return Answer(status, body, "text/html", {name.replace("_", "-"): value for name, value in headers.items()})

    @staticmethod
    def json(document: dict[str, str]) -> Answer:
        return Answer(200, json.dumps(document).encode(), "application/json")

    def environment(self) -> dict[str, str]:
        return {"AWS_ENDPOINT_URL_S3": self.url, **KEYS}

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    yield machine
    machine.close()


def _policy(action: str, about: str) -> str:
    return f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Allow", "Action": "{action}", {about}}}]}}'


class Moto:
    """moto's server: a token service, an instance's metadata, and an S3 that can check keys and session tokens."""

    ROLE = "arn:aws:iam::123456789012:role/voices"

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        trust = _policy("sts:AssumeRoleWithWebIdentity", '"Principal": {"Federated": "cluster"}')
        rights = _policy("s3:*", '"Resource": "*"')
        self.ask("iam", Action="CreateRole", RoleName="voices", AssumeRolePolicyDocument=trust)
        self.ask("iam", Action="PutRolePolicy", RoleName="voices", PolicyName="s3", PolicyDocument=rights)
        self._send("PUT", "/voices", "s3", {})

    def ask(self, service: str, **parameters: str) -> str:
        """Call one of AWS's query services."""
        parameters["Version"] = {"iam": "2010-05-08", "sts": "2011-06-15"}[service]
        return self._send("POST", "/", service, parameters)

    def temporary_keys(self) -> tuple[str, str, str]:
        """Return access key, secret key and session token of the role."""
        answer = self.ask("sts", Action="AssumeRole", RoleArn=self.ROLE, RoleSessionName="test")
        found = [re.search(f"<{name}>(.*?)</", answer) for name in ("AccessKeyId", "SecretAccessKey", "SessionToken")]
        key, secret, token = (match[1] for match in found if match)
        return key, secret, token

    def check_requests(self, *, on: bool) -> None:
        """From now on refuse (or again take) requests whose signature, token or rights are wrong."""
        count = "0" if on else "inf"
        httpx.post(f"{self.url}/moto-api/reset-auth", content=count, timeout=30, trust_env=False).raise_for_status()

    def _send(self, method: str, path: str, service: str, form: dict[str, str]) -> str:
        scope = f"Credential=setup/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=none"
        headers = {"Authorization": f"AWS4-HMAC-SHA256 {scope}"}
        answer = httpx.request(
            method, self.url + path, data=form, headers=headers, timeout=60, trust_env=False
        ).raise_for_status()
        return answer.text


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    port, log = free_port(), tmp_path_factory.mktemp("moto") / "log.txt"
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for_port(port, server, log)
        yield Moto(port)
    finally:
        server.terminate()
        server.wait(timeout=10)
