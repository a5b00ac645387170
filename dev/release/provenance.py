"""Where an artifact came from, as an in-toto statement with SLSA's provenance predicate, version 1. Pure.

It says what a build here knows: commit, changed files, parameters, materials by digest. A build on a person's machine
is SLSA level 1 at most; BUILDER_ID names a build service that deserves more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://slsa.dev/provenance/v1"
IMAGE_BUILD = "urn:voice-operator:image-build:1"
RELEASE_BUILD = "urn:voice-operator:release-build:1"
LOCAL_BUILDER = "urn:voice-operator:builder:local"
Document = dict[str, Any]


@dataclass(frozen=True)
class Builder:
    """Who built: its identity, and the versions of the programs that did."""

    identity: str
    versions: Mapping[str, str]


def of_image(record: Mapping[str, Any], subject: Mapping[str, str], builder: Builder) -> Document:
    """The statement about one image.

    Args:
        record: what `dev.images` wrote down when it built the image.
        subject: name to `sha256:...`: the image by its manifest in a registry, by its configuration before a push.
        builder: who built it.
    """
    contents = record["contents"]
    materials = [source_of(record["source"]), base_of(record["base"])]
    materials += [{"name": path, "digest": {"sha256": value}} for path, value in sorted(record["files"].items())]
    materials += [
        {"uri": f"deb:{name}", "digest": {"sha256": value}, "annotations": {"digestOf": "signed list of packages"}}
        for name, value in sorted(contents["signed_lists"].items())
    ]
    parameters = {"dockerfile": f"Dockerfile.{record['image']}", "pythonImage": record["base"]["name"]}
    parameters["debianSnapshot"] = record["debian_snapshot"]
    taken = any("snapshot.debian.org" in name for name in contents["signed_lists"])
    return statement(
        subject,
        build_type=IMAGE_BUILD,
        external=parameters,
        internal={"debianFromSnapshot": taken, "tag": record["tag"]},
        materials=materials,
        builder=Builder(builder.identity, {**builder.versions, "buildah": record["builder"]}),
        started=record["started"],
        finished=record["finished"],
    )


def statement(
    subject: Mapping[str, str],
    *,
    build_type: str,
    external: Mapping[str, Any],
    internal: Mapping[str, Any],
    materials: list[Document],
    builder: Builder,
    started: str,
    finished: str,
) -> Document:
    """Any statement of provenance; times are RFC 3339."""
    named = "\n".join(f"{name} {digest}" for name, digest in sorted(subject.items()))
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": hex_of(digest)}} for name, digest in sorted(subject.items())],
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": build_type,
                "externalParameters": dict(external),
                "internalParameters": dict(internal),
                "resolvedDependencies": materials,
            },
            "runDetails": {
                "builder": {"id": builder.identity, "version": dict(builder.versions)},
                "metadata": {
                    "invocationId": f"sha256:{hashlib.sha256(f'{named}{started}'.encode()).hexdigest()}",
                    "startedOn": started,
                    "finishedOn": finished,
                },
            },
        },
    }


def source_of(source: Mapping[str, Any]) -> Document:
    """The repository as a material; files that differ from the commit are named: its digest does not cover them."""
    changed = list(source["changed"])
    return {
        "uri": f"git+{source['origin']}" if source["origin"] else "git+unpublished",
        "digest": {"gitCommit": source["commit"]},
        "annotations": {"dirty": bool(changed), **({"changed": changed} if changed else {})},
    }


def base_of(base: Mapping[str, str]) -> Document:
    """The base image as a material: by the digest in its name, else by that of its configuration."""
    name, _, manifest = base["name"].partition("@")
    what = {"digestOf": "image manifest" if manifest else "image configuration"}
    digest = {"sha256": hex_of(manifest or base["config_digest"])}
    return {"uri": f"oci:{name}", "digest": digest, "annotations": what}


def hex_of(digest: str) -> str:
    """The hexadecimal part of `sha256:...`."""
    return digest.removeprefix("sha256:")
