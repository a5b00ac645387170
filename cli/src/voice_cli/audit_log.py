"""Rows of the audit log, from the records that the operator's reader prints as JSON; pure."""

import json
from collections.abc import Iterable

from voice_cli.errors import CliError

HEADS = ("RECORD", "TIME", "ACT", "VOICE", "REVISION", "BY AND WHY")
COMMIT_DIGITS = 12


def rows_of(lines: Iterable[str]) -> list[tuple[str, ...]]:
    """Return the cells of each record.

    Raises:
        CliError: a line is no record.
    """
    return [_row(line) for line in lines if line.strip()]


def _row(line: str) -> tuple[str, ...]:
    try:
        record = json.loads(line)
        act = record["act"]
        cells = (record["sequence"], act["time"], act["act"], record["voice"], act.get("revision") or "", _origin(act))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CliError(f"the operator printed something that is no record: {line[:200]!r}") from error
    return tuple(map(str, cells))


def _origin(act: dict[str, object]) -> str:
    """Return who did it, for whom, from which commit, and why."""
    asked = ", ".join(map(str, act.get("requestedBy") or ()))  # type: ignore[call-overload]
    by = str(act.get("by") or "") or (f"operator, for {asked}" if asked else "operator")
    source = act.get("source")
    commit = str(source.get("commit") or "")[:COMMIT_DIGITS] if isinstance(source, dict) else ""
    reason = str(act.get("reason") or "")
    return by + (f", commit {commit}" if commit else "") + (f": {reason}" if reason else "")
