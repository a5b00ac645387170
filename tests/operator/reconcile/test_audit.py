"""Which acts become due, as pure decisions: none is lost, none is made twice, and nobody else can put one there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_revision import Export, ReviewDecision
from voice_operator.api.voice_status import Act, AuditState, GateVerdict, StageStatus, VoiceModelStatus
from voice_operator.reconcile.audit import (
    KEPT_FREE,
    MAX_PENDING,
    Position,
    act_of_deletion,
    act_of_erasure,
    holder_digest,
    settled,
    tagged,
    trusted,
    with_due_acts,
)
from voice_operator.reconcile.consent import consent_digest
from voice_operator.reconcile.erasure import Erased, Served
from voice_operator.reconcile.observed import Observed, ObservedRevision, RevisionRecord, StageOutput, Voice
from voice_operator.reconcile.view import View, view_of

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
KEY = b"k" * 32
DIGEST = "sha256:" + "a" * 64
CONSENT = {"holder": "Alice A.", "statement": "I agree."}
SPEC: dict[str, Any] = {
    "language": "en",
    "base": "tiny",
    "dataset": {"uri": "s3://voices/datasets/studio/alice", "digest": DIGEST},
    "consent": CONSENT,
    "source": {"commit": "3f2a91c0"},
}
HEAD = Position(40, "sha256:" + "4" * 64)


def a_revision(name: str, age_hours: int = 1, **record: Any) -> ObservedRevision:
    found = RevisionRecord(
        digest=DIGEST, holder="Alice A.", created=NOW - timedelta(hours=age_hours), recordings=DIGEST, **record
    )
    return ObservedRevision(name, name * 8, "tiny", f"s3://voices/{name}", f"sha256:{name}", record=found)


def a_decision(by: str, decision: str = "Approved", **fields: Any) -> ReviewDecision:
    given = {"by": by, "decision": decision, "at": "2026-11-23T05:00:00Z", "digest": DIGEST, "reason": "because"}
    return ReviewDecision.model_validate(given | fields)


def a_view(*revisions: ObservedRevision, status: VoiceModelStatus | None = None, **observed: Any) -> View:
    spec = VoiceModelSpec.model_validate(SPEC | observed.pop("spec", {}))
    voice = Voice("studio", "alice", "uid", 1, spec, status or VoiceModelStatus(), requester="eve")
    return view_of(Observed(voice=voice, revisions=revisions, complete=False, **observed), NOW)


def due(
    state: AuditState, view: View, position: Position = HEAD, **status: Any
) -> tuple[AuditState, list[tuple[str, str]]]:
    """The state after a pass with this status, and the acts that are new in it, each with its revision."""
    found = with_due_acts(state, view, VoiceModelStatus(**status), lambda name: f"h({name})", lambda: position)
    known = {act.id for act in state.pending}
    return found, [(act.act, act.revision) for act in found.pending if act.id not in known]


def recorded(state: AuditState) -> AuditState:
    """The state once the log has everything."""
    return settled(state, {act.id: Position(50 + number, DIGEST) for number, act in enumerate(state.pending)})


def test_a_life_makes_each_act_due_once_in_its_order() -> None:
    state, found = due(AuditState(), a_view())
    assert found == [("Consented", "")]
    state, found = due(recorded(state), a_view(a_revision("one")), candidate_revision="one")
    assert found == [("Trained", "one"), ("Evaluated", "one")]
    approved = a_revision("one", decisions=(a_decision("rita"), a_decision("rolf")))
    state, found = due(recorded(state), a_view(approved), active_revision="one")
    assert found == [("Approved", "one"), ("Approved", "one"), ("Served", "one")]
    rejected = a_revision("one", decisions=(*approved.record.decisions, a_decision("rita", "Rejected")))
    state, found = due(recorded(state), a_view(rejected))
    assert found == [("Rejected", "one"), ("Unloaded", "one")]
    state, found = due(recorded(state), a_view(rejected), revoked_at="2026-11-23T06:07:00Z")
    assert found == [("Revoked", "")]
    again, found = due(state, a_view(rejected), revoked_at="2026-11-23T06:07:00Z")
    assert (again, found) == (state, [])


def test_what_each_act_says() -> None:
    source, scores = {"source": {"commit": "abcd"}}, {"pesq": "3.9"}
    view = a_view(replace(a_revision("one", requested_by=("eve",), **_record(source)), scores=scores))
    state, _ = due(AuditState(), view, active_revision="one")
    consented, trained, evaluated, served = state.pending
    assert (consented.by, consented.source.commit) == ("eve", "3f2a91c0")
    assert consented.digests == {"consent": consent_digest(view.observed.voice.spec.consent), "holder": "h(Alice A.)"}
    assert (trained.by, trained.requested_by, trained.source.commit) == ("", ("eve",), "abcd")
    assert trained.digests == {"bundle": "sha256:one", "recordings": DIGEST, "holder": "h(Alice A.)"}
    assert trained.time == "2026-11-23T05:07:00Z"
    assert (evaluated.scores, evaluated.reason) == (scores, "passed")
    assert (served.by, served.digests, served.time) == ("", {"bundle": "sha256:one"}, "2026-11-23T06:07:00Z")


def _record(spec: dict[str, Any]) -> dict[str, Any]:
    return {"source": VoiceModelSpec.model_validate(SPEC | spec).source}


def test_a_consent_that_changes_is_another_act_and_its_revocation_is_of_the_same_one() -> None:
    state, _ = due(AuditState(), a_view())
    later = a_view(spec={"consent": CONSENT | {"expires": "2027-11-01"}})
    state, found = due(recorded(state), later)
    assert found == [("Consented", "")]
    assert state.pending[-1].reason == "until 2027-11-01"
    revoked = a_view(spec={"consent": CONSENT | {"expires": "2027-11-01", "revoked": True}})
    state, found = due(recorded(state), revoked, revoked_at="2026-11-23T06:07:00Z")
    assert found == [("Revoked", "")]
    assert state.pending[-1].digests["consent"] == state.consent


def test_a_consent_that_is_refused_is_none() -> None:
    refused = a_view(revoked_before="the consent for these recordings was revoked at 2026-11-01T00:00:00Z")
    assert due(AuditState(), refused)[1] == []


@pytest.mark.parametrize(
    ("served", "active", "act"),
    [
        pytest.param("old", "new", "Served", id="a newer revision"),
        pytest.param("new", "old", "RolledBack", id="an older revision"),
        pytest.param("", "old", "Served", id="the first one"),
        pytest.param("gone", "old", "Served", id="one whose predecessor was deleted"),
    ],
)
def test_another_revision_that_is_served(served: str, active: str, act: str) -> None:
    revisions = a_revision("old", 9), a_revision("new", 1)
    known = recorded(due(AuditState(), a_view(*revisions))[0]).model_copy(update={"served": served})
    assert due(known, a_view(*revisions), active_revision=active)[1] == [(act, active)]


def test_a_rollback_by_a_pin_names_who_set_it_and_the_commit() -> None:
    revisions = a_revision("old", 9), a_revision("new", 1)
    known = recorded(due(AuditState(), a_view(*revisions))[0]).model_copy(update={"served": "new"})
    state, _ = due(known, a_view(*revisions, spec={"serving": {"pin": "old"}}), active_revision="old")
    (act,) = state.pending
    assert (act.by, act.source.commit, act.reason) == ("eve", "3f2a91c0", "in place of new")


def test_a_failed_evaluation_is_recorded_once_for_its_input_and_gates() -> None:
    gates = (GateVerdict(metric="stoi", value="0.4", passed=False),)
    missed = StageOutput("", "", passed=False, scores={"stoi": "0.4"}, gates=gates)
    done = tuple(StageStatus(name=name, state="Succeeded") for name in ("prepare", "train", "evaluate"))
    before = VoiceModelStatus(input_hash="1" * 64, stages=done)
    view = a_view(status=before, outputs={"evaluate": missed}, input_hash="1" * 64)
    known = recorded(due(AuditState(), a_view())[0])
    state, found = due(known, view, input_hash="1" * 64, evaluation_hash="2" * 64)
    assert found == [("Evaluated", "")]
    assert state.pending[-1].reason == "failed: stoi"
    assert due(state, view, input_hash="1" * 64, evaluation_hash="2" * 64)[1] == []
    assert due(state, view, input_hash="1" * 64, evaluation_hash="3" * 64)[1] == [("Evaluated", "")]


def test_decisions_that_somebody_puts_in_another_order_hide_none() -> None:
    first = a_revision("one", decisions=(a_decision("rita"),))
    state, _ = due(AuditState(), a_view(first))
    swapped = a_revision("one", decisions=(a_decision("rolf", "Rejected"), a_decision("rita")))
    state, found = due(recorded(state), a_view(swapped))
    assert found == [("Rejected", "one")]
    assert state.pending[-1].by == "rolf"


def an_export(by: str, at: str = "2026-11-23T05:00:00Z", **fields: str) -> Export:
    return Export.model_validate({"by": by, "at": at, "digest": DIGEST} | fields)


def test_each_export_of_a_revision_is_an_act_of_who_made_it_once() -> None:
    state, _ = due(AuditState(), a_view(a_revision("one")))
    first = a_revision("one", exports=(an_export("rita", reason="for the archive"),))
    state, found = due(recorded(state), a_view(first))
    assert found == [("Exported", "one")]
    act = state.pending[-1]
    assert (act.by, act.time, act.digests) == ("rita", "2026-11-23T05:00:00Z", {"bundle": DIGEST})
    assert act.reason == "fetched by kubectl voice export: for the archive"
    assert due(recorded(state), a_view(first))[1] == []
    again = (an_export("rita", "2026-11-23T05:00:01Z"), an_export("rolf"), *first.record.exports)
    state, found = due(recorded(state), a_view(a_revision("one", exports=again)))
    assert found == [("Exported", "one")] * 2
    assert [(one.by, one.reason) for one in state.pending] == [
        ("rita", "fetched by kubectl voice export"),
        ("rolf", "fetched by kubectl voice export"),
    ]
    decided = a_revision("one", exports=again, decisions=(a_decision("rolf"),))
    assert due(recorded(state), a_view(decided))[1] == [("Approved", "one")], "a decision forgets no export"


def test_acts_of_what_stays_wait_for_room_and_what_passes_is_never_left_out() -> None:
    """An upgrade finds forty revisions at once; meanwhile the voice is served and unloaded in turn."""
    revisions = [a_revision(f"r{number:02}", 100 - number) for number in range(40)]
    state, made, served = AuditState(), [], []
    for number in range(30):
        active = revisions[number % 2].name if number < 4 else ""
        state, found = due(state, a_view(*revisions), active_revision=active or None)
        made += [revision for act, revision in found if act == "Trained"]
        served += [act for act, _ in found if act in {"Served", "RolledBack", "Unloaded"}]
        assert len(state.pending) <= MAX_PENDING - (KEPT_FREE if number > 6 else 0)
        if number > 5:
            state = recorded(state)
    assert made == [revision.name for revision in revisions]
    assert served == ["Served", "Served", "RolledBack", "Served", "Unloaded"]
    assert state.omitted == 0


def test_what_is_too_much_is_counted_in_the_next_record() -> None:
    revisions = a_revision("old", 9), a_revision("new", 1)
    state = recorded(due(AuditState(), a_view(*revisions))[0])
    for number in range(MAX_PENDING + 5):
        state, _ = due(state, a_view(*revisions), active_revision=("old", "new")[number % 2])
    assert len(state.pending) == MAX_PENDING
    assert sum(act.omitted for act in state.pending) == 5


def test_a_state_without_news_is_the_same_object() -> None:
    state = recorded(due(AuditState(), a_view())[0])
    assert due(state, a_view())[0] is state


def test_what_waits_is_behind_a_record_that_is_known() -> None:
    state, _ = due(AuditState(), a_view(), HEAD)
    assert (state.sequence, state.record) == (HEAD.sequence, HEAD.digest)
    more, _ = due(state, a_view(a_revision("one")), Position(60, DIGEST))
    assert more.sequence == HEAD.sequence  # of the oldest that waits
    half = settled(more, {more.pending[0].id: Position(61, "sha256:" + "6" * 64)})
    assert (half.sequence, len(half.pending)) == (61, 2)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(lambda state: state.model_copy(update={"tag": ""}), id="without a tag"),
        pytest.param(lambda state: tagged(state, "other", KEY), id="of another voice"),
        pytest.param(lambda state: tagged(state, "uid", b"x" * 32), id="by another key"),
        pytest.param(lambda state: state.model_copy(update={"revoked": True}), id="changed"),
        pytest.param(lambda state: state.model_copy(update={"pending": _acts("Approved")}), id="with an act"),
    ],
)
def test_a_state_that_somebody_else_wrote_counts_for_nothing(forged: Any) -> None:
    state = tagged(AuditState(count=3, served="one"), "uid", KEY)
    assert trusted(state, "uid", KEY) == state
    assert trusted(AuditState.model_validate(state.document()), "uid", KEY) == state
    assert trusted(forged(state), "uid", KEY) == AuditState()


def _acts(*kinds: Any) -> tuple[Act, ...]:
    return tuple(Act(id="0" * 32, act=kind, time="2026-11-23T06:07:00Z") for kind in kinds)


def test_the_same_erasure_is_the_same_act() -> None:
    erased = Erased("studio/alice", "uid-1", 3, 9, ("s3://v/a/",), "Unused")
    first = act_of_erasure(erased, NOW)
    assert act_of_erasure(replace(erased, objects=4), NOW).id == first.id
    assert first.reason == "Unused: 3 objects, 9 bytes below s3://v/a/"
    served = Served(revision="alice-1", digest=DIGEST)
    others = [
        act_of_erasure(erased, NOW + timedelta(seconds=1)),
        act_of_erasure(replace(erased, prefixes=("s3://v/b/",)), NOW),
        act_of_erasure(replace(erased, uid="uid-2"), NOW),
        *(act_of_deletion(uid, served, NOW, was_seen=True) for uid in ("uid-1", "uid-2")),
    ]
    assert len({act.id for act in (first, *others)}) == 6


def test_an_erasure_that_did_not_see_older_versions_says_so() -> None:
    erased = Erased("studio/alice", "uid-1", 3, 9, ("s3://v/a/",), "Unused", complete=False)
    assert act_of_erasure(erased, NOW).reason.endswith(
        "; older versions were not seen: the keys lack s3:ListBucketVersions"
    )


def test_a_holder_is_known_by_a_hash_that_needs_the_key() -> None:
    digest = holder_digest("studio", "Alice A.", KEY)
    assert digest == holder_digest("studio", "Alice A.", KEY)
    assert len({digest, holder_digest("studio", "Alice A.", b"x" * 32), holder_digest("team", "Alice A.", KEY)}) == 3


def test_what_people_wrote_is_one_plain_line() -> None:
    decision = a_decision("ri\nta", reason="fine\x1b[2J\n" + "x" * 1000)
    state, _ = due(AuditState(), a_view(a_revision("one", decisions=(decision,))))
    act = state.pending[-1]
    assert (act.by, act.reason[:10]) == ("ri ta", "fine [2J x")
    assert act.reason.isprintable()
