"""How long what was trained is kept: which revisions are too many, and whether a voice is used at all."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from voice_operator.reconcile.observed import Observed, ObservedRevision, ObservedServer, PodVoices, Voice

WARNING_DAYS = 7  # before a voice that nobody uses goes


@dataclass(frozen=True)
class Use:
    """When a voice was used last, and what follows from it; all days are in UTC."""

    last: date
    warned_from: date  # from then on people are told
    ends: date  # on this day it goes, unless it is used
    unused: bool = False
    unused_soon: bool = False


def use_of(observed: Observed, now: datetime, *, busy: bool) -> Use:
    """Return the use of a voice; ``busy``: it is being trained or reviewed.

    A pin and a legal hold keep a voice, however long nobody asked for it. So does a pod that does not tell what it was
    asked for: what nobody knows counts as used.
    """
    voice, today = observed.voice, now.astimezone(UTC).date()
    last = _last_use(observed, today, busy=busy)
    days = voice.spec.retention.unused_days
    ends = last + timedelta(days=days + 1)  # the day itself is whole
    warned_from = ends - timedelta(days=min(WARNING_DAYS, days))
    kept = voice.spec.retention.legal_hold or bool(voice.spec.serving.pin)
    unused = not kept and today >= ends and not any(map(_is_silent, _pods(observed)))
    return Use(last, warned_from, ends, unused, unused_soon=not kept and not unused and today >= warned_from)


def surplus(
    revisions: Iterable[ObservedRevision], keep: int, *, protected: Collection[str], last_good: str | None
) -> frozenset[str]:
    """Return the names of the revisions that are too many: the oldest ones, without those that always stay.

    ``protected`` are the names of those that are served, pinned, or the target of a rollback; ``last_good`` is the one
    that is served: what is newer than it may be the next one, and stays.
    """
    newest_first = sorted(revisions, key=lambda one: (one.record.created or _BEFORE_ALL, one.name), reverse=True)
    names = [one.name for one in newest_first]
    newer = names[: names.index(last_good)] if last_good in names else names
    stays = {*protected, *newer, *names[:keep]}
    stays |= {one.name for one in newest_first if one.reviewed[0] == "Waiting" or one.legal_hold or one.deleting}
    return frozenset(name for name in names if name not in stays)


_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def _last_use(observed: Observed, today: date, *, busy: bool) -> date:
    voice = observed.voice
    recorded = day_of(voice.status.last_used)
    if busy or recorded is None or _is_edited(voice) or voice.retry_requested:
        return today
    found = [recorded]
    for server in _servers(observed):
        found += [day for pod in server.pods if (day := _reported(pod, voice.id)) is not None]
        if server.id == voice.status.server and (day := day_of(server.uncounted)) is not None:
            found.append(day)
    return min(max(found), today)  # a pod's clock may be ahead


def _is_edited(voice: Voice) -> bool:
    return voice.generation != voice.status.observed_generation


def _servers(observed: Observed) -> Iterable[ObservedServer]:
    found = (observed.server, observed.serving_server)
    return {server.id: server for server in found if server is not None}.values()


def _pods(observed: Observed) -> Iterable[PodVoices]:
    return [pod for server in _servers(observed) for pod in server.pods if pod.ready]


def _is_silent(pod: PodVoices) -> bool:
    """Return whether a pod does not tell what it was asked for: it does not answer, or is of an earlier release."""
    return not pod.since


def _reported(pod: PodVoices, voice_id: str) -> date | None:
    report = pod.voices.get(voice_id)
    return None if report is None else day_of(report.last_used)


def day_of(text: str | None) -> date | None:
    """Return a day; None: there is none, or it is no day."""
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
