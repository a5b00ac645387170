"""What a server must serve follows from the voices and the time, and from nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voice_operator.api.lexicon import Reading
from voice_operator.api.voice_model import Consent
from voice_operator.api.voice_status import Artifacts, Loading, ResolvedBase
from voice_operator.reconcile.desired import (
    VoiceRecord,
    concerns_lists,
    desired_voices,
    end_of_consent,
    forbids,
    seconds_until_expiry,
    withdraws,
)
from voice_operator.reconcile.observed import DesiredRevision, DesiredVoice, RevisionRecord
from voice_operator.reconcile.seals import SealedRevision

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
HERE, THERE = "voice-system/default", "studio/other"
BASE = ResolvedBase(name="tiny", uri="embedded:tiny")
FORGED = "s3://elsewhere/mallory"
ACTIVE = Artifacts(revision="alice-11111111", uri=FORGED, digest="sha256:" + "f" * 64, base=BASE)
NEXT = Artifacts(revision="alice-22222222", uri=FORGED, digest="sha256:" + "f" * 64, base=BASE)
A, B, C = (f"sha256:{64 * letter}" for letter in "abc")
URI = "s3://voices/studio/alice/revisions/alice-"
SEALED = {
    "alice-11111111": SealedRevision("studio/alice", "alice-11111111", "1" * 64, A, BASE, "sha256:1", "seal-1"),
    "alice-22222222": SealedRevision("studio/alice", "alice-22222222", "2" * 64, B, BASE, "sha256:2", "seal-2"),
    "alice-00000000": SealedRevision("studio/alice", "alice-00000000", "0" * 64, C, BASE, "sha256:0", "seal-0"),
}
SERVED = DesiredVoice(
    "studio/alice", "alice-11111111", f"{URI}11111111", A, BASE, seal="seal-1", spec_digest="sha256:1"
)
BEFORE = DesiredRevision("alice-00000000", f"{URI}00000000", C, BASE, seal="seal-0", spec_digest="sha256:0")
BESIDE = DesiredRevision("alice-22222222", f"{URI}22222222", B, BASE, seal="seal-2", spec_digest="sha256:2")


def listed(
    records: Iterable[VoiceRecord], server: str, now: datetime = NOW, known: Mapping[str, SealedRevision] = SEALED
) -> tuple[DesiredVoice, ...]:
    """What a server must serve, while the revisions above are sealed."""

    def sealed(_: str, artifacts: Artifacts) -> SealedRevision | None:
        return known.get(artifacts.revision or "")

    def recorded(_: str, name: str) -> RevisionRecord | None:
        return RevisionRecord() if name in known else None

    return desired_voices(records, server, now, storage="s3://voices", sealed=sealed, recorded=recorded)


def consent(**about: Any) -> Consent:
    return Consent.model_validate({"holder": "Alice A.", "statement": "I agree."} | about)


def loading(server: str, artifacts: Artifacts = NEXT) -> Loading:
    return Loading(server=server, artifacts=artifacts, since="2026-11-23T06:00:00Z")


JIF = Reading(word="gif", reading="JH IH1 F")
ALICE = VoiceRecord("studio/alice", "uid", 1, deleting=False, consent=consent(), server=HERE, artifacts=ACTIVE)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        pytest.param(ALICE, SERVED, id="a voice with a permission is served"),
        pytest.param(replace(ALICE, consent=consent(revoked=True)), None, id="a revoked one is not"),
        pytest.param(replace(ALICE, deleting=True), None, id="nor one that is being deleted"),
        pytest.param(replace(ALICE, consent=None), None, id="nor one whose spec nobody can read"),
        pytest.param(replace(ALICE, consent=consent(holder=" ")), None, id="nor one of nobody"),
        pytest.param(replace(ALICE, consent=consent(expires="2026-11-22")), None, id="nor one that expired yesterday"),
        pytest.param(replace(ALICE, consent=consent(expires="2026-02-30")), None, id="nor one with no such last day"),
        pytest.param(
            replace(ALICE, consent=consent(expires="2026-11-23")),
            replace(SERVED, expires="2026-11-23"),
            id="on its last day it is, and pods know the day",
        ),
        pytest.param(
            replace(ALICE, lexicon=(JIF,)),
            replace(SERVED, lexicon=(JIF,)),
            id="with its own readings, if it has any",
        ),
        pytest.param(replace(ALICE, server=THERE), None, id="what another server serves is not"),
        pytest.param(replace(ALICE, server=None), None, id="what no server serves is not"),
        pytest.param(replace(ALICE, artifacts=None), None, id="what was not published is not"),
        pytest.param(
            replace(ALICE, loading=loading(HERE)), replace(SERVED, next=BESIDE), id="a new revision is loaded beside"
        ),
        pytest.param(replace(ALICE, loading=loading(THERE)), SERVED, id="the move away changes nothing here yet"),
        pytest.param(
            replace(ALICE, server=THERE, loading=loading(HERE)),
            DesiredVoice("studio/alice", **vars(BESIDE)),
            id="what moves here is loaded before it is served elsewhere no more",
        ),
        pytest.param(
            replace(ALICE, server=THERE, loading=loading(HERE), consent=consent(revoked=True)),
            None,
            id="but not without a permission",
        ),
        pytest.param(
            replace(ALICE, artifacts=ACTIVE.model_copy(update={"revision": "alice-33333333"})),
            None,
            id="a revision without a seal is not, whatever the status says",
        ),
        pytest.param(
            replace(ALICE, loading=loading(HERE, NEXT.model_copy(update={"revision": "alice-33333333"}))),
            SERVED,
            id="nor loaded beside",
        ),
        pytest.param(
            replace(ALICE, previous_revision="alice-00000000"),
            replace(SERVED, previous=BEFORE),
            id="the revision before may be asked for",
        ),
        pytest.param(
            replace(ALICE, previous_revision="alice-00000000", loading=loading(HERE)),
            replace(SERVED, next=BESIDE),
            id="but not while the next one is loaded: a server holds two of a voice",
        ),
        pytest.param(
            replace(ALICE, previous_revision="alice-11111111"), SERVED, id="nor where it is the one that is served"
        ),
        pytest.param(
            replace(ALICE, previous_revision="alice-33333333"), SERVED, id="nor once its VoiceRevision is deleted"
        ),
        pytest.param(
            replace(ALICE, previous_revision="alice-00000000", server=THERE), None, id="nor where it was served before"
        ),
    ],
)
def test_a_server_must_serve(record: VoiceRecord, expected: DesiredVoice | None) -> None:
    assert listed([record], HERE) == (() if expected is None else (expected,))


def test_a_previous_revision_of_another_base_is_not_listed() -> None:
    large = ResolvedBase(name="large", uri="s3://bases/large", digest=A)
    known = SEALED | {"alice-00000000": replace(SEALED["alice-00000000"], base=large)}
    assert listed([replace(ALICE, previous_revision="alice-00000000")], HERE, known=known) == (SERVED,)


def test_the_list_does_not_depend_on_the_order_of_the_voices() -> None:
    records = [replace(ALICE, id=f"studio/voice-{number}") for number in (3, 1, 2)]
    ids = [voice.id for voice in listed(records, HERE)]
    assert ids == ["studio/voice-1", "studio/voice-2", "studio/voice-3"]


@pytest.mark.parametrize(
    ("record", "servers"),
    [
        pytest.param(ALICE, {HERE}, id="the one that serves it"),
        pytest.param(replace(ALICE, loading=loading(THERE)), {HERE, THERE}, id="and the one that loads it"),
        pytest.param(replace(ALICE, server=None, artifacts=None), set(), id="none before it is published"),
    ],
)
def test_the_servers_whose_list_may_have_a_voice(record: VoiceRecord, servers: set[str]) -> None:
    assert record.servers == servers


@pytest.mark.parametrize(
    ("old", "new", "concerned", "withdrawn"),
    [
        pytest.param(None, ALICE, True, False, id="a voice appears"),
        pytest.param(ALICE, None, True, True, id="a voice is gone"),
        pytest.param(ALICE, replace(ALICE, deleting=True), True, True, id="a voice is being deleted"),
        pytest.param(ALICE, replace(ALICE, consent=consent(revoked=True)), True, True, id="a revocation"),
        pytest.param(ALICE, replace(ALICE, consent=None), True, True, id="a spec that nobody can read"),
        pytest.param(ALICE, replace(ALICE, consent=consent(expires="2026-12-01")), True, True, id="another last day"),
        pytest.param(ALICE, replace(ALICE, artifacts=NEXT), True, False, id="another revision"),
        pytest.param(ALICE, replace(ALICE, loading=loading(HERE)), True, False, id="a revision to load"),
        pytest.param(ALICE, replace(ALICE, server=THERE), True, False, id="another server"),
        pytest.param(ALICE, replace(ALICE, lexicon=(JIF,)), True, False, id="another reading"),
        pytest.param(ALICE, replace(ALICE, previous_revision="alice-0"), True, False, id="another revision before"),
        pytest.param(ALICE, replace(ALICE, generation=2, packed=b"x"), False, False, id="anything else"),
        pytest.param(ALICE, replace(ALICE, requested_server="other"), False, False, id="a wish for another server"),
        pytest.param(replace(ALICE, deleting=True), None, False, True, id="the end of what was out of all lists"),
    ],
)
def test_a_change(old: VoiceRecord | None, new: VoiceRecord | None, concerned: bool, withdrawn: bool) -> None:
    assert (concerns_lists(old, new), withdraws(old, new)) == (concerned, withdrawn)


def test_only_a_change_that_concerns_the_lists_changes_what_must_be_served() -> None:
    """Whatever differs in a list must be seen as a change: else the list is not written again."""
    states = [
        replace(
            ALICE,
            deleting=deleting,
            consent=permitted,
            server=server,
            artifacts=artifacts,
            loading=beside,
            previous_revision=previous,
        )
        for previous in (None, "alice-00000000")
        for deleting in (True, False)
        for permitted in (None, consent(), consent(revoked=True), consent(expires="2027-01-01"))
        for server in (None, HERE, THERE)
        for artifacts in (None, ACTIVE, NEXT)
        for beside in (None, loading(HERE), loading(THERE, ACTIVE))
    ]
    lists = [[listed([state], server) for server in (HERE, THERE)] for state in states]
    differ = 0
    for number, old in enumerate(states):
        for other, new in enumerate(states):
            if lists[number] != lists[other]:
                differ += 1
                assert concerns_lists(old, new)
                names = {name for record in (old, new) for name in record.servers}
                changed = {s for s, a, b in zip((HERE, THERE), lists[number], lists[other], strict=True) if a != b}
                assert changed <= names, "and the servers are known"
    assert differ > 1000


@pytest.mark.parametrize(
    ("record", "forbidden"),
    [
        pytest.param(None, True, id="no voice"),
        pytest.param(ALICE, False, id="a permitted one"),
        pytest.param(replace(ALICE, consent=consent(revoked=True)), True, id="a revoked one"),
        pytest.param(replace(ALICE, consent=consent(expires="2000-01-01")), False, id="an expired one is not"),
        pytest.param(replace(ALICE, deleting=True), True, id="one that goes"),
        pytest.param(replace(ALICE, consent=None), True, id="an unreadable one"),
    ],
)
def test_whatever_the_day_forbidden_is(record: VoiceRecord | None, forbidden: bool) -> None:
    assert forbids(record) is forbidden


@pytest.mark.parametrize(
    ("expires", "end"),
    [
        pytest.param(None, None, id="no last day"),
        pytest.param("", None, id="an empty one"),
        pytest.param("2026-02-30", None, id="no day at all"),
        pytest.param("2026-11-23", datetime(2026, 11, 24, tzinfo=UTC), id="midnight after the last day"),
        pytest.param("2026-12-31", datetime(2027, 1, 1, tzinfo=UTC), id="of a year"),
        pytest.param("9999-12-31", None, id="for ever"),
    ],
)
def test_a_consent_ends_at(expires: str | None, end: datetime | None) -> None:
    assert end_of_consent(expires) == end


@pytest.mark.parametrize(
    ("days", "seconds"),
    [
        pytest.param([], None, id="without voices, never"),
        pytest.param([None], None, id="without a last day, never"),
        pytest.param([None, "2026-11-24", "2026-11-23"], 17 * 3600 + 53 * 60, id="at the first end of all"),
        pytest.param(["2026-11-20"], 0.0, id="at once, where an end has passed"),
    ],
)
def test_a_list_must_be_written_again(days: list[str | None], seconds: float | None) -> None:
    assert seconds_until_expiry([replace(SERVED, expires=day) for day in days], NOW) == seconds


def test_at_the_end_of_the_wait_the_voice_is_out() -> None:
    record = replace(ALICE, consent=consent(expires="2026-11-23"))
    wait = seconds_until_expiry(listed([record], HERE), NOW)
    assert wait is not None
    later = NOW + timedelta(seconds=wait)
    assert listed([record], HERE, later - timedelta(seconds=1))
    assert not listed([record], HERE, later)
