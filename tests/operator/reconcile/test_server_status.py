"""The status of a VoiceServer: only a digest that every ready pod has loaded counts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from voice_operator.api.voice_server import CountedPod, VoiceServerSpec, VoiceServerStatus
from voice_operator.reconcile.observed import DesiredVoice, LoadedVoice, PodVoices, Problem, VoiceServer
from voice_operator.reconcile.server_status import (
    MAX_VOICES,
    ObservedDeployment,
    count_pods,
    served,
    server_status,
    stalled_status,
)

NOW = datetime(2026, 11, 23, 6, 7, tzinfo=UTC)
DIGEST = "sha256:" + "a" * 64
ALICE = DesiredVoice("studio/alice", "alice-3fa9c2d1", "s3://voices/x", DIGEST)
SERVER = VoiceServer("voice-system", "default", "uid", 4, VoiceServerSpec(base="tiny", replicas=2))


def a_pod(state: str, digest: str = DIGEST) -> PodVoices:
    return PodVoices("pod", ready=True, voices={"studio/alice": LoadedVoice("alice-3fa9c2d1", digest, state, "why")})


@pytest.mark.parametrize(
    ("pods", "state", "loaded_on"),
    [
        pytest.param([], "Loading", 0, id="no pods"),
        pytest.param([a_pod("ready")], "Ready", 1, id="every pod has it"),
        pytest.param([a_pod("ready"), PodVoices("new", ready=True)], "Loading", 1, id="one pod lacks it"),
        pytest.param([a_pod("ready", "sha256:old")], "Loading", 0, id="an old digest under the same name"),
        pytest.param([a_pod("failed"), a_pod("ready")], "Failed", 1, id="one pod cannot"),
        pytest.param([a_pod("failed", "sha256:old")], "Loading", 0, id="the failure of another digest"),
    ],
)
def test_a_voice(pods: list[PodVoices], state: str, loaded_on: int) -> None:
    voice = served(ALICE, pods)
    assert (voice.state, voice.loaded_on) == (state, loaded_on)
    assert bool(voice.error) is (state == "Failed")


def status(
    old: VoiceServerStatus | None = None, voices: int = 1, pods: tuple[PodVoices, ...] = (), **running: Any
) -> VoiceServerStatus:
    deployment = ObservedDeployment(
        **({"desired": 2, "replicas": 2, "ready": 2, "updated": 2, "is_current": True} | running)
    )
    return server_status(
        SERVER,
        old=old,
        voices=tuple(DesiredVoice(f"studio/v{number:04}", "r", "u", DIGEST) for number in range(voices)),
        pods=pods,
        deployment=deployment,
        problem=None,
        generation=7,
        endpoint="http://default.voice-system.svc",
        selector={"voice.sovits.dev/server": "default"},
        now=NOW,
    )


def test_a_long_list_is_cut_and_counted() -> None:
    found = status(voices=MAX_VOICES + 1)
    assert (len(found.voices), found.voice_count) == (MAX_VOICES, MAX_VOICES + 1)


def test_ready_when_all_pods_are() -> None:
    assert status().conditions[0].status == "True"
    assert status(ready=1).conditions[0].message == "1 of 2 pods are ready"
    assert status().selector == "voice.sovits.dev/server=default"


def test_a_pod_whose_certificate_is_not_taken_is_told_of() -> None:
    found = status(pods=(PodVoices("new", ready=True, distrusted="its certificate is not taken"), a_pod("ready")))
    words = "2 of 2 pods are ready; 1 cannot be asked for their voices: its certificate is not taken"
    assert found.conditions[0].message == words


@pytest.mark.parametrize(
    "running",
    [
        pytest.param({"is_current": False}, id="the controller has not seen the template"),
        pytest.param({"updated": 1}, id="a new pod is missing"),
        pytest.param({"replicas": 3, "ready": 3}, id="an old pod is still there"),
    ],
)
def test_pods_of_an_earlier_template_do_not_count(running: dict[str, Any]) -> None:
    ready = status(**running).conditions[0]
    assert (ready.status, ready.reason) == ("False", "RollingOut")


def test_the_rollout_is_read_from_the_deployment() -> None:
    rollout = {"observedGeneration": 4, "replicas": 3, "readyReplicas": 2, "updatedReplicas": 1}
    assert ObservedDeployment.of(
        {"metadata": {"generation": 4}, "spec": {"replicas": 2}, "status": rollout}
    ) == ObservedDeployment(2, 3, 2, 1, True)
    assert not ObservedDeployment.of({"metadata": {"generation": 5}, "status": rollout}).is_current
    assert not ObservedDeployment.of({}).is_current


def test_a_revision_that_is_loaded_beside_counts_as_loaded() -> None:
    beside = LoadedVoice("alice-3fa9c2d1", DIGEST, "ready")
    pod = PodVoices("pod", ready=True, voices={"studio/alice": LoadedVoice("old", "sha256:old", "ready", next=beside)})
    assert served(ALICE, [pod]).state == "Ready"


def test_what_only_a_person_can_help_keeps_what_is_known() -> None:
    found = stalled_status(4, status(), Problem("BaseNotFound", "the operator's configuration has: v2Pro"), NOW)
    assert found.ready_replicas == 2
    assert {condition.type: condition.status for condition in found.conditions}["Stalled"] == "True"
    assert "v2Pro" in found.conditions[0].message


FIRST, SECOND = "2026-11-23T05:00:00Z", "2026-11-23T06:00:00Z"
TODAY, EARLIER = "2026-11-23", "2026-11-01"


def known(since: str = FIRST, *, ending: bool = False) -> CountedPod:
    return CountedPod(name="p", since=since, ending=ending)


def seen(since: str = FIRST, *, ready: bool = True, ending: bool = False) -> PodVoices:
    return PodVoices("p", ready=ready, since=since, ending=ending)


@pytest.mark.parametrize(
    ("before", "pods", "after", "uncounted"),
    [
        pytest.param([], [seen()], [known()], EARLIER, id="a new pod"),
        pytest.param([known()], [seen()], [known()], EARLIER, id="a pod that goes on"),
        pytest.param([known()], [seen("", ready=False)], [known()], EARLIER, id="a pod that is silent tells later"),
        pytest.param([known("")], [seen()], [known()], EARLIER, id="a pod that was silent"),
        pytest.param([], [seen("", ready=False)], [], EARLIER, id="a pod that was never ready was never asked"),
        pytest.param([], [seen("")], [known("")], EARLIER, id="one that is ready may have been"),
        pytest.param([known("")], [], [], TODAY, id="and it never told"),
        pytest.param([known()], [], [], TODAY, id="a pod that died"),
        pytest.param([known()], [seen(SECOND)], [known(SECOND)], TODAY, id="a process that died"),
        pytest.param(
            [known()],
            [seen(ready=False, ending=True)],
            [known(ending=True)],
            EARLIER,
            id="a pod that ends tells it",
        ),
        pytest.param([known(ending=True)], [], [], EARLIER, id="and has lost nothing when it is gone"),
        pytest.param([known()], [seen("", ready=False, ending=True)], [known()], EARLIER, id="unless it was silent"),
    ],
)
def test_a_pod_that_did_not_tell_what_it_was_asked_for_is_noted(
    before: list[CountedPod], pods: list[PodVoices], after: list[CountedPod], uncounted: str
) -> None:
    old = VoiceServerStatus(pods=tuple(before), uncounted=EARLIER)
    found = count_pods(old, tuple(pods), NOW)
    assert (list(found.pods), found.uncounted) == (after, uncounted)
