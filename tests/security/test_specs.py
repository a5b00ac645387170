"""What people write into a voice: minimum gates stay, texts forge no log lines, pods get keys as files."""

import json

import pytest
from tests.security.installation import REVISION_LABEL, TEAM_A, Installation
from tests.support.voices import Object, make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security]

FORGED = (
    "Al\n" + json.dumps({"level": "info", "message": "consent of everybody is fine"}) + "\r\x1b[2J\u2028\u0085\u202e"
)


def job_document(installation: Installation, voice: str, stage: str) -> Object:
    """What the Job of a stage was told to do."""
    ada, labels = installation.person("ada", TEAM_A), f"{REVISION_LABEL}={voice}"

    def found() -> Object | None:
        maps = ada.objects("configmaps", labels)
        return next((one for one in maps if one["metadata"]["name"].endswith(f"-{stage}")), None)

    document: Object = json.loads(wait_for(f"the {stage} Job of {voice}", found)["data"]["job.json"])
    return document


@pytest.mark.parametrize(
    "gates",
    [
        pytest.param([], id="none"),
        pytest.param([{"metric": "pesq", "min": "0.1"}], id="a weak one"),
        pytest.param([{"metric": "stoi", "min": "0.1"}], id="another"),
    ],
)
def test_a_voice_is_measured_against_the_installations_gates(installation: Installation, gates: list[Object]) -> None:
    voice = f"gates{abs(hash(str(gates))) % 10_000}"
    installation.person("ada", TEAM_A).apply(make_voice(voice, TEAM_A, evaluation={"gates": gates}))
    asked = job_document(installation, voice, "evaluate")["evaluation"]
    assert {"metric": "pesq", "min": "3.0"}.items() <= next(
        one for one in asked["gates"] if one["metric"] == "pesq"
    ).items()
    installation.person("ada", TEAM_A).delete("voicemodels", voice)


def test_a_holders_name_forges_no_line_of_the_log(installation: Installation) -> None:
    ada, voice = installation.person("ada", TEAM_A), "escaping"
    consent = {"holder": FORGED, "statement": FORGED, "revoked": True}
    ada.apply(make_voice(voice, TEAM_A, consent=consent))
    wait_for("the refusal", lambda: installation.condition(TEAM_A, voice).get("reason") == "ConsentRevoked")
    message = installation.condition(TEAM_A, voice)["message"]
    lines = installation.log().split("\n")
    for text in (message, *installation.events(TEAM_A, voice).values(), *lines):
        assert text.isprintable(), text
    for line in filter(None, lines):
        assert json.loads(line)["message"] != "consent of everybody is fine"
    ada.delete("voicemodels", voice)


def test_pods_of_stages_have_no_key_in_their_environment(installation: Installation) -> None:
    ada, voice = installation.person("ada", TEAM_A), "keys"
    installation.held.add(voice)
    ada.apply(make_voice(voice, TEAM_A))
    labels = f"{REVISION_LABEL}={voice}"
    (job, *_) = wait_for("the Job", lambda: ada.objects("jobs", labels))
    pod = job["spec"]["template"]["spec"]
    assert f"{TEAM_A}-secret" not in json.dumps(job)
    for container in pod["containers"]:
        assert "envFrom" not in container
        assert all("valueFrom" not in one for one in container["env"])
        assert {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}.isdisjoint(one["name"] for one in container["env"])
    assert pod["automountServiceAccountToken"] is False
    ada.delete("voicemodels", voice)
