"""The table of the results, for people and for docs/reliability.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dev.operator_bench.measure import Figures

ROWS: dict[str, Callable[[Figures], object]] = {
    "resident at rest, MB": lambda run: run["rest_mb"],
    "resident at most, MB": lambda run: run["peak_mb"],
    "event → Job p50 / p99, s": lambda run: _pair(run["event_to_job"]["outside"]),
    "the same, operator's histogram, s": lambda run: _pair(run["event_to_job"]["histogram"]),
    "event → Job p50 / p99 of all at once, s": lambda run: _pair(run["event_to_job_at_once"]["outside"]),
    "Jobs per second of all at once": lambda run: run["event_to_job_at_once"]["jobs_per_second"],
    "revocation → gone p50 / p99, s": lambda run: _pair(run["revocation"]),
    "50 at once p50 / p99, s": lambda run: _pair(run["revocations_at_once"]),
    "API requests per pass": lambda run: run["restart"]["requests_per_pass"],
    "API requests per minute at rest": lambda run: run["rest"]["requests_per_minute"],
    "writes per minute at rest": lambda run: run["rest"]["writes_per_minute"],
    "API requests per minute while Jobs wait": lambda run: run["waiting"]["requests_per_minute"],
    "restart until synced, s": lambda run: run["restart"]["synced_seconds"],
    "restart until quiet, s": lambda run: run["restart"]["quiet_seconds"],
}


def markdown(runs: Sequence[Figures]) -> str:
    """One column for each run."""
    lines = [["voices", *(run["name"] for run in runs)], ["---"] * (len(runs) + 1)]
    lines += [[name, *(str(figure(run)) for run in runs)] for name, figure in ROWS.items()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _pair(found: Figures) -> str:
    never = f" ({found['never']} of {found['count']} never)" if found.get("never") else ""
    return f"{found['p50']:g} / {found['p99']:g}{never}"
