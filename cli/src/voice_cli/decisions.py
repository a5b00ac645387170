"""One person's decision on a VoiceRevision, in their own name and about one bundle (docs/decisions/0036)."""

from datetime import datetime
from typing import Any, Literal

from voice_cli.api import REVISION, VOICE, name_of
from voice_cli.errors import ClusterRefused, NotFound
from voice_cli.kubectl import Kubectl
from voice_cli.times import rendered

Verdict = Literal["Approved", "Rejected"]


def decide(kubectl: Kubectl, name: str, verdict: Verdict, reason: str, now: datetime) -> str:
    """Write the decision about a revision, or about the one of a voice that waits; return what was decided.

    Raises:
        NotFound: there is neither such a revision nor such a voice, or nothing of the voice waits.
        ClusterRefused: the caller may not decide, or has decided already.
    """
    revision = _revision_named(kubectl, name)
    person = kubectl.whoami()
    found = kubectl.get(REVISION, revision)
    digest = str(found["spec"]["artifacts"]["digest"])
    made = [(one.get("by"), one.get("decision")) for one in (found.get("review") or {}).get("decisions") or ()]
    if (person, verdict) in made:
        raise ClusterRefused(f"{person} has {verdict.lower()} {revision} already; decisions are made once")
    kubectl.patch(REVISION, revision, decision_patch(person, verdict, digest, reason, now), how="json")
    late = (found.get("status") or {}).get("review") == "TimedOut" and verdict == "Approved"
    voice = found["spec"].get("voiceModel", "")
    note = (
        f"; but the review has timed out, so this counts once spec.review.timeout of {voice} is raised" if late else ""
    )
    return f"{name_of(found)} ({digest}): {verdict} by {person}{note}"


def decision_patch(person: str, decision: Verdict, digest: str, reason: str, now: datetime) -> list[dict[str, Any]]:
    """Return the JSON patch that appends a decision about the bundle with this digest."""
    record = {"by": person, "decision": decision, "at": rendered(now), "digest": digest, "reason": reason}
    return [
        {"op": "test", "path": "/spec/artifacts/digest", "value": digest},
        {"op": "add", "path": "/review/decisions/-", "value": record},
    ]


def _revision_named(kubectl: Kubectl, name: str) -> str:
    try:
        return name_of(kubectl.get(REVISION, name))
    except NotFound as error:
        try:
            status = kubectl.get(VOICE, name).get("status") or {}
        except NotFound:
            raise error from None
    candidate = status.get("candidateRevision")
    if not candidate:
        raise NotFound(f"no revision of {name} waits for a decision; `kubectl voice status {name}` shows its state")
    return str(candidate)
