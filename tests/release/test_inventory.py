"""The list of what an image holds is valid CycloneDX, and names what was really installed."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from dev.release.inventory import archive_of, inventory, licenses

REPOSITORY = Path(__file__).resolve().parents[2]
LOCK = (REPOSITORY / "uv.lock").read_text(encoding="utf-8")


@pytest.fixture
def document(record: dict[str, Any]) -> dict[str, Any]:
    return json.loads(inventory(record, LOCK, version="0.1.0"))


def test_the_library_finds_it_valid(record: dict[str, Any]) -> None:
    record["contents"]["python"] = record["contents"]["python"][::15]  # the validator takes its time for each
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(inventory(record, LOCK, version="0.1.0")) is None


def test_the_library_would_find_a_mistake(document: dict[str, Any]) -> None:
    document["components"][0]["hashes"] = [{"alg": "SHA-256", "content": "no digest"}]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document)) is not None


def test_the_same_record_makes_the_same_document(record: dict[str, Any]) -> None:
    assert inventory(record, LOCK, version="0.1.0") == inventory(record, LOCK, version="0.1.0")


def test_a_python_package_has_the_hash_and_address_that_the_lock_pins(document: dict[str, Any]) -> None:
    locked = {package["name"]: package for package in tomllib.loads(LOCK)["package"]}
    found = {component["name"]: component for component in document["components"]}
    for name in ("kopf", "aiohttp", "pesq"):
        archives = [*locked[name].get("wheels", []), locked[name]["sdist"]]
        pinned = {archive["hash"].removeprefix("sha256:"): archive["url"] for archive in archives}
        assert pinned[found[name]["hashes"][0]["content"]] == found[name]["externalReferences"][0]["url"]
        assert found[name]["purl"] == f"pkg:pypi/{name}@{locked[name]['version']}"


def test_almost_every_package_of_the_lock_has_a_licence_and_a_hash(document: dict[str, Any]) -> None:
    locked = {package["name"] for package in tomllib.loads(LOCK)["package"] if "registry" in package["source"]}
    python = [
        each for each in document["components"] if each["purl"].startswith("pkg:pypi/") and each["name"] in locked
    ]
    lacking = {each["name"] for each in python if "licenses" not in each}
    assert lacking <= {"axe-playwright-python", "cuda-toolkit", "tojyutping"}  # these say nothing of their licence
    assert [each["name"] for each in python if "hashes" not in each] == []


def test_our_own_packages_are_named_by_their_version(document: dict[str, Any]) -> None:
    assert document["metadata"]["component"]["name"] == "voice-operator"
    assert document["metadata"]["component"]["version"] == "0.1.0"
    own = next(each for each in document["components"] if each["name"] == "voice-store")
    assert own["properties"] == [{"name": "voice-operator:source", "value": "this repository"}]


def test_a_debian_package_is_named_with_its_source(record: dict[str, Any]) -> None:
    record["contents"]["distribution"] = {"id": "debian", "version_id": "12", "version_codename": "bookworm"}
    record["contents"]["debian"] = [
        {"name": "libavcodec59", "version": "7:5.1.7-0+deb12u1", "architecture": "amd64"}
        | {"source": "ffmpeg", "source_version": "7:5.1.7-0+deb12u1"}
    ]
    written = json.loads(inventory(record, LOCK, version="0.1.0"))["components"]
    found = next(each for each in written if each["name"] == "libavcodec59")
    assert found["purl"] == "pkg:deb/debian/libavcodec59@7:5.1.7-0%2Bdeb12u1?arch=amd64&distro=debian-12"
    assert found["properties"] == [{"name": "voice-operator:debian-source", "value": "ffmpeg 7:5.1.7-0+deb12u1"}]


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        pytest.param(["cp311-cp311-manylinux_2_28_x86_64"], "b", id="the wheel with the installed tags"),
        pytest.param(["cp311-cp311-linux_x86_64"], "s", id="built here: the source"),
    ],
)
def test_the_archive_that_was_installed(tags: list[str], expected: str) -> None:
    locked = {
        "wheels": [
            {"url": "https://x/p-1-cp312-cp312-manylinux_2_28_x86_64.whl", "hash": "a"},
            {"url": "https://x/p-1-cp311-cp311-manylinux_2_17_x86_64.manylinux_2_28_x86_64.whl", "hash": "b"},
        ],
        "sdist": {"url": "https://x/p-1.tar.gz", "hash": "s"},
    }
    assert archive_of({"tags": tags}, locked)["hash"] == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({"license_expression": "Apache-2.0 AND MIT"}, ["Apache-2.0 AND MIT"], id="an SPDX expression"),
        pytest.param({"license": "BSD 3-Clause License"}, ["BSD 3-Clause License"], id="a name"),
        pytest.param(
            {"license": "x" * 400, "license_classifiers": ["License :: OSI Approved :: BSD License"]},
            ["BSD License"],
            id="a text as long as a licence gives way to classifiers",
        ),
        pytest.param({}, [], id="nothing is made up"),
    ],
)
def test_licences_are_what_the_package_says(said: dict[str, Any], expected: list[str]) -> None:
    package = {"license_expression": "", "license": "", "license_classifiers": []} | said
    found = licenses(package)
    assert [getattr(each, "value", None) or getattr(each, "id", None) or each.name for each in found] == expected
