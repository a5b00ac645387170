"""A voice's status as a timeline: consent, recordings, training, evaluation, review, serving; pure."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from voice_cli.api import Object, conditions_of
from voice_cli.reasons import remedy_for
from voice_cli.times import parsed

State = Literal["done", "running", "waiting", "failed", "skipped"]

STEPS = (  # condition, what people call it, stage of the trainer
    ("ConsentValid", "Consent", ""),
    ("Allowed", "Policy", ""),
    ("Prepared", "Recordings", "prepare"),
    ("Trained", "Training", "train"),
    ("Evaluated", "Evaluation", "evaluate"),
    ("GatesPassed", "Gates", ""),
    ("Approved", "Review", ""),
    ("Serving", "Serving", ""),
    ("Retained", "Retention", ""),
)
QUIET = {("Allowed", "Allowed"), ("Retained", "Kept")}  # say nothing while all is well
PENDING = frozenset({"Pending", "NotEvaluated", "NotPublished", "NothingToApprove", "AwaitingReview", "NotServed"})
KUEUES = frozenset({"AdmissionPending", "PreemptedByKueue", "EvictedByKueue"})  # the Job waits in a queue
BUSY = frozenset({"Running", "NotStarted", "Retrying", "Queued", "Loading", "RollingOut"}) | KUEUES


@dataclass(frozen=True)
class Step:
    """One line of the timeline."""

    name: str
    state: State
    message: str = ""
    reason: str = ""  # only where something is to be said about it
    remedy: str = ""
    attempt: int = 0
    started: str = ""
    seconds: float | None = None
    percent: int | None = None


@dataclass(frozen=True)
class VoiceReport:
    """Everything that ``status`` shows."""

    name: str
    namespace: str
    phase: str
    ready: bool
    reason: str
    message: str
    remedy: str
    up_to_date: bool  # whether the operator has seen the present spec
    revision: str
    candidate: str
    pinned: str
    commit: str
    author: str
    repository: str
    scores: dict[str, str]
    server: str
    endpoint: str
    steps: tuple[Step, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def report_of(voice: Object, revision: Object | None, now: datetime) -> VoiceReport:
    """Return what is to be said about a voice.

    Args:
        voice: the VoiceModel.
        revision: its active VoiceRevision, whose commit and scores are what is heard; None: there is none.
        now: for durations of what runs.
    """
    name, spec, status = str(voice["metadata"]["name"]), voice.get("spec") or {}, voice.get("status") or {}
    conditions = conditions_of(voice)
    ready = conditions.get("Ready") or {}
    stalled = conditions.get("Stalled") or {}
    is_ready = ready.get("status") == "True"
    reason = str(ready.get("reason") or "NotSeenYet")
    source = ((revision or voice).get("spec") or {}).get("source") or {}
    message = str(ready.get("message") or "")
    if not conditions:
        message = "the operator has not looked at it yet; `kubectl voice doctor` says whether one works here"
    return VoiceReport(
        name=name,
        namespace=str(voice["metadata"].get("namespace") or ""),
        phase=str(status.get("phase") or "Pending"),
        ready=is_ready,
        reason=reason,
        message=message,
        remedy=remedy_for(reason, name) if stalled.get("status") == "True" or not is_ready else "",
        up_to_date=status.get("observedGeneration") == voice["metadata"].get("generation"),
        revision=str(status.get("activeRevision") or ""),
        candidate=str(status.get("candidateRevision") or ""),
        pinned=str((spec.get("serving") or {}).get("pin") or ""),
        commit=str(source.get("commit") or ""),
        author=str(source.get("author") or ""),
        repository=str(source.get("repository") or ""),
        scores={str(key): str(value) for key, value in (status.get("scores") or {}).items()},
        server=str(status.get("server") or ""),
        endpoint=str(status.get("endpoint") or ""),
        steps=tuple(steps_of(voice, now)),
    )


def steps_of(voice: Object, now: datetime) -> list[Step]:
    """Return the timeline; steps that have nothing to say are left out."""
    status, conditions = voice.get("status") or {}, conditions_of(voice)
    stages = {str(one.get("name")): one for one in status.get("stages") or ()}
    steps = []
    for kind, label, stage in STEPS:
        condition = conditions.get(kind)
        if condition is None or (kind, condition.get("reason")) in QUIET:
            continue
        step = _step(label, condition, stages.get(stage) or {}, str(voice["metadata"]["name"]), now)
        steps.append(_with_recordings(step, status) if stage == "prepare" else step)
        if stage and step.state == "running":
            steps[-1] = _with_progress(steps[-1], status)
    return steps


def _step(label: str, condition: Object, stage: Object, voice: str, now: datetime) -> Step:
    reason, message = str(condition.get("reason") or ""), str(condition.get("message") or "")
    state = _state(condition, stage)
    began, ended = parsed(stage.get("startedAt")), parsed(stage.get("completedAt"))
    until = ended or (now if state == "running" else None)
    told = state in {"failed", "running"} or (state == "waiting" and reason not in PENDING)
    done_at = message.startswith("done at ") and state == "done"
    failure = stage.get("lastFailure") or {}
    if state == "running" and failure and not message:
        message = f"attempt {failure.get('attempt')} failed: {failure.get('message')}"
    return Step(
        name=label,
        state=state,
        message="" if done_at else message or ("not asked for" if state == "skipped" else ""),
        reason=reason if told and reason not in {"Running", "False"} else "",
        remedy=remedy_for(reason, voice) if state == "failed" or told else "",
        attempt=int(stage.get("attempt") or 0),
        started=str(stage.get("startedAt") or ""),
        seconds=None if began is None or until is None else (until - began).total_seconds(),
    )


def _state(condition: Object, stage: Object) -> State:
    reason, status = condition.get("reason"), condition.get("status")
    if reason == "NotRequired":
        return "skipped"
    if status == "True":
        return "done"
    if stage.get("state") == "Failed":
        return "failed"
    if reason in BUSY or stage.get("state") == "Running":
        return "running"
    if status == "Unknown" or reason in PENDING:
        return "waiting"
    return "waiting" if stage else "failed"


def _with_recordings(step: Step, status: Object) -> Step:
    found = status.get("recordings")
    if not found or step.state != "done":
        return step
    parts = [f"{found.get('clips', 0)} clips"]
    parts += [f"{found['speechSeconds']} s of speech"] if found.get("speechSeconds") else []
    parts += [f"{found['rejected']} left out"] if found.get("rejected") else []
    parts += [f"{found['denoised']} denoised"] if found.get("denoised") else []
    parts += [f"{found['transcribed']} transcribed"] if found.get("transcribed") else []
    return Step(**{**asdict(step), "message": ", ".join(parts)})


def _with_progress(step: Step, status: Object) -> Step:
    progress = status.get("progress") or {}
    percent = progress.get("percent")
    parts = [f"epoch {progress['epoch']}"] if progress.get("epoch") else []
    parts += [f"about {progress['etaSeconds']} s left"] if progress.get("etaSeconds") else []
    shown = "; ".join(part for part in (step.message, ", ".join(parts)) if part)
    return Step(**{**asdict(step), "message": shown, "percent": percent if isinstance(percent, int) else None})
