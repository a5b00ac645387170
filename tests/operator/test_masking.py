"""Credentials that programs print in their last words, and sentences that only look alike."""

import pytest
from tests.support.processor_time import within

from voice_operator.masking import masked

PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEowIBAAKCAQEA\nq83vEjRWeJA=\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param(
            "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE x", "AWS_ACCESS_KEY_ID=*** x", id="an access key's variable"
        ),
        pytest.param("no user ASIAIOSFODNN7EXAMPLE here", "no user *** here", id="an access key on its own"),
        pytest.param("AWS_SECRET_ACCESS_KEY: wJal/rXU+tn", "AWS_SECRET_ACCESS_KEY: ***", id="a secret key"),
        pytest.param('{"secret_key": "wJal", "n": 1}', '{"secret_key": "***", "n": 1}', id="in JSON"),
        pytest.param(r"{\"secretAccessKey\": \"wJal\"}", r"{\"secretAccessKey\": \"***\"}", id="in JSON within JSON"),
        pytest.param("<AWSAccessKeyId>AKI</AWSAccessKeyId>", "<AWSAccessKeyId>***</AWSAccessKeyId>", id="in S3's XML"),
        pytest.param("session_token='IQoJb3JpZ2lu//x=='", "session_token='***'", id="a session token"),
        pytest.param("X-Amz-Security-Token: IQoJb3Jp", "X-Amz-Security-Token: ***", id="in a header"),
        pytest.param(
            "GET /v?X-Amz-Credential=AKIA%2F2026&X-Amz-Date=2026&X-Amz-Signature=fe5f",
            "GET /v?X-Amz-Credential=***&X-Amz-Date=2026&X-Amz-Signature=***",
            id="a signed address",
        ),
        pytest.param(
            "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=fe5f\nHost: s3",
            "Authorization: ***\nHost: s3",
            id="a header",
        ),
        pytest.param("{'Authorization': 'Bearer abc.def-123'}", "{'Authorization': '***'}", id="a header in Python"),
        pytest.param("used Bearer eyJhbGciOi.J9 twice", "used Bearer *** twice", id="a bearer token"),
        pytest.param(
            "proxy http://bob:pa:ss@proxy:3128/", "proxy http://***@proxy:3128/", id="a password in an address"
        ),
        pytest.param("pulling with hf_abcdefghijKLMNOPQRST", "pulling with ***", id="a token of Hugging Face"),
        pytest.param(
            f"read {PEM} done", "read -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY----- done", id="a key"
        ),
        pytest.param(PEM[:50], "-----BEGIN RSA PRIVATE KEY-----***", id="a key whose end is missing"),
        pytest.param(PEM[40:] + " x", "***-----END RSA PRIVATE KEY----- x", id="a key whose beginning is missing"),
        pytest.param("db password = hunter2;", "db password = ***;", id="a password"),
    ],
)
def test_masked(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "no answer from https://s3.example.com:9000/voices after 3 tries",
        "s3://voices/studio/alice@home/3fa9: 12 of 30 clips",
        "the access key is refused; set AWS_ACCESS_KEY_ID",
        "exceeded quota: gpus, requested: requests.nvidia.com/gpu=1, used: 4, limited: 4",
        'secret "voice-store" not found',
        "0/3 nodes are available: 3 node(s) had untolerated taint {nvidia.com/gpu: }.",
    ],
)
def test_left_as_it_is(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    "text", ["a-" * 4000, "://" + "a:" * 4000, "x:" * 4000, "QUJD" * 3000, "secret key " + " " * 8000]
)
def test_a_hostile_text_costs_little(text: str) -> None:
    within(0.5, lambda: masked(text))
