"""``list``, ``status``, ``watch``, ``logs``, ``diff``: what there is and what goes on."""

import time
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import click
from rich.live import Live
from rich.text import Text

from voice_cli.api import REVISION, VOICE, Object, name_of
from voice_cli.commands.options import ANY_NAME, VOICE_NAME, Session, command
from voice_cli.commands.root import voice
from voice_cli.differences import differences_of
from voice_cli.errors import NotFound, TimedOut, Unavailable, VoiceFailed
from voice_cli.job_logs import JOB_LABEL, missing_log
from voice_cli.listing import chosen, heads, rows_of
from voice_cli.outcomes import outcome_of
from voice_cli.output import STYLES, Output
from voice_cli.timeline import Step, VoiceReport, report_of
from voice_cli.times import duration

POLL_SECONDS = 2.0
STAGES = ("prepare", "train", "evaluate")
NAME_WIDTH = 12


@command(voice, "list", formats=True)
@click.option("-A", "--all-namespaces", is_flag=True, help="Voices of all namespaces.")
@click.option("--problems", is_flag=True, help="Only voices that are not ready.")
def list_voices(session: Session, *, all_namespaces: bool, problems: bool) -> None:
    """List voices: state, revision, commit, scores, and what is the matter."""
    items = session.kubectl.items(f"{VOICE},{REVISION}", everywhere=all_namespaces)
    rows = chosen(rows_of(items, datetime.now(UTC)), problems=problems)
    output = session.output
    if not output.is_text:
        output.document([row.document() for row in rows], [f"voicemodel.voice.sovits.dev/{row.name}" for row in rows])
        return
    if not rows:
        where = "any namespace" if all_namespaces else f"namespace {session.kubectl.namespace()}"
        none = "every voice is ready" if problems and items else "no voices"
        output.note(f"{none} in {where}" + ("" if items else "; `kubectl voice push FOLDER` makes one"))
        return
    wide = output.format == "wide"
    cells = [row.cells(wide=wide, everywhere=all_namespaces) for row in rows]
    output.table(heads(wide=wide, everywhere=all_namespaces), cells, style_of=2 if all_namespaces else 1)


@command(voice, "status", formats=True)
@click.argument("name", type=VOICE_NAME)
def status(session: Session, *, name: str) -> None:
    """Show a voice's way from consent to serving, with reasons and remedies."""
    report = _report(session, name)
    output = session.output
    if not output.is_text:
        output.document(report.document(), [f"voicemodel.voice.sovits.dev/{name}"])
        return
    _print_report(output, report)


@command(voice, "watch")
@click.argument("name", type=VOICE_NAME)
@click.option("--timeout", type=click.IntRange(1), metavar="SECONDS", help="Give up after so long (default: never).")
def watch(session: Session, *, name: str, timeout: int | None) -> None:
    """Follow a voice until it is ready, fails, or waits for people; the exit code says which."""
    deadline = None if timeout is None else time.monotonic() + timeout
    output, last = session.output, ""
    live = Live(console=output.console, auto_refresh=False) if output.console.is_terminal else None
    with live if live is not None else nullcontext():
        while True:
            found = session.kubectl.get(VOICE, name)
            report = report_of(found, None, datetime.now(UTC))
            line = _line(report)
            if live is not None:
                shown = Text(line, STYLES.get(report.phase, "cyan"), no_wrap=True, overflow="ellipsis")
                live.update(shown, refresh=True)
            elif line != last:
                click.echo(line)
            last = line
            outcome = outcome_of(found)
            if outcome is not None:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise TimedOut(f"{name}: {report.phase} after {timeout} s; it goes on, `kubectl voice status {name}`")
            time.sleep(POLL_SECONDS)
    if not outcome.good:
        raise VoiceFailed(outcome.sentence)


@command(voice, "logs")
@click.argument("name", type=VOICE_NAME)
@click.option("--stage", type=click.Choice(STAGES), help="Of this stage (default: the newest that has run).")
@click.option("-f", "--follow", is_flag=True, help="Go on as the Job goes on.")
def logs(session: Session, *, name: str, stage: str | None, follow: bool) -> None:
    """Print what the trainer wrote in a voice's newest Job, or in that of one stage."""
    found = session.kubectl.get(VOICE, name)
    stages = {str(one["name"]): one for one in (found.get("status") or {}).get("stages") or ()}
    jobs = {key: str(one.get("job") or "") for key, one in stages.items() if one.get("job")}
    job = jobs.get(stage, "") if stage else next((jobs[key] for key in reversed(STAGES) if key in jobs), "")
    if not job:
        what = f"{stage} Job" if stage else "Job"
        raise NotFound(f"{name} has had no {what} yet; `kubectl voice status {name}` says what it waits for")
    if missing := missing_log(job, session.kubectl.items("pods", labels=f"{JOB_LABEL}={job}")):
        raise NotFound(f"{missing}; `kubectl voice status {name}` tells what is known")
    try:
        session.kubectl.follow("logs", f"job/{job}", *(["--follow"] if follow else []))
    except Unavailable as error:
        raise Unavailable(f"no log of {job}: {error}; `kubectl voice status {name}` tells what is known") from error


@command(voice, "diff", formats=True)
@click.argument("first", type=ANY_NAME)
@click.argument("second", type=ANY_NAME)
def diff(session: Session, *, first: str, second: str) -> None:
    """Compare two revisions, or the revisions that two voices serve: origin, data, training, scores, files."""
    one, other = (_revision(session, name) for name in (first, second))
    found = differences_of(one, other)
    output = session.output
    if not output.is_text:
        output.document([row._asdict() for row in found], [name_of(one), name_of(other)])
        return
    if not found:
        output.note(f"{name_of(one)} and {name_of(other)} differ in nothing that is recorded")
        return
    output.table(("WHAT", name_of(one).upper(), name_of(other).upper(), "NOTE"), found)


def _revision(session: Session, name: str) -> Object:
    """Return a revision of this name, else the one that the voice of this name serves."""
    try:
        return session.kubectl.get(REVISION, name)
    except NotFound:
        found = session.kubectl.get(VOICE, name)
    active = (found.get("status") or {}).get("activeRevision")
    if not active:
        raise NotFound(f"{name} serves no revision yet; `kubectl voice status {name}` says why")
    return session.kubectl.get(REVISION, str(active))


def _report(session: Session, name: str) -> VoiceReport:
    found = session.kubectl.get(VOICE, name)
    active = (found.get("status") or {}).get("activeRevision")
    revision = None
    if active:
        try:
            revision = session.kubectl.get(REVISION, str(active))
        except NotFound:  # it is just being deleted
            revision = None
    return report_of(found, revision, datetime.now(UTC))


def _line(report: VoiceReport) -> str:
    running = next((step for step in report.steps if step.state == "running"), None)
    parts = [report.phase]
    parts += [f"{running.percent}%"] if running is not None and running.percent is not None else []
    what = running.message if running is not None and running.message else report.message
    return f"{report.name}: {' '.join(parts)}" + (f": {what}" if what else "")


def _print_report(output: Output, report: VoiceReport) -> None:
    state = (
        report.phase if report.up_to_date else f"{report.phase}, of an earlier spec: the operator has not seen this one"
    )
    output.line((report.name, "bold"), f"  {report.namespace}  ", (state, STYLES.get(report.phase, "cyan")))
    for label, value in _facts(report).items():
        if value:
            output.line((label.ljust(NAME_WIDTH), "dim"), value, indent=2, hanging=2 + NAME_WIDTH)
    output.line("")
    for step in report.steps:
        _print_step(output, step)
    if not report.ready and report.message and not any(step.message == report.message for step in report.steps):
        output.line("")
        output.line((report.reason, STYLES.get(report.phase, "")), f": {report.message}")
    shown = any(step.remedy == report.remedy for step in report.steps)
    if report.remedy and not shown:
        output.line(("→ ", "bold"), report.remedy, indent=2, hanging=4)


def _facts(report: VoiceReport) -> dict[str, str]:
    origin = " ".join(part for part in (report.commit[:12], f"by {report.author}" if report.author else "") if part)
    return {
        "revision": f"{report.revision} (pinned: nothing is trained)" if report.pinned else report.revision,
        "next": "" if report.candidate == report.revision else report.candidate,
        "commit": origin,
        "repository": report.repository,
        "scores": ", ".join(f"{name} {value}" for name, value in sorted(report.scores.items())),
        "server": report.server,
        "endpoint": report.endpoint,
    }


def _print_step(output: Output, step: Step) -> None:
    details = [f"{step.percent}%"] if step.percent is not None else []
    details += [duration(step.seconds)] if step.seconds is not None else []
    details += [f"attempt {step.attempt}"] if step.attempt > 1 else []
    words: list[Any] = [
        output.mark(step.state),
        " ",
        (step.name.ljust(NAME_WIDTH - 1), "bold" if step.state != "waiting" else "dim"),
    ]
    words += [(", ".join(details) + "  ", "dim")] if details else []
    said = ": ".join(part for part in (step.reason, step.message) if part)
    words += [(said, "" if step.state != "failed" else "red")] if said else [(step.state, "dim")]
    output.line(*words, indent=2, hanging=3 + NAME_WIDTH)
    if step.remedy:
        output.line(("→ ", "bold"), step.remedy, indent=3 + NAME_WIDTH, hanging=5 + NAME_WIDTH)
