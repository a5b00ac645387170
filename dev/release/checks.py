"""What keeps a version from being released, one sentence each. Pure: the caller has read the repository."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dev.images.recipes import RECIPES
from dev.release.changelog import Entry
from dev.release.versions import DECIDES, SEMANTIC

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
SHOWN = 5


@dataclass(frozen=True)
class Found:
    """Everything that decides whether a version can be released."""

    declared: Mapping[str, str]
    entries: Mapping[str, Entry]
    commit: str
    changed: Sequence[str]
    tags: Sequence[str]
    records: Mapping[str, Mapping[str, Any]]
    """Image name to what was written down when it was built; those that are missing were not built."""
    current_tags: Mapping[str, str]
    """Image name to the tag that today's files would have."""
    references: Mapping[str, str]
    """Image name to `repository@sha256:...`, as the registry has it."""


def problems(version: str, found: Found) -> list[str]:
    """Every sentence that applies; an empty list means that the version can be released."""
    if not SEMANTIC.fullmatch(version):
        return [f"VERSION={version!r} is no version; write it as 1.2.3"]
    return [
        *version_problems(version, found.declared),
        *changelog_problems(version, found.entries),
        *repository_problems(version, found),
        *(sentence for name in RECIPES for sentence in image_problems(name, found)),
    ]


def version_problems(version: str, declared: Mapping[str, str]) -> list[str]:
    """One sentence for all places that say something else."""
    others = {place: said for place, said in declared.items() if said != version}
    if not others:
        return []
    listed = ", ".join(f"{place}: {said}" for place, said in others.items())
    return [f"not every place says {version} ({listed}); run `make version VERSION={version}`, which follows {DECIDES}"]


def changelog_problems(version: str, entries: Mapping[str, Entry]) -> list[str]:
    """What is missing in CHANGELOG.md."""
    entry = entries.get(version)
    if entry is None:
        return [f"CHANGELOG.md has no entry for {version}; head one with `## [{version}] - ` and the day"]
    if not entry.day:
        return [f"CHANGELOG.md gives no day for {version}; write `## [{version}] - ` and the day, as 2026-11-29"]
    return [] if entry.text else [f"CHANGELOG.md says nothing below {version}; say what changed for users"]


def repository_problems(version: str, found: Found) -> list[str]:
    """What is wrong with the work tree and its tags."""
    sentences = []
    if not found.commit:
        sentences.append("this folder is no git work tree with a commit; release from a clone")
    if found.changed:
        more = f" and {len(found.changed) - SHOWN} more" if len(found.changed) > SHOWN else ""
        listed = ", ".join(found.changed[:SHOWN])
        sentences.append(f"the work tree differs from its commit ({listed}{more}); commit or remove these")
    if f"v{version}" in found.tags:
        sentences.append(f"the tag v{version} exists; versions are never released twice: choose the next one")
    return sentences


def image_problems(name: str, found: Found) -> list[str]:
    """What is wrong with one image."""
    record = found.records.get(name)
    push = f"export CLUSTER=existing IMAGE_REGISTRY=registry.example.com/voices, then `make images` ({name})"
    if record is None:
        return [f"the image {name} was not built here from these files; {push}"]
    sentences = []
    if record["tag"] != found.current_tags[name]:
        sentences.append(f"the image {name} ({record['tag']}) was built from other files than today's; {push}")
    if record["source"]["changed"] or record["source"]["commit"] != found.commit:
        built = record["source"]["commit"][:12] or "no commit"
        state = "with changes" if record["source"]["changed"] else "without changes"
        sentences.append(f"the image {name} was built at {built} {state}, not at {found.commit[:12]}; {push}")
    reference = found.references.get(name, "")
    if not reference:
        return [*sentences, f"no registry has the image {name} yet; {push}"]
    repository, _, digest = reference.partition("@")
    if not repository or not DIGEST.fullmatch(digest):
        sentences.append(
            f"{reference!r} names {name} by no digest; write it as registry.example.com/voices/{name}@sha256:..."
        )
    return [*sentences, *base_problems(name, record)]


def base_problems(name: str, record: Mapping[str, Any]) -> list[str]:
    """A base is named by digest, or it was made from Debian's signed lists, which the image names by digest."""
    base = record["base"]["name"]
    if "@sha256:" in base or (base.startswith("localhost/") and record["contents"]["signed_lists"]):
        return []
    return [f"the base of {name}, {base}, is named by a tag; set PYTHON_IMAGE to `...@sha256:...` and build again"]
