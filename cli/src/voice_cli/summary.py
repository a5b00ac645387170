"""What a push did, in Markdown for a merge request and as lines for a log; pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from voice_cli.api import Object
from voice_cli.listing import scores_text
from voice_cli.outcomes import Outcome
from voice_cli.push import Pushed
from voice_store.printable import printable

SHOWN_COMMIT = 12
HEADS = ("voice", "state", "revision", "commit", "scores", "verdicts", "recordings", "report")
LINKS = ("https://", "http://")


@dataclass(frozen=True)
class Result:
    """One voice of a push: what was done, or why not."""

    voice: str
    pushed: Pushed | None = None
    outcome: Outcome | None = None
    state: Object | None = None  # of the VoiceModel, where it was waited for
    error: str = ""  # one sentence; empty: none
    exit_code: int = 0  # of the error
    report: str = ""  # where its report lies: an address, or a file; empty: none was fetched
    erasure: str = ""  # of a folder that was deleted: what was asked for, or what to do

    @property
    def good(self) -> bool:
        """Whether nothing failed."""
        return not self.error and (self.outcome is None or self.outcome.good)

    @property
    def failure(self) -> str:
        """Return the failure's sentence, which ends a pipeline's log; empty: none."""
        if self.error:
            return self.error
        return self.outcome.sentence if self.outcome is not None and not self.outcome.good else ""


def lines_of(results: Sequence[Result]) -> list[str]:
    """Return a line for each voice."""
    return [f"{one.voice}: {_word(one)}{_detail(one)}" for one in results]


def markdown_of(results: Sequence[Result]) -> str:
    """Return the summary for a merge request; voices that failed come first, where no limit of length cuts them off."""
    results = sorted(results, key=lambda one: not one.failure)
    rows = [f"| {' | '.join(HEADS)} |", f"| {' | '.join('---' for _ in HEADS)} |"]
    rows += [f"| {' | '.join([*map(_cell, _cells(one)), _report(one)])} |" for one in results]
    notes = []
    for one in results:
        if one.failure:
            notes += ["", f"**{_cell(one.voice)}**: {_cell(one.failure)}"]
            if one.outcome is not None and one.outcome.remedy:
                notes += ["", f"→ {_cell(one.outcome.remedy)}"]
        elif one.erasure:
            notes += ["", f"**{_cell(one.voice)}**: {_cell(one.erasure)}"]
        if samples := _samples(one):
            notes += [
                "",
                f"Samples of {_cell(one.voice)}: {samples}",
            ]
    nothing = ["No voice was changed."] if not results else rows
    return "\n".join([f"### Voices{_counts(results)}", "", *nothing, *notes]) + "\n"


def _counts(results: Sequence[Result]) -> str:
    """Return how many voices are in each state, as ``: 2 Ready, 1 Failed``; empty without voices."""
    counts = Counter(map(_word, results))
    return ": " * bool(counts) + ", ".join(f"{number} {word}" for word, number in counts.items())


def _report(one: Result) -> str:
    """Return the link to the report, as Markdown."""
    if not one.report:
        return ""
    return f"[samples and scores]({one.report})" if one.report.startswith(LINKS) else f"`{_cell(one.report)}`"


def _cells(one: Result) -> tuple[str, ...]:
    status = (one.state or {}).get("status") or {}
    scores = {str(key): str(value) for key, value in (status.get("scores") or {}).items()}
    commit = one.pushed.origin.commit[:SHOWN_COMMIT] if one.pushed is not None else ""
    recordings = one.pushed.digest.removeprefix("sha256:")[:SHOWN_COMMIT] if one.pushed is not None else ""
    revision = str(status.get("candidateRevision") or status.get("activeRevision") or "")
    verdicts = ", ".join(map(_verdict, status.get("gates") or ()))
    return (one.voice, _word(one), revision, commit, scores_text(scores, 4), verdicts, recordings)


def _verdict(gate: Object) -> str:
    """Return a gate and what became of it, as ``pesq ≥ 3: passed``."""
    bounds = [f"{word} {gate[key]}" for key, word in (("min", "≥"), ("max", "≤")) if gate.get(key) is not None]
    how = gate.get("verdict") or ("passed" if gate.get("passed") else "failed")
    return f"{gate.get('metric')} {' '.join(bounds)}: {how}"


def _word(one: Result) -> str:
    if one.erasure:
        return "deleted"
    if one.error:
        return "refused" if one.pushed is None else "failed"
    if one.outcome is not None:
        return one.outcome.phase
    return "pushed" if one.pushed is not None and one.pushed.uploaded is not None else "checked"


def _detail(one: Result) -> str:
    if one.failure or one.erasure:
        return f": {one.failure or one.erasure}"
    parts = []
    if one.pushed is not None and one.pushed.uploaded is not None:
        uploaded = one.pushed.uploaded
        parts.append(f"{uploaded.sent} files sent, {uploaded.skipped} were there")
    if one.pushed is not None and one.pushed.pinned:
        parts.append(
            f"pinned to {one.pushed.pinned}, so nothing is trained (`kubectl voice rollback {one.voice} --latest`)"
        )
    if one.outcome is not None and one.outcome.phase != "Ready":
        parts.append(one.outcome.sentence)
    return ": " + "; ".join(parts) if parts else ""


def _samples(one: Result) -> str:
    """Return where the samples of the revision are that the row is about; empty: nowhere yet."""
    status = (one.state or {}).get("status") or {}
    if not one.good or one.outcome is None:
        return ""
    if candidate := status.get("candidateRevision"):
        return f"`kubectl voice listen {_cell(str(candidate))}`"
    uri = str((status.get("artifacts") or {}).get("uri") or "")
    return f"`{_cell(f'{uri}/samples/')}` (`kubectl voice listen {_cell(one.voice)}`)" if uri else ""


def _cell(text: str) -> str:
    """Return text that neither ends a row nor marks anything up."""
    shown = printable(" ".join(text.split()))
    for sign in "\\|<>[]":
        shown = shown.replace(sign, {"<": "&lt;", ">": "&gt;"}.get(sign, f"\\{sign}"))
    return shown
