"""Inputs that a voice was edited away from: what they have left waits an hour for an edit back, with their attempts."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from voice_operator.api.voice_status import LeftStage, StageStatus, TrainedInput, VoiceModelStatus
from voice_operator.reconcile.times import parse, render

KEPT_SECONDS = 3600.0
KEPT_INPUTS = 8  # of a voice; the ones that were left last


def left(entry: TrainedInput, status: VoiceModelStatus, now: datetime) -> TrainedInput:
    """Return the entry of an input that is not the present one: since when, and how far its stages had come."""
    if entry.left or entry.erase is not None:
        return entry
    stages = status.stages if status.input_hash == entry.hash else ()
    return entry.model_copy(update={"left": render(now), "stages": tuple(_left_stage(one) for one in stages)})


def present(entry: TrainedInput) -> TrainedInput:
    """Return the entry of the present input."""
    return entry.model_copy(update={"left": None, "stages": ()}) if entry.left else entry


def outlived(entries: Iterable[TrainedInput], now: datetime) -> frozenset[str]:
    """Return the hashes of the inputs that were left too long ago, or before too many others."""
    newest = sorted(_waiting(entries), key=lambda one: parse(one.left or ""), reverse=True)
    too_old = (one for one in newest[:KEPT_INPUTS] if _seconds_left(one, now) <= 0)
    return frozenset(one.hash for one in (*too_old, *newest[KEPT_INPUTS:]))


def seconds_until_one_goes(entries: Iterable[TrainedInput], now: datetime) -> float | None:
    """Return when the next pass has to look for inputs that have outlived their hour; None: there are none."""
    return min((max(_seconds_left(one, now), 1.0) for one in _waiting(entries)), default=None)


def resumed_stages(entry: TrainedInput | None) -> tuple[StageStatus, ...]:
    """Return the stages of an input that is the present one again; the results that are there complete them."""
    found = () if entry is None else entry.stages
    return tuple(StageStatus(name=one.name, attempt=one.attempt, counted=one.counted) for one in found)


def _waiting(entries: Iterable[TrainedInput]) -> Iterable[TrainedInput]:
    return (one for one in entries if one.left and one.erase is None)


def _left_stage(stage: StageStatus) -> LeftStage:
    """Return the numbers of a stage: whether its newest attempt succeeded, its results tell.

    No Job name is used twice, and an attempt that failed is not counted again.
    """
    open_ended = stage.state in {"Running", "Succeeded"}
    counted = min(stage.counted, stage.attempt - 1) if open_ended else stage.attempt
    return LeftStage(name=stage.name, attempt=stage.attempt, counted=max(counted, 0))


def _seconds_left(entry: TrainedInput, now: datetime) -> float:
    return (parse(entry.left or "") + timedelta(seconds=KEPT_SECONDS) - now).total_seconds()
