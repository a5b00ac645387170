"""The attempts of stages that ended between two statuses, for metrics."""

from collections.abc import Iterator
from typing import NamedTuple

from voice_operator.api.voice_status import StageName, StageStatus, VoiceModelStatus
from voice_operator.reconcile.times import parse


class Outcome(NamedTuple):
    """One attempt that ended: ``result`` is Succeeded or the class of the failure, ``seconds`` its length."""

    stage: StageName
    result: str
    seconds: float


def outcomes_between(old: VoiceModelStatus, new: VoiceModelStatus) -> Iterator[Outcome]:
    """Yield one outcome for each attempt that the new status accounts for and the old one does not."""
    recorded = {stage.name: stage for stage in old.stages} if old.input_hash == new.input_hash else {}
    for stage in new.stages:
        before = recorded.get(stage.name) or StageStatus(name=stage.name)
        failure = stage.last_failure
        if failure is not None and failure != before.last_failure:
            yield Outcome(stage.name, failure.failure_class, _seconds(stage.started_at, failure.time))
        if stage.state == "Succeeded" and before.state != "Succeeded" and stage.attempt:
            yield Outcome(stage.name, "Succeeded", _seconds(stage.started_at, stage.completed_at))


def _seconds(start: str | None, end: str | None) -> float:
    """Return the time between two moments; 0 where one is not known or the clocks that wrote them disagree."""
    return max((parse(end) - parse(start)).total_seconds(), 0.0) if start and end else 0.0
