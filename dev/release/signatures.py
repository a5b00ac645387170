"""Signatures with one ECDSA P-256 key, in the formats that cosign verifies with `--key`.

A statement is signed as a DSSE envelope (`cosign verify-blob-attestation`), a file by a base64 text beside it (`cosign
verify-blob`), an image's digest as cosign's own payload (`cosign attach signature`). No transparency log hears of them.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]

from dev.errors import DevError

IN_TOTO = "application/vnd.in-toto+json"
PASSWORD = "RELEASE_KEY_PASSWORD"  # noqa: S105 -- the name of the variable
OTHERS = 0o077
MAKE_ONE = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes256 -out release.key"

SHA256 = ec.ECDSA(hashes.SHA256())


def read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Read the private key, a PEM file (PKCS #8) that only its owner can read; RELEASE_KEY_PASSWORD decrypts it.

    Raises:
        DevError: the file is missing, others can read it, its password is wrong, or it is no key on P-256.
    """
    try:
        if path.stat().st_mode & OTHERS:
            raise DevError(f"others can read the key {path}", remedy=f"chmod 600 {path}")
        password = os.environ.get(PASSWORD, "").encode() or None
        key = serialization.load_pem_private_key(path.read_bytes(), password)
    except OSError as error:
        raise DevError(f"cannot read the key {path}: {error.strerror}", remedy=f"make one: {MAKE_ONE}") from error
    except (TypeError, ValueError) as error:
        raise DevError(f"{path} holds no key that opens with {PASSWORD}", remedy=f"make one: {MAKE_ONE}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise DevError(f"the key {path} is not on the curve P-256", remedy=f"make one: {MAKE_ONE}")
    return key


def new_key() -> ec.EllipticCurvePrivateKey:
    """A key that nobody keeps, for trying a release out."""
    return ec.generate_private_key(ec.SECP256R1())


def public_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """The public half, as PEM."""
    kind = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, kind).decode()


def sign_blob(content: bytes, key: ec.EllipticCurvePrivateKey) -> str:
    """The signature of any bytes: DER over their SHA-256, in base64."""
    return base64.b64encode(key.sign(content, SHA256)).decode() + "\n"


def verify_blob(content: bytes, signature: str, public: str) -> None:
    """Check the signature of a file.

    Raises:
        DevError: it was not made for this content by the owner of the key.
    """
    try:
        public_key(public).verify(base64.b64decode(signature), content, SHA256)
    except (InvalidSignature, ValueError) as error:
        raise DevError("the signature does not fit the file and the key", remedy="fetch both again") from error


def sign_statement(document: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> str:
    """An in-toto statement inside its signed DSSE envelope."""
    envelope = Envelope(json.dumps(document, indent=1).encode(), IN_TOTO, {})
    envelope.sign(CryptoSigner(key, nameless(key.public_key())))
    return json.dumps(envelope.to_dict()) + "\n"


def verify_statement(envelope: str, public: str) -> dict[str, Any]:
    """Check an envelope and return the statement inside.

    Raises:
        DevError: it was not signed by the owner of the key, or it holds no in-toto statement.
    """
    try:
        found = Envelope.from_dict(json.loads(envelope))
        found.verify([nameless(public_key(public))], 1)
    except (VerificationError, KeyError, ValueError) as error:
        raise DevError("the envelope was not signed with this key", remedy="fetch both again") from error
    if found.payload_type != IN_TOTO:
        raise DevError(f"the envelope holds {found.payload_type}, not {IN_TOTO}", remedy="fetch it again")
    return dict(json.loads(found.payload))


def nameless(key: ec.EllipticCurvePublicKey) -> SSlibKey:
    """The key without an identifier: cosign skips a signature whose identifier is not the one that it computes."""
    known = SSlibKey.from_crypto(key)
    return SSlibKey("", known.keytype, known.scheme, known.keyval)


def image_payload(reference: str, digest: str) -> bytes:
    """What cosign signs of an image: its name without the tag, and its digest."""
    repository = reference.partition("@")[0]
    head, slash, last = repository.rpartition("/")
    critical = {
        "identity": {"docker-reference": f"{head}{slash}{last.partition(':')[0]}"},
        "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature",
    }
    return json.dumps({"critical": critical, "optional": None}, separators=(",", ":")).encode()


def public_key(pem: str) -> ec.EllipticCurvePublicKey:
    """Read a public key.

    Raises:
        DevError: it is no ECDSA key in PEM.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except ValueError as error:
        raise DevError("the public key is no PEM file", remedy="take release.pub of the release") from error
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise DevError("the public key is no ECDSA key", remedy="take release.pub of the release")
    return key
