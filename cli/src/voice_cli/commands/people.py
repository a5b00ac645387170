"""``approve``, ``reject``, ``revoke``, ``erase``: what people answer for, each in their own name."""

import sys
from datetime import UTC, datetime

import click

from voice_cli.api import VOICE, Object, conditions_of
from voice_cli.commands.options import ANY_NAME, VOICE_NAME, Session, command
from voice_cli.commands.root import voice
from voice_cli.decisions import decide
from voice_cli.edits import edited
from voice_cli.errors import UsageError

YES = click.option("--yes", is_flag=True, help="Do not ask for the voice's name.")


@command(voice, "approve")
@click.argument("revision", type=ANY_NAME)
@click.option("--reason", default="", help="Why.")
def approve(session: Session, *, revision: str, reason: str) -> None:
    """Approve a revision, or the one of a voice that waits; listen to it first (`kubectl voice listen`)."""
    session.output.line(decide(session.kubectl, revision, "Approved", reason, datetime.now(UTC)))


@command(voice, "reject")
@click.argument("revision", type=ANY_NAME)
@click.option("--reason", required=True, help="Why; it is kept with the decision.")
def reject(session: Session, *, revision: str, reason: str) -> None:
    """Reject a revision, or the one of a voice that waits: it is never served."""
    if not reason.strip():
        raise UsageError("reject needs --reason: say why")
    session.output.line(decide(session.kubectl, revision, "Rejected", reason, datetime.now(UTC)))


@command(voice, "revoke")
@click.argument("name", type=VOICE_NAME)
@YES
def revoke(session: Session, *, name: str, yes: bool) -> None:
    """Withdraw a speaker's consent, for ever: training stops, the voice is unloaded within seconds.

    Published bundles stay as the record of what was served, unloaded; `erase` removes them too.
    """
    _confirm(session, name, "revokes the consent for ever", yes=yes)
    session.kubectl.patch(VOICE, name, edited(session.kubectl, {"consent": {"revoked": True}}))
    session.output.line(f"{name}: the consent is revoked; `kubectl voice status {name}` shows what was unloaded")


@command(voice, "erase")
@click.argument("name", type=VOICE_NAME)
@YES
def erase(session: Session, *, name: str, yes: bool) -> None:
    """Revoke the consent and erase everything that was made of the recordings, for ever.

    Bundles and revisions go at once; the VoiceModel stays and says so. The recordings themselves are not touched.
    """
    _confirm(session, name, "revokes the consent and erases every bundle and revision, for ever", yes=yes)
    found = session.kubectl.patch(VOICE, name, edited(session.kubectl, {"consent": {"revoked": True, "erase": True}}))
    session.output.line(f"{name}: everything that was made of the recordings is being erased{_held(found)}")


def _held(found: Object) -> str:
    retained = conditions_of(found).get("Retained") or {}
    return f"; but {retained.get('message')}" if retained.get("reason") == "LegalHold" else ""


def _confirm(session: Session, name: str, what: str, *, yes: bool) -> None:
    """Make sure that the caller means it.

    Raises:
        UsageError: they do not, or nobody can be asked.
    """
    session.kubectl.get(VOICE, name)
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"this {what}; nobody can be asked here, so add --yes")
    typed = click.prompt(f"This {what}. Type the voice's name to go on", default="", show_default=False)
    if typed != name:
        raise UsageError(f"{typed!r} is not {name!r}; nothing was changed")
