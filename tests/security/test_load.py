"""One tenant makes as much work as it may; another one's revocation does not wait for it."""

import time

import pytest
from tests.security.installation import TEAM_A, TEAM_B, Installation, refusal
from tests.support.voices import make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security, pytest.mark.usefixtures("speech")]

VOICES = 266
PADDING = 60_000  # bytes of annotations, a little less than the policy allows
REVOCATION_SECONDS = 10.0


def padded(name: str, size: int) -> dict[str, object]:
    voice = make_voice(name, TEAM_B, suspend=True)
    voice["metadata"]["annotations"] = {f"x{number}": "x" * 1000 for number in range(size // 1000)}
    return voice


def test_a_voice_with_enormous_annotations_is_refused(installation: Installation) -> None:
    bob = installation.person("bob", TEAM_B)
    said = refusal(lambda: bob.create("voicemodels", padded("huge", 255 * 1024)))
    assert "policy.max.objectBytes" in said


@pytest.mark.slow
def test_many_large_voices_of_one_tenant_keep_no_revocation_of_another_back(installation: Installation) -> None:
    installation.train(TEAM_A, "waiting")
    bob, ada = installation.person("bob", TEAM_B), installation.person("ada", TEAM_A)
    for number in range(VOICES):
        bob.create("voicemodels", padded(f"large{number}", PADDING))
    ada.patch("voicemodels", "waiting", {"spec": {"consent": {"revoked": True}}})
    revoked = time.monotonic()
    wait_for(
        "the voice to leave the list",
        lambda: f"{TEAM_A}/waiting" not in installation.listed(),
        REVOCATION_SECONDS,
    )
    assert time.monotonic() - revoked < REVOCATION_SECONDS
    for number in range(VOICES):
        bob.delete("voicemodels", f"large{number}")
