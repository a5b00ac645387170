"""Copies a published bundle to a repository of the Hub: one commit with everything, and none where nothing differs."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2

from voice_trainer.errors import Refused, Transient, UsageError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

SCHEME = "hf://"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
BRANCH = "main"
CARD = "README.md"
THEIRS = frozenset({".gitattributes"})  # the Hub's own file
REFUSING = frozenset({401, 403, 404})


@dataclass(frozen=True)
class HubCopy:
    """What the repository holds now."""

    uri: str
    commit: str
    """Empty: it held exactly this already."""


def repository_of(uri: str) -> str:
    """Return ``owner/name`` of ``hf://owner/name``.

    Raises:
        UsageError: ``InvalidHubUri``.
    """
    name = uri.removeprefix(SCHEME)
    if not uri.startswith(SCHEME) or not REPOSITORY.fullmatch(name) or ".." in name or "--" in name:
        raise UsageError(f"{uri!r} is no repository of the Hub; write hf://owner/name", reason="InvalidHubUri")
    return name


def copy_to_hub(bundle: Path, card: str, uri: str, *, endpoint: str = "", private: bool = True) -> HubCopy:
    """Make a repository hold exactly the bundle and its card; a new one is private unless told otherwise.

    The token is the Hub client's own: ``HF_TOKEN``, or the file that ``HF_TOKEN_PATH`` names.

    Raises:
        Refused: ``HubRefused``; there is no token, or it may not write there.
        Transient: ``HubUnavailable``, or what the Hub holds is not what was sent (``CorruptArtifact``).
    """
    repository = repository_of(uri)
    with client(uri, endpoint) as api:
        return _copy(api, bundle, card, repository, private=private)


@contextmanager
def client(uri: str, endpoint: str) -> Iterator[HfApi]:
    """Open the Hub's client; its errors become those of ``copy_to_hub``."""
    # Plain HTTP, which every Hub speaks and which names each file by its SHA-256; read when the client is imported.
    os.environ.setdefault("HF_HUB_DISABLE_XET", "1")
    # It takes a second to import, and only these commands need it.
    from huggingface_hub import HfApi  # noqa: PLC0415
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError  # noqa: PLC0415

    try:
        yield HfApi(endpoint=endpoint or None)
    except LocalTokenNotFoundError as error:
        raise Refused(f"{uri}: {_NO_TOKEN}", reason="HubRefused") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in REFUSING:
            raise Refused(
                f"{uri}: the Hub answers {status}: the token is missing, or may not write there; {_NO_TOKEN}",
                reason="HubRefused",
            ) from error
        raise Transient(f"{uri}: the Hub answers {status}", reason="HubUnavailable") from error
    except (httpx2.HTTPError, OSError) as error:
        raise Transient(f"{uri}: the Hub cannot be reached: {error}", reason="HubUnavailable") from error
    except (RuntimeError, ValueError) as error:  # the client's own words for an upload that failed
        raise Transient(f"{uri}: {error} ({error.__cause__})", reason="HubUnavailable") from error


_NO_TOKEN = "set HF_TOKEN, or HF_TOKEN_PATH to the file of a Secret"  # noqa: S105 -- names of variables


def _copy(api: HfApi, bundle: Path, card: str, repository: str, *, private: bool) -> HubCopy:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete  # noqa: PLC0415

    contents: dict[str, bytes | Path] = {
        path.relative_to(bundle).as_posix(): path for path in sorted(bundle.rglob("*")) if path.is_file()
    }
    contents[CARD] = card.encode()
    api.create_repo(repository, private=private, exist_ok=True)
    held = held_files(api, repository)
    additions = [name for name, content in contents.items() if not is_held(held.get(name), content)]
    deletions = sorted(held.keys() - contents.keys() - THEIRS)
    uri = f"{SCHEME}{repository}"
    if not additions and not deletions:
        return HubCopy(uri, "")
    done = api.create_commit(
        repository,
        [
            *(CommitOperationAdd(name, contents[name]) for name in additions),
            *(CommitOperationDelete(name) for name in deletions),
        ],
        commit_message=f"Revision {hashlib.sha256((bundle / 'manifest.json').read_bytes()).hexdigest()[:12]}",
        revision=BRANCH,
    )
    held = held_files(api, repository)
    differing = [name for name, content in contents.items() if not is_held(held.get(name), content)]
    if differing or held.keys() - contents.keys() - THEIRS:
        raise Transient(f"{uri} does not hold what was sent: {differing[:3]}", reason="CorruptArtifact")
    return HubCopy(uri, done.oid)


def held_files(api: HfApi, repository: str) -> dict[str, str]:
    """Return the digest of each file: SHA-256 of large ones, git's SHA-1 of others."""
    from huggingface_hub.hf_api import RepoFile  # noqa: PLC0415

    tree = api.list_repo_tree(repository, recursive=True, revision=BRANCH)
    return {one.path: one.lfs.sha256 if one.lfs else one.blob_id for one in tree if isinstance(one, RepoFile)}


def is_held(digest: str | None, content: bytes | Path) -> bool:
    """Return whether a digest of ``held_files`` is that of a content."""
    data = content if isinstance(content, bytes) else content.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # noqa: S324 -- git's own name of a file
    return digest in {hashlib.sha256(data).hexdigest(), blob}
