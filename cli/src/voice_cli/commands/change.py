"""``rollback``, ``retry``: another revision, another attempt."""

import time
from pathlib import Path

import click

from voice_cli.api import RETRY, REVISION, VOICE
from voice_cli.commands.options import VOICE_NAME, Session, command
from voice_cli.commands.root import voice
from voice_cli.edits import edited
from voice_cli.errors import UsageError
from voice_cli.git import Repository
from voice_cli.versions import Version, revision_for, versions_of


@command(voice, "rollback")
@click.argument("name", type=VOICE_NAME)
@click.option("--to", "target", metavar="REVISION|COMMIT", help="What to serve (default: what was served before).")
@click.option("--latest", is_flag=True, help="Serve the newest revision again, and train when the spec changes.")
def rollback(session: Session, *, name: str, target: str | None, latest: bool) -> None:
    """Serve an earlier revision, by its name or by the commit that it was trained from.

    While a revision is pinned nothing is trained. A commit that trained nothing means the revision of its nearest
    ancestor, where this is a checkout of the voice's repository.
    """
    if latest and target:
        raise UsageError("--latest and --to exclude each other")
    kubectl = session.kubectl
    found = kubectl.get(VOICE, name)
    if latest:
        kubectl.patch(VOICE, name, edited(kubectl, {"serving": {"pin": ""}}))
        session.output.line(f"{name}: the newest revision is served, and changes are trained again")
        return
    known = versions_of(found, kubectl.items(REVISION))
    wanted = revision_for(known, target or "", found, Repository.around(Path.cwd()))
    kubectl.patch(VOICE, name, edited(kubectl, {"serving": {"pin": wanted.revision}}))
    session.output.line(
        f"{name}: {_said(wanted)} is served, pinned; `kubectl voice rollback {name} --latest` ends that"
    )


@command(voice, "history", formats=True)
@click.argument("name", type=VOICE_NAME)
def history(session: Session, *, name: str) -> None:
    """List a voice's revisions, the newest first: commit, author, state, scores."""
    found = session.kubectl.get(VOICE, name)
    known = versions_of(found, session.kubectl.items(REVISION))
    if not session.output.is_text:
        session.output.document(
            [version.document() for version in known],
            [f"voicerevision.voice.sovits.dev/{one.revision}" for one in known],
        )
        return
    if not known:
        session.output.note(f"{name} has no revision yet; `kubectl voice status {name}` says why")
        return
    heads = ("REVISION", "STATE", "CREATED", "COMMIT", "AUTHOR", "APPROVED", "SCORES")
    session.output.table(heads, [version.cells() for version in known], style_of=1)


@command(voice, "retry")
@click.argument("name", type=VOICE_NAME)
def retry(session: Session, *, name: str) -> None:
    """Start failed stages afresh, with whole budgets and with recordings that are listed anew."""
    session.kubectl.get(VOICE, name)
    session.kubectl.patch(VOICE, name, {"metadata": {"annotations": {RETRY: str(time.time_ns())}}})
    session.output.line(f"{name}: failed stages start afresh; `kubectl voice watch {name}` follows")


def _said(wanted: Version) -> str:
    return f"{wanted.revision} (commit {wanted.commit[:12]})" if wanted.commit else wanted.revision
