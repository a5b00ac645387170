"""A version is released when everything fits, and refused with one sentence for each thing that does not."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dev.release import changelog, versions
from dev.release.checks import Found, problems

REPOSITORY = Path(__file__).resolve().parents[2]
NAMES = ("operator", "trainer", "inference")


@pytest.fixture
def fitting(record: dict[str, Any]) -> Found:
    return Found(
        declared={"pyproject.toml": "0.2.0", "Chart.yaml version": "0.2.0"},
        entries={"0.2.0": changelog.Entry("0.2.0", "2026-11-29", "- Voices speak.")},
        commit=record["source"]["commit"],
        changed=(),
        tags=("v0.1.0",),
        records={name: record | {"image": name} for name in NAMES},
        current_tags=dict.fromkeys(NAMES, record["tag"]),
        references={name: f"r.example.com/voices/{name}@sha256:{'1' * 64}" for name in NAMES},
    )


def changed_record(found: Found, name: str, **change: Any) -> Found:
    records = copy.deepcopy(dict(found.records))
    records[name] |= change
    return replace(found, records=records)


def test_what_fits_is_released(fitting: Found) -> None:
    assert problems("0.2.0", fitting) == []


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "1.0.0-rc1", "", "01.0.0"])
def test_a_version_has_three_numbers(fitting: Found, version: str) -> None:
    assert problems(version, fitting) == [f"VERSION={version!r} is no version; write it as 1.2.3"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param(
            {"declared": {"pyproject.toml": "0.2.0", "Chart.yaml version": "0.1.0"}},
            "not every place says 0.2.0 (Chart.yaml version: 0.1.0); run `make version VERSION=0.2.0`",
            id="a place that says another version",
        ),
        pytest.param({"entries": {}}, "CHANGELOG.md has no entry for 0.2.0", id="no entry"),
        pytest.param(
            {"entries": {"0.2.0": changelog.Entry("0.2.0", "", "- x")}}, "gives no day for 0.2.0", id="no day"
        ),
        pytest.param(
            {"entries": {"0.2.0": changelog.Entry("0.2.0", "2026-11-29", "")}},
            "says nothing below 0.2.0",
            id="an empty entry",
        ),
        pytest.param(
            {"changed": ("a", "b", "c", "d", "e", "f", "g")},
            "the work tree differs from its commit (a, b, c, d, e and 2 more); commit or remove these",
            id="a dirty tree",
        ),
        pytest.param({"tags": ("v0.2.0",)}, "the tag v0.2.0 exists; versions are never released twice", id="a tag"),
    ],
)
def test_what_does_not_fit_is_said(fitting: Found, change: dict[str, Any], sentence: str) -> None:
    found = problems("0.2.0", replace(fitting, **change))
    assert len(found) == 1
    assert sentence in found[0]


def test_a_folder_without_git_is_refused(fitting: Found) -> None:
    assert problems("0.2.0", replace(fitting, commit=""))[0].startswith("this folder is no git work tree")


def test_an_image_that_was_not_built_is_named(fitting: Found) -> None:
    found = replace(fitting, records={name: fitting.records[name] for name in ("operator", "inference")})
    assert [sentence.partition(";")[0] for sentence in problems("0.2.0", found)] == [
        "the image trainer was not built here from these files"
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        pytest.param({"tag": "dev-0"}, "the image trainer (dev-0) was built from other files", id="other files"),
        pytest.param(
            {"source": {"commit": "b" * 40, "changed": [], "origin": ""}},
            "the image trainer was built at bbbbbbbbbbbb without changes, not at aaaaaaaaaaaa",
            id="another commit",
        ),
        pytest.param(
            {"source": {"commit": "a" * 40, "changed": ["uv.lock"], "origin": ""}},
            "the image trainer was built at aaaaaaaaaaaa with changes",
            id="uncommitted files",
        ),
        pytest.param(
            {"base": {"name": "docker.io/library/python:3.11-slim-bookworm", "config_digest": "sha256:1"}},
            "the base of trainer, docker.io/library/python:3.11-slim-bookworm, is named by a tag",
            id="a base by tag",
        ),
    ],
)
def test_an_image_that_does_not_fit_is_named(fitting: Found, change: dict[str, Any], sentence: str) -> None:
    found = problems("0.2.0", changed_record(fitting, "trainer", **change))
    assert len(found) == 1
    assert sentence in found[0]


def test_a_base_by_digest_needs_no_lists(fitting: Found) -> None:
    name = f"docker.io/library/python@sha256:{'7' * 64}"
    contents = dict(fitting.records["trainer"]["contents"]) | {"signed_lists": {}}
    base = {"name": name, "config_digest": "sha256:1"}
    assert problems("0.2.0", changed_record(fitting, "trainer", base=base, contents=contents)) == []


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        pytest.param("", "no registry has the image operator yet", id="not pushed"),
        pytest.param("r.example.com/voices/operator:1", "names operator by no digest", id="a tag"),
        pytest.param("r.example.com/voices/operator@sha256:12", "names operator by no digest", id="a short digest"),
        pytest.param(f"@sha256:{'1' * 64}", "names operator by no digest", id="no repository"),
    ],
)
def test_an_image_is_named_by_digest(fitting: Found, reference: str, sentence: str) -> None:
    found = problems("0.2.0", replace(fitting, references=dict(fitting.references) | {"operator": reference}))
    assert len(found) == 1
    assert sentence in found[0]


def test_all_problems_are_said_at_once(fitting: Found) -> None:
    assert len(problems("0.2.0", replace(fitting, tags=("v0.2.0",), changed=("x",), entries={}))) == 3


def test_this_repository_says_one_version_everywhere() -> None:
    declared = versions.declared(REPOSITORY)
    assert len(declared) >= 16  # the workspace, six members, the chart's two lines, __version__, the lock's entries
    assert len(set(declared.values())) == 1, declared


def test_this_repository_tells_what_changed() -> None:
    found = changelog.entries((REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert next(iter(found)) == "Unreleased"
    assert found["Unreleased"].text
    version = versions.declared(REPOSITORY)["pyproject.toml"]
    assert version in found or len(found) == 1  # nothing was released yet


def test_entries_of_a_changelog() -> None:
    text = "# Changes\n\n## [Unreleased]\n\n## [0.2.0] - 2026-11-29\n\n### Added\n\n- x\n\n## [0.1.0]\n- y\n"
    assert changelog.entries(text) == {
        "Unreleased": changelog.Entry("Unreleased", "", ""),
        "0.2.0": changelog.Entry("0.2.0", "2026-11-29", "### Added\n\n- x"),
        "0.1.0": changelog.Entry("0.1.0", "", "- y"),
    }
