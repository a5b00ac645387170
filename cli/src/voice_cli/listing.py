"""Rows of ``kubectl voice list``: a voice, what it does, what is heard of it; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from voice_cli.api import Object, name_of
from voice_cli.timeline import VoiceReport, report_of
from voice_cli.times import age

SHOWN_SCORES = {"speakerSimilarity": "similarity", "pesq": "PESQ", "stoi": "STOI", "wer": "WER", "cer": "CER"}
NARROW = ("NAME", "STATE", "REVISION", "COMMIT", "SCORES", "AGE", "NEWS")
WIDE = ("LANGUAGE", "BASE", "AUTHOR", "CONSENT", "SERVER", "USED")
COMMIT_DIGITS = 8


@dataclass(frozen=True)
class Row:
    """One voice of the list."""

    namespace: str
    name: str
    state: str
    ready: bool
    revision: str
    commit: str
    author: str
    scores: Mapping[str, str]
    news: str  # why it is not ready, or what goes on; empty: nothing
    created: str
    age: str
    language: str
    base: str
    consent_until: str
    server: str
    last_used: str
    pinned: bool

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it, without what depends on the moment."""
        return {key: value for key, value in asdict(self).items() if key != "age"}

    def cells(self, *, wide: bool, everywhere: bool) -> tuple[str, ...]:
        """Return the columns."""
        revision = f"{self.revision} (pinned)" if self.pinned else self.revision
        narrow = (
            self.name,
            self.state,
            revision,
            self.commit[:COMMIT_DIGITS],
            scores_text(self.scores),
            self.age,
        )
        more = (self.language, self.base, self.author, self.consent_until, self.server, self.last_used)
        where = (self.namespace,) if everywhere else ()
        return (*where, *narrow, *(more if wide else ()), self.news)


def heads(*, wide: bool, everywhere: bool) -> tuple[str, ...]:
    """Return the heads of the columns."""
    *narrow, news = NARROW
    return (*(("NAMESPACE",) if everywhere else ()), *narrow, *(WIDE if wide else ()), news)


def scores_text(scores: Mapping[str, str], limit: int = 2) -> str:
    """Return the scores that tell most, as ``similarity 0.61, PESQ 1.04``."""
    known = [(label, scores[key]) for key, label in SHOWN_SCORES.items() if key in scores]
    return ", ".join(f"{label} {value}" for label, value in known[:limit])


def rows_of(items: Iterable[Object], now: datetime) -> list[Row]:
    """Return a row for each VoiceModel of a list that has VoiceRevisions too, by namespace and name."""
    found = list(items)
    revisions = {_key(one): one for one in found if one.get("kind") == "VoiceRevision"}
    voices = sorted((one for one in found if one.get("kind") == "VoiceModel"), key=_key)
    return [_row(voice, revisions, now) for voice in voices]


def _key(item: Object) -> tuple[str, str]:
    return str(item["metadata"].get("namespace") or ""), name_of(item)


def _row(voice: Object, revisions: Mapping[tuple[str, str], Object], now: datetime) -> Row:
    status, spec = voice.get("status") or {}, voice.get("spec") or {}
    namespace = str(voice["metadata"].get("namespace") or "")
    active = revisions.get((namespace, str(status.get("activeRevision") or "")))
    report = report_of(voice, active, now)
    created = str(voice["metadata"].get("creationTimestamp") or "")
    scores = ((active or {}).get("spec") or {}).get("evaluation", {}).get("scores") or status.get("scores") or {}
    consent = spec.get("consent") or {}
    return Row(
        namespace=namespace,
        name=report.name,
        state=_state(report.phase, status),
        ready=report.ready,
        revision=report.revision,
        commit=report.commit,
        author=report.author,
        scores={str(key): str(value) for key, value in scores.items()},
        news=_news(report),
        created=created,
        age=age(created, now),
        language=str(spec.get("language") or ""),
        base=str(status.get("base") or spec.get("base") or ""),
        consent_until="revoked" if consent.get("revoked") else str(consent.get("expires") or "no end"),
        server=str(status.get("server") or ""),
        last_used=str(status.get("lastUsed") or ""),
        pinned=bool((spec.get("serving") or {}).get("pin")),
    )


def _news(report: VoiceReport) -> str:
    """Return what a person should know of a voice that is not ready; the reason, where the state does not say it."""
    reason = "" if report.reason == report.phase else report.reason
    return "" if report.ready else ": ".join(part for part in (reason, report.message) if part)


def _state(phase: str, status: Object) -> str:
    percent = (status.get("progress") or {}).get("percent")
    busy = phase in {"Preparing", "Training", "Evaluating"} and isinstance(percent, int)
    return f"{phase} {percent}%" if busy else phase


def chosen(rows: Sequence[Row], *, problems: bool) -> list[Row]:
    """Return all rows, or those of voices that are not ready."""
    return [row for row in rows if not (problems and row.ready)]
