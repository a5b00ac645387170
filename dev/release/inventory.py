"""The list of what an image holds (SBOM), as a CycloneDX 1.6 document.

Licences are what the packages say of themselves. A Python package's digest is that of the wheel or source that the lock
file pins; the wheel is found by the tags that the installed package keeps.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL
from packaging.utils import canonicalize_name, parse_wheel_filename

LONGEST_LICENSE = 100
"""A longer text is the licence itself, not its name."""
Archive = Mapping[str, Any]


def inventory(record: Mapping[str, Any], lock: str, *, version: str) -> str:
    """Return the CycloneDX document of an image, the same for the same record.

    Args:
        record: what `dev.images` wrote down when it built the image.
        lock: the text of the uv.lock that it was built from.
        version: our own version, which the image carries.
    """
    name, digest = f"voice-{record['image']}", record["config_digest"]
    image = Component(
        name=name,
        version=version,
        type=ComponentType.CONTAINER,
        bom_ref=f"{name}@{version}",
        hashes=[sha256(digest.removeprefix("sha256:"))],
        properties=[
            Property(name="voice-operator:tag", value=record["tag"]),
            Property(name="voice-operator:commit", value=record["source"]["commit"] or "unknown"),
        ],
    )
    bom = Bom(
        serial_number=uuid5(NAMESPACE_URL, f"{name}@{digest}"),
        components=[*python_components(record["contents"]["python"], lock), *debian_components(record["contents"])],
    )
    bom.metadata.component = image
    bom.metadata.timestamp = datetime.fromisoformat(record["finished"])
    bom.register_dependency(image, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def python_components(packages: Iterable[Mapping[str, Any]], lock: str) -> list[Component]:
    """One component for each Python package; ours are named by their version alone."""
    # The lock file may hold a package in two versions, each for other versions of Python.
    locked = {(canonicalize_name(each["name"]), each["version"]): each for each in locked_packages(lock)}
    return [
        python_component(package, locked.get((canonicalize_name(package["name"]), package["version"])))
        for package in packages
    ]


def locked_packages(lock: str) -> list[Mapping[str, Any]]:
    """The packages of a lock file that have a version."""
    return [package for package in tomllib.loads(lock)["package"] if "version" in package]


def python_component(package: Mapping[str, Any], locked: Mapping[str, Any] | None) -> Component:
    """One Python package, with the archive it was installed from where the lock file knows it."""
    name, version = canonicalize_name(package["name"]), package["version"]
    archive = archive_of(package, locked) if locked else None
    purl = PackageURL(type="pypi", name=name, version=version)
    component = Component(name=name, version=version, bom_ref=str(purl), purl=purl, licenses=licenses(package))
    if archive:
        hashes = [sha256(archive["hash"].removeprefix("sha256:"))]
        where = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(archive["url"]), hashes=hashes)
        component.hashes.update(hashes)
        component.external_references.add(where)
    elif locked and "registry" not in locked["source"]:
        component.properties.add(Property(name="voice-operator:source", value="this repository"))
    return component


def archive_of(package: Mapping[str, Any], locked: Mapping[str, Any]) -> Archive | None:
    """The wheel with the tags of the installed package; the source where no wheel has them."""
    tags = set(package["tags"])
    for wheel in locked.get("wheels", ()):
        named = parse_wheel_filename(wheel["url"].rpartition("/")[2])[3]
        if tags & {str(tag) for tag in named}:
            return dict(wheel)
    return locked.get("sdist")


def licenses(package: Mapping[str, Any]) -> list[License]:
    """What the package says of its licence: an SPDX expression, a name, else its classifiers."""
    make = LicenseFactory()
    said = package["license_expression"] or package["license"]
    if said and said != "UNKNOWN" and len(said) <= LONGEST_LICENSE and "\n" not in said:
        return [make.make_from_string(said, license_acknowledgement=LicenseAcknowledgement.DECLARED)]
    return [make.make_with_name(text.rpartition(" :: ")[2]) for text in package["license_classifiers"]]


def debian_components(contents: Mapping[str, Any]) -> list[Component]:
    """One component for each Debian package."""
    system = contents["distribution"]
    return [debian_component(package, f"{system['id']}-{system['version_id']}") for package in contents["debian"]]


def debian_component(package: Mapping[str, str], distribution: str) -> Component:
    """One Debian package; advisories name the source package, so it stands beside."""
    qualifiers = {"arch": package["architecture"], "distro": distribution}
    purl = PackageURL(
        type="deb", namespace="debian", name=package["name"], version=package["version"], qualifiers=qualifiers
    )
    source = f"{package['source']} {package['source_version']}"
    return Component(
        name=package["name"],
        version=package["version"],
        bom_ref=str(purl),
        purl=purl,
        properties=[Property(name="voice-operator:debian-source", value=source)],
    )


def sha256(value: str) -> HashType:
    """A digest in CycloneDX' words."""
    return HashType(alg=HashAlgorithm.SHA_256, content=value)
