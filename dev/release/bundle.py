"""Everything of a release in one folder, with sums and signatures; the effects behind `python -m dev.release`."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from dev.errors import DevError
from dev.images import record
from dev.release import chart, inventory, provenance, signatures, versions
from dev.release.checks import Found
from dev.release.provenance import Builder
from dev.terminal import run, step

SUMS = "SHA256SUMS"
PUBLIC = "release.pub"
# The member that trains the embedded base is a tool of this repository: no wheel.
NOT_RELEASED = ("dev/tiny_base",)


@dataclass(frozen=True)
class Tools:
    """The programs that build."""

    uv: Path
    helm: Path


def builder(tools: Tools | None = None) -> Builder:
    """Who builds: BUILDER_ID where a build service sets it, else somebody's machine."""
    named = (
        {"uv": run([tools.uv, "--version"]).strip(), "helm": run([tools.helm, "version", "--short"]).strip()}
        if tools
        else {}
    )
    return Builder(os.environ.get("BUILDER_ID") or provenance.LOCAL_BUILDER, named)


def write(root: Path, version: str, found: Found, *, key: EllipticCurvePrivateKey, tools: Tools, folder: Path) -> None:
    """Write the whole release into an empty folder.

    The sums come last and cover every file but their own signature, so that one signature covers the release.
    """
    started = datetime.now(UTC)
    folder.mkdir(parents=True)
    with step("building the wheels", "10 s"):
        build_wheels(root, tools.uv, folder)
    with tempfile.TemporaryDirectory() as scratch:
        chart.package(tools.helm, root / chart.FOLDER, found.references, folder, scratch=Path(scratch))
    (folder / "CHANGES.md").write_text(found.entries[version].text + "\n")
    put(folder / "images.json", dict(found.references))
    lock = (root / versions.LOCK).read_text()
    for name, built in found.records.items():
        write_image(name, built, found.references[name], folder, key, lock=lock, version=version)
    subjects = {file.name: digest(file) for file in sorted(folder.iterdir()) if file.suffix in {".whl", ".tgz"}}
    pins = [versions.LOCK, "dev/images/uv.txt", "dev/images/build.txt"]
    statement = provenance.statement(
        subjects,
        build_type=provenance.RELEASE_BUILD,
        external={"version": version},
        internal={"images": dict(found.references)},
        materials=[
            provenance.source_of(
                {"origin": record.source(root).origin, "commit": found.commit, "changed": found.changed}
            ),
            *({"name": pin, "digest": {"sha256": digest(root / pin)}} for pin in pins),
        ],
        builder=builder(tools),
        started=record.stamp(started),
        finished=record.stamp(datetime.now(UTC)),
    )
    (folder / "provenance.intoto.json").write_text(signatures.sign_statement(statement, key))
    (folder / PUBLIC).write_text(signatures.public_pem(key))
    sums = "".join(f"{digest(file)}  {file.name}\n" for file in sorted(folder.iterdir()))
    (folder / SUMS).write_text(sums)
    (folder / f"{SUMS}.sig").write_text(signatures.sign_blob(sums.encode(), key))


def build_wheels(root: Path, uv: Path, folder: Path) -> None:
    """Build a wheel of each member of the product, with nothing but the pinned build programs, dated by the commit."""
    day = record.git(root, "log", "-1", "--format=%ct").strip()
    strict: list[str | Path] = [
        "--wheel",
        "--require-hashes",
        "--build-constraints",
        str(root / "dev/images/build.txt"),
    ]
    for member in versions.members(root):
        if member not in NOT_RELEASED:
            command = [uv, "build", "--quiet", *strict, "--out-dir", folder, root / member]
            run(command, env={"SOURCE_DATE_EPOCH": day}, remedy="check that the package index answers")
    (folder / ".gitignore").unlink(missing_ok=True)  # uv's


def write_image(
    name: str,
    built: Mapping[str, Any],
    reference: str,
    folder: Path,
    key: EllipticCurvePrivateKey,
    *,
    lock: str,
    version: str,
) -> None:
    """Write what a release says of one image: what it holds, where it came from, cosign's payload and signature."""
    repository, _, manifest = reference.partition("@")
    (folder / f"{name}.cdx.json").write_text(inventory.inventory(built, lock, version=version))
    (folder / f"{name}.cdx.json.sig").write_text(signatures.sign_blob((folder / f"{name}.cdx.json").read_bytes(), key))
    statement = provenance.of_image(built, {repository: manifest}, builder())
    (folder / f"{name}.intoto.json").write_text(signatures.sign_statement(statement, key))
    payload = signatures.image_payload(reference, manifest)
    (folder / f"{name}.cosign.json").write_bytes(payload)
    (folder / f"{name}.cosign.json.sig").write_text(signatures.sign_blob(payload, key))


def describe(root: Path, image: str, built: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write what an image holds and where it came from beside its record, unsigned; return both files."""
    version = versions.project(root / versions.DECIDES)["version"]
    holds, came = folder / "sbom.cdx.json", folder / "provenance.intoto.json"
    holds.write_text(inventory.inventory(built, (root / versions.LOCK).read_text(), version=version))
    subject = {f"voice-operator/{image}": built["config_digest"]}
    put(came, provenance.of_image(built, subject, builder()))
    return [holds, came]


def verify(folder: Path, public: str) -> list[str]:
    """Check a release against a public key that came another way; return the files that were checked.

    Raises:
        DevError: a signature, a sum or the list of files does not fit.
    """
    sums_file = folder / SUMS
    if not sums_file.exists():
        raise DevError(f"{folder} holds no {SUMS}", remedy="name the folder of a release")
    sums = sums_file.read_text()
    signatures.verify_blob(sums.encode(), read(folder / f"{SUMS}.sig"), public)
    listed = {name: value for value, name in (line.split("  ", 1) for line in sums.splitlines())}
    there = {file.name for file in folder.iterdir()} - {SUMS, f"{SUMS}.sig"}
    if there != set(listed):
        odd = ", ".join(sorted(there ^ set(listed)))
        raise DevError(f"the folder and {SUMS} do not name the same files: {odd}", remedy="fetch the release again")
    for name, value in listed.items():
        if digest(folder / name) != value:
            raise DevError(f"{name} is not the file that was released", remedy="fetch it again")
        if name.endswith(".sig"):
            signatures.verify_blob((folder / name.removesuffix(".sig")).read_bytes(), read(folder / name), public)
        if name.endswith(".intoto.json"):
            signatures.verify_statement(read(folder / name), public)
    return sorted(listed)


def read(file: Path) -> str:
    """The text of a file of a release.

    Raises:
        DevError: it is missing.
    """
    if not file.exists():
        raise DevError(f"{file.name} is missing", remedy="fetch the release again")
    return file.read_text()


def put(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document as JSON."""
    path.write_text(json.dumps(document, indent=1) + "\n")


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
