"""Certificates that may sign content, as C2PA asks, of an authority that nobody knows."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM


def certificate(name: str, key: Any, issuer: str, issuers: Any, *, authority: bool) -> bytes:
    """One certificate in PEM; a leaf may sign content."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    made = x509.CertificateBuilder(named(issuer), named(name), key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(
        datetime(2036, 1, 1, tzinfo=UTC)
    )
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"encipher_only": False, "decipher_only": False}
    usage |= {"digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    made = made.add_extension(x509.BasicConstraints(authority, None), critical=True)
    made = made.add_extension(x509.KeyUsage(**usage), critical=True)
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuers.public_key()), critical=False)
    if not authority:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    return made.sign(issuers, hashes.SHA256()).public_bytes(PEM)


def write_pair(folder: Path, name: str = "Voices") -> None:
    root, leaf = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    chain = certificate(name, leaf, "Root", root, authority=False) + certificate(
        "Root", root, "Root", root, authority=True
    )
    folder.mkdir(exist_ok=True)
    (folder / "tls.crt").write_bytes(chain)
    form = serialization.PrivateFormat.TraditionalOpenSSL  # as cert-manager writes it unless told otherwise
    (folder / "tls.key").write_bytes(leaf.private_bytes(PEM, form, serialization.NoEncryption()))
