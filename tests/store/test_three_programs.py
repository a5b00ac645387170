"""Operator, trainer and server say the same sentence about the same fault, whoever meets it."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import minio.time
import pytest

from voice_inference.bundles.loader import Loader
from voice_inference.bundles.references import BaseReference
from voice_inference.errors import InferenceError
from voice_operator.cluster.store import open_store
from voice_operator.errors import OperatorError
from voice_store import StoreError
from voice_trainer.job.base import JobBase
from voice_trainer.job.exit_codes import failure_of

BASE = "s3://voices/bases/tiny"
DIGEST = "sha256:" + "0" * 64
Fault = Callable[[Any], tuple[dict[str, str], str]]  # from fixtures by name to variables and the base's URI


def operator_says(uri: str, _: Path) -> str:
    async def ask() -> None:
        store = open_store(uri)
        try:
            await store.read(f"{uri}/base.json")
        finally:
            store.close()

    with pytest.raises(OperatorError) as caught:
        asyncio.run(ask())
    return str(caught.value)


def trainer_says(uri: str, scratch: Path) -> str:
    with pytest.raises(StoreError) as caught:
        JobBase(uri, DIGEST, scratch / "trainer")
    return failure_of(caught.value, "train").message


def server_says(uri: str, scratch: Path) -> str:
    loader = Loader(scratch / "server", threads=1)
    with pytest.raises(InferenceError) as caught:
        loader.load_base(BaseReference(name="tiny", uri=uri, digest=DIGEST))
    return str(caught.value)


def plain(get: Any, **changes: str) -> dict[str, str]:
    return get("plain") | changes


def expired(get: Any) -> tuple[dict[str, str], str]:
    get("machine").refuse("ExpiredToken", message="The provided token has expired.")
    return get("machine").environment() | {"AWS_SESSION_TOKEN": "old"}, BASE


def foreign_authority(get: Any) -> tuple[dict[str, str], str]:
    address = f"https://127.0.0.1:{get('own_gateway').port}"
    return plain(get, AWS_ENDPOINT_URL_S3=address, AWS_CA_BUNDLE=str(get("new_authority")().pem)), BASE


def slow_clock(get: Any) -> tuple[dict[str, str], str]:
    now = minio.time.utcnow
    get("monkeypatch").setattr(minio.time, "utcnow", lambda: now() - timedelta(hours=1))
    return plain(get), BASE


def stale_web_identity(get: Any) -> tuple[dict[str, str], str]:
    token = get("tmp_path") / "token"
    token.write_text("header.payload.signature")
    get("machine").refuse("ExpiredTokenException")
    address = get("plain")["AWS_ENDPOINT_URL_S3"]
    role = {"AWS_ROLE_ARN": "arn:aws:iam::1:role/voices", "AWS_WEB_IDENTITY_TOKEN_FILE": str(token)}
    return {"AWS_ENDPOINT_URL_S3": address, "AWS_ENDPOINT_URL_STS": get("machine").url, **role}, BASE


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        pytest.param(
            lambda get: (plain(get), "s3://voices/bases?versionId=1"),
            "it has a query; use s3://bucket/prefix or file:///absolute/folder",
            id="a URI that is not one",
        ),
        pytest.param(
            lambda get: (plain(get), "s3://nowhere/bases"),
            "create it, or correct the URI or AWS_ENDPOINT_URL_S3",
            id="a bucket that is missing",
        ),
        pytest.param(
            lambda get: (plain(get, AWS_ACCESS_KEY_ID="wrong"), BASE), "correct AWS_ACCESS_KEY_ID", id="an unknown key"
        ),
        pytest.param(
            lambda get: (plain(get, AWS_SECRET_ACCESS_KEY="wrong"), BASE),
            "correct AWS_SECRET_ACCESS_KEY",
            id="a secret",
        ),
        pytest.param(
            lambda get: (plain(get, AWS_SECRET_ACCESS_KEY=""), BASE), "set both or neither", id="half of the keys"
        ),
        pytest.param(expired, "renew AWS_SESSION_TOKEN with its keys and start again", id="an expired token"),
        pytest.param(
            stale_web_identity, "check that the kubelet renews AWS_WEB_IDENTITY_TOKEN_FILE", id="a stale role"
        ),
        pytest.param(foreign_authority, "set AWS_CA_BUNDLE to a PEM file", id="a CA that does not fit"),
        pytest.param(
            lambda get: (plain(get, AWS_ENDPOINT_URL_S3="https://127.0.0.1:9", AWS_CA_BUNDLE="/no"), BASE),
            "mount the file or correct",
            id="no CA",
        ),
        pytest.param(slow_clock, "set both by NTP", id="a clock that is off"),
        pytest.param(
            lambda get: (plain(get, AWS_ENDPOINT_URL_S3="store:9000"), BASE), "use http://host:port", id="no address"
        ),
        pytest.param(
            lambda get: (plain(get, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9"), BASE),
            "check that it runs; check AWS_ENDPOINT_URL_S3",
            id="nobody there",
        ),
        pytest.param(
            lambda _: ({"AWS_EC2_METADATA_DISABLED": "true"}, BASE), "set AWS_ACCESS_KEY_ID and", id="no keys at all"
        ),
    ],
)
def test_all_three_say_the_same_sentence(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, fault: Fault, remedy: str
) -> None:
    environment, uri = fault(request.getfixturevalue)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    said = {program(uri, tmp_path) for program in (operator_says, trainer_says, server_says)}
    (sentence,) = said
    assert remedy in sentence
    assert "\n" not in sentence
    assert sentence.count("; ") <= 2
