"""Results that somebody wrote with a namespace's keys of the store lead to no revision and no served voice."""

import io
import json

import pytest
from minio.error import S3Error
from tests.security.installation import REVISION_LABEL, TEAM_A, TEAM_B, Installation
from tests.support.voices import DIGEST, Object, make_voice
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.security]

CHAIN = ("prepare", "features", "train", "evaluate", "publish")


def manifest_of(stage: str, input_hash: str, bundle: str) -> bytes:
    """What a stage of an honest training would write, and nobody trained."""
    summary: dict[str, Object] = {
        "evaluate": {"passed": True, "scores": {"pesq": "4.5", "stoi": "0.99"}},
        "publish": {"uri": bundle, "digest": DIGEST, "size": 2},
    }
    written = {
        "schema": "voice.sovits.dev/stage/v1",
        "stage": stage,
        "inputHash": input_hash,
        "evaluationHash": "",
        "startedAt": "2026-11-23T06:00:00Z",
        "completedAt": "2026-11-23T06:01:00Z",
        "files": {},
        "summary": summary.get(stage, {}),
        "tools": {},
    }
    return json.dumps(written).encode()


def forge(installation: Installation, owner: str, namespace: str, voice: str, input_hash: str) -> None:
    """Write everything that a training leaves, but for what only an attempt can sign."""
    folder = f"{namespace}/{voice}/{input_hash}"
    bundle = f"s3://voices/{namespace}/{voice}/revisions/{voice}-{input_hash[:8]}"
    for stage in CHAIN:
        content = manifest_of(stage, input_hash, bundle)
        key = f"{folder}/{stage}/manifest.json"
        installation.s3(owner).put_object("voices", key, io.BytesIO(content), len(content))


def test_results_in_the_own_prefix_are_not_published(installation: Installation) -> None:
    ada, voice = installation.person("ada", TEAM_A), "forged"
    installation.held.add(voice)
    ada.apply(make_voice(voice, TEAM_A, suspend=True))

    def input_hash() -> str:
        return str((ada.get("voicemodels", voice).get("status") or {}).get("inputHash", ""))

    forge(installation, TEAM_A, TEAM_A, voice, str(wait_for("the input's hash", input_hash)))
    ada.patch("voicemodels", voice, {"spec": {"suspend": False}})
    said = wait_for("the warning", lambda: installation.events(TEAM_A, voice).get("UnprovedResult"))
    assert "receipt" in said
    wait_for("the Job that makes it again", lambda: ada.objects("jobs", f"{REVISION_LABEL}={voice}"))
    assert ada.objects("voicerevisions", f"{REVISION_LABEL}={voice}") == []
    assert f"{TEAM_A}/{voice}" not in installation.listed()
    ada.delete("voicemodels", voice)


def test_the_keys_of_one_namespace_write_nothing_in_another(installation: Installation) -> None:
    with pytest.raises(S3Error, match="Access Denied"):
        forge(installation, TEAM_B, TEAM_A, "forged", "0" * 64)
    with pytest.raises(S3Error, match="Access Denied"):
        installation.s3(TEAM_B).get_object("voices", f"{TEAM_A}/forged/x")
    with pytest.raises(S3Error, match="Access Denied"):
        list(installation.s3(TEAM_B).list_objects("voices", prefix=f"{TEAM_A}/"))
