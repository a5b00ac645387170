"""Signed statements in files that a machine made them: C2PA manifests, where a signing key is given.

A manifest is bound to the bytes of its file, so a file must be whole before it can be signed. The library is
c2pa-python (https://github.com/contentauth/c2pa-python), which is imported only where a key is given or a file is
examined: its shared library has 23 MB.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from voice_inference.engine.audio import Samples
from voice_inference.engine.encoding import FORMATS, Encoder, open_encoder
from voice_inference.errors import InvalidSettings, SynthesisFailed

SignedFormat = Literal["wav", "flac", "mp3"]
SIGNED: Final = ("wav", "flac", "mp3")  # of our formats, those that the library can sign
CERTIFICATES, KEY = "tls.crt", "tls.key"  # as cert-manager writes them
MADE_BY_A_MODEL: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
_CURVES: Final = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}


class Signer:
    """A folder with a certificate chain and its key; both are read for each file, so a renewed one needs no restart."""

    def __init__(self, folder: Path) -> None:
        """Check the pair by signing something.

        Raises:
            InvalidSettings: it cannot be used, or the library is not installed.
        """
        self._folder = folder
        try:
            self.sign(_silence(), "wav", title="")
        except ImportError as error:
            raise InvalidSettings("VOICE_C2PA needs voice-inference[provenance]; install it, or unset it") from error
        except SynthesisFailed as error:
            raise InvalidSettings(f"VOICE_C2PA={folder}: {error}") from error

    def sign(self, file: bytes, form: str, *, title: str) -> bytes:
        """Return the file with a manifest in it.

        Raises:
            SynthesisFailed: the pair in the folder cannot be used, so no file leaves without a manifest.
        """
        import c2pa  # noqa: PLC0415 -- half a second, and only here

        manifest = {
            "claim_generator_info": [{"name": "voice-inference", "version": version("voice-inference")}],
            "title": title,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [_ACTION]}}],
        }
        made = io.BytesIO()
        try:
            algorithm, chain, key = _read_pair(self._folder)
            info = c2pa.C2paSignerInfo(algorithm.encode(), chain, key, None)
            with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(manifest)) as builder:
                builder.sign(signer, FORMATS[form].media_type, io.BytesIO(file), made)
        except (OSError, ValueError, UnsupportedAlgorithm, c2pa.C2paError) as error:
            raise SynthesisFailed(f"the file cannot be signed: {error}; {CERTIFICATES} and {KEY} must fit") from error
        return made.getvalue()


_ACTION: Final = {"action": "c2pa.created", "digitalSourceType": MADE_BY_A_MODEL}


@dataclass
class SigningEncoder:
    """Keeps what an encoder makes until the file is whole, and signs it."""

    encoder: Encoder
    signer: Signer
    form: str
    title: str

    def __post_init__(self) -> None:
        self._made = bytearray()

    def feed(self, samples: Samples) -> bytes:
        """Encode samples; nothing is given away yet."""
        self._made += self.encoder.feed(samples)
        return b""

    def finish(self) -> bytes:
        """Return the signed file."""
        self._made += self.encoder.finish()
        return self.signer.sign(bytes(self._made), self.form, title=self.title)


def statement_of(path: Path) -> dict[str, Any] | None:
    """Return what a file's manifest says, whoever signed it; None: it has none.

    Its ``validation`` is the library's word: Valid where the bytes are those that were signed, Trusted where the signer
    is also one of the authorities that the library knows.

    Raises:
        ValueError: the library cannot read the file.
    """
    import c2pa  # noqa: PLC0415 -- as above

    media_type = {f".{name}": FORMATS[name].media_type for name in SIGNED}.get(path.suffix.lower())
    if media_type is None:
        return None
    try:
        with path.open("rb") as file, c2pa.Reader(media_type, file) as reader:
            document = json.loads(reader.json())
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        raise ValueError(f"its C2PA manifest cannot be read: {error}") from error
    manifest = document["manifests"][document["active_manifest"]]
    actions = [
        action
        for assertion in manifest.get("assertions", ())
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]
    signature = manifest.get("signature_info", {})
    return {
        "validation": document.get("validation_state", "Invalid"),
        "problems": [one["code"] for one in document.get("validation_status", ())],
        "signer": signature.get("common_name", ""),
        "issuer": signature.get("issuer", ""),
        "sources": [action["digitalSourceType"] for action in actions if "digitalSourceType" in action],
    }


def _read_pair(folder: Path) -> tuple[str, bytes, bytes]:
    """Return the algorithm, the chain and the key in PKCS#8, both in PEM."""
    chain, data = (folder / CERTIFICATES).read_bytes(), (folder / KEY).read_bytes()
    key = serialization.load_pem_private_key(data, password=None)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        algorithm = _CURVES[key.curve.name]
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = "ed25519"
    elif isinstance(key, rsa.RSAPrivateKey):
        algorithm = "ps256"
    else:
        raise ValueError(f"{KEY} is of a kind that C2PA has no signatures for; take ECDSA P-256, Ed25519 or RSA")
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return algorithm, chain, key.private_bytes(encoding, form, serialization.NoEncryption())


def _silence() -> bytes:
    encoder = open_encoder("wav", 32_000)
    return encoder.feed(np.zeros(320, dtype=np.float32)) + encoder.finish()
