"""What of a voice's files goes: from the status's inputs, revisions and consent."""

from dataclasses import replace
from typing import Any

import pytest
from tests.operator.reconcile.scenes import DIGEST, HASH, a_voice

from voice_operator.api.voice_model import Consent
from voice_operator.api.voice_status import Tombstone, TrainedInput, VoiceModelStatus
from voice_operator.reconcile.erasure import Claims, Erasure, erasures_of, inputs_after, is_going, tombstones_after
from voice_operator.reconcile.observed import Observed, ObservedJob, ObservedRevision
from voice_operator.reconcile.times import parse

OLD = "0" * 64
REVISION = ObservedRevision("alice-3fa9c2d1", HASH, "tiny", "s3://voices/x", DIGEST)
OLDER = replace(REVISION, name="alice-00000000", input_hash=OLD)
AGREED = Consent(holder="Alice A.", statement="I agree.")
TIME, LATER = "2026-11-23T06:07:00Z", "2026-11-23T06:08:00Z"
NOW = parse("2026-11-23T07:07:00Z")


def known(digest: str, **about: Any) -> TrainedInput:
    return TrainedInput(hash=digest, **about)


def observe(
    *inputs: TrainedInput, of: str | None = "uid", spec: dict[str, Any] | None = None, **found: Any
) -> Observed:
    status = VoiceModelStatus(input_hash=HASH, inputs_of=of, inputs=inputs)
    return Observed(a_voice(status, **(spec or {})), **({"input_hash": HASH} | found))


@pytest.mark.parametrize(
    ("observed", "choices", "expected"),
    [
        pytest.param(
            observe(of=None, input_hash=OLD),
            {},
            {HASH: None, OLD: None},
            id="from before inputs were recorded",
        ),
        pytest.param(observe(known(HASH)), {}, {HASH: None}, id="work under way, and failed gates, stay"),
        pytest.param(observe(known(OLD)), {}, {OLD: None, HASH: None}, id="an input that was left stays for an hour"),
        pytest.param(observe(known(OLD, left=TIME)), {}, {OLD: "InputChanged", HASH: None}, id="and goes after that"),
        pytest.param(
            observe(known(OLD, left=TIME), input_hash=OLD),
            {},
            {OLD: None},
            id="unless the spec asks for it again",
        ),
        pytest.param(
            observe(*(known(f"{number:064}", left=LATER) for number in range(10))),
            {},
            {f"{number:064}": None if number < 8 else "InputChanged" for number in range(10)} | {HASH: None},
            id="eight of them at most",
        ),
        pytest.param(
            observe(known(OLD, left=LATER)),
            {"unused": True},
            {OLD: "InputChanged", HASH: "Unused"},
            id="and not unused",
        ),
        pytest.param(
            observe(known(OLD, left=TIME), spec={"retention": {"legalHold": True}}),
            {},
            {OLD: None, HASH: None},
            id="a legal hold keeps it longer",
        ),
        pytest.param(
            observe(known(OLD), revisions=(OLDER,)),
            {},
            {OLD: None, HASH: None},
            id="what was published is a revision",
        ),
        pytest.param(
            observe(known(HASH, published=True)), {}, {HASH: "RevisionDeleted"}, id="whose deletion takes it along"
        ),
        pytest.param(
            observe(known(HASH, published=True), unsealed=frozenset({"alice-3fa9c2d1"})),
            {},
            {HASH: None},
            id="a revision that lost its seal is not deleted",
        ),
        pytest.param(
            observe(known(OLD, published=True), of="another uid"),
            {},
            {HASH: None},
            id="a status that was restored for another object says nothing",
        ),
        pytest.param(
            observe(known(OLD, erase="InputChanged"), input_hash=OLD),
            {},
            {OLD: "InputChanged"},
            id="an input that returns waits until it is gone",
        ),
        pytest.param(
            observe(known(OLD), erased={OLD: Tombstone(why="InputChanged", time=TIME)}),
            {},
            {HASH: None},
            id="and is forgotten then",
        ),
        pytest.param(
            observe(jobs=(ObservedJob("alice-00000000-train-1", "train", 1, OLD[:63]),)),
            {},
            {OLD[:63]: None, HASH: None},
            id="a Job of another input has left something",
        ),
        pytest.param(
            observe(jobs=(ObservedJob("alice-00000000-train-1", "train", 1, OLD[:63], state="Succeeded"),)),
            {},
            {HASH: None},
            id="one that has ended may have left what was erased since",
        ),
        pytest.param(
            observe(jobs=(ObservedJob("alice-3fa9c2d1-train-1", "train", 1, HASH[:63]),)),
            {},
            {HASH: None},
            id="the label of a Job is a digit short",
        ),
        pytest.param(
            observe(known(OLD), revisions=(OLDER, REVISION)),
            {"surplus": {"alice-00000000"}},
            {OLD: "TooManyRevisions", HASH: None},
            id="too many revisions",
        ),
        pytest.param(
            observe(known(OLD), revisions=(OLDER,)),
            {"unused": True},
            {OLD: "Unused", HASH: "Unused"},
            id="an unused voice keeps nothing",
        ),
        pytest.param(
            observe(known(OLD, erase="TooManyRevisions"), revisions=(OLDER,)),
            {},
            {OLD: None, HASH: None},
            id="what is wanted again before it went, as by a pin, stays",
        ),
        pytest.param(
            observe(known(OLD), revisions=(OLDER,)),
            {"revoked": True},
            {OLD: None, HASH: "ConsentRevoked"},
            id="a revocation",
        ),
        pytest.param(
            observe(revisions=(OLDER,), spec={"consent": AGREED.model_dump() | {"revoked": True, "erase": True}}),
            {"revoked": True},
            {OLD: "ErasureRequested", HASH: "ErasureRequested"},
            id="an erasure that was asked for",
        ),
        pytest.param(
            observe(known(OLD, published=True), revisions=(REVISION,), spec={"retention": {"legalHold": True}}),
            {"unused": True, "revoked": True, "surplus": {REVISION.name}},
            {OLD: None, HASH: None},
            id="a legal hold keeps everything",
        ),
    ],
)
def test_the_inputs_of_a_voice(observed: Observed, choices: dict[str, Any], expected: dict[str, str | None]) -> None:
    found = inputs_after(observed, **({"unused": False, "revoked": False, "surplus": (), "now": NOW} | choices))
    assert {one.hash: one.erase for one in found} == expected


def test_a_revision_that_was_seen_is_remembered() -> None:
    (found,) = inputs_after(observe(revisions=(REVISION,)), unused=False, revoked=False, surplus=(), now=NOW)
    assert (found.published, found.digest) == (True, DIGEST)


@pytest.mark.parametrize(
    ("observed", "going"),
    [
        pytest.param(observe(known(HASH)), False, id="what is being made"),
        pytest.param(observe(known(HASH, published=True)), True, id="what a deleted revision has left"),
        pytest.param(observe(known(HASH, published=True), revisions=(REVISION,)), False, id="a revision"),
        pytest.param(observe(known(HASH, erase="InputChanged")), True, id="what was given up before"),
        pytest.param(
            observe(known(HASH, erase="InputChanged"), erased={HASH: Tombstone(why="InputChanged", time=TIME)}),
            False,
            id="what is gone",
        ),
        pytest.param(
            observe(known(HASH, published=True), spec={"retention": {"legalHold": True}}), False, id="what must stay"
        ),
    ],
)
def test_the_present_input_waits_for_its_own_erasure(observed: Observed, going: bool) -> None:
    assert is_going(observed, HASH) is going


@pytest.mark.parametrize(
    ("claims", "revisions", "expected"),
    [
        pytest.param(Claims("alice", AGREED), (), (), id="nothing"),
        pytest.param(
            Claims("alice", AGREED, inputs=(known(OLD, erase="InputChanged"),)),
            (),
            (Erasure("InputChanged", OLD, (f"{OLD}/", "revisions/alice-00000000/")),),
            id="the folders of an input",
        ),
        pytest.param(
            Claims("alice", AGREED, inputs=(known(OLD[:63], erase="InputChanged"),)),
            (),
            (Erasure("InputChanged", OLD[:63], (OLD[:63], "revisions/alice-00000000/")),),
            id="of which only a label is known",
        ),
        pytest.param(
            Claims("alice", AGREED, inputs=(known(OLD, erase="Unused"),)),
            ("alice-00000000",),
            (),
            id="never what a VoiceRevision stands for",
        ),
        pytest.param(
            Claims("alice", AGREED, revoked=True),
            ("alice-3fa9c2d1",),
            (Erasure("ConsentRevoked", keep=("revisions/alice-3fa9c2d1/",)),),
            id="a revocation leaves the published bundles",
        ),
        pytest.param(
            Claims("alice", AGREED.model_copy(update={"erase": True}), revoked=True),
            ("alice-3fa9c2d1",),
            (Erasure("ErasureRequested"),),
            id="an erasure leaves nothing",
        ),
        pytest.param(Claims("alice", AGREED.model_copy(update={"erase": True})), (), (), id="and needs the revocation"),
        pytest.param(
            Claims("alice", AGREED.model_copy(update={"erase": True}), revoked=True, legal_hold=True),
            (),
            (),
            id="a legal hold is stronger than all",
        ),
        pytest.param(Claims("alice", None, revoked=True), (), (), id="an unreadable spec erases nothing"),
    ],
)
def test_what_must_go(claims: Claims, revisions: tuple[str, ...], expected: tuple[Erasure, ...]) -> None:
    assert erasures_of(claims, revisions) == expected


def test_tombstones_are_added_once_and_the_newest_stay() -> None:
    stones = [Tombstone(input_hash=f"{number:064d}", why="InputChanged", time=TIME, objects=1) for number in range(40)]
    observed = observe(erased={stone.input_hash: stone for stone in stones[30:]})
    status = observed.voice.status.model_copy(update={"erased": tuple(stones[:31])})
    observed = replace(observed, voice=replace(observed.voice, status=status))
    assert tombstones_after(observed) == tuple(stones[8:])
