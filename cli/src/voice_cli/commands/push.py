"""``push``: folders of recordings become voices; by hand, from a pipeline, from a server-side hook."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from voice_cli.api import Object, conditions_of
from voice_cli.commands.options import Session, command, datasets_option
from voice_cli.commands.root import voice
from voice_cli.error_handlers import cli_error_of
from voice_cli.errors import CliError, FolderRefused, NotFound, PushFailed, TimedOut, UsageError, VoiceFailed
from voice_cli.git import Changes, Repository
from voice_cli.merge_requests import comment as comment_on
from voice_cli.merge_requests import forge_of
from voice_cli.push import Caller, Prepared, PushOptions, ask_for_erasure, prepare, push
from voice_cli.reports import MAX_REPORTS, fetch_report, link_to
from voice_cli.summary import Result, lines_of, markdown_of
from voice_cli.timeline import VoiceReport
from voice_cli.waiting import wait_for_all
from voice_store import StoreError

PUSHES = 4  # voices at a time
FOLDER = click.Path(exists=False, file_okay=False, path_type=Path)


@command(voice, "push", formats=True)
@click.argument("folders", type=FOLDER, nargs=-1, required=True)
@click.option(
    "--changed", metavar="BASE..HEAD", help="FOLDERS hold a folder for each voice: push those that the commits changed."
)
@click.option("--wait", is_flag=True, help="Until each voice is ready, failed, or waits for people.")
@click.option(
    "--timeout", type=click.IntRange(1), default=4 * 3600, show_default=True, metavar="SECONDS", help="Of --wait."
)
@click.option(
    "--summary", type=click.Path(dir_okay=False, path_type=Path), help="Write what was done there, in Markdown."
)
@click.option(
    "--reports", type=click.Path(file_okay=False, path_type=Path), help="With --wait: fetch the voices' reports there."
)
@click.option("--comment", is_flag=True, help="In a job of GitLab or GitHub: comment the summary on the merge request.")
@datasets_option(default="spec.dataset.uri, else the installation's")
@click.option("--dry-run", is_flag=True, help="Check, ask the API server, and change nothing.")
@click.option("--upload-again", is_flag=True, help="Send recordings that are there already, too.")
@click.option("--force-conflicts", is_flag=True, help="Take over fields that others have set.")
@click.option(
    "--erase-deleted", is_flag=True, help="With --changed: revoke and erase voices whose folders are gone; push none."
)
def push_folders(
    session: Session,
    *,
    folders: tuple[Path, ...],
    changed: str | None,
    wait: bool,
    timeout: int,
    summary: Path | None,
    reports: Path | None,
    comment: bool,
    datasets: str,
    dry_run: bool,
    upload_again: bool,
    force_conflicts: bool,
    erase_deleted: bool,
) -> None:
    """Push folders: check them, upload the recordings, apply the VoiceModel with commit and author.

    A folder holds voice.yaml, metadata.csv and wavs/, and has the voice's name. What is uploaded already is not sent
    again; recordings that were pushed before, as after a `git revert`, lead back to the revision of then.
    """
    options = PushOptions(datasets=datasets, dry_run=dry_run, again=upload_again, force=force_conflicts)
    found = _changes(folders, changed)
    if erase_deleted and changed is None:
        raise UsageError("--erase-deleted needs --changed: without commits nobody knows what was deleted")
    # A job that erases waits for a person, and meanwhile newer commits were pushed: it must not push its own again.
    results = [] if erase_deleted else _push_all(session, found.pushed, options)
    results += [_deleted(session, one, erase=erase_deleted and not dry_run) for one in found.deleted]
    if wait and not dry_run:
        results = _waited(session, results, timeout)
        if reports is not None:
            results = _with_reports(session, results, reports)
    if summary is not None:
        summary.write_text(markdown_of(results), encoding="utf-8")
    _print(session, results)
    if comment:
        _comment(session, results)
    failed = [one for one in results if one.failure]
    if failed:
        raise PushFailed("\n".join(one.failure for one in failed), failed[-1].exit_code)


@dataclass(frozen=True)
class _Deleted:
    """A voice whose folder is gone in the last commit of a range."""

    name: str
    repository: Repository
    head: str

    def knows(self, commit: str) -> bool:
        """Whether the folder was deleted after this commit."""
        return self.repository.commits_between(commit, self.head) is not None


@dataclass(frozen=True)
class _Found:
    """Folders that are pushed, and voices whose folders are gone."""

    pushed: list[Path]
    deleted: tuple[_Deleted, ...] = ()


def _changes(folders: tuple[Path, ...], changed: str | None) -> _Found:
    if changed is None:
        return _Found(list(folders))
    pushed: list[Path] = []
    deleted: list[_Deleted] = []
    for folder in folders:
        # A folder that a push deleted as a whole is gone here; git still knows its name.
        around = next((one for one in (folder, *folder.absolute().parents) if one.is_dir()), Path.cwd())
        repository = Repository.around(around)
        if repository is None:
            raise NotFound(f"{folder} lies in no git checkout; --changed needs one")
        changes: Changes = repository.changes(changed, folder)
        pushed += [folder / name for name in changes.changed]
        deleted += [_Deleted(name, repository, changed.partition("..")[2]) for name in changes.deleted]
    return _Found(pushed, tuple(deleted))


def _push_all(session: Session, paths: list[Path], options: PushOptions) -> list[Result]:
    """Push several voices at a time; what is wrong with one keeps no other back."""
    if not paths:
        return []
    caller = Caller.of(session.kubectl)
    with _bars(session) as bars, ThreadPoolExecutor(PUSHES) as pool:
        return list(pool.map(lambda path: _push_one(session, path, caller, options, bars), paths))


def _push_one(session: Session, path: Path, caller: Caller, options: PushOptions, bars: Progress | None) -> Result:
    name = path.resolve().name
    try:
        prepared = prepare(path, session.kubectl, caller, options)
        if prepared.origin.dirty and prepared.origin.commit:
            session.output.note(f"{name}: the folder has changes that no commit has, so no commit is recorded")
        told = _bar(prepared, bars)
        return Result(name, push(prepared, session.kubectl, options, told))
    except CliError as error:
        sentence = str(error) if isinstance(error, FolderRefused) else f"{name}: {error}"
        return Result(name, error=sentence, exit_code=error.exit_code)
    except (StoreError, OSError) as error:
        told_error = cli_error_of(error)
        return Result(name, error=f"{name}: {told_error}", exit_code=told_error.exit_code)


@contextmanager
def _bars(session: Session) -> Iterator[Progress | None]:
    """Yield bars for people's terminals; None: there is nobody to look."""
    console = session.output.notes
    if not console.is_terminal or not session.output.is_text or os.environ.get("CI"):  # some runners have a terminal
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress


def _bar(prepared: Prepared, bars: Progress | None) -> Callable[[int], None]:
    if bars is None:
        return lambda _: None
    task = bars.add_task(prepared.folder.name, total=prepared.dataset.size)
    return lambda size: bars.advance(task, size)


def _deleted(session: Session, deleted: _Deleted, *, erase: bool) -> Result:
    name = deleted.name
    if not erase:
        return Result(
            name, erasure=f"the folder is gone; the voice stays until a person decides: `kubectl voice erase {name}`"
        )
    try:
        return Result(name, erasure=ask_for_erasure(name, session.kubectl, deleted.knows))
    except CliError as error:
        return Result(name, error=f"{name}: {error}", exit_code=error.exit_code)


def _waited(session: Session, results: list[Result], timeout: int) -> list[Result]:
    keys = {(one.pushed.namespace, one.voice): one for one in results if one.pushed is not None}
    last: dict[str, str] = {}

    def told(report: VoiceReport) -> None:
        percent = next((f" {one.percent}%" for one in report.steps if one.state == "running" and one.percent), "")
        line = f"{report.name}: {report.phase}{percent}"
        if last.get(report.name) != line and session.output.is_text:
            session.output.note(line)
        last[report.name] = line

    found = wait_for_all(list(keys), session.kubectl, seconds=timeout, told=told)
    waited = []
    for one in results:
        key = (one.pushed.namespace, one.voice) if one.pushed is not None else ("", "")
        if key not in found:
            waited.append(one)
            continue
        outcome, state = found[key]
        late = f"{_so_far(one.voice, state)} after {timeout} s; it goes on in the cluster"
        code = TimedOut.exit_code if outcome is None else 0 if outcome.good else VoiceFailed.exit_code
        error = late if outcome is None else ""
        waited.append(Result(one.voice, one.pushed, outcome, state, error=error, exit_code=code))
    return waited


def _so_far(voice: str, state: Object) -> str:
    """Return what a voice does that is not done yet, and why where something is the matter."""
    phase = str((state.get("status") or {}).get("phase") or "not seen by the operator")
    message = str((conditions_of(state).get("Ready") or {}).get("message") or "")
    return f"{voice}: {phase}" + (f" ({message})" if message else "")


def _with_reports(session: Session, results: list[Result], folder: Path) -> list[Result]:
    """Fetch the reports of the first voices; one that cannot be read keeps nothing back."""
    tried = [one.voice for one in results if one.state][:MAX_REPORTS]
    return [_with_report(session, one, folder) if one.voice in tried else one for one in results]


def _with_report(session: Session, one: Result, folder: Path) -> Result:
    try:
        file = fetch_report(one.state or {}, session.kubectl, folder)
    except (CliError, StoreError) as error:
        session.output.note(f"{one.voice}: no report: {error}")
        return one
    return one if file is None else replace(one, report=link_to(file, os.environ))


def _comment(session: Session, results: list[Result]) -> None:
    """Comment on the merge request; what fails is told and keeps nothing back, as the voices are there."""
    if not results:
        return
    try:
        session.output.note(comment_on(forge_of(os.environ), session.kubectl.namespace(), markdown_of(results)))
    except CliError as error:
        session.output.note(f"no comment on the merge request: {error}")


def _print(session: Session, results: list[Result]) -> None:
    output = session.output
    if output.is_text:
        for line in lines_of([one for one in results if one.good]):
            output.line(line)
        if not results:
            output.note("no voice was changed")
        return
    document = [
        {
            "voice": one.voice,
            "namespace": one.pushed.namespace if one.pushed else "",
            "digest": one.pushed.digest if one.pushed else "",
            "uri": one.pushed.uploaded.uri if one.pushed and one.pushed.uploaded else "",
            "source": one.pushed.origin.source() if one.pushed else {},
            "phase": one.outcome.phase if one.outcome else "",
            "revision": ((one.state or {}).get("status") or {}).get("activeRevision") or "",
            "error": one.failure,
            "erasure": one.erasure,
        }
        for one in results
    ]
    output.document(json.loads(json.dumps(document)), [f"voicemodel.voice.sovits.dev/{one.voice}" for one in results])
