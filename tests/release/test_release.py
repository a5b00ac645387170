"""A release, made from a clone of this repository with given image digests: what it holds, and what stops it."""

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from dev import builds
from dev.errors import DevError
from dev.images.recipes import RECIPES
from dev.paths import cache
from dev.release import bundle, chart, signatures

REPOSITORY = Path(__file__).resolve().parents[2]
VERSION = "9.8.7"
REFERENCES = {name: f"r.example.com/voices/{name}@sha256:{str(number) * 64}" for number, name in enumerate(RECIPES, 1)}
PARTS = ("dev", "charts", "operator", "store", "cli", "sovits_core", "trainer", "inference")
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", "-C", folder, *who, *arguments], check=True, capture_output=True, text=True).stdout


def python(folder: Path, code: str) -> str:
    """Run code as a clone's own, with the packages of this environment."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True).stdout


@dataclass(frozen=True)
class Clone:
    """A repository of its own that is ready for a release, and the files that stand in for built images."""

    folder: Path
    records: Path
    images: Path
    key: Path

    def release(self, *flags: str | Path, version: str = VERSION) -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [sys.executable, "-m", "dev.release", "make", version, "--records", self.records]
        return subprocess.run(
            [*command, "--images", self.images, *flags],
            cwd=self.folder,
            env=os.environ | {"PYTHONPATH": str(self.folder), "UV": str(uv())},
            check=False,
            capture_output=True,
            text=True,
        )

    @property
    def made(self) -> Path:
        return self.folder / "out" / "release" / VERSION


def uv() -> Path:
    version = re.search(r"^UV_VERSION := (\S+)$", MAKEFILE, re.MULTILINE)[1]
    return cache() / f"uv-{version}" / "bin" / "uv"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, installed: dict[str, Any]) -> Clone:
    if not uv().exists():
        pytest.skip(f"{uv()} is missing; `make setup` installs it")
    folder = tmp_path_factory.mktemp("release") / "voice-operator"
    folder.mkdir()
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=REPOSITORY,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        # The embedded base is 25 MB, and no part of a release looks at it.
        if (name.partition("/")[0] in PARTS and "/bases/" not in name) or "/" not in name:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            if (REPOSITORY / name).is_file():
                shutil.copy(REPOSITORY / name, folder / name)
    python(
        folder, f"from dev.release import versions; from pathlib import Path; versions.write(Path('.'), '{VERSION}')"
    )
    lock = (folder / "uv.lock").read_text()
    (folder / "uv.lock").write_text(
        re.sub(r'(?m)^version = ".*"(\nsource = \{ (?:editable|virtual))', rf'version = "{VERSION}"\1', lock)
    )
    text = (folder / "CHANGELOG.md").read_text(encoding="utf-8")
    entry = f"## [{VERSION}] - 2026-11-29\n\n### Added\n\n- Voices speak.\n\n"
    (folder / "CHANGELOG.md").write_text(text.replace("## [", f"{entry}## [", 1))
    git(folder, "init", "--quiet", "--initial-branch", "main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "release")
    outside = folder.parent
    for name in RECIPES:
        tag = python(folder, f"from dev.images.recipes import RECIPES; print(RECIPES['{name}'].read().tag)").strip()
        built = {
            "image": name,
            "tag": tag,
            "config_digest": f"sha256:{'b' * 64}",
            "started": "2026-11-29T10:00:00Z",
            "finished": "2026-11-29T10:01:00Z",
            "source": {"commit": git(folder, "rev-parse", "HEAD").strip(), "changed": [], "origin": ""},
            "files": {"uv.lock": "c" * 64},
            "base": {"name": "localhost/voice-operator/python:3.11", "config_digest": f"sha256:{'e' * 64}"},
            "debian_snapshot": "20261128T000000Z",
            "builder": "buildah version 1.28.2",
            "contents": installed | {"signed_lists": {"deb.debian.org_InRelease": "f" * 64}},
        }
        (outside / "records").mkdir(exist_ok=True)
        (outside / "records" / f"{name}.json").write_text(json.dumps(built))
    (outside / "images.json").write_text(json.dumps(REFERENCES))
    key = outside / "release.key"
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    subprocess.run(["openssl", "genpkey", *curve, "-out", key], check=True, capture_output=True)
    key.chmod(0o600)
    return Clone(folder, outside / "records", outside / "images.json", key)


@pytest.fixture(scope="module")
def released(clone: Clone) -> Path:
    """The folder of a release that was tried out with the test's key."""
    builds.build("helm")  # where it was never built, here and not inside a time limit
    done = clone.release("--dry-run", "--key", clone.key)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(clone.made)
    return clone.made


@pytest.fixture(scope="module")
def public(clone: Clone) -> str:
    return signatures.public_pem(signatures.read_key(clone.key))


def test_a_release_holds_wheels_chart_lists_and_provenance(released: Path) -> None:
    members = ("voice_operator", "voice_trainer", "voice_inference", "voice_store", "voice_cli", "sovits_core")
    per_image = [f"{name}.{end}" for name in RECIPES for end in ("cdx.json", "cdx.json.sig", "intoto.json")]
    per_image += [f"{name}.{end}" for name in RECIPES for end in ("cosign.json", "cosign.json.sig")]
    assert sorted(file.name for file in released.iterdir()) == sorted(
        [
            *(f"{member}-{VERSION}-py3-none-any.whl" for member in members),
            *per_image,
            f"voice-operator-{VERSION}.tgz",
            *("CHANGES.md", "images.json", "provenance.intoto.json", "release.pub", "SHA256SUMS", "SHA256SUMS.sig"),
        ]
    )
    assert (released / "CHANGES.md").read_text() == "### Added\n\n- Voices speak.\n"


def test_a_wheel_is_of_the_version(released: Path) -> None:
    with zipfile.ZipFile(released / f"voice_store-{VERSION}-py3-none-any.whl") as wheel:
        metadata = wheel.read(f"voice_store-{VERSION}.dist-info/METADATA").decode()
    assert f"\nVersion: {VERSION}\n" in metadata


def test_the_chart_names_the_images_by_digest(released: Path, tmp_path: Path) -> None:
    archive = released / f"voice-operator-{VERSION}.tgz"
    with tarfile.open(archive) as files:
        about = yaml.safe_load(files.extractfile("voice-operator/Chart.yaml"))
        values = files.extractfile("voice-operator/values.yaml").read().decode()
    assert (about["version"], about["appVersion"]) == (VERSION, VERSION)
    assert "# -- " in values
    flags = ["--set", "storage.existingSecret=keys", "--kube-version", "v1.34.4"]
    homes = {f"HELM_{kind}_HOME": str(tmp_path / kind) for kind in ("CACHE", "CONFIG", "DATA")}
    rendered = subprocess.run(
        [builds.build("helm"), "template", "voice-operator", archive, *flags],
        env=os.environ | homes,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {name for name, reference in REFERENCES.items() if reference in rendered} == set(RECIPES)


def test_everything_is_verified_with_the_public_key(released: Path, public: str) -> None:
    assert len(bundle.verify(released, public)) == len(list(released.iterdir())) - 2
    with pytest.raises(DevError, match="does not fit"):
        bundle.verify(released, signatures.public_pem(signatures.new_key()))


def test_openssl_and_sha256sum_verify_it_too(released: Path) -> None:
    script = "base64 -d SHA256SUMS.sig | openssl dgst -sha256 -verify release.pub -signature /dev/stdin SHA256SUMS"
    subprocess.run(["sh", "-ec", f"{script}; sha256sum --check --quiet SHA256SUMS"], cwd=released, check=True)


def changed(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        pytest.param(f"voice-operator-{VERSION}.tgz", "is not the file that was released", id="the chart"),
        pytest.param("operator.cdx.json", "is not the file that was released", id="a list of contents"),
        pytest.param("operator.intoto.json", "is not the file that was released", id="provenance"),
        pytest.param("SHA256SUMS", "does not fit", id="the sums"),
    ],
)
def test_a_changed_file_is_noticed(released: Path, public: str, tmp_path: Path, name: str, sentence: str) -> None:
    copy = shutil.copytree(released, tmp_path / "copy")
    changed(copy, name)
    with pytest.raises(DevError, match=sentence):
        bundle.verify(copy, public)


def test_an_added_or_missing_file_is_noticed(released: Path, public: str, tmp_path: Path) -> None:
    copy = shutil.copytree(released, tmp_path / "copy")
    (copy / "more.whl").touch()
    with pytest.raises(DevError, match=r"do not name the same files: more\.whl"):
        bundle.verify(copy, public)


def test_provenance_names_image_commit_and_builder(released: Path, public: str, clone: Clone) -> None:
    statement = signatures.verify_statement((released / "trainer.intoto.json").read_text(), public)
    assert statement["subject"] == [{"name": "r.example.com/voices/trainer", "digest": {"sha256": "2" * 64}}]
    source = statement["predicate"]["buildDefinition"]["resolvedDependencies"][0]
    assert source["digest"] == {"gitCommit": git(clone.folder, "rev-parse", "HEAD").strip()}
    assert source["annotations"] == {"dirty": False}
    whole = signatures.verify_statement((released / "provenance.intoto.json").read_text(), public)
    assert [subject["name"] for subject in whole["subject"]] == sorted(
        file.name for file in released.iterdir() if file.suffix in {".whl", ".tgz"}
    )


def test_trying_out_makes_no_tag(released: Path, clone: Clone) -> None:
    assert git(clone.folder, "tag", "--list") == ""


def test_a_release_needs_a_key(clone: Clone) -> None:
    done = clone.release()
    assert done.returncode == 1
    assert "no key signs the release; name one with KEY=release.key" in done.stderr


def test_a_change_after_the_commit_stops_it(clone: Clone) -> None:
    extra = clone.folder / "store" / "new.txt"
    extra.touch()
    try:
        done = clone.release("--dry-run")
    finally:
        extra.unlink()
    assert done.returncode == 1
    assert "the work tree differs from its commit (store/new.txt); commit or remove these" in done.stderr


def test_another_version_is_refused_with_every_reason(clone: Clone) -> None:
    done = clone.release("--dry-run", version="9.9.0")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: 9.9.0 cannot be released:\n  - not every place says 9.9.0 (pyproject.toml: 9.8.7"
    )
    assert "  - CHANGELOG.md has no entry for 9.9.0; head one with `## [9.9.0] - ` and the day\n" in done.stderr
    assert "Traceback" not in done.stderr


def test_images_in_two_registries_are_refused() -> None:
    values = (REPOSITORY / chart.FOLDER / "values.yaml").read_text(encoding="utf-8")
    apart = REFERENCES | {"operator": f"other.example.com/operator@sha256:{'1' * 64}"}
    with pytest.raises(DevError, match=r"several places: other\.example\.com, r\.example\.com/voices"):
        chart.with_digests(values, apart)


def test_values_without_the_lines_are_refused() -> None:
    with pytest.raises(DevError, match=r"values\.yaml does not take the digests"):
        chart.with_digests("images: {registry: '', operator: {}, trainer: {}, inference: {}}\n", REFERENCES)
