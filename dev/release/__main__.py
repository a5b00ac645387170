"""The command line: python -m dev.release make | describe | version | verify."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev import builds
from dev.errors import DevError
from dev.images import record
from dev.images.recipes import RECIPES
from dev.paths import REPOSITORY
from dev.release import bundle, changelog, checks, signatures, versions
from dev.terminal import main_of, run, say

DESCRIPTION = """\
Releases: docs/release.md tells how.

  python -m dev.release make 0.2.0 --dry-run     everything but the tag, signed with a key that nobody keeps
  python -m dev.release make 0.2.0 --key FILE    the release, into out/release/0.2.0, and the tag v0.2.0
  python -m dev.release describe                 what the built images hold (SBOM) and where they came from
  python -m dev.release version 0.2.0            write the version wherever it stands
  python -m dev.release verify FOLDER --key FILE check a release against a public key
"""


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    top = argparse.ArgumentParser(
        prog="python -m dev.release", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="make|describe|version|verify")
    make = commands.add_parser("make", help="check, build, sign and collect a release")
    make.add_argument("version")
    make.add_argument(
        "--dry-run", action="store_true", help="no tag, and a key that nobody keeps unless --key names one"
    )
    make.add_argument("--key", type=Path, metavar="FILE", help="private key, PEM; RELEASE_KEY_PASSWORD opens it")
    make.add_argument("--out", type=Path, default=REPOSITORY / "out" / "release", metavar="FOLDER")
    make.add_argument(
        "--images",
        type=Path,
        metavar="FILE",
        help='{"operator": "registry.example.com/voices/operator@sha256:...", ...}; default: what `make images` pushed',
    )
    make.add_argument("--records", type=Path, metavar="FOLDER", help="NAME.json of each image; default: the cache's")
    commands.add_parser("describe", help="write SBOM and provenance of the built images into the cache")
    version = commands.add_parser("version", help="write the version wherever it stands")
    version.add_argument("version")
    verify = commands.add_parser("verify", help="check a release against a public key")
    verify.add_argument("folder", type=Path)
    verify.add_argument("--key", type=Path, required=True, metavar="FILE", help="public key, from a place you trust")
    return top


def command() -> int:
    """Run one command; return the exit code."""
    options = parser().parse_args()
    if options.command == "make":
        print(make(options))
    elif options.command == "describe":
        for path in describe():
            print(path)
    elif options.command == "version":
        versions.write(REPOSITORY, options.version)
        say(f"every file says {options.version} now; `uv lock` brings the lock file after them")
    else:
        names = bundle.verify(options.folder, options.key.read_text())
        say(f"{len(names)} files are as they were signed")
    return 0


def make(options: argparse.Namespace) -> Path:
    """Make a release, or try it out; return its folder.

    Raises:
        DevError: something does not fit; the message lists all of it.
    """
    version, root = str(options.version), REPOSITORY
    found = gather(root, options)
    sentences = checks.problems(version, found)
    if not options.dry_run and options.key is None:
        sentences.append("no key signs the release; name one with KEY=release.key, or try it out with DRY_RUN=1")
    folder = Path(options.out) / version
    if not options.dry_run and folder.exists():
        sentences.append(f"{folder} exists; remove it")
    if sentences:
        listed = "\n".join(f"  - {sentence}" for sentence in sentences)
        raise DevError(
            f"{version} cannot be released:\n{listed}", remedy="docs/release.md has the steps in their order"
        )
    key = signatures.read_key(options.key) if options.key else signatures.new_key()
    folder.parent.mkdir(parents=True, exist_ok=True)
    tools = bundle.Tools(uv(), builds.build("helm"))
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unfinished-") as scratch:
        unfinished = Path(scratch) / version
        bundle.write(root, version, found, key=key, tools=tools, folder=unfinished)
        bundle.verify(unfinished, signatures.public_pem(key))
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.replace(folder)
    if options.dry_run:
        say(
            f"tried out: {version} can be released. No tag was made"
            + ("" if options.key else ", and nobody has its key")
        )
    else:
        run(["git", "-C", root, "tag", "--annotate", f"v{version}", "--message", f"voice-operator {version}"])
        say(f"the tag v{version} is yours to push, and the folder to publish")
    return folder


def gather(root: Path, options: argparse.Namespace) -> checks.Found:
    """Read everything that decides whether a version can be released."""
    source = record.source(root)
    records, references = read_images(options)
    text = (root / "CHANGELOG.md").read_text() if (root / "CHANGELOG.md").exists() else ""
    return checks.Found(
        declared=versions.declared(root),
        entries=changelog.entries(text),
        commit=source.commit,
        changed=source.changed,
        tags=record.git(root, "tag", "--list").split(),
        records=records,
        current_tags={name: recipe.read().tag for name, recipe in RECIPES.items()},
        references=references,
    )


def read_images(options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """The records of the built images, and the references that a registry has them under."""
    records, references = {}, {}
    for name, recipe in RECIPES.items():
        folder = record.folder(recipe.read())
        written = options.records / f"{name}.json" if options.records else folder / "record.json"
        if written.exists():
            records[name] = read_json(written)
        pushed = read_json(folder / "pushed.json") if (folder / "pushed.json").exists() else {}
        if pushed:
            references[name] = f"{without_tag(pushed['reference'])}@{pushed['digest']}"
    if options.images:
        references = {str(name): str(value) for name, value in read_json(options.images).items()}
    return records, references


def describe() -> list[Path]:
    """Describe every image that was built from today's files."""
    paths = []
    for name, recipe in RECIPES.items():
        folder = record.folder(recipe.read())
        if (folder / "record.json").exists():
            paths += bundle.describe(REPOSITORY, name, read_json(folder / "record.json"), folder)
    if not paths:
        raise DevError("no image was built from today's files", remedy="make images")
    return paths


def read_json(path: Path) -> Mapping[str, Any]:
    """Read a document.

    Raises:
        DevError: it is missing or no JSON object.
    """
    try:
        document = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DevError(f"cannot read {path}: {error}", remedy="name a file with a JSON object") from error
    if not isinstance(document, dict):
        raise DevError(f"{path} holds no JSON object", remedy="name each image with its reference")
    return document


def without_tag(reference: str) -> str:
    """`registry:5000/voices/operator:dev-1` without its tag."""
    head, slash, last = reference.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def uv() -> Path:
    """The pinned uv that the Makefile installs."""
    chosen = os.environ.get("UV") or shutil.which("uv")
    if not chosen:
        raise DevError("uv is missing", remedy="run it as `make release`")
    return Path(chosen)


if __name__ == "__main__":
    sys.exit(main_of(command))
