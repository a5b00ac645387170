"""What git knows of a folder: its commit, the author, the repository, and which folders a push changed."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from voice_cli.errors import NotFound, Unavailable, UsageError
from voice_store.printable import printable

TIMEOUT_SECONDS = 120
MAX_AUTHOR, MAX_REPOSITORY = 256, 1024
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's name of a tree without files
NO_COMMIT = re.compile("0+")  # what hooks and pipelines call the state before a branch was made


@dataclass(frozen=True)
class Origin:
    """Where a voice's folder comes from, as ``spec.source`` has it; empty where git does not know."""

    repository: str = ""
    commit: str = ""
    author: str = ""
    dirty: bool = False  # the folder has changes that no commit has

    def source(self) -> dict[str, str]:
        """Return ``spec.source``; what was never committed has no commit."""
        if self.dirty:
            return {"repository": self.repository} if self.repository else {}
        found = {"repository": self.repository, "commit": self.commit, "author": self.author}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Changes:
    """Which folders of voices a range of commits changed, by name."""

    changed: tuple[str, ...]
    deleted: tuple[str, ...]


class Repository:
    """A checkout; GIT_DIR and GIT_WORK_TREE count as they do for git, so that hooks can use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def around(cls, folder: Path) -> "Repository | None":
        """Return the checkout that a folder lies in; None: it lies in none, or there is no git."""
        found = cls(folder)
        return found if shutil.which("git") and found._ask("rev-parse", "--is-inside-work-tree") == "true" else None

    def origin_of(self, folder: Path) -> Origin:
        """Return the newest commit that changed a folder, and whether it has changes that no commit has."""
        where = str(folder.resolve())
        logged = self._ask("log", "-1", "--format=%H%x00%an <%ae>", "--", where) or ""
        commit, _, author = logged.partition("\0")
        status = self._ask("status", "--porcelain", "--untracked-files=normal", "--", where)
        return Origin(self.address(), commit, printable(author)[:MAX_AUTHOR], dirty=bool(status) or not commit)

    def address(self) -> str:
        """Return the address of the remote, without the password that a pipeline may have put there."""
        remote = self._ask("config", "--get", "remote.origin.url") or ""
        parts = urlsplit(remote)
        if parts.scheme in {"http", "https"} and "@" in parts.netloc:
            remote = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        return printable(remote)[:MAX_REPOSITORY]

    def commit(self, name: str) -> str | None:
        """Return the commit that a name means: a branch, a tag, the beginning of a commit; None: there is none."""
        return self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}") or None

    def commits_between(self, ancestor: str, descendant: str) -> int | None:
        """Return how many commits lie behind; None: it is no ancestor."""
        base = self._ask("merge-base", ancestor, descendant)
        full = self.commit(ancestor)
        if not base or base != full:
            return None
        return int(self._ask("rev-list", "--count", f"{ancestor}..{descendant}") or 0)

    def folder_of(self, voice: str, commit: str) -> str | None:
        """Return the git tree of the folder of a voice in a commit; None: there is none, or several."""
        names = (self._ask("ls-tree", "-r", "--name-only", "-z", "--full-tree", commit) or "").split("\0")
        found = [name for name in names if f"/{name}".endswith(f"/{voice}/voice.yaml")]
        return self._ask("rev-parse", f"{commit}:{found[0].rpartition('/')[0]}") if len(found) == 1 else None

    def changes(self, span: str, folder: Path) -> Changes:
        """Return the folders below ``folder`` that a range of commits changed, or changed and changed back.

        Args:
            span: ``BASE..HEAD``; a BASE of zeros, as hooks have for a new branch, means everything.
            folder: that holds a folder for each voice.

        Raises:
            UsageError: the span is none.
            NotFound: a commit of it is not here, as in a shallow clone.
        """
        base, dots, head = span.partition("..")
        if not dots or not base or not head or head.startswith("."):
            raise UsageError(f"--changed {span!r} is no range of commits; write BASE..HEAD")
        commits = []
        for name in (base, head):
            found = EMPTY_TREE if NO_COMMIT.fullmatch(name) else self.commit(name)
            if found is None:
                raise NotFound(
                    f"commit {name} is not in this clone; fetch the whole history (fetch-depth: 0, GIT_DEPTH: 0)"
                )
            commits.append(found)
        inside = folder.resolve().relative_to(Path(self._top())).as_posix()
        prefix = "" if inside == "." else f"{inside}/"
        listed = self._run("diff", "--name-only", "-z", "--no-renames", *commits, "--", str(folder.resolve()))
        if commits[0] != EMPTY_TREE:  # what went forth and back: the commits between may have been pushed, and failed
            listed += "\0" + self._run(
                "log", "-m", "--full-history", "--no-renames", "--format=", "--name-only", "-z",
                f"{commits[0]}..{commits[1]}", "--", str(folder.resolve()),
            )  # fmt: skip
        given = (name.lstrip("\n") for name in listed.split("\0"))
        names = {name.removeprefix(prefix).partition("/") for name in given if name.startswith(prefix)}
        voices = sorted({first for first, slash, _ in names if slash and not first.startswith(".")})
        there = [name for name in voices if (folder / name).is_dir()]
        return Changes(tuple(there), tuple(name for name in voices if name not in there))

    def _top(self) -> str:
        return self._run("rev-parse", "--show-toplevel").strip()

    def _ask(self, *arguments: str) -> str | None:
        """Return what git says; None: it says no."""
        try:
            return self._run(*arguments).strip()
        except NotFound:
            return None

    def _run(self, *arguments: str) -> str:
        command = ["git", *arguments]
        try:
            done = subprocess.run(
                command, cwd=self.folder, capture_output=True, text=True, check=True, timeout=TIMEOUT_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise NotFound(f"git {arguments[0]}: {printable(str(error.stderr).strip())[:500]}") from error
        except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError) as error:
            raise Unavailable(f"git {arguments[0]} failed: {error}") from error
        return done.stdout
