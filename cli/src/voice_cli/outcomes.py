"""Whether a voice has come to an end that waiting can stop at: ready, failed, or in the hands of people; pure."""

from dataclasses import dataclass

from voice_cli.api import Object, conditions_of
from voice_cli.reasons import remedy_for


@dataclass(frozen=True)
class Outcome:
    """What became of the present spec."""

    good: bool
    phase: str
    reason: str
    sentence: str  # for people; names the voice
    remedy: str = ""


def outcome_of(voice: Object) -> Outcome | None:
    """Return the outcome of the present spec; None: the operator has not seen it yet, or works on it."""
    status, conditions = voice.get("status") or {}, conditions_of(voice)
    name, phase = str(voice["metadata"]["name"]), str(status.get("phase") or "")
    if status.get("observedGeneration") != voice["metadata"].get("generation") or not phase:
        return None
    ready, stalled = conditions.get("Ready") or {}, conditions.get("Stalled") or {}
    reason, message = str(ready.get("reason") or ""), str(ready.get("message") or "")
    if ready.get("status") == "True":
        return Outcome(good=True, phase=phase, reason=reason, sentence=f"{name}: ready, {status.get('activeRevision')}")
    if stalled.get("status") == "True":
        why = f"{stalled.get('reason')}: {stalled.get('message')}"
        remedy = remedy_for(str(stalled.get("reason")), name)
        return Outcome(
            good=False, phase=phase, reason=str(stalled.get("reason")), sentence=f"{name}: {why}", remedy=remedy
        )
    if phase in {"AwaitingReview", "Suspended"}:
        return Outcome(good=True, phase=phase, reason=reason, sentence=f"{name}: {phase}: {message}")
    if phase == "Unused":
        return Outcome(
            good=False, phase=phase, reason=reason, sentence=f"{name}: {message}", remedy=remedy_for("Unused", name)
        )
    return None
