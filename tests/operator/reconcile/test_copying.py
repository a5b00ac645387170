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

from voice_operator.api.voice_status import HubCopy
from voice_operator.reconcile.copying import NOT_ALLOWED
from voice_operator.reconcile.decide import decide
from voice_operator.reconcile.effects import CopyToHub, DeleteJob
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


NAME = started(served())[0].name


def test_what_is_served_is_copied_once_and_recorded() -> None:
    (copy,) = started(served())
    assert (copy.revision, copy.repository, copy.public) == (REVISION, "studio/alice", False)
    assert copy.name.startswith(f"{REVISION.name}-copy-")
    assert len(f"{'a' * 40}-3fa9c2d1-copy-01234567") <= 63
    assert told(served()) == a_copy("Copying")
    running = served(ObservedCopy(NAME, "Copying"))
    assert (started(running), told(running)) == ([], a_copy("Copying"))
    done = served(ObservedCopy(NAME, "Copied"))
    assert (started(done), told(done)) == ([], a_copy("Copied"))
    after = served(known=a_copy("Copied"))
    assert (started(after), told(after)) == ([], a_copy("Copied")), "also when its Job is gone"


def test_another_bundle_or_repository_is_another_copy() -> None:
    assert started(served(known=a_copy("Copied", digest=OLDER.digest)))
    (elsewhere,) = started(served(known=a_copy("Copied"), publish={"hub": {"repository": "studio/other"}}))
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
    (copy,) = started(observe(voice, revisions=(OLDER, REVISION), server=server))
    assert copy.revision == OLDER, "what is served meanwhile"


def test_a_copy_that_is_wanted_no_more_is_stopped() -> None:
    running = ObservedCopy(NAME, "Copying")
    for observed in (
        served(running, consent={"holder": "A", "statement": "B", "revoked": True}),
        served(running, publish={"hub": {"repository": "studio/other"}}),
        served(running, publish={}),
    ):
        assert DeleteJob(NAME) in decide(observed, NOW).action.effects
    assert DeleteJob(NAME) not in decide(served(running), NOW).action.effects
    ended = served(ObservedCopy(NAME, "Copied"), publish={})
    assert DeleteJob(NAME) not in decide(ended, NOW).action.effects, "its TTL takes it"


def test_an_installation_that_allows_no_copies_says_so() -> None:
    refused = served(allowed=False)
    assert (started(refused), told(refused)) == ([], a_copy("Refused", NOT_ALLOWED))


def test_events_tell_what_became_of_a_copy() -> None:
    before = recorded(hub_copy=a_copy("Copying"))
    (copied,) = events_between(before, recorded(hub_copy=a_copy("Copied")))
    assert (copied.type, copied.reason) == ("Normal", "Copied")
    assert copied.message == "alice-3fa9c2d1 is copied to hf://studio/alice"
    (failed,) = events_between(before, recorded(hub_copy=a_copy("Failed", "no token")))
    assert (failed.type, failed.reason) == ("Warning", "CopyFailed")
    assert events_between(before, before) == ()
