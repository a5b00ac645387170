"""What builds is pinned: uv, the build backends and Debian's packages are the same tomorrow."""

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from dev import debian
from dev.errors import DevError
from dev.images import base, debian_source
from dev.paths import cache

REPOSITORY = Path(__file__).resolve().parents[2]
DOCKERFILES = pytest.mark.parametrize("name", ["operator", "trainer", "inference"])
# Packages that come as source alone, and what their builds ask for.
FROM_SOURCE = {"jieba": {"setuptools"}, "pesq": {"cython", "numpy", "pytest-runner", "setuptools"}}
LOCK = tomllib.loads((REPOSITORY / "uv.lock").read_text(encoding="utf-8"))


def pinned(group: str) -> set[str]:
    lines = (REPOSITORY / "dev" / "images" / f"{group}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9-]+)==", lines, re.MULTILINE))


def uv() -> Path:
    """The uv that `make setup` installed, or the one on PATH; the pinned version either way."""
    version = re.search(r"^UV_VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)[
        1
    ]
    return cache() / f"uv-{version}" / "bin" / "uv"


@pytest.mark.parametrize("group", ["uv", "build"])
def test_the_pins_are_what_the_lock_file_says(group: str) -> None:
    if not uv().exists():
        pytest.skip(f"{uv()} is missing; `make setup` installs it")
    flags = ["--frozen", "--only-group", group, "--no-emit-workspace", "--no-annotate", "--no-header", "--quiet"]
    exported = subprocess.run([uv(), "export", *flags], cwd=REPOSITORY, check=True, capture_output=True, text=True)
    written = (REPOSITORY / "dev" / "images" / f"{group}.txt").read_text(encoding="utf-8")
    assert written.partition("\n")[2] == exported.stdout, "run `make pins`"


def test_makefile_and_lock_file_name_one_uv() -> None:
    locked = next(package["version"] for package in LOCK["package"] if package["name"] == "uv")
    assert uv().parts[-3] == f"uv-{locked}"


def test_every_build_requirement_of_a_package_from_source_is_pinned() -> None:
    sources = {each["name"] for each in LOCK["package"] if "registry" in each["source"] and not each.get("wheels")}
    assert sources == set(FROM_SOURCE), "name what its build asks for, and add it to the group `build`"
    assert set().union(*FROM_SOURCE.values()) <= pinned("build")


def test_every_build_backend_of_ours_is_pinned() -> None:
    for member in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["uv"]["workspace"]["members"]:
        wanted = tomllib.loads((REPOSITORY / member / "pyproject.toml").read_text())["build-system"]["requires"]
        assert {re.split(r"[<>=~ ]", requirement)[0] for requirement in wanted} <= pinned("build")


@DOCKERFILES
def test_no_step_of_an_image_installs_what_has_no_hash(name: str) -> None:
    text = (REPOSITORY / f"Dockerfile.{name}").read_text(encoding="utf-8").replace("\\\n", " ")
    installs = re.findall(r"(?:pip install|uv build)[^&;]*", text)
    assert len(installs) == 5
    for install in installs:
        assert "--require-hashes" in install or install.split()[-1] == "/wheels/*.whl", install
    assert text.count("--build-constraints /app/build.txt") == 2


def test_a_changed_hash_of_a_build_backend_stops_a_build(tmp_path: Path) -> None:
    if not uv().exists():
        pytest.skip(f"{uv()} is missing; `make setup` installs it")
    pins = (REPOSITORY / "dev" / "images" / "build.txt").read_text(encoding="utf-8")
    (tmp_path / "build.txt").write_text(re.sub(r"sha256:[0-9a-f]{8}", "sha256:00000000", pins))
    command = [uv(), "build", "--wheel", "--require-hashes", "--build-constraints", tmp_path / "build.txt"]
    command += ["--out-dir", tmp_path, "--python", sys.executable, REPOSITORY / "store"]
    done = subprocess.run(command, env=os.environ, check=False, capture_output=True, text=True)
    assert done.returncode != 0
    if "dns error" in done.stderr or "error sending request" in done.stderr:
        pytest.skip("the package index does not answer")
    assert "Hash mismatch" in done.stderr


def test_debian_packages_come_from_one_day_of_the_archive() -> None:
    assert debian_source.lines("20261128T000000Z")[2] == (
        "deb [check-valid-until=no] http://snapshot.debian.org/archive/debian-security/20261128T000000Z"
        " bookworm-security main"
    )
    assert debian_source.lines("")[0] == "deb http://deb.debian.org/debian bookworm main"


def test_the_trainer_writes_the_same_lines() -> None:
    # The official base names mirrors, so the Dockerfile replaces its sources when it is told a day.
    text = (REPOSITORY / "Dockerfile.trainer").read_text(encoding="utf-8").replace("\\\n", " ")
    step = (
        re.search(r"RUN (if \[ -n .*?fi) ", text)[1].replace("/etc/apt/sources.list.d/*", "").replace("rm -f  &&", "")
    )
    script = step.replace("/etc/apt/sources.list", "/dev/stdout")
    day = {"DEBIAN_SNAPSHOT": "20261128T000000Z"}
    shown = subprocess.run(["sh", "-c", script], env=day, check=True, capture_output=True, text=True).stdout
    assert shown.splitlines() == debian_source.lines("20261128T000000Z")


def test_a_base_names_the_signed_lists_by_digest(tmp_path: Path) -> None:
    for folder in ("etc", "var/lib/apt/lists"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_InRelease").write_text("signed")
    (tmp_path / "var/lib/apt/lists/deb.debian.org_debian_dists_bookworm_main_Packages").write_text("many")
    subprocess.run(["sh", "-ec", base.NAME_THE_LISTS, "hook", tmp_path], check=True)  # as mmdebstrap runs it
    assert (tmp_path / "etc/debian-releases.sha256").read_text() == (
        f"{hashlib.sha256(b'signed').hexdigest()}  ./deb.debian.org_debian_dists_bookworm_InRelease\n"
    )


@DOCKERFILES
def test_every_step_is_shell_that_parses(name: str) -> None:
    text = (REPOSITORY / f"Dockerfile.{name}").read_text(encoding="utf-8")
    steps = re.findall(r"^RUN ((?:.*\\\n)*.*)", text, re.MULTILINE)
    assert len(steps) >= 4
    for step in steps:
        subprocess.run(["sh", "-n", "-c", step], check=True)


def test_an_archive_that_does_not_answer_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(debian_source, "ARCHIVE", "http://127.0.0.1:1/archive")
    monkeypatch.setenv("DEBIAN_SNAPSHOT", "20261101T000000Z")
    assert debian_source.chosen() == ""
    assert "packages are today's of http://deb.debian.org, not those of 20261101T000000Z" in capsys.readouterr().err


def test_a_day_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEBIAN_SNAPSHOT", "yesterday")
    with pytest.raises(DevError, match="DEBIAN_SNAPSHOT=yesterday is no day"):
        debian_source.wanted()


def test_a_base_that_cannot_be_pulled_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not debian.present("buildah"):
        pytest.skip("buildah is missing; `make images` installs it")
    monkeypatch.setenv("VOICE_OPERATOR_CACHE", str(tmp_path))
    monkeypatch.setattr(debian, "ensure", lambda _programs: None)
    monkeypatch.setenv("PYTHON_IMAGE", f"127.0.0.1:1/python@sha256:{'7' * 64}")
    with pytest.raises(DevError, match=r"127\.0\.0\.1:1/python@sha256:7+(?s:.*)unset PYTHON_IMAGE"):
        base.ensure()


def test_another_day_is_another_base(monkeypatch: pytest.MonkeyPatch) -> None:
    before = base.local_name()
    monkeypatch.setenv("DEBIAN_SNAPSHOT", "20200101T000000Z")
    assert base.local_name() != before
