"""Provenance names the commit, what differed from it, and every material by its digest."""

from typing import Any

import pytest
from dev.release.provenance import Builder, of_image

BUILDER = Builder("urn:voice-operator:builder:local", {})


def materials(record: dict[str, Any]) -> dict[str, dict[str, Any]]:
    statement = of_image(record, {"r.example.com/voices/operator": f"sha256:{'1' * 64}"}, BUILDER)
    found = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    return {material.get("uri") or material["name"]: material for material in found}


def test_a_statement_has_the_fields_of_slsa_provenance(record: dict[str, Any]) -> None:
    statement = of_image(record, {"r.example.com/voices/operator": f"sha256:{'1' * 64}"}, BUILDER)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "r.example.com/voices/operator", "digest": {"sha256": "1" * 64}}]
    assert statement["predicateType"] == "https://slsa.dev/provenance/v1"
    definition, run = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert set(definition) == {"buildType", "externalParameters", "internalParameters", "resolvedDependencies"}
    assert run["builder"] == {
        "id": "urn:voice-operator:builder:local",
        "version": {"buildah": "buildah version 1.28.2"},
    }
    assert run["metadata"]["startedOn"] == "2026-11-29T10:00:00Z"


def test_a_clean_commit_is_said_to_be_clean(record: dict[str, Any]) -> None:
    assert materials(record)["git+unpublished"] == {
        "uri": "git+unpublished",
        "digest": {"gitCommit": "a" * 40},
        "annotations": {"dirty": False},
    }


def test_changed_files_are_named(record: dict[str, Any]) -> None:
    record["source"] |= {"changed": ["uv.lock"], "origin": "https://git.example.com/voices.git"}
    found = materials(record)["git+https://git.example.com/voices.git"]
    assert found["annotations"] == {"dirty": True, "changed": ["uv.lock"]}


def test_files_and_signed_lists_are_materials(record: dict[str, Any]) -> None:
    found = materials(record)
    assert found["uv.lock"]["digest"] == {"sha256": "c" * 64}
    assert found["deb:deb.debian.org_debian_dists_bookworm_InRelease"]["digest"] == {"sha256": "f" * 64}


@pytest.mark.parametrize(
    ("name", "uri", "digest", "of"),
    [
        pytest.param(
            "localhost/voice-operator/python:3.11",
            "oci:localhost/voice-operator/python:3.11",
            "e" * 64,
            "image configuration",
            id="a base made here, by its configuration",
        ),
        pytest.param(
            f"docker.io/library/python@sha256:{'7' * 64}",
            "oci:docker.io/library/python",
            "7" * 64,
            "image manifest",
            id="a base from a registry, by its manifest",
        ),
    ],
)
def test_the_base_is_a_material(record: dict[str, Any], name: str, uri: str, digest: str, of: str) -> None:
    record["base"]["name"] = name
    assert materials(record)[uri] == {"uri": uri, "digest": {"sha256": digest}, "annotations": {"digestOf": of}}


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param(
            "snapshot.debian.org_archive_debian_20261128T000000Z_dists_bookworm_InRelease", True, id="archive"
        ),
        pytest.param("deb.debian.org_debian_dists_bookworm_InRelease", False, id="mirror"),
    ],
)
def test_it_says_whether_the_wanted_day_of_debian_was_taken(record: dict[str, Any], lists: str, expected: bool) -> None:
    record["contents"]["signed_lists"] = {lists: "f" * 64}
    definition = of_image(record, {"operator": f"sha256:{'1' * 64}"}, BUILDER)["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["debianFromSnapshot"] is expected
    assert definition["externalParameters"]["debianSnapshot"] == "20261128T000000Z"
