"""Reports, samples and bundles on this machine, each byte checked; texts spoken by a server."""

import http.server
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from voice_cli.bundles import bundle_of
from voice_cli.errors import ClusterRefused, NotFound, Unavailable
from voice_cli.speech import Wish, scheme_of, speak
from voice_store import Content, DigestMismatch, InvalidKey, content_of

FILES = {
    "report.html": b"<p>good</p>",
    "samples/1.flac": b"fLaC1",
    "samples/2.flac": b"fLaC2",
    "adapter.safetensors": b"weights",
}


@pytest.fixture
def revision(tmp_path: Path) -> dict[str, Any]:
    """A revision whose bundle lies in a folder."""
    folder = tmp_path / "bundle"
    contents: dict[str, Content] = {}
    for name, data in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
        contents[name] = content_of([data])
    listed = {name: {"sha256": one.sha256, "size": one.size} for name, one in contents.items()}
    index = json.dumps({"schema": "voice.sovits.dev/voice-bundle/v1", "files": listed}).encode()
    (folder / "manifest.json").write_bytes(index)
    artifacts = {"uri": f"file://{folder}", "digest": content_of([index]).digest}
    return {"metadata": {"name": "alice-1"}, "spec": {"artifacts": artifacts}}


def test_a_bundle_arrives_whole_and_twice_costs_nothing(revision: dict[str, Any], tmp_path: Path) -> None:
    bundle, target = bundle_of(revision), tmp_path / "here"
    bundle.fetch({name: target / name for name in bundle.names})
    assert {name: (target / name).read_bytes() for name in FILES} == FILES
    (tmp_path / "bundle" / "report.html").unlink()
    bundle.fetch({"report.html": target / "report.html"})


def test_a_file_that_somebody_changed_is_not_left_here(revision: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bundle" / "report.html").write_bytes(b"<p>evil</p>")
    with pytest.raises(DigestMismatch):
        bundle_of(revision).fetch({"report.html": tmp_path / "here" / "report.html"})
    assert not (tmp_path / "here" / "report.html").exists()


def test_a_manifest_that_somebody_changed_is_refused(revision: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "bundle" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(DigestMismatch):
        bundle_of(revision)


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//b"])
def test_a_manifest_whose_files_lead_elsewhere_is_refused(revision: dict[str, Any], tmp_path: Path, name: str) -> None:
    index = json.dumps({"files": {name: {"sha256": "0" * 64, "size": 1}}}).encode()
    (tmp_path / "bundle" / "manifest.json").write_bytes(index)
    revision["spec"]["artifacts"]["digest"] = content_of([index]).digest
    with pytest.raises(InvalidKey):
        bundle_of(revision)


class _Speaker(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status, body = 200, f"{asked['voice']}|{asked['input']}|{asked['response_format']}".encode()
        if asked["voice"] == "studio/secret" and self.headers.get("Authorization") != "Bearer k":
            status, body = 401, b'{"error": {"message": "a key is needed"}}'
        if asked["voice"] == "studio/none":
            status, body = 404, b'{"error": {"message": "there is no voice studio/none"}}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the output readable."""


@pytest.fixture
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Speaker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_text_is_spoken(address: str) -> None:
    assert speak(address, Wish("studio/alice", "Hello.", "mp3")) == b"studio/alice|Hello.|mp3"
    assert speak(address, Wish("studio/secret", "Hello.", key="k")).startswith(b"studio/secret")


@pytest.mark.parametrize(
    ("voice", "error", "said"),
    [("studio/secret", ClusterRefused, "VOICE_API_KEY"), ("studio/none", NotFound, "there is no voice studio/none")],
)
def test_a_server_that_refuses_is_quoted(address: str, voice: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        speak(address, Wish(voice, "Hello."))


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 does not answer"):
        speak("http://127.0.0.1:1", Wish("studio/alice", "Hello."))


def test_a_tunnel_is_taken_for_what_it_is_and_another_address_needs_a_certificate() -> None:
    certificate, context = trustme.CA().issue_cert("default.voice-system.svc"), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Speaker) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"https://127.0.0.1:{server.server_port}"
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            speak(address, Wish("studio/alice", "Hello."))
        assert speak(address, Wish("studio/alice", "Hello."), is_tunnel=True).startswith(b"studio/alice")
        server.shutdown()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_port_of_a_service_says_what_it_speaks(scheme: str) -> None:
    assert scheme_of({"spec": {"ports": [{"name": scheme, "port": 1}]}}) == scheme
