"""Signatures are what openssl and cosign's formats expect, and nothing changed passes."""

import base64
import json
import subprocess
from pathlib import Path

import pytest
from dev.errors import DevError
from dev.release import signatures

KEY = signatures.new_key()
PUBLIC = signatures.public_pem(KEY)
STATEMENT = {"_type": "https://in-toto.io/Statement/v1", "subject": []}


def openssl_verifies(content: bytes, signature: bytes, folder: Path, public: str = PUBLIC) -> bool:
    (folder / "content").write_bytes(content)
    (folder / "signature").write_bytes(signature)
    (folder / "public.pem").write_text(public)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "content"]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 0


def test_openssl_verifies_a_file(tmp_path: Path) -> None:
    signature = base64.b64decode(signatures.sign_blob(b"a file", KEY))
    assert openssl_verifies(b"a file", signature, tmp_path)
    assert not openssl_verifies(b"a fife", signature, tmp_path)


def test_openssl_verifies_an_envelope_by_its_encoding(tmp_path: Path) -> None:
    envelope = json.loads(signatures.sign_statement(STATEMENT, KEY))
    payload, kind = base64.b64decode(envelope["payload"]), envelope["payloadType"]
    encoded = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload  # the specification of DSSE
    assert openssl_verifies(encoded, base64.b64decode(envelope["signatures"][0]["sig"]), tmp_path)


def test_an_envelope_names_no_key() -> None:
    # The Go library below cosign computes identifiers another way, and skips what has a different one.
    envelope = json.loads(signatures.sign_statement(STATEMENT, KEY))
    assert [signature["keyid"] for signature in envelope["signatures"]] == [""]


def test_a_file_passes_with_its_key_alone() -> None:
    signature = signatures.sign_blob(b"a file", KEY)
    signatures.verify_blob(b"a file", signature, PUBLIC)
    with pytest.raises(DevError, match="does not fit"):
        signatures.verify_blob(b"another", signature, PUBLIC)
    with pytest.raises(DevError, match="does not fit"):
        signatures.verify_blob(b"a file", signature, signatures.public_pem(signatures.new_key()))


def test_a_statement_comes_back_and_a_changed_one_does_not() -> None:
    envelope = signatures.sign_statement(STATEMENT, KEY)
    assert signatures.verify_statement(envelope, PUBLIC) == STATEMENT
    changed = json.loads(envelope)
    changed["payload"] = base64.b64encode(json.dumps(STATEMENT | {"subject": ["x"]}).encode()).decode()
    with pytest.raises(DevError, match="not signed with this key"):
        signatures.verify_statement(json.dumps(changed), PUBLIC)
    with pytest.raises(DevError, match="not signed with this key"):
        signatures.verify_statement(envelope, signatures.public_pem(signatures.new_key()))


def test_an_image_is_signed_without_its_tag() -> None:
    payload = json.loads(signatures.image_payload("r.example.com:5000/voices/operator:1@sha256:1", "sha256:1"))
    assert payload["critical"] == {
        "identity": {"docker-reference": "r.example.com:5000/voices/operator"},
        "image": {"docker-manifest-digest": "sha256:1"},
        "type": "cosign container image signature",
    }


def openssl_key(path: Path, *options: str) -> Path:
    subprocess.run(["openssl", "genpkey", "-algorithm", "EC", *options, "-out", path], check=True, capture_output=True)
    path.chmod(0o600)
    return path


P256 = ("-pkeyopt", "ec_paramgen_curve:P-256")


def test_a_key_of_openssl_is_read_with_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = openssl_key(tmp_path / "release.key", *P256, "-aes256", "-pass", "pass:words")
    with pytest.raises(DevError, match="opens with RELEASE_KEY_PASSWORD"):
        signatures.read_key(path)
    monkeypatch.setenv(signatures.PASSWORD, "words")
    assert "PUBLIC KEY" in signatures.public_pem(signatures.read_key(path))


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = openssl_key(tmp_path / "release.key", *P256)
    path.chmod(0o644)
    with pytest.raises(DevError, match=r"others can read the key.*\n.*chmod 600"):
        signatures.read_key(path)


@pytest.mark.parametrize("content", ["no key", ""], ids=["no PEM", "empty"])
def test_a_file_without_a_key_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "release.key"
    path.touch(0o600)
    path.write_text(content)
    with pytest.raises(DevError, match="holds no key"):
        signatures.read_key(path)


def test_a_key_on_another_curve_is_refused(tmp_path: Path) -> None:
    path = openssl_key(tmp_path / "release.key", "-pkeyopt", "ec_paramgen_curve:P-384")
    with pytest.raises(DevError, match="not on the curve P-256"):
        signatures.read_key(path)


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    with pytest.raises(DevError, match=r"cannot read the key .*release\.key"):
        signatures.read_key(tmp_path / "release.key")
