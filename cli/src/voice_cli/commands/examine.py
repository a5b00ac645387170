"""``doctor`` and ``audit``: whether an installation works, and what was done to voices."""

import importlib.util
import io
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout

import click

from voice_cli import __version__
from voice_cli.audit_log import HEADS, rows_of
from voice_cli.commands.options import VOICE_NAME, Session, command, datasets_option
from voice_cli.commands.root import voice
from voice_cli.doctor.checks import Finding, examine
from voice_cli.doctor.facts import OPERATOR, gather
from voice_cli.errors import CliError, FaultsFound, NotFound, UsageError
from voice_cli.kubectl import Answer, Kubectl
from voice_cli.output import Output

WHAT_WIDTH = 14


@command(voice, "doctor", formats=True)
@datasets_option(default="the installation's")
@click.option("--read-only", is_flag=True, help="Do not try to write into the object store.")
def doctor(session: Session, *, datasets: str, read_only: bool) -> None:
    """Examine the installation end to end, and say what is missing and how to mend it."""
    facts = gather(session.kubectl, __version__, datasets, write=not read_only)
    found = examine(facts)
    output = session.output
    if output.is_text:
        _print(output, found)
    else:
        output.document([one.document() for one in found], [one.what for one in found if one.level == "fault"])
    faults = [one for one in found if one.level == "fault"]
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise FaultsFound(f"{faults[0].what}: {faults[0].sentence}{more}")


def _print(output: Output, findings: Sequence[Finding]) -> None:
    for one in findings:
        output.line(
            output.mark(one.level), " ", (one.what.ljust(WHAT_WIDTH), "bold"), one.sentence, hanging=WHAT_WIDTH + 2
        )
        if one.remedy:
            output.line(("→ ", "bold"), one.remedy, indent=WHAT_WIDTH + 2, hanging=WHAT_WIDTH + 4)


@command(voice, "audit")
@click.argument("verb", type=click.Choice(["list", "verify"]), default="list")
@click.option("--voice", "name", type=VOICE_NAME, help="list: of this voice only.")
@click.option("--act", metavar="ACT", help="list: of this kind only, as Revoked.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; a list as one document on each line.")
@click.option("--uri", metavar="URI", help="Read the log from the object store, without the operator's pod.")
@click.option("--public-key", metavar="FILE", multiple=True, help="verify with --uri: the key of the seals.")
@click.option("--head", metavar="NUMBER:sha256:…", multiple=True, help="verify: what an earlier verify printed.")
def audit(
    session: Session,
    *,
    verb: str,
    name: str | None,
    act: str | None,
    as_json: bool,
    uri: str | None,
    public_key: tuple[str, ...],
    head: tuple[str, ...],
) -> None:
    """Print what was done to the voices of a namespace, or prove that nothing was taken out of the log.

    Runs in the operator's pod, for whoever may exec there; with --uri here, for whoever may read the bucket. That needs
    `voice-cli[audit]`.
    """
    if uri and verb == "verify" and not public_key:
        raise UsageError(
            "audit verify with --uri needs --public-key: a file with the key of the seals, which the ConfigMap "
            "<release>-signing-key in the operator's namespace has"
        )
    given = {"--voice": name, "--act": act, "--uri": uri}
    is_table = verb == "list" and not as_json
    arguments = [verb, "--namespace", session.kubectl.namespace(), *(["--json"] if as_json or is_table else [])]
    arguments += [part for flag, value in given.items() if value for part in (flag, value)]
    arguments += [
        part
        for flag, values in (("--public-key", public_key), ("--head", head))
        for value in values
        for part in (flag, value)
    ]
    done = _audit_here(arguments) if uri else _audit_in_pod(session.kubectl, arguments)
    if done.said:
        session.output.note(done.said)
    if is_table:
        _print_records(session, done.printed)
    else:
        sys.stdout.write(done.printed)
    if done.code:
        raise FaultsFound("the log is not whole; what is above says what is wrong")


def _print_records(session: Session, printed: str) -> None:
    rows = rows_of(printed.splitlines())
    if rows:
        session.output.table(HEADS, rows)
    else:
        session.output.note(f"the log of namespace {session.kubectl.namespace()} has no such record")


def _audit_here(arguments: Sequence[str]) -> Answer:
    if importlib.util.find_spec("voice_operator") is None:
        raise UsageError("--uri needs the operator's reader of the log; install `voice-cli[audit]`")
    # By name: the command line needs no operator, and uses one that is there.
    reader = importlib.import_module("voice_operator.audit_command")
    errors = importlib.import_module("voice_operator.errors")
    printed, said = io.StringIO(), io.StringIO()
    try:
        with redirect_stdout(printed), redirect_stderr(said):
            code: int = reader.main(arguments)
    except errors.OperatorError as error:
        raise CliError(str(error)) from error
    return Answer(code, printed.getvalue(), said.getvalue().strip())


def _audit_in_pod(kubectl: Kubectl, arguments: Sequence[str]) -> Answer:
    found = kubectl.items("deployments.apps", labels=OPERATOR, everywhere=True)
    if not found:
        raise NotFound("no operator is installed; with --uri the log is read from the object store")
    one = found[0]["metadata"]
    there = kubectl.within(str(one["namespace"]))
    try:
        answer = there.run_in(f"deployment/{one['name']}", "voice-operator", "audit", *arguments)
    except CliError as error:
        raise type(error)(f"{error}; with --uri the log is read from the object store") from error
    if answer.code > 1:  # 1: the log is not whole
        raise CliError(answer.said.rpartition("\n")[2].removeprefix("voice-operator: ") or "the operator failed")
    return answer
