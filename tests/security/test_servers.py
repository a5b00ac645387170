"""Servers that people make: they serve revocations whatever their fields say, within the installation's bounds."""

import time
from typing import Any

import pytest
from tests.security.installation import TEAM_A, Installation, condition_of, refusal
from tests.support.voices import Object, make_server, make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security]

REVOCATION_SECONDS = 10.0


@pytest.mark.parametrize(
    "resources",
    [
        pytest.param({"limits": {"cpu": 2}}, id="a number"),
        pytest.param({"limits": {"cpu": "two"}}, id="no quantity"),
        pytest.param({"limits": {"cpu": "-1"}, "requests": {"memory": "1Gi", "x/y": 0}}, id="below zero"),
    ],
)
def test_a_voice_of_a_server_with_odd_resources_is_revoked(installation: Installation, resources: Object) -> None:
    ada, number = installation.person("ada", TEAM_A), abs(hash(str(resources))) % 10_000
    server, voice = f"voice-{number}", f"odd{number}"
    ada.apply(make_server(server, TEAM_A, resources=resources))
    ada.apply(make_voice(voice, TEAM_A, serving={"server": server}))

    def is_listed() -> bool:
        return f"{TEAM_A}/{voice}" in installation.listed(f"{TEAM_A}/{server}")

    wait_for("the voice in the list", is_listed, seconds=60)
    ada.patch("voicemodels", voice, {"spec": {"consent": {"revoked": True}}})
    revoked = time.monotonic()
    wait_for("the voice to leave the list", lambda: not is_listed(), REVOCATION_SECONDS)
    assert time.monotonic() - revoked < REVOCATION_SECONDS
    ada.delete("voicemodels", voice)
    ada.delete("voiceservers", server)


@pytest.mark.parametrize(
    ("name", "spec", "sentence"),
    [
        ("voice-big", {"replicas": 1000}, "spec.replicas is 1000, but at most 3 is allowed"),
        ("payments-api", {}, "policy.serverNamePattern"),
        ("kubernetes", {}, "policy.serverNamePattern"),
    ],
)
def test_a_server_beyond_the_installations_bounds_is_refused(
    installation: Installation, name: str, spec: dict[str, Any], sentence: str
) -> None:
    ada = installation.person("ada", TEAM_A)
    assert sentence in refusal(lambda: ada.apply(make_server(name, TEAM_A, **spec)))


def test_scaling_is_bounded_too(installation: Installation) -> None:
    ada = installation.person("ada", TEAM_A)
    ada.apply(make_server("voice-scaled", TEAM_A))
    path = ada.path("voiceservers", "voice-scaled") + "/scale"
    grow = {"spec": {"replicas": 1000}}
    said = refusal(lambda: ada.request("PATCH", path, grow, "application/merge-patch+json"))
    assert "spec.replicas is 1000, but at most 3 is allowed" in said
    ada.delete("voiceservers", "voice-scaled")


def test_a_service_of_somebody_else_is_not_taken_over(installation: Installation) -> None:
    ada, name = installation.person("ada", TEAM_A), "voice-theirs"
    ports = [{"port": 80, "targetPort": 8000}]
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": TEAM_A}}
    made = ada.create("services", service | {"spec": {"selector": {"app": "payments"}, "ports": ports}})
    ada.apply(make_server(name, TEAM_A))

    def stalled() -> Object:
        found = condition_of(ada.find("voiceservers", name), "Ready")
        return found if found.get("reason") == "OwnershipConflict" else {}

    said = wait_for("the refusal", stalled)["message"]
    assert name in said
    assert ada.get("services", name)["spec"] == made["spec"]
    ada.delete("voiceservers", name)
    ada.delete("services", name)
