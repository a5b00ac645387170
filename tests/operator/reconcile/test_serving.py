"""What servers are told to do for a voice: a revision that is served stays until its successor is loaded everywhere."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from voice_operator.api.voice_model import VoiceModelSpec
from voice_operator.api.voice_status import Loading, VoiceModelStatus
from voice_operator.reconcile.decide import decide
from voice_operator.reconcile.observed import (
    LoadedVoice,
    Observed,
    ObservedRevision,
    ObservedServer,
    PodVoices,
    Voice,
)
from voice_operator.reconcile.serving import LOAD_TIMEOUT, ServingPlan, serving_plan, target_revision
from voice_operator.reconcile.status import status_of
from voice_operator.reconcile.times import render

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
TINY, LARGE = "sha256:" + "1" * 64, "sha256:" + "2" * 64
HASH = "2" * 64
OLD = ObservedRevision("alice-1", "1" * 64, "tiny", "s3://v/1", "sha256:" + "a" * 64, state="Active", base_digest=TINY)
NEW = ObservedRevision("alice-2", HASH, "tiny", "s3://v/2", "sha256:" + "b" * 64, base_digest=TINY)
OF_LARGE = replace(NEW, base="large", base_digest=LARGE)


def holds(served: ObservedRevision | None, beside: ObservedRevision | None = None, **about: Any) -> PodVoices:
    """A ready pod that serves one revision, and has loaded (or failed to load) another one beside it."""
    state, error = about.get("state", "ready"), about.get("error", "")
    name = about.get("name", "pod-1")
    if served is None:
        return PodVoices(name, ready=about.get("ready", True))
    other = None if beside is None else LoadedVoice(beside.name, beside.digest, state, error)
    loaded = LoadedVoice(served.name, served.digest, "ready", next=other)
    return PodVoices(name, ready=about.get("ready", True), voices={"studio/alice": loaded})


def a_server(*pods: PodVoices, name: str = "default", base: str = "tiny", digest: str = TINY) -> ObservedServer:
    endpoint = f"http://{name}.studio.svc"
    return ObservedServer("studio", name, base, max(len(pods), 1), endpoint, pods, base_digest=digest)


def observe(
    *revisions: ObservedRevision,
    server: ObservedServer | None,
    serving: ObservedServer | None = None,
    active: ObservedRevision | None = OLD,
    loading_for: timedelta | None = None,
    pin: str = "",
    **spec: Any,
) -> Observed:
    """A voice of these revisions; ``active`` is the one that ``serving`` (else ``server``) serves by its status."""
    serving = serving or server
    spec |= {"serving": {"pin": pin}}
    wanted = {
        "language": "en",
        "dataset": {"uri": "s3://voices/alice"},
        "consent": {"holder": "Alice A.", "statement": "I agree."},
    }
    status = VoiceModelStatus(input_hash=HASH)
    if active is not None and serving is not None:
        served = {"active_revision": active.name, "artifacts": active.artifacts, "server": serving.id}
        status = status.model_copy(update=served)
    if loading_for is not None and server is not None:
        since = render(NOW - loading_for)
        status = status.model_copy(
            update={"loading": Loading(server=server.id, artifacts=revisions[-1].artifacts, since=since)}
        )
    voice = Voice("studio", "alice", "uid", 1, VoiceModelSpec.model_validate(wanted | spec), status)
    return Observed(voice, input_hash=HASH, revisions=revisions, server=server, serving_server=serving)


def plan_for(observed: Observed) -> ServingPlan:
    target = target_revision(observed, consent_valid=True)
    assert target is not None
    return serving_plan(observed, target, NOW)


HERE, MOVED = "studio/default", "studio/other"
PATIENT, LATE = LOAD_TIMEOUT - timedelta(seconds=1), LOAD_TIMEOUT + timedelta(seconds=1)
CANNOT = {"state": "failed", "error": "sha256 differs"}


@pytest.mark.parametrize(
    ("observed", "expected"),  # what is served, where, where the target is loaded beside it; the target's state
    [
        pytest.param(
            observe(NEW, server=a_server(holds(None)), active=None),
            (NEW.name, HERE, None, "Loading", False),
            id="the first revision is served as soon as pods have it",
        ),
        pytest.param(
            observe(NEW, server=a_server(holds(NEW)), active=None),
            (NEW.name, HERE, None, "Loaded", False),
            id="and then it is loaded",
        ),
        pytest.param(
            observe(NEW, server=None, active=None),
            (NEW.name, None, None, "ServerNotFound", False),
            id="without a server it is served nowhere",
        ),
        pytest.param(
            observe(OF_LARGE, server=a_server(holds(None)), active=None),
            (OF_LARGE.name, None, None, "BaseMismatch", True),
            id="a server of another base never gets a first revision",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD))),
            (OLD.name, HERE, HERE, "Loading", False),
            id="a new revision is loaded beside the old one",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW), holds(OLD, name="pod-2"))),
            (OLD.name, HERE, HERE, "Loading", False),
            id="the old one stays while one pod lacks the new one",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW, state="loading"))),
            (OLD.name, HERE, HERE, "Loading", False),
            id="and while a pod is loading it",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW), holds(None, name="pod-2", ready=False))),
            (NEW.name, HERE, None, "Loaded", False),
            id="a pod that starts holds nothing up",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW), holds(OLD, NEW, name="pod-2"))),
            (NEW.name, HERE, None, "Loaded", False),
            id="when all pods have it, it takes the old one's place",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, ready=False))),
            (OLD.name, HERE, HERE, "ServerNotReady", False),
            id="no pod is ready: what was served stays on the list",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW, **CANNOT)), loading_for=PATIENT),
            (OLD.name, HERE, HERE, "LoadFailed", False),
            id="a new revision that fails to load displaces nothing",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW, **CANNOT)), loading_for=LATE),
            (OLD.name, HERE, HERE, "LoadFailed", True),
            id="after ten minutes a person must look at it, and pods still try",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD, NEW, **CANNOT), holds(OLD, NEW, name="pod-2"))),
            (OLD.name, HERE, HERE, "LoadFailed", False),
            id="one pod that fails is enough",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD)), loading_for=LATE),
            (OLD.name, HERE, HERE, "Loading", False),
            id="a slow pod is not a failing one",
        ),
        pytest.param(
            observe(OLD, OF_LARGE, server=a_server(holds(OLD))),
            (OLD.name, HERE, None, "BaseMismatch", True),
            id="a new revision of another base than the server's is not loaded",
        ),
        pytest.param(
            observe(OLD, OF_LARGE, server=a_server(holds(OLD), base="large", digest=LARGE)),
            (OLD.name, HERE, HERE, "Loading", False),
            id="the server's base has changed: the old one is served from its own base meanwhile",
        ),
        pytest.param(
            observe(OLD, server=a_server(holds(OLD), base="large", digest=LARGE)),
            (OLD.name, HERE, None, "Loaded", False),
            id="and for as long as there is no other",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD), base="renamed")),
            (OLD.name, HERE, HERE, "Loading", False),
            id="a base that was renamed is the same base by its digest",
        ),
        pytest.param(
            observe(OLD, replace(NEW, base_digest=""), server=a_server(holds(OLD), base="renamed", digest="")),
            (OLD.name, HERE, None, "BaseMismatch", True),
            id="without digests names decide",
        ),
        pytest.param(
            observe(OLD, server=a_server(holds(None), name="other"), serving=a_server(holds(OLD)), active=OLD),
            (OLD.name, HERE, MOVED, "Loading", False),
            id="a voice that moves is served by the first server until the second has it",
        ),
        pytest.param(
            observe(OLD, server=a_server(holds(OLD), name="other"), serving=a_server(holds(OLD))),
            (OLD.name, MOVED, None, "Loaded", False),
            id="then by the second",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(None), name="other"), serving=a_server(holds(OLD))),
            (OLD.name, HERE, MOVED, "Loading", False),
            id="a voice that moves with a new revision loads that one",
        ),
        pytest.param(
            observe(
                OLD,
                server=a_server(holds(None), name="other", base="large", digest=LARGE),
                serving=a_server(holds(OLD)),
            ),
            (OLD.name, HERE, None, "BaseMismatch", True),
            id="a voice cannot move to a server of another base",
        ),
        pytest.param(
            observe(OLD, server=None, serving=a_server(holds(OLD))),
            (OLD.name, HERE, None, "ServerNotFound", False),
            id="a voice that names a server that does not exist stays where it is",
        ),
        pytest.param(
            replace(observe(OLD, server=a_server(holds(OLD))), server=None, serving_server=None),
            (OLD.name, None, None, "ServerNotFound", False),
            id="a server that is deleted serves nothing",
        ),
        pytest.param(
            replace(observe(OLD, NEW, server=a_server(holds(None), name="other")), serving_server=None),
            (NEW.name, MOVED, None, "Loading", False),
            id="where the first server is gone there is nothing to wait for",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(NEW)), active=NEW, pin=OLD.name),
            (NEW.name, HERE, HERE, "Loading", False),
            id="a pin is loaded beside what is served",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(NEW, OLD)), active=NEW, pin=OLD.name),
            (OLD.name, HERE, None, "Loaded", False),
            id="and then takes its place",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD)), pin="alice-9"),
            (OLD.name, HERE, None, "Loaded", False),
            id="a pin to nothing changes nothing",
        ),
        pytest.param(
            observe(OLD, OF_LARGE, server=a_server(holds(OLD)), pin=OF_LARGE.name),
            (OLD.name, HERE, None, "BaseMismatch", True),
            id="a pin to a revision of another base drops nothing",
        ),
        pytest.param(
            observe(replace(OLD, deleting=True), NEW, server=a_server(holds(OLD))),
            (NEW.name, HERE, None, "Loading", False),
            id="what is being deleted is not served any more",
        ),
        pytest.param(
            observe(OLD, server=replace(a_server(), replicas=0)),
            (OLD.name, HERE, None, "ScaledToZero", False),
            id="a server without replicas keeps its list",
        ),
    ],
)
def test_the_plan(observed: Observed, expected: tuple[str, str | None, str | None, str, bool]) -> None:
    plan = plan_for(observed)
    places = (plan.server and plan.server.id, plan.loading and plan.loading.id)
    assert (plan.served.name, *places, plan.state.problem.reason, plan.state.stalled) == expected
    assert plan.state.loaded is (plan.state.problem.reason == "Loaded")


def sentence(observed: Observed) -> str:
    return plan_for(observed).state.problem.message


def test_whatever_is_awaited_the_message_names_what_is_served() -> None:
    waiting = observe(OLD, NEW, server=a_server(holds(OLD)))
    assert sentence(waiting) == "0 of 1 pods have loaded alice-2; alice-1 is served until then"
    failing = observe(OLD, NEW, server=a_server(holds(OLD, NEW, **CANNOT)), loading_for=LATE)
    assert sentence(failing) == "pod-1 cannot load alice-2: sha256 differs; alice-1 stays served"
    of_another = observe(OLD, OF_LARGE, server=a_server(holds(OLD)))
    assert sentence(of_another) == (
        "VoiceServer studio/default has the base tiny, but alice-2 was trained from large; alice-1 stays served"
    )


def test_patience_counts_from_the_first_moment_and_not_from_each_pass() -> None:
    observed = observe(OLD, NEW, server=a_server(holds(OLD, NEW, **CANNOT)))
    status = status_of(decide(observed, NOW))
    assert status.loading is not None
    assert status.loading.since == render(NOW)
    for minutes in (1, 5, 9):
        later = replace(observed, voice=replace(observed.voice, status=status))
        decision = decide(later, NOW + timedelta(minutes=minutes))
        assert (decision.action.phase, decision.action.stalled) == ("Loading", False)
        status = status_of(decision)
    assert status.loading is not None
    assert status.loading.since == render(NOW)
    late = decide(replace(observed, voice=replace(observed.voice, status=status)), NOW + timedelta(minutes=11))
    assert (late.action.phase, late.action.reason, late.action.stalled) == ("Failed", "LoadFailed", True)
    assert status_of(late).active_revision == OLD.name
    mended = replace(later, server=a_server(holds(OLD, NEW)), serving_server=a_server(holds(OLD, NEW)))
    assert status_of(decide(mended, NOW + timedelta(minutes=12))).active_revision == NEW.name


def test_another_revision_begins_the_wait_anew() -> None:
    observed = observe(OLD, NEW, server=a_server(holds(OLD, NEW, **CANNOT)), loading_for=LATE)
    third = replace(NEW, name="alice-3", digest="sha256:" + "c" * 64)
    status = status_of(decide(replace(observed, revisions=(OLD, third)), NOW))
    assert status.loading is not None
    assert status.loading.since == render(NOW)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(observe(OLD, NEW, server=None), NEW, id="the one of the present input"),
        pytest.param(observe(OLD, server=a_server(holds(OLD))), OLD, id="else the one that is served"),
        pytest.param(observe(OLD, server=None, active=None), None, id="else none"),
        pytest.param(observe(OLD, NEW, server=None, pin=OLD.name), OLD, id="a pin has the last word"),
        pytest.param(
            observe(OLD, replace(NEW, deleting=True), server=a_server(holds(OLD))),
            OLD,
            id="not one that is being deleted",
        ),
        pytest.param(
            observe(OLD, NEW, server=a_server(holds(OLD)), review={"required": True}),
            OLD,
            id="nor one that waits for approval",
        ),
    ],
)
def test_the_revision_to_serve(observed: Observed, expected: ObservedRevision | None) -> None:
    assert target_revision(observed, consent_valid=True) == expected
    assert target_revision(observed, consent_valid=False) is None
