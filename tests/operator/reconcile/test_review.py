"""Whether people have approved a revision: a table of records, rules and what comes of them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voice_operator.api.voice_model import Review
from voice_operator.api.voice_revision import RecordedReview, ReviewDecision
from voice_operator.reconcile.observed import RevisionRecord
from voice_operator.reconcile.review import stricter, verdict

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
DIGEST, OTHER = "sha256:" + "b" * 64, "sha256:" + "c" * 64
RULES = RecordedReview(required=True, approvals=1, separation=True)
RECORD = RevisionRecord(DIGEST, "Alice A.", created=NOW - timedelta(hours=2), rules=RULES, requested_by=("eve",))
FREE = Review()


def decision(by: str, kind: str = "Approved", **about: Any) -> ReviewDecision:
    known = {"by": by, "decision": kind, "at": "2026-11-23T05:00:00Z", "digest": DIGEST, "reason": "heard it"}
    return ReviewDecision.model_validate(known | about)


def decided(*decisions: ReviewDecision, **about: Any) -> RevisionRecord:
    return replace(RECORD, decisions=decisions, **about)


@pytest.mark.parametrize(
    ("record", "present", "state", "approvals"),
    [
        pytest.param(RevisionRecord(DIGEST), FREE, "NotRequired", None, id="nobody asks for a review"),
        pytest.param(RECORD, FREE, "Waiting", "0/1", id="lowering required does not help what was made before"),
        pytest.param(replace(RECORD, rules=None), FREE, "NotRequired", None, id="what was made without rules is free"),
        pytest.param(
            replace(RECORD, rules=RecordedReview(required=False)),
            Review(required=True),
            "Waiting",
            "0/1",
            id="until the voice asks for a review",
        ),
        pytest.param(decided(decision("rita")), FREE, "Approved", "1/1", id="one of one"),
        pytest.param(
            decided(decision("rita")), Review(required=True, approvals=2), "Waiting", "1/2", id="more are asked for now"
        ),
        pytest.param(
            decided(decision("rita"), rules=RecordedReview(required=True, approvals=2)),
            Review(required=True, approvals=1),
            "Waiting",
            "1/2",
            id="fewer are asked for now",
        ),
        pytest.param(
            decided(decision("rita"), decision("rolf"), rules=RecordedReview(required=True, approvals=2)),
            FREE,
            "Approved",
            "2/2",
            id="two people",
        ),
        pytest.param(
            decided(decision("rita"), decision("rita"), rules=RecordedReview(required=True, approvals=2)),
            FREE,
            "Waiting",
            "1/2",
            id="the same person twice",
        ),
        pytest.param(decided(decision("rita", digest=OTHER)), FREE, "Waiting", "0/1", id="another bundle"),
        pytest.param(decided(decision("rita", digest="")), FREE, "Waiting", "0/1", id="no bundle"),
        pytest.param(decided(decision(" ")), FREE, "Waiting", "0/1", id="nobody"),
        pytest.param(
            decided(decision("system:serviceaccount:studio:ci")),
            FREE,
            "Waiting",
            "0/1",
            id="a program of the namespace",
        ),
        pytest.param(decided(decision("rita", at="soon")), FREE, "Waiting", "0/1", id="at no time"),
        pytest.param(decided(decision("eve")), FREE, "Waiting", "0/1", id="who asked for it"),
        pytest.param(decided(decision("carl"), author="carl"), FREE, "Waiting", "0/1", id="who wrote the commit"),
        pytest.param(
            decided(decision("eve"), requested_by=("eve", "bob")), FREE, "Waiting", "0/1", id="one of those who asked"
        ),
        pytest.param(
            decided(decision("eve"), rules=RecordedReview(required=True, separation=False)),
            Review(separation=False),
            "Approved",
            "1/1",
            id="where nobody separates, who asked may approve",
        ),
        pytest.param(
            decided(decision("eve"), rules=RecordedReview(required=True, separation=False)),
            Review(required=True, separation=True),
            "Waiting",
            "0/1",
            id="until the voice separates",
        ),
        pytest.param(decided(decision("rita"), requested_by=()), FREE, "Waiting", "0/1", id="nobody knows who asked"),
        pytest.param(decided(decision("rolf", "Rejected")), FREE, "Rejected", "0/1", id="a rejection"),
        pytest.param(
            decided(decision("rita"), decision("rolf", "Rejected")), FREE, "Rejected", "0/1", id="beside an approval"
        ),
        pytest.param(
            decided(decision("rolf", "Rejected", digest=OTHER)), FREE, "Rejected", "0/1", id="even of another bundle"
        ),
        pytest.param(
            RevisionRecord(DIGEST, decisions=(decision("rolf", "Rejected"),)),
            FREE,
            "Rejected",
            "0/0",
            id="also where no review was asked for",
        ),
        pytest.param(RECORD, Review(timeout="3h"), "Waiting", "0/1", id="before the time-out"),
        pytest.param(RECORD, Review(timeout="2h"), "TimedOut", "0/1", id="at the time-out"),
        pytest.param(
            decided(decision("rita")), Review(timeout="2h"), "Approved", "1/1", id="what came in time counts for ever"
        ),
        pytest.param(
            decided(decision("rita")), Review(timeout="30m"), "TimedOut", "0/1", id="what came too late does not"
        ),
        pytest.param(
            decided(decision("rita", at="2026-11-23T05:07:00Z")),
            Review(timeout="1h"),
            "TimedOut",
            "0/1",
            id="what came in the second of the time-out does not",
        ),
        pytest.param(
            decided(decision("rita"), decision("rolf"), rules=RecordedReview(required=True, approvals=3)),
            Review(timeout="2h"),
            "TimedOut",
            "2/3",
            id="some of the approvals, however many, are not enough at the time-out",
        ),
        pytest.param(
            decided(
                decision("rita", at="2026-11-23T04:30:00Z"),
                decision("rolf", at="2026-11-23T06:06:59Z"),
                rules=RecordedReview(required=True, approvals=2),
            ),
            Review(timeout="2h"),
            "Approved",
            "2/2",
            id="an old approval and one of the last second",
        ),
        pytest.param(RECORD, Review.model_construct(timeout="a while"), "Waiting", "0/1", id="no duration at all"),
    ],
)
def test_a_review_is(record: RevisionRecord, present: Review, state: str, approvals: str | None) -> None:
    found = verdict(record, present, "", NOW, active=False)
    assert (found.state, found.count) == (state, approvals)
    assert found.permits == (state in {"NotRequired", "Approved"})


@pytest.mark.parametrize(
    ("record", "state"),
    [
        pytest.param(replace(RECORD, rules=None), "NotRequired", id="what was made before rules were recorded"),
        pytest.param(RECORD, "Waiting", id="nothing that records its rules"),
        pytest.param(
            decided(decision("rita", "Rejected"), rules=None), "Rejected", id="nor what somebody rejected meanwhile"
        ),
    ],
)
def test_an_upgrade_leaves_served(record: RevisionRecord, state: str) -> None:
    assert verdict(record, Review(required=True), "", NOW, active=True).state == state


def test_a_shorter_time_out_makes_no_approval_late_of_what_is_served() -> None:
    record, present = decided(decision("rita")), Review(timeout="30m")
    assert verdict(record, present, "", NOW, active=False).state == "TimedOut"
    assert verdict(record, present, "", NOW, active=True).state == "Approved"
    assert verdict(decided(), present, "", NOW, active=True).state == "TimedOut", "it grants no approval"


def test_who_changed_the_spec_last_stands_in_for_a_requester_that_was_not_recorded() -> None:
    record = decided(decision("rita"), requested_by=())
    assert verdict(record, FREE, "bob", NOW, active=False).state == "Approved"
    assert verdict(record, FREE, "rita", NOW, active=False).state == "Waiting"


@pytest.mark.parametrize(
    ("record", "present", "sentence"),
    [
        pytest.param(decided(decision("eve")), FREE, "the approval of eve does not count: who asked for it", id="own"),
        pytest.param(
            decided(decision("rita", digest=OTHER)), FREE, f"rita does not count: it is for {OTHER}", id="other bundle"
        ),
        pytest.param(RECORD, Review(timeout="2h"), "0 of 1 approvals by 2026-11-23T06:07:00Z", id="too late"),
        pytest.param(RECORD, Review(timeout="2h"), "raise spec.review.timeout", id="and what helps"),
        pytest.param(
            decided(decision("rita"), requested_by=()),
            FREE,
            "set the annotation voice.sovits.dev/requested-by",
            id="who",
        ),
        pytest.param(
            decided(decision("rolf", "Rejected", reason="it lisps")), FREE, "rolf rejected it at 2026", id="rejected"
        ),
        pytest.param(decided(decision("rolf", "Rejected", reason="it lisps")), FREE, "it lisps", id="and why"),
        pytest.param(decided(decision("rita")), FREE, "approved by rita", id="approved"),
    ],
)
def test_a_review_says(record: RevisionRecord, present: Review, sentence: str) -> None:
    assert sentence in verdict(record, present, "", NOW, active=False).message


def test_of_two_sets_of_rules_the_stricter_counts_in_each_respect() -> None:
    recorded = RecordedReview(required=True, approvals=3, separation=False)
    found = stricter(recorded, Review(required=True, approvals=2, separation=True))
    assert (found.required, found.approvals, found.separation) == (True, 3, True)
    free = stricter(recorded, Review(required=False, approvals=9, separation=True))
    assert (free.required, free.approvals, free.separation) == (True, 3, False), "what asks for nothing adds nothing"
