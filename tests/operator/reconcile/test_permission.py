"""What is served while people have not agreed: never what they hold back, and what they permitted last meanwhile."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voice_operator.api.voice_model import Consent, Review, VoiceModelSpec
from voice_operator.api.voice_revision import RecordedReview, ReviewDecision
from voice_operator.api.voice_status import Loading, ObservedDataset, ResolvedBase, VoiceModelStatus
from voice_operator.reconcile.decide import decide
from voice_operator.reconcile.desired import VoiceRecord, concerns_lists, desired_voices, forbids
from voice_operator.reconcile.effects import MarkRevoked, SetRevisionState, StartJob
from voice_operator.reconcile.events import events_between
from voice_operator.reconcile.observed import (
    DesiredVoice,
    LoadedVoice,
    Observed,
    ObservedRevision,
    ObservedServer,
    PodVoices,
    RevisionRecord,
    Voice,
)
from voice_operator.reconcile.seals import SealedRevision
from voice_operator.reconcile.status import status_of

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
SERVER = "voice-system/default"
RULES = RecordedReview(required=True, approvals=1, separation=True)
CONSENT = {"holder": "Alice A.", "statement": "I agree."}


def decision(by: str, kind: str = "Approved", digest: str = "") -> ReviewDecision:
    about = {"by": by, "decision": kind, "at": "2026-11-23T05:00:00Z", "digest": digest, "reason": "it lisps"}
    return ReviewDecision.model_validate(about)


def revision(number: int, *people: str, rejected_by: str = "", **record: Any) -> ObservedRevision:
    """A revision that these people approved."""
    digest = f"sha256:{number}" + "0" * 63
    decisions = [decision(by, digest=digest) for by in people]
    decisions += [decision(rejected_by, "Rejected", digest)] if rejected_by else []
    about: dict[str, Any] = {"digest": digest, "holder": "Alice A.", "created": NOW, "rules": RULES} | record
    about |= {"requested_by": ("eve",), "decisions": tuple(decisions)}
    uri = f"s3://voices/studio/alice/revisions/alice-{number}"
    return ObservedRevision(f"alice-{number}", str(number) * 64, "tiny", uri, digest, record=RevisionRecord(**about))


OLD, NEW = revision(1, "rita"), revision(2)


def observe(*revisions: ObservedRevision, status: dict[str, Any] | None = None, **spec: Any) -> Observed:
    """The newest is of the present input; the pods of the server have loaded all of them."""
    wanted = {"language": "en", "base": "tiny", "dataset": {"uri": "s3://voices/alice"}, "consent": CONSENT}
    parsed = VoiceModelSpec.model_validate(wanted | {"review": {"required": True}} | spec)
    known: dict[str, Any] = {"server": SERVER, "active_revision": OLD.name} if status is None else status
    voice = Voice("studio", "alice", "uid", 3, parsed, VoiceModelStatus(**known), requester="eve")
    reports = [LoadedVoice(one.name, one.digest, "ready") for one in revisions]
    pods = tuple(
        PodVoices(f"default-{number}", ready=True, voices={"studio/alice": replace(one, next=reports[-1])})
        for number, one in enumerate(reports[:1])
    )
    server = ObservedServer("voice-system", "default", "tiny", 1, "http://default", pods)
    return Observed(
        voice=voice,
        dataset=ObservedDataset(uri="s3://voices/alice", fingerprint=NEW.digest, generation=3),
        input_hash=revisions[-1].input_hash if revisions else "3" * 64,
        revisions=revisions,
        server=server,
        serving_server=server if voice.status.server else None,
    )


def served(observed: Observed) -> tuple[str | None, str, str]:
    """What servers are told to serve or to load, and the reason and the message of the voice."""
    found = decide(observed, NOW)
    status = status_of(found)
    told = [status.artifacts, status.loading.artifacts if status.loading else None]
    names = {one.revision for one in told if one is not None}
    assert len(names) <= 1, "one revision, unless a permitted one takes another's place"
    return next(iter(names), None), found.action.reason, found.action.message


@pytest.mark.parametrize(
    ("observed", "revision_name", "reason", "sentence"),
    [
        pytest.param(
            observe(OLD, NEW), OLD.name, "AwaitingReview", "alice-2 waits for approval: 0 of 1 approvals", id="waiting"
        ),
        pytest.param(
            observe(OLD, NEW, serving={"pin": NEW.name}),
            OLD.name,
            "AwaitingReview",
            "alice-2 waits for approval",
            id="a pin approves nothing",
        ),
        pytest.param(
            observe(OLD, NEW, review={"required": False}),
            OLD.name,
            "AwaitingReview",
            "alice-1 stays served",
            id="nor does a lowered required",
        ),
        pytest.param(
            observe(OLD, NEW, review={"required": False}, serving={"pin": NEW.name}),
            OLD.name,
            "AwaitingReview",
            "alice-2 waits for approval",
            id="nor do both",
        ),
        pytest.param(
            observe(NEW, status={"server": SERVER, "active_revision": NEW.name}),
            None,
            "AwaitingReview",
            "nothing is served",
            id="nor does a status that was restored",
        ),
        pytest.param(observe(NEW, status={}), None, "AwaitingReview", "nothing is served", id="nor one that is lost"),
        pytest.param(
            observe(replace(NEW, adoptable=True), status={}),
            None,
            "AwaitingReview",
            "nothing is served",
            id="nor a revision from a backup, whose owner is gone",
        ),
        pytest.param(
            observe(OLD, revision(2, "eve")), OLD.name, "AwaitingReview", "of eve does not count", id="nor who asked"
        ),
        pytest.param(
            observe(OLD, revision(2, "rita", rejected_by="rolf")),
            OLD.name,
            "ReviewRejected",
            "rolf rejected it at 2026-11-23T05:00:00Z: it lisps; alice-1 stays served",
            id="a rejection is final",
        ),
        pytest.param(
            observe(OLD, revision(2, rejected_by="rolf"), review={"required": False}, serving={"pin": NEW.name}),
            OLD.name,
            "ReviewRejected",
            "rolf rejected it",
            id="whatever the spec says then",
        ),
        pytest.param(
            observe(revision(1, "rita", rejected_by="rolf"), status={"server": SERVER, "active_revision": OLD.name}),
            None,
            "ReviewRejected",
            "nothing is served",
            id="what is served is taken away by a rejection",
        ),
        pytest.param(
            observe(
                revision(1, "rita"),
                revision(2, "rita", rejected_by="rolf"),
                status={"server": SERVER, "active_revision": NEW.name, "previous_revision": OLD.name},
            ),
            OLD.name,
            "ReviewRejected",
            "alice-1 stays served",
            id="and what was served before it comes back",
        ),
        pytest.param(
            observe(OLD, revision(2, created=NOW - timedelta(hours=2)), review={"required": True, "timeout": "1h"}),
            OLD.name,
            "ReviewTimedOut",
            "0 of 1 approvals by 2026-11-23T05:07:00Z",
            id="a review times out",
        ),
        pytest.param(
            observe(OLD, consent=CONSENT | {"holder": "Bob B."}),
            None,
            "HolderChanged",
            "it is the voice of Alice A., but spec.consent.holder is Bob B.",
            id="another holder",
        ),
        pytest.param(
            observe(OLD, consent=CONSENT | {"holder": "Bob B."}, serving={"pin": OLD.name}),
            None,
            "HolderChanged",
            "another person's voice is another VoiceModel",
            id="another holder and a pin",
        ),
        pytest.param(
            observe(OLD, consent=CONSENT | {"expires": "2026-11-22"}, serving={"pin": OLD.name}),
            None,
            "ConsentExpired",
            "expired on 2026-11-22",
            id="a pin beside an expired consent",
        ),
        pytest.param(
            observe(OLD, status={"server": SERVER, "active_revision": OLD.name, "revoked_at": "2026-11-01T00:00:00Z"}),
            None,
            "ConsentRevoked",
            "was revoked at 2026-11-01T00:00:00Z",
            id="a revocation that the spec forgot",
        ),
        pytest.param(
            observe(revision(1, "rita", revoked=True), status={}),
            None,
            "ConsentRevoked",
            "were made under a consent that was revoked",
            id="a revocation that spec and status forgot",
        ),
        pytest.param(
            observe(revision(1, "rita", revoked=True), consent=CONSENT | {"evidence": "s3://voices/new.pdf"}),
            None,
            "ConsentRevoked",
            "delete it to train again",
            id="a new consent does not cover what was made under the old one",
        ),
        pytest.param(observe(OLD, revision(2, "rita")), NEW.name, "Serving", "alice-2 is served", id="an approved one"),
    ],
)
def test_served_is(observed: Observed, revision_name: str | None, reason: str, sentence: str) -> None:
    found = served(observed)
    assert found[:2] == (revision_name, reason)
    assert sentence in found[2]
    assert not [effect for effect in decide(observed, NOW).action.effects if isinstance(effect, StartJob)]


def test_what_was_made_before_reviews_were_recorded_and_is_served_stays() -> None:
    old = revision(1, rules=None)
    assert served(observe(old))[0] == old.name
    assert served(observe(old, status={}))[0] is None, "what was never served needs its approvals"


def test_a_renewed_consent_serves_the_last_approved_revision_at_once() -> None:
    expired = observe(OLD, NEW, consent=CONSENT | {"expires": "2026-11-22"})
    gone = status_of(decide(expired, NOW))
    assert (gone.artifacts, gone.active_revision, gone.previous_revision) == (None, None, OLD.name)
    renewed = observe(OLD, NEW, consent=CONSENT | {"expires": "2027-11-22"})
    renewed = replace(renewed, voice=replace(renewed.voice, status=gone), serving_server=None)
    found = decide(renewed, NOW)
    status = status_of(found)
    assert status.artifacts is not None
    assert status.artifacts.revision == OLD.name
    assert not [effect for effect in found.action.effects if isinstance(effect, StartJob)]


def test_a_review_is_shown_on_the_revision_and_told() -> None:
    waiting = observe(OLD, NEW)
    first = decide(waiting, NOW)
    shown = {effect.name: effect for effect in first.action.effects if isinstance(effect, SetRevisionState)}
    assert (shown[NEW.name].review, shown[NEW.name].approvals) == ("Waiting", "0/1")
    assert (shown[OLD.name].review, shown[OLD.name].approvals) == ("Approved", "1/1")
    before = status_of(first)
    approved = observe(OLD, revision(2, "rita"))
    after = status_of(decide(replace(approved, voice=replace(approved.voice, status=before)), NOW))
    conditions = [next(one for one in status.conditions if one.type == "Approved") for status in (before, after)]
    assert [(one.status, one.reason) for one in conditions] == [("False", "AwaitingReview"), ("True", "Approved")]
    assert "alice-2: approved by rita" in conditions[1].message
    assert "AwaitingReview" in {event.reason for event in events_between(VoiceModelStatus(), before)}
    assert "Approved" in {event.reason for event in events_between(before, after)}


def test_a_waiting_review_is_looked_at_again_when_it_ends() -> None:
    observed = observe(OLD, NEW, review={"required": True, "timeout": "1h"})
    assert decide(observed, NOW).action.requeue_after == 3600


def test_a_revocation_is_latched_in_the_status_and_on_every_revision() -> None:
    found = decide(observe(OLD, NEW, consent=CONSENT | {"revoked": True}), NOW)
    assert {effect for effect in found.action.effects if isinstance(effect, MarkRevoked)} == {
        MarkRevoked(OLD.name),
        MarkRevoked(NEW.name),
    }
    assert status_of(found).revoked_at == "2026-11-23T06:07:00Z"
    expired = decide(observe(OLD, consent=CONSENT | {"expires": "2026-11-22"}), NOW)
    assert not [effect for effect in expired.action.effects if isinstance(effect, MarkRevoked)]
    assert status_of(expired).revoked_at is None


def test_everybody_who_changed_the_spec_meanwhile_is_recorded() -> None:
    first = observe(status={"requested_by": ("bob",), "input_hash": "3" * 64})
    assert status_of(decide(first, NOW)).requested_by == ("bob", "eve")
    other_input = observe(status={"requested_by": ("bob",), "input_hash": "4" * 64})
    assert status_of(decide(other_input, NOW)).requested_by == ("eve",)


# The lists of servers: a status only chooses among what people permit.


def record(found: ObservedRevision, **about: Any) -> VoiceRecord:
    known: dict[str, Any] = {"consent": Consent.model_validate(CONSENT), "review": Review(required=True)}
    known |= {"server": SERVER, "artifacts": found.artifacts, "active_revision": found.name, "requester": "eve"}
    return VoiceRecord("studio/alice", "uid", 1, deleting=False, **(known | about))


def listed_of(voice: VoiceRecord, revisions: tuple[ObservedRevision, ...]) -> tuple[DesiredVoice, ...]:
    known = {("studio/alice", one.name): one.record for one in revisions}
    return desired_voices(
        [voice],
        SERVER,
        NOW,
        storage="s3://voices",
        sealed=lambda voice, named: SealedRevision(
            voice, named.revision or "", "1" * 64, named.digest, ResolvedBase(name="tiny", uri="embedded:tiny"), "", ""
        ),
        recorded=lambda voice, name: known.get((voice, name)),
    )


@pytest.mark.parametrize(
    ("voice", "revisions", "listed"),
    [
        pytest.param(record(OLD), (OLD,), OLD.name, id="an approved revision"),
        pytest.param(record(NEW), (NEW,), None, id="not one that waits, whatever the status says"),
        pytest.param(record(NEW, review=Review()), (NEW,), None, id="nor with a lowered required"),
        pytest.param(record(OLD), (), None, id="nor one that is not there"),
        pytest.param(record(OLD, review=Review()), (), OLD.name, id="where no review is asked for, the status counts"),
        pytest.param(record(OLD, review=None), (OLD,), None, id="nor with a review that nobody can read"),
        pytest.param(
            record(revision(1, "rita", rejected_by="rolf")),
            (revision(1, "rita", rejected_by="rolf"),),
            None,
            id="rejected",
        ),
        pytest.param(
            record(OLD, consent=Consent.model_validate(CONSENT | {"holder": "Bob B."})), (OLD,), None, id="other holder"
        ),
        pytest.param(record(OLD, revoked_at="2026-11-01T00:00:00Z"), (OLD,), None, id="once revoked"),
        pytest.param(record(OLD), (revision(1, "rita", revoked=True),), None, id="marked as revoked"),
        pytest.param(
            record(OLD, loading=Loading(server=SERVER, artifacts=NEW.artifacts, since="2026-11-23T06:00:00Z")),
            (OLD, NEW),
            OLD.name,
            id="nothing is loaded beside it",
        ),
    ],
)
def test_a_server_is_told_to_serve(
    voice: VoiceRecord, revisions: tuple[ObservedRevision, ...], listed: str | None
) -> None:
    found = listed_of(voice, revisions)
    assert [one.revision for one in found] == ([] if listed is None else [listed])
    assert all(one.next is None for one in found)


@pytest.mark.parametrize(
    ("before", "listed"),
    [
        pytest.param(OLD, OLD.name, id="one that was approved"),
        pytest.param(revision(1), None, id="not one that nobody approved"),
        pytest.param(revision(1, "rita", rejected_by="rolf"), None, id="nor one that was rejected since"),
        pytest.param(None, None, id="nor one that was deleted"),
    ],
)
def test_the_revision_before_may_be_asked_for(before: ObservedRevision | None, listed: str | None) -> None:
    served = revision(2, "rita")
    (found,) = listed_of(record(served, previous_revision=OLD.name), (served, before) if before else (served,))
    assert (found.revision, found.previous and found.previous.revision) == (served.name, listed)


def test_a_change_of_review_or_of_a_latched_revocation_writes_the_lists_again() -> None:
    voice = record(OLD)
    assert concerns_lists(voice, replace(voice, review=Review(required=True, approvals=2)))
    assert concerns_lists(voice, replace(voice, revoked_at="2026-11-01T00:00:00Z"))
    assert forbids(replace(voice, revoked_at="2026-11-01T00:00:00Z"))
