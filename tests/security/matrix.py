"""What was measured between tenants, as JSON for programs and as the table of docs/attacks.md."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

OWN, OTHER = "own", "other"


@dataclass(frozen=True)
class Trial:
    """One way to do something to a namespace, and what came of it."""

    action: str
    way: str
    namespace: str  # own or other
    allowed: bool
    said: str = ""  # by whoever refused


def write(trials: list[Trial], folder: Path) -> None:
    """Write `isolation.json` and `isolation.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "isolation.json").write_text(json.dumps([asdict(one) for one in trials], indent=1) + "\n")
    (folder / "isolation.md").write_text(table(trials))


def table(trials: list[Trial]) -> str:
    """A row for each action and way."""
    rows = ["| action | by | own namespace | other namespace |", "| --- | --- | --- | --- |"]
    found = {(one.action, one.way, one.namespace): one for one in trials}
    for action, way in dict.fromkeys((one.action, one.way) for one in trials):
        cells = [_cell(found.get((action, way, namespace))) for namespace in (OWN, OTHER)]
        rows.append(f"| {action} | {way} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _cell(trial: Trial | None) -> str:
    if trial is None:
        return ""
    return "yes" if trial.allowed else "refused"
