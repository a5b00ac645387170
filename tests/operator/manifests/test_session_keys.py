"""Keys of one voice's folders: the policy that limits them, and how a Job's pod gets them."""

import base64
import json
from typing import Any

import pytest
from tests.operator.manifests.test_manifests import HASH, a_voice, some_settings
from tests.support.signing import KEY

from voice_operator.errors import StoreError
from voice_operator.manifests.attempt_keys import attempt_secret
from voice_operator.manifests.session_policy import session_policy
from voice_operator.manifests.stage_job import stage_job
from voice_operator.reconcile.effects import StartJob
from voice_operator.settings import Settings

OWN = "arn:aws:s3:::voices/studio/alice/*"
LONGEST = 2048  # characters that AWS takes


def settings(**session_keys: Any) -> Settings:
    storage = {"uri": "s3://voices", "secretName": "store", "sessionKeys": {"enabled": True, **session_keys}}
    return some_settings(storage=storage, bases={"tiny": {"uri": "s3://bases/tiny"}})


def allowed(stage: Any, **spec: Any) -> dict[str, Any]:
    """Of each action, the resources; of a listing, the prefixes."""
    policy = json.loads(session_policy(a_voice(**spec), stage, settings(), "eu-central-1"))
    found: dict[str, Any] = {}
    for statement in policy["Statement"]:
        prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix")
        for action in statement["Action"]:
            value = {statement["Resource"][0]: prefixes} if prefixes else statement["Resource"]
            found[action] = found[action] | value if action in found else value
    return found


def test_only_the_first_stage_reads_the_recordings() -> None:
    base = "arn:aws:s3:::bases/tiny/*"
    assert allowed("prepare")["s3:GetObject"] == [OWN, base, "arn:aws:s3:::data/alice/*"]
    assert allowed("train")["s3:GetObject"] == [OWN, base]
    assert allowed("evaluate")["s3:GetObject"] == [OWN, base]


@pytest.mark.parametrize(
    ("stage", "language", "read"),
    [("prepare", "en", True), ("evaluate", "en", True), ("train", "en", False), ("prepare", "yue", False)],
)
def test_the_recogniser_is_read_where_it_is_used(stage: Any, language: str, read: bool) -> None:
    recogniser = {"uri": "s3://models/whisper", "digest": "sha256:" + "1" * 64}
    given = some_settings(storage={"uri": "s3://voices", "sessionKeys": {"enabled": True}}, recogniser=recogniser)
    policy = session_policy(a_voice(language=language), stage, given, "us-east-1")
    assert ("arn:aws:s3:::models/whisper/*" in policy) is read


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"])
def test_nothing_but_the_voices_own_folder_is_written(action: str) -> None:
    assert allowed("train")[action] == [OWN]


def test_listings_are_limited_to_the_same_prefixes() -> None:
    assert allowed("prepare")["s3:ListBucket"] == {
        "arn:aws:s3:::voices": ["studio/alice/*"],
        "arn:aws:s3:::bases": ["tiny/*"],
        "arn:aws:s3:::data": ["alice/*"],
    }


def test_a_base_that_is_inside_the_image_needs_no_right() -> None:
    inside = some_settings(storage={"uri": "s3://voices", "sessionKeys": {"enabled": True}})
    assert "tiny" not in session_policy(a_voice(), "train", inside, "us-east-1")


@pytest.mark.parametrize(
    ("region", "partition"), [("us-east-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov")]
)
def test_the_region_says_which_part_of_aws_it_is(region: str, partition: str) -> None:
    assert f"arn:{partition}:s3:::voices/" in session_policy(a_voice(), "train", settings(), region)


def test_signs_that_mean_more_than_themselves_are_refused() -> None:
    wide = a_voice(dataset={"uri": "s3://data/a*ice"})
    with pytest.raises(StoreError, match=r"s3://data/a\*ice has \*, which keys of its own cannot be limited to"):
        session_policy(wide, "prepare", settings(), "us-east-1")


def test_the_policy_of_long_names_is_short_enough_for_aws() -> None:
    voice = a_voice(dataset={"uri": "s3://data/" + "r" * 200})
    assert len(session_policy(voice, "prepare", settings(), "us-east-1")) <= LONGEST


def test_the_keys_lie_beside_those_of_the_attempt() -> None:
    files = {"AWS_ACCESS_KEY_ID": "id", "AWS_SESSION_TOKEN": "token"}
    secret = attempt_secret(a_voice(), "train", 2, HASH, KEY, store_keys=files)
    data = {name: base64.b64decode(value).decode() for name, value in secret["data"].items()}
    assert {name: data[name] for name in files} == files
    assert json.loads(data["keys.json"])["keys"].keys() == {"1", "2"}


def test_a_pod_with_keys_of_its_own_gets_no_others() -> None:
    pod = stage_job(a_voice(), StartJob("train", 1), HASH, settings())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (keys,) = [volume for volume in pod["volumes"] if "secret" in volume]
    folder = next(mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == keys["name"])
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables["VOICE_S3_CREDENTIALS_DIR"] == folder


@pytest.mark.parametrize("duration", ["10m", "13h", "soon"])
def test_a_duration_that_no_service_takes_is_refused(duration: str) -> None:
    with pytest.raises(ValueError, match=f"{duration}|duration"):
        settings(duration=duration)
