"""What must never happen, judged from what the API server and the operator say, in the order in which they say it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

GROUP = "voice.sovits.dev"

Object = Mapping[str, Any]
DigestOf = Callable[[str], str | None]  # of an object in the store; None: it is not there


@dataclass
class _Training:
    """The Jobs of one voice, input and stage, by uid."""

    unfinished: dict[str, str] = field(default_factory=dict)  # uid -> name
    complete: dict[str, str] = field(default_factory=dict)
    evaluations: dict[str, str] = field(default_factory=dict)  # other gates or sentences are another evaluation
    names: dict[str, str] = field(default_factory=dict)  # name -> uid


class Judge:
    """Collects violations. Times are monotonic seconds."""

    def __init__(self, bound_seconds: float) -> None:
        self.violations: list[str] = []
        self.longest_revoked_seconds = 0.0
        self._bound = bound_seconds
        self._trainings: dict[tuple[str, str, str], _Training] = {}
        self._revoked_at: dict[str, float] = {}  # voice id -> since when nobody may serve it
        self._reported: set[str] = set()

    def job_changed(self, job: Object) -> None:
        """A Job appeared or changed."""
        key, uid, name = _training_of(job), job["metadata"]["uid"], job["metadata"]["name"]
        if key is None:
            return
        training = self._trainings.setdefault(key, _Training())
        if uid not in training.unfinished and uid not in training.complete:
            training.evaluations[uid] = _evaluation_of(job)
            self._judge_new_job(training, uid, name)
            training.names[name] = uid
        training.unfinished.pop(uid, None)
        if _has(job, "Complete"):
            training.complete[uid] = name
        elif not _has(job, "Failed"):
            training.unfinished[uid] = name

    def job_deleted(self, job: Object) -> None:
        """A Job is gone, with its pods."""
        if (key := _training_of(job)) is not None:
            self._trainings.setdefault(key, _Training()).unfinished.pop(job["metadata"]["uid"], None)

    def jobs_listed(self, jobs: Iterable[Object]) -> None:
        """Everything that exists, after a watch was interrupted."""
        jobs = list(jobs)
        known = {job["metadata"]["uid"] for job in jobs}
        for training in self._trainings.values():
            training.unfinished = {uid: name for uid, name in training.unfinished.items() if uid in known}
        for job in jobs:
            self.job_changed(job)

    def voice_updated(self, voice: Object, now: float) -> None:
        """A voice appeared or changed."""
        if voice["metadata"].get("deletionTimestamp") or voice["spec"]["consent"].get("revoked"):
            self._revoked_at.setdefault(_id(voice), now)
        else:
            self._revoked_at.pop(_id(voice), None)

    def voice_deleted(self, voice: Object, now: float) -> None:
        """A voice is gone; a later one of the same name is another one."""
        self._revoked_at.setdefault(_id(voice), now)
        namespace, name = voice["metadata"]["namespace"], voice["metadata"]["name"]
        self._trainings = {key: one for key, one in self._trainings.items() if key[0] != f"{namespace}/{name}"}

    def voices_listed(self, voices: Iterable[Object], now: float) -> None:
        """Everything that exists, after a watch was interrupted."""
        for voice in voices:
            self.voice_updated(voice, now)

    def served(self, source: str, read: Callable[[], Iterable[Object]], digest_of: DigestOf, now: float) -> int:
        """Judge a list of voices; ``read`` reads it, and is asked again before something missing is reported."""
        entries = list(read())
        for entry in entries:
            since = self._revoked_at.get(entry["id"])
            if since is not None:
                self.longest_revoked_seconds = max(self.longest_revoked_seconds, now - since)
                if now - since > self._bound:
                    self._report(f"{source} lists {entry['id']} {self._bound:.0f} s after its consent was revoked")
        # What is on its way out may go before it has left the list; the bound above covers it.
        active = [entry for entry in entries if entry["id"] not in self._revoked_at]
        wrong = [entry for entry in active if digest_of(f"{entry['uri']}/manifest.json") != entry["digest"]]
        if wrong:
            still = list(read())
            for entry in wrong:
                if entry in still:
                    self._report(f"{source} lists {entry['digest']} of {entry['id']}, which {entry['uri']} is not")
        return len(entries)

    def _judge_new_job(self, training: _Training, uid: str, name: str) -> None:
        if training.names.get(name, uid) != uid:
            self._report(f"the Job {name} was created twice")
        evaluation = training.evaluations[uid]
        if alike := [done for one, done in training.complete.items() if training.evaluations[one] == evaluation]:
            self._report(f"the Job {name} repeats {', '.join(alike)}, which is complete")
        if training.unfinished:
            self._report(f"the Job {name} was created beside {', '.join(training.unfinished.values())}")

    def _report(self, violation: str) -> None:
        if violation not in self._reported:
            self._reported.add(violation)
            self.violations.append(violation)


def entries_of(text: str) -> list[Object]:
    """Return the voices of a desired-voices document; one that somebody broke tells pods nothing."""
    try:
        document = json.loads(text)
    except ValueError:
        return []
    voices = document.get("voices") if isinstance(document, dict) else None
    return [voice for voice in voices if isinstance(voice, dict)] if isinstance(voices, list) else []


def _training_of(job: Object) -> tuple[str, str, str] | None:
    labels = job["metadata"].get("labels") or {}
    voice, stage, input_hash = (labels.get(f"{GROUP}/{name}") for name in ("voice-model", "stage", "input-hash"))
    return (f"{job['metadata']['namespace']}/{voice}", stage, input_hash) if voice and stage and input_hash else None


def _evaluation_of(job: Object) -> str:
    return str((job["metadata"].get("annotations") or {}).get(f"{GROUP}/evaluation-hash", ""))


def _id(voice: Object) -> str:
    return f"{voice['metadata']['namespace']}/{voice['metadata']['name']}"


def _has(job: Object, condition: str) -> bool:
    found = (job.get("status") or {}).get("conditions") or ()
    return any(one["type"] == condition and one["status"] == "True" for one in found)
