"""Revisions of a voice and the commits that they come from; which revision a name or a commit means."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from voice_cli.api import COMMIT, Object, name_of, source_of
from voice_cli.errors import NotFound, UsageError
from voice_cli.git import Repository
from voice_cli.listing import COMMIT_DIGITS, scores_text

SHOWN = 5  # revisions that a message names


@dataclass(frozen=True)
class Version:
    """One revision and its origin."""

    revision: str
    state: str
    created: str
    commit: str
    author: str
    repository: str
    approvals: str
    scores: dict[str, str]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    def cells(self) -> tuple[str, ...]:
        """Return the columns of ``history``."""
        commit = self.commit[:COMMIT_DIGITS]
        return (self.revision, self.state, self.created, commit, self.author, self.approvals, scores_text(self.scores))


def versions_of(voice: Object, revisions: Iterable[Object]) -> list[Version]:
    """Return the revisions of a voice, the newest first."""
    name = name_of(voice)
    own = [one for one in revisions if one["spec"].get("voiceModel") == name]
    own.sort(key=lambda one: (str(one["metadata"].get("creationTimestamp")), name_of(one)), reverse=True)
    return [_version(one) for one in own]


def _version(revision: Object) -> Version:
    source, status = source_of(revision), revision.get("status") or {}
    scores = (revision["spec"].get("evaluation") or {}).get("scores") or {}
    return Version(
        revision=name_of(revision),
        state=str(status.get("state") or ""),
        created=str(revision["metadata"].get("creationTimestamp") or ""),
        commit=str(source.get("commit") or ""),
        author=str(source.get("author") or ""),
        repository=str(source.get("repository") or ""),
        approvals=str(status.get("approvals") or ""),
        scores={str(key): str(value) for key, value in scores.items()},
    )


def revision_for(versions: Sequence[Version], target: str, voice: Object, repository: Repository | None) -> Version:
    """Return the revision that ``target`` names: a revision, a commit, or (empty) the one that was served before.

    Raises:
        NotFound: nothing of the voice fits; the message names what there is.
        UsageError: several revisions have a commit that begins so.
    """
    by_name = {version.revision: version for version in versions}
    if not target:
        before = str((voice.get("status") or {}).get("previousRevision") or "")
        if before in by_name:
            return by_name[before]
        raise NotFound(f"nothing was served before; name a revision or a commit with --to: {_listed(versions)}")
    if target in by_name:
        return by_name[target]
    commit = repository.commit(target) if repository is not None else None
    wanted = commit or target
    found = [one for one in versions if one.commit and (one.commit.startswith(wanted) or wanted.startswith(one.commit))]
    if not found and commit is not None and repository is not None:
        found = _nearest(versions, commit, repository, name_of(voice))
    if not found:
        what = "no revision" if COMMIT.fullmatch(target) else "neither a revision nor a commit"
        raise NotFound(f"{target} is {what} of this voice; there are: {_listed(versions)}")
    if len({one.commit for one in found}) > 1:
        raise UsageError(f"{target} begins several commits; write more of it: {_listed(found)}")
    return found[0]  # the newest one of the commit


def _nearest(versions: Sequence[Version], commit: str, repository: Repository, voice: str) -> list[Version]:
    """Return the revision of the ancestor that lies fewest commits behind: not every commit trains one.

    Where the commit has a folder of the voice, only commits with the same folder count: a revert leads further back.
    """
    if tree := repository.folder_of(voice, commit):
        versions = [one for one in versions if one.commit and repository.folder_of(voice, one.commit) == tree]
    behind = [(repository.commits_between(one.commit, commit), one) for one in versions if one.commit]
    ancestors = [(distance, one) for distance, one in behind if distance is not None]
    return [min(ancestors, key=lambda pair: pair[0])[1]] if ancestors else []


def _listed(versions: Sequence[Version]) -> str:
    shown = [f"{one.revision} ({one.commit[:COMMIT_DIGITS] or 'no commit'})" for one in versions[:SHOWN]]
    more = [f"and {len(versions) - SHOWN} more"] if len(versions) > SHOWN else []
    return ", ".join([*shown, *more]) or "no revisions yet"
