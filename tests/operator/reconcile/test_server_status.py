"""The status of a VoiceServer: only a digest that every ready pod has loaded counts."""

from datetime import UTC, datetime

import pytest

from voice_operator.api.voice_server import VoiceServerSpec, VoiceServerStatus
from voice_operator.reconcile.observed import DesiredVoice, LoadedVoice, PodVoices, VoiceServer
from voice_operator.reconcile.server_status import MAX_VOICES, blocked_status, served, server_status

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


def status(old: VoiceServerStatus | None = None, ready: int = 2, voices: int = 1) -> VoiceServerStatus:
    return server_status(
        SERVER,
        old=old,
        voices=tuple(DesiredVoice(f"studio/v{number:04}", "r", "u", DIGEST) for number in range(voices)),
        pods=(),
        deployment={"replicas": 2, "readyReplicas": ready},
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


def test_an_unknown_base_stalls_and_keeps_what_is_known() -> None:
    found = blocked_status(SERVER, status(), ("v2Pro",), NOW)
    assert found.ready_replicas == 2
    assert {condition.type: condition.status for condition in found.conditions}["Stalled"] == "True"
    assert "v2Pro" in found.conditions[0].message
