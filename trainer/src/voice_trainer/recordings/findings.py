"""What was found out about recordings: one sentence each, a warning or a refusal, about a clip or the whole dataset."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from voice_trainer.errors import BadDataset

Severity = Literal["warning", "refusal"]
FINDINGS_FILE = "findings.json"
WHOLE = ""  # in place of a clip's id: the finding is about the dataset


@dataclass(frozen=True)
class Finding:
    """One fact about a clip that a person should know."""

    clip: str  # its id, or WHOLE
    reason: str  # CamelCase; of a refusal it becomes the condition's
    sentence: str  # names the file, the value and the remedy
    severity: Severity


@dataclass
class FindingList:
    """All findings of one pass over a dataset, in the order in which they were made."""

    found: list[Finding] = field(default_factory=list)
    tell: Callable[[Finding], None] = lambda _: None  # called with each at once

    def refuse(self, reason: str, sentence: str, clip: str = WHOLE) -> None:
        """Add what forbids to train on the dataset as it is."""
        self._add(Finding(clip, reason, sentence, "refusal"))

    def warn(self, reason: str, sentence: str, clip: str = WHOLE) -> None:
        """Add what a person should know; training goes on."""
        self._add(Finding(clip, reason, sentence, "warning"))

    def extend(self, findings: Iterable[Finding]) -> None:
        """Add findings that were made elsewhere."""
        for finding in findings:
            self._add(finding)

    @property
    def refused_clips(self) -> frozenset[str]:
        """The ids of clips that cannot be used."""
        return frozenset(one.clip for one in self.found if one.severity == "refusal" and one.clip != WHOLE)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What does not forbid training."""
        return tuple(one for one in self.found if one.severity == "warning")

    def require_no_refusal(self) -> None:
        """Raise ``BadDataset`` with all refusals, if there are any."""
        refusals = [(one.reason, one.sentence) for one in self.found if one.severity == "refusal"]
        if refusals:
            raise BadDataset(refusals)

    def _add(self, finding: Finding) -> None:
        self.found.append(finding)
        self.tell(finding)


def write_findings(folder: Path, findings: Sequence[Finding]) -> None:
    """Write ``findings.json``: a list of objects with ``clip``, ``reason``, ``sentence`` and ``severity``."""
    document = json.dumps([asdict(one) for one in findings], ensure_ascii=False, indent=1)
    (folder / FINDINGS_FILE).write_text(document + "\n", encoding="utf-8")
