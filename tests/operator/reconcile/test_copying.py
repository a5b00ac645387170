"""The copy on the Hub: of what is served, once for each bundle and repository, and told in the status."""

from dataclasses import replace
from typing import Any

import pytest
from tests.operator.reconcile.test_decide import (
    DIGEST,
    NOW,
    OLDER,
    REVISION,
    a_pod,
    a_server,
    a_voice,
    observe,
    recorded,
)

from voice_operator.api.voice_status import Act, AuditState, HubCopy
from voice_operator.reconcile.audit import Position, with_due_acts
from voice_operator.reconcile.copying import NOT_ALLOWED, STILL_THERE
from voice_operator.reconcile.decide import decide
from voice_operator.reconcile.effects import CopyToHub, DeleteJob, WithdrawFromHub
from voice_operator.reconcile.events import events_between
from voice_operator.reconcile.observed import Observed, ObservedCopy
from voice_operator.reconcile.status import status_of

HUB = {"publish": {"hub": {"repository": "studio/alice"}}}


def served(*copies: ObservedCopy, known: HubCopy | None = None, allowed: bool = True, **spec: Any) -> Observed:
    status = recorded(active_revision=REVISION.name, hub_copy=known)
    voice = replace(a_voice(status, **(HUB | spec)), may_be_copied=allowed)
    return observe(voice, revisions=(REVISION,), server=a_server(a_pod("p1")), copies=copies)


def started(observed: Observed) -> list[CopyToHub]:
    return [effect for effect in decide(observed, NOW).action.effects if isinstance(effect, CopyToHub)]


def told(observed: Observed) -> HubCopy | None:
    return status_of(decide(observed, NOW)).hub_copy


def a_copy(state: str, message: str = "", digest: str = DIGEST) -> HubCopy:
    known = {"repository": "studio/alice", "revision": REVISION.name, "digest": digest}
    return HubCopy.model_validate(known | {"state": state, "message": message})


def begun(**about: Any) -> Observed:
    """What is served, and a status that says that it is being copied."""
    return served(known=told(served(**about)), **about)


NAME = started(begun())[0].name


def test_what_is_served_is_copied_once_and_recorded() -> None:
    assert started(served()) == [], "not before the status says so: the copy of a deleted voice must be known"
    (copy,) = started(begun())
    assert (copy.revision, copy.repository, copy.public) == (REVISION, "studio/alice", False)
    assert copy.name.startswith(f"{REVISION.name}-copy-")
    assert len(f"{'a' * 40}-3fa9c2d1-copy-01234567") <= 63
    assert told(served()) == a_copy("Copying")
    running = served(ObservedCopy(NAME, "Running"))
    assert (started(running), told(running)) == ([], a_copy("Copying"))
    done = served(ObservedCopy(NAME, "Succeeded"))
    assert (started(done), told(done)) == ([], a_copy("Copied"))
    after = served(known=a_copy("Copied"))
    assert (started(after), told(after)) == ([], a_copy("Copied")), "also when its Job is gone"


def test_another_bundle_or_repository_is_another_copy() -> None:
    assert told(served(known=a_copy("Copied", digest=OLDER.digest))) == a_copy("Copying")
    (elsewhere,) = started(begun(publish={"hub": {"repository": "studio/other"}}))
    assert elsewhere.name != NAME


def test_a_failed_copy_is_told_and_tried_again_once_its_job_is_gone() -> None:
    failed = served(ObservedCopy(NAME, "Failed", "the Hub answers 403"))
    assert (started(failed), told(failed)) == ([], a_copy("Failed", "the Hub answers 403"))
    gone = served(known=a_copy("Failed", "the Hub answers 403"))
    assert [copy.name for copy in started(gone)] == [NAME]
    assert told(gone) == a_copy("Failed", "the Hub answers 403"), "until the next one ends or runs"


@pytest.mark.parametrize(
    "observed",
    [
        pytest.param(served(publish={}), id="no repository is named"),
        pytest.param(served(suspend=True), id="the voice is suspended"),
        pytest.param(served(consent={"holder": "A", "statement": "B", "revoked": True}), id="the consent is revoked"),
        pytest.param(replace(served(), server=a_server(a_pod("p1", state="loading"))), id="it is not served yet"),
    ],
)
def test_nothing_else_is_copied(observed: Observed) -> None:
    assert started(observed) == []


def test_what_people_must_approve_is_not_copied_before_they_do() -> None:
    status = recorded(active_revision=OLDER.name)
    voice = replace(a_voice(status, review={"required": True}, **HUB), may_be_copied=True)
    server = a_server(a_pod("p1", OLDER.digest))
    copy = told(observe(voice, revisions=(OLDER, REVISION), server=server))
    assert copy is not None
    assert copy.revision == OLDER.name, "what is served meanwhile"


def test_a_copy_that_is_wanted_no_more_is_stopped() -> None:
    running = ObservedCopy(NAME, "Running")
    for observed in (
        served(running, consent={"holder": "A", "statement": "B", "revoked": True}),
        served(running, publish={"hub": {"repository": "studio/other"}}),
        served(running, publish={}),
    ):
        assert DeleteJob(NAME) in decide(observed, NOW).action.effects
    assert DeleteJob(NAME) not in decide(served(running), NOW).action.effects
    ended = served(ObservedCopy(NAME, "Succeeded"), publish={})
    assert DeleteJob(NAME) not in decide(ended, NOW).action.effects, "its TTL takes it"


def test_a_copy_waits_while_the_repository_is_emptied_of_a_deleted_voice() -> None:
    """Nothing may say meanwhile that there is one: the withdrawal gives way to a living voice's copy."""
    emptied = frozenset({"studio/alice"})
    for observed in (served(), begun()):
        waiting = replace(observed, withdrawing=emptied)
        assert (started(waiting), told(waiting)) == ([], observed.voice.status.hub_copy)
    assert started(replace(begun(), withdrawing=frozenset({"studio/other"})))


def test_the_copy_of_a_restored_voice_is_made_again_for_the_deletion_withdrew_it() -> None:
    observed = served(known=a_copy("Copied"))
    restored = replace(observed.voice, status=observed.voice.status.model_copy(update={"inputs_of": "another"}))
    assert told(replace(observed, voice=restored)) == a_copy("Copying")


def test_an_installation_that_allows_no_copies_says_so() -> None:
    refused = served(allowed=False)
    assert (started(refused), told(refused)) == ([], a_copy("Refused", NOT_ALLOWED))


REVOKED = {"holder": "A", "statement": "B", "revoked": True}
BACK = next(
    one.name
    for one in decide(served(known=a_copy("Copied"), consent=REVOKED), NOW).action.effects
    if isinstance(one, WithdrawFromHub)
)


def withdrawn(observed: Observed) -> list[WithdrawFromHub]:
    return [effect for effect in decide(observed, NOW).action.effects if isinstance(effect, WithdrawFromHub)]


def revoked(*copies: ObservedCopy, known: HubCopy | None, **about: Any) -> Observed:
    return served(*copies, known=known, consent=REVOKED, **about)


def test_a_revocation_withdraws_what_was_copied_once() -> None:
    first = revoked(known=a_copy("Copied"))
    assert withdrawn(first) == [WithdrawFromHub(BACK, "studio/alice")]
    assert told(first) == a_copy("Withdrawing")
    running = revoked(ObservedCopy(BACK, "Running"), known=a_copy("Withdrawing"))
    assert (withdrawn(running), told(running)) == ([], a_copy("Withdrawing"))
    assert DeleteJob(BACK) not in decide(running, NOW).action.effects
    done = revoked(ObservedCopy(BACK, "Succeeded"), known=a_copy("Withdrawing"))
    gone = a_copy("Withdrawn").model_copy(update={"withdrawals": 1})
    assert (withdrawn(done), told(done)) == ([], gone)
    after = revoked(known=gone)
    assert (withdrawn(after), told(after)) == ([], gone), "also when its Job is gone"


@pytest.mark.parametrize("known", [None, a_copy("Refused", NOT_ALLOWED)])
def test_what_was_never_copied_is_not_withdrawn(known: HubCopy | None) -> None:
    assert withdrawn(revoked(known=known)) == []


def test_a_repository_that_the_spec_names_no_more_is_withdrawn_too() -> None:
    assert told(served(known=a_copy("Copied"), publish={})) == a_copy("Copied")
    assert withdrawn(revoked(known=a_copy("Copied"), publish={})) == [WithdrawFromHub(BACK, "studio/alice")]


@pytest.mark.parametrize("state", ["Running", "Deleting"])
def test_nothing_is_withdrawn_while_a_copy_may_still_be_written(state: Any) -> None:
    assert withdrawn(revoked(ObservedCopy(NAME, state), known=a_copy("Copying"))) == []


def test_a_withdrawal_that_fails_is_told_and_tried_again_once_its_job_is_gone() -> None:
    failed = revoked(ObservedCopy(BACK, "Failed", "the Hub answers 403"), known=a_copy("Withdrawing"))
    assert (withdrawn(failed), told(failed)) == ([], a_copy("Failed", "the Hub answers 403"))
    assert withdrawn(revoked(known=a_copy("Failed", "the Hub answers 403"))) == [WithdrawFromHub(BACK, "studio/alice")]


def test_without_a_token_a_person_is_told_to_delete_it() -> None:
    observed = revoked(known=a_copy("Copied"), allowed=False)
    assert (withdrawn(observed), told(observed)) == ([], a_copy("Failed", STILL_THERE))


def test_a_new_consent_copies_again_under_another_name() -> None:
    gone = a_copy("Withdrawn").model_copy(update={"withdrawals": 1})
    again = served(ObservedCopy(NAME, "Succeeded"), known=told(served(known=gone)))
    (copy,) = started(again)
    assert copy.name != NAME
    copied = served(ObservedCopy(copy.name, "Succeeded"), known=gone)
    assert told(copied) == a_copy("Copied").model_copy(update={"withdrawals": 1})
    second = revoked(known=a_copy("Copied").model_copy(update={"withdrawals": 1}))
    assert withdrawn(second)[0].name != BACK


def test_events_tell_what_became_of_a_withdrawal() -> None:
    before = recorded(hub_copy=a_copy("Withdrawing"), revoked_at="2026-11-23T06:00:00Z")
    about = {"revoked_at": before.revoked_at}
    (done,) = events_between(before, recorded(hub_copy=a_copy("Withdrawn"), **about))
    assert (done.type, done.reason) == ("Normal", "Withdrawn")
    (failed,) = events_between(before, recorded(hub_copy=a_copy("Failed", "no token"), **about))
    assert (failed.type, failed.reason) == ("Warning", "WithdrawalFailed")
    assert failed.message.startswith("the copy at hf://studio/alice is not withdrawn: no token")


def test_events_tell_what_became_of_a_copy() -> None:
    before = recorded(hub_copy=a_copy("Copying"))
    (copied,) = events_between(before, recorded(hub_copy=a_copy("Copied")))
    assert (copied.type, copied.reason) == ("Normal", "Copied")
    assert copied.message == "alice-3fa9c2d1 is copied to hf://studio/alice"
    (failed,) = events_between(before, recorded(hub_copy=a_copy("Failed", "no token")))
    assert (failed.type, failed.reason) == ("Warning", "CopyFailed")
    assert events_between(before, before) == ()


def test_a_withdrawal_is_recorded_once_and_only_on_the_word_of_its_job() -> None:
    def acts(observed: Observed, state: AuditState) -> tuple[AuditState, list[Act]]:
        decision = decide(observed, NOW)
        found = with_due_acts(state, decision.view, status_of(decision), lambda name: name, Position)
        known = {act.id for act in state.pending}
        return found, [act for act in found.pending if act.act == "Withdrawn" and act.id not in known]

    for observed in (
        revoked(known=a_copy("Copied")),
        revoked(ObservedCopy(BACK, "Running"), known=a_copy("Withdrawing")),
        revoked(ObservedCopy(BACK, "Failed", "no"), known=a_copy("Withdrawing")),
    ):
        assert acts(observed, AuditState())[1] == []
    done = revoked(ObservedCopy(BACK, "Succeeded"), known=a_copy("Withdrawing"))
    state, (act,) = acts(done, AuditState())
    assert (act.revision, act.digests) == (REVISION.name, {"bundle": DIGEST})
    assert act.reason == "hf://studio/alice holds no copy any more: the consent was revoked"
    assert acts(done, state)[1] == [], "also when the status was not written"
    gone = a_copy("Withdrawn").model_copy(update={"withdrawals": 1})
    assert acts(revoked(ObservedCopy(BACK, "Succeeded"), known=gone), AuditState())[1] == []


def exported(observed: Observed, state: AuditState) -> tuple[AuditState, list[Act]]:
    decision = decide(observed, NOW)
    found = with_due_acts(state, decision.view, status_of(decision), lambda name: name, Position)
    known = {act.id for act in state.pending}
    return found, [act for act in found.pending if act.act == "Exported" and act.id not in known]


def test_a_copy_is_recorded_once_and_only_on_the_word_of_its_job() -> None:
    for observed in (served(), served(ObservedCopy(NAME, "Running")), served(known=a_copy("Copied"))):
        assert exported(observed, AuditState())[1] == []
    state, (act,) = exported(served(ObservedCopy(NAME, "Succeeded")), AuditState())
    assert (act.revision, act.digests) == (REVISION.name, {"bundle": DIGEST})
    assert act.reason == "copied to hf://studio/alice"
    done = served(ObservedCopy(NAME, "Succeeded"), known=a_copy("Copied"))
    assert exported(done, state)[1] == []
    public = {"publish": {"hub": {"repository": "studio/other", "public": True}}}
    elsewhere = started(begun(**public))[0].name
    _, (second,) = exported(served(ObservedCopy(elsewhere, "Succeeded"), **public), state)
    assert second.reason == "copied to hf://studio/other, in public"
