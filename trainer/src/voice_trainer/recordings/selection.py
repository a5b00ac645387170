"""Which clips are used: bad ones are left out and told, and too many of them refuse the dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from voice_trainer.errors import BadDataset
from voice_trainer.recordings.findings import WHOLE, Finding

FINDINGS_SHOWN = 20  # on the resource; the report has all of them
MESSAGE_LIMIT = 400  # characters of one of these


def require_enough_good(findings: Sequence[Finding], clips: int, max_rejected: int) -> frozenset[str]:
    """Return the ids of the clips that are left out.

    Args:
        findings: all that was found in the dataset.
        clips: how many it has.
        max_rejected: the percentage of them that may be left out.

    Raises:
        BadDataset: a refusal is about the dataset as a whole, or too many clips are bad.
    """
    refusals = [one for one in findings if one.severity == "refusal"]
    rejected = frozenset(one.clip for one in refusals) - {WHOLE}
    share = 100 * len(rejected) / max(1, clips)
    too_many = bool(rejected) and share > max_rejected
    if not too_many and all(one.clip != WHOLE for one in refusals):
        return rejected
    reasons = Counter(one.reason for one in refusals)
    # The most frequent reason becomes the condition's; the dataset's own problems come before those of clips.
    refusals.sort(key=lambda one: (one.clip != WHOLE, -reasons[one.reason]))
    note = (
        f" ({len(rejected)} of {clips} clips are unusable, {share:.0f} %; dataset.maxRejected allows {max_rejected} %)"
        if too_many
        else ""
    )
    raise BadDataset([(one.reason, one.sentence) for one in refusals], note)


def summary_findings(findings: Sequence[Finding]) -> list[dict[str, str | bool]]:
    """Return what the resource's status shows: the worst first, one of each clip before the second of any."""
    ordered = sorted(findings, key=lambda one: one.severity != "refusal")
    seen: Counter[str] = Counter()
    ranks = []
    for one in ordered:
        ranks.append((one.severity != "refusal", seen[one.clip]))
        seen[one.clip] += 1
    best = [one for _, one in sorted(zip(ranks, ordered, strict=True), key=lambda pair: pair[0])]
    return [
        {
            "clip": one.clip,
            "reason": one.reason,
            "message": one.sentence[:MESSAGE_LIMIT],
            "rejected": one.severity == "refusal" and one.clip != WHOLE,
        }
        for one in best[:FINDINGS_SHOWN]
    ]
