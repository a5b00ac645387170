"""``report``, ``listen``, ``export``: what a training left, on this machine; and a text spoken by the voice."""

import importlib.util
import re
import shutil
import subprocess
import sys
import webbrowser
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from voice_cli.api import REVISION, VOICE, Object
from voice_cli.bundles import REPORT, bundle_of
from voice_cli.commands.options import ANY_NAME, Session, command
from voice_cli.commands.root import voice
from voice_cli.errors import CliError, NotFound, UsageError
from voice_cli.exports import record_export
from voice_cli.speech import FORMATS, Wish, forwarded, speak

PLAYERS = (("ffplay", "-nodisp", "-autoexit", "-loglevel", "error"), ("afplay",), ("play", "-q"), ("aplay", "-q"))
SAMPLE = re.compile(r"samples/[^/]+\.(flac|wav|mp3|ogg)")


def out_option(what: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Return the option of where a result goes; ``what`` is the default."""
    return click.option("--out", type=click.Path(path_type=Path), help=f"Where to put it (default: {what}).")


@command(voice, "report")
@click.argument("name", type=ANY_NAME)
@out_option("a page of the revision's name")
@click.option("--open/--no-open", "opened", default=True, help="Show it in the browser (default: on a terminal).")
def report(session: Session, *, name: str, out: Path | None, opened: bool) -> None:
    """Fetch a revision's evaluation report, one page with its sounds, and open it.

    NAME is a revision, or a voice: then of the revision that it serves.
    """
    bundle = bundle_of(_revision(session, name, to_judge=True))
    if REPORT not in bundle.files:
        raise NotFound(f"{bundle.revision} has no {REPORT} in its bundle at {bundle.uri}")
    page = out or Path(f"{bundle.revision}-report.html")
    bundle.fetch({REPORT: page})
    session.output.line(str(page))
    if opened and sys.stdout.isatty():
        webbrowser.open(page.resolve().as_uri())


@command(voice, "listen")
@click.argument("name", type=ANY_NAME)
@click.option("--text", help="Speak this, through the voice's server, instead of fetching samples.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="wav", show_default=True, help="Of --text.")
@click.option(
    "--server",
    "address",
    envvar="VOICE_SERVER",
    show_envvar=True,
    metavar="URL",
    help="Address of the speech API (default: a port-forward to the voice's VoiceServer).",
)
@click.option(
    "--key", envvar="VOICE_API_KEY", show_envvar=True, metavar="KEY", help="API key, where the server asks for one."
)
@click.option("--play/--no-play", default=True, help="Play it, where a player is installed (default: on a terminal).")
@out_option("a folder of the revision's name, or a file of the voice's")
def listen(
    session: Session,
    *,
    name: str,
    text: str | None,
    form: str,
    address: str | None,
    key: str | None,
    play: bool,
    out: Path | None,
) -> None:
    """Fetch a revision's samples, or let a voice speak a text."""
    if text is None:
        bundle = bundle_of(_revision(session, name, to_judge=True))
        folder = out or Path(f"{bundle.revision}-samples")
        samples = {one: folder / Path(one).name for one in bundle.names if SAMPLE.fullmatch(one)}
        if not samples:
            raise NotFound(f"{bundle.revision} has no samples in its bundle at {bundle.uri}")
        bundle.fetch(samples)
        heard = list(samples.values())
    else:
        found = session.kubectl.get(VOICE, name)
        target = out or Path(f"{name}.{form}")
        wish = Wish(f"{found['metadata']['namespace']}/{name}", text, form, key)
        sound = _spoken(session, found, wish, address)
        target.write_bytes(sound)
        heard = [target]
    for file in heard:
        session.output.line(str(file))
    if play and sys.stdout.isatty():
        _play(session, heard)


@command(voice, "export")
@click.argument("name", type=ANY_NAME)
@click.option("--official", is_flag=True, help="Write official GPT-SoVITS files too; needs sovits-core[torch].")
@click.option("--base", metavar="URI", help="The voice's base for --official: a folder, file:///… or s3://….")
@click.option("--reason", default="", help="What for; it is kept with the record, at most 256 characters.")
@out_option("a folder of the revision's name")
def export(session: Session, *, name: str, out: Path | None, official: bool, base: str | None, reason: str) -> None:
    """Fetch a revision's bundle, every file checked by its digest.

    The VoiceRevision records before that who takes it, in `exports.records`, and the operator's audit log with it.
    """
    revision = _revision(session, name)
    bundle = bundle_of(revision)
    folder = out or Path(bundle.revision)
    if official and importlib.util.find_spec("sovits_core") is None:
        raise UsageError("official files are written by sovits-core; install `sovits-core[torch]` beside this program")
    record_export(session.kubectl, revision, reason, datetime.now(UTC))
    bundle.fetch({key: folder / key for key in bundle.names})
    session.output.line(str(folder))
    if not official:
        return
    target = folder.with_name(f"{folder.name}-official")
    command = [sys.executable, "-m", "sovits_core", "export-official", "--voice", str(folder), "--out", str(target)]
    done = subprocess.run([*command, *(["--base", base] if base else [])], check=False, text=True, capture_output=True)
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2].removeprefix("sovits-core: ")
        raise CliError(said or "sovits-core failed without a word")
    if done.stderr.strip():
        session.output.note(done.stderr.strip())
    for line in done.stdout.splitlines():
        session.output.line(line)


def _revision(session: Session, name: str, *, to_judge: bool = False) -> Object:
    """Return a revision of this name, else the one that the voice of this name serves or holds ready.

    ``to_judge``: the one that waits for a decision comes first, which `approve` would be about.

    Raises:
        NotFound: the voice has neither.
    """
    try:
        return session.kubectl.get(REVISION, name)
    except NotFound:
        status = session.kubectl.get(VOICE, name).get("status") or {}
    active, candidate = (str(status.get(field) or "") for field in ("activeRevision", "candidateRevision"))
    found = (candidate or active) if to_judge else (active or candidate)
    if not found:
        raise NotFound(f"{name} has no revision yet; `kubectl voice status {name}` says why")
    if to_judge and active and candidate:
        session.output.note(f"{name}: this is {candidate}, which waits for a decision; {active} is served")
    return session.kubectl.get(REVISION, found)


def _spoken(session: Session, found: Object, wish: Wish, address: str | None) -> bytes:
    if address:
        return speak(address, wish)
    server = str((found.get("status") or {}).get("server") or "")
    if "/" not in server:
        raise NotFound(f"{wish.voice} is served by nobody yet; `kubectl voice status` says why")
    where, _, service = server.partition("/")
    with forwarded(session.kubectl.within(where), service) as local:
        return speak(local, wish, is_tunnel=True)


def _play(session: Session, files: list[Path]) -> None:
    player = next((one for one in PLAYERS if shutil.which(one[0])), None)
    if player is None:
        session.output.note("no player is installed (ffplay, afplay, sox or aplay); open the files yourself")
        return
    for file in files:
        subprocess.run([*player, str(file)], check=False)
