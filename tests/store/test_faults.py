"""Bad input and broken stores: one sentence for each, with the URI, the fault and the remedy."""

import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import voice_store
from voice_store import Misconfigured, S3Settings, StoreError, Transport, open_store

ONCE = Transport(connect_seconds=2, read_seconds=2, retries=0)
URI = "s3://voices/faults"


def sentence_of(uri: str, environment: dict[str, str], kind: type[StoreError]) -> str:
    """Read an object; returns the sentence of the error, which must be exactly of this kind, and always the same."""
    sentences = set()
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            open_store(uri, environment, transport=ONCE).read("manifest.json")
        assert type(caught.value) is kind, str(caught.value)
        sentences.add(str(caught.value))
    (sentence,) = sentences
    assert "\n" not in sentence
    assert not re.search(r"0x[0-9a-f]{6}|Traceback|object at|Caused by", sentence)
    assert len(sentence) < 400
    return sentence


# What the environment says


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"AWS_ENDPOINT_URL_S3": "s3.example:9000"}, "AWS_ENDPOINT_URL_S3 is 's3.example:9000', which is no address"),
        ({"AWS_ENDPOINT_URL_S3": "ftp://s3.example"}, "use http://host:port or https://host:port"),
        ({"AWS_ENDPOINT_URL_S3": "http://"}, "which is no address"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3.example:http"}, "which is no address"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3.example:0"}, "which is no address"),
        ({"AWS_ENDPOINT_URL_S3": "http://[::1"}, "which is no address"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3.example/\n"}, "which is no address"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3.example/bucket"}, "the address of a server has no path"),
        ({"AWS_ENDPOINT_URL_S3": "http://s3.example/?x=1"}, "the address of a server has no path"),
        ({"AWS_ENDPOINT_URL": "nonsense"}, "AWS_ENDPOINT_URL is 'nonsense'"),
        ({"AWS_ENDPOINT_URL_STS": "nonsense"}, "AWS_ENDPOINT_URL_STS is 'nonsense'"),
        ({"AWS_REGION": "eu central"}, "AWS_REGION is 'eu central', which is no region; use a name such as"),
        ({"AWS_REGION": "evil.example/"}, "which is no region"),
        ({"VOICE_S3_ADDRESSING": "host"}, "VOICE_S3_ADDRESSING is 'host'; use one of auto, path, virtual"),
        ({"AWS_ACCESS_KEY_ID": "a"}, "AWS_ACCESS_KEY_ID is set, but AWS_SECRET_ACCESS_KEY is not; set both or neither"),
        ({"AWS_SECRET_ACCESS_KEY": "a"}, "AWS_SECRET_ACCESS_KEY is set, but AWS_ACCESS_KEY_ID is not"),
        ({"AWS_SESSION_TOKEN": "a"}, "AWS_SESSION_TOKEN is set, but AWS_ACCESS_KEY_ID is not"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/t"}, "AWS_WEB_IDENTITY_TOKEN_FILE is set, but AWS_ROLE_ARN is not"),
        ({"HTTPS_PROXY": "socks5://proxy:1"}, "HTTPS_PROXY is no address of a proxy; use http://host:port"),
        ({"http_proxy": "http://proxy:port"}, "HTTP_PROXY is no address of a proxy"),
    ],
)
def test_a_variable_that_cannot_work_is_named_with_its_value(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        S3Settings.from_environment(environment)
    assert sentence in str(caught.value)


def test_a_password_in_an_address_is_not_repeated() -> None:
    for name in ("AWS_ENDPOINT_URL_S3", "HTTPS_PROXY"):
        with pytest.raises(Misconfigured) as caught:
            S3Settings.from_environment({name: "ftp://me:hunter2@host"})
        assert "hunter2" not in str(caught.value)


def test_empty_variables_count_as_absent() -> None:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_REGION", "VOICE_S3_ADDRESSING", "AWS_CA_BUNDLE", "AWS_ACCESS_KEY_ID")
    assert S3Settings.from_environment(dict.fromkeys(names, "")) == S3Settings.from_environment({})


# What a real server says


def test_an_object_that_is_missing(plain: dict[str, str]) -> None:
    sentence = sentence_of(URI, plain, voice_store.NotFound)
    assert sentence == "s3://voices/faults/manifest.json: there is no such object"


def test_a_bucket_that_is_missing(plain: dict[str, str]) -> None:
    sentence = sentence_of("s3://nowhere/x", plain, voice_store.BucketMissing)
    assert sentence.startswith("s3://nowhere/x/manifest.json: there is no bucket 'nowhere' at 127.0.0.1:")
    assert sentence.endswith("create it, or correct the URI or AWS_ENDPOINT_URL_S3")
    for call in ("exists", "delete", "list"):
        with pytest.raises(voice_store.BucketMissing):
            getattr(open_store("s3://nowhere/x", plain, transport=ONCE), call)("a")


@pytest.mark.parametrize(
    ("variable", "remedy"),
    [
        ("AWS_ACCESS_KEY_ID", "the store does not know the access key; correct AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "the secret key does not fit; correct AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_keys_that_are_refused(plain: dict[str, str], variable: str, remedy: str) -> None:
    environment = plain | {variable: "wrong"}
    assert sentence_of(URI, environment, voice_store.AccessDenied) == f"s3://voices/faults/manifest.json: {remedy}"
    for call in ("exists", "delete", "list"):
        with pytest.raises(voice_store.AccessDenied, match=remedy):
            getattr(open_store(URI, environment, transport=ONCE), call)("a")
    with pytest.raises(voice_store.AccessDenied, match=remedy):
        open_store(URI, environment, transport=ONCE).create("a", b"")


def test_a_clock_that_is_off(plain: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta  # noqa: PLC0415

    import minio.time  # noqa: PLC0415

    now = minio.time.utcnow
    monkeypatch.setattr(minio.time, "utcnow", lambda: now() - timedelta(hours=2))
    sentence = sentence_of(URI, plain, voice_store.ClockSkew)
    assert sentence.endswith("this machine's clock and the store's differ by more than 15 minutes; set both by NTP")


def test_a_region_that_is_wrong(aws_gateway: Any, authority: Any, plain: dict[str, str], proxy_to: Any) -> None:
    environment = plain | {
        "AWS_ENDPOINT_URL_S3": "https://s3.eu-central-1.amazonaws.com",
        "AWS_REGION": "us-west-2",
        "AWS_CA_BUNDLE": str(authority.pem),
        "VOICE_S3_ADDRESSING": "path",
        "HTTPS_PROXY": proxy_to(aws_gateway).url,
    }
    # minio asks the region's own host, for which the server has no certificate; without TLS in between AWS says it
    sentence_of(URI, environment, voice_store.UntrustedCertificate)


def test_an_authority_that_does_not_fit(own_gateway: Any, plain: dict[str, str], new_authority: Any) -> None:
    environment = plain | {"AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{own_gateway.port}"}
    expected = (
        f"s3://voices/faults/manifest.json: the certificate of 127.0.0.1:{own_gateway.port} is not signed by an "
        "authority that is trusted here; set AWS_CA_BUNDLE to a PEM file with its certificate authority"
    )
    assert sentence_of(URI, environment, voice_store.UntrustedCertificate) == expected
    other = environment | {"AWS_CA_BUNDLE": str(new_authority().pem)}
    assert sentence_of(URI, other, voice_store.UntrustedCertificate) == expected


def test_a_certificate_for_another_name(own_gateway: Any, plain: dict[str, str], authority: Any) -> None:
    environment = plain | {
        "AWS_ENDPOINT_URL_S3": f"https://localhost:{own_gateway.port}",
        "AWS_CA_BUNDLE": str(authority.pem),
    }
    sentence = sentence_of(URI, environment, voice_store.UntrustedCertificate)
    assert "is for another name; use a name that it has in AWS_ENDPOINT_URL_S3" in sentence


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "which cannot be read (No such file or directory); mount the file or correct the path"),
        (b"no certificate", "which holds no PEM certificates; name a file that does"),
        (b"\x00\xff\xfe", "which holds no PEM certificates; name a file that does"),
        (b"", "which holds no PEM certificates; name a file that does"),
    ],
)
def test_a_bundle_of_authorities_that_is_none(
    plain: dict[str, str], tmp_path: Path, content: bytes | None, problem: str
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
        environment = plain | {"AWS_ENDPOINT_URL_S3": "https://127.0.0.1:9", variable: str(path)}
        assert sentence_of(URI, environment, Misconfigured) == f"{variable} is {str(path)!r}, {problem}"


def test_tls_to_a_server_without_it_and_the_other_way_round(
    gateway: Any, own_gateway: Any, plain: dict[str, str]
) -> None:
    sentence = sentence_of(URI, plain | {"AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{gateway.port}"}, Misconfigured)
    assert "does not speak TLS as it should; use http:// if it has none" in sentence
    environment = plain | {"AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{own_gateway.port}"}
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:\d+ (answers 400 and not as S3 does|broke)"):
        open_store(URI, environment, transport=ONCE).read("a")


def test_nobody_there(plain: dict[str, str]) -> None:
    environment = plain | {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    assert sentence_of(URI, environment, voice_store.StoreUnavailable) == (
        "s3://voices/faults/manifest.json: no connection to 127.0.0.1:9; check that it runs; "
        "check AWS_ENDPOINT_URL_S3, and AWS_REGION where it is absent"
    )


def test_a_name_without_an_address(plain: dict[str, str]) -> None:
    environment = plain | {"AWS_ENDPOINT_URL_S3": "http://nobody.invalid:9000"}
    sentence = sentence_of(URI, environment, voice_store.StoreUnavailable)
    assert "the host nobody.invalid:9000 has no address; check AWS_ENDPOINT_URL_S3" in sentence


def test_a_proxy_that_is_gone(plain: dict[str, str]) -> None:
    environment = plain | {"AWS_ENDPOINT_URL_S3": "https://s3.example", "HTTPS_PROXY": "http://127.0.0.1:9"}
    sentence = sentence_of(URI, environment, voice_store.StoreUnavailable)
    assert "the proxy that leads to s3.example does not answer or refuses; check HTTPS_PROXY" in sentence


def test_a_server_that_never_answers(machine: Any) -> None:
    released = threading.Event()
    machine.answer = lambda _: released.wait(10) and None
    started = time.monotonic()
    sentence = sentence_of(URI, machine.environment(), voice_store.StoreUnavailable)
    released.set()
    assert "does not answer in time; check that it runs" in sentence
    assert time.monotonic() - started < 9


# What other servers say; AWS's own words, since no other server has temporary keys that expire


@pytest.mark.parametrize(
    ("code", "status", "kind", "remedy"),
    [
        ("ExpiredToken", 400, voice_store.ExpiredCredentials, "renew AWS_SESSION_TOKEN with its keys and start again"),
        ("TokenRefreshRequired", 400, voice_store.ExpiredCredentials, "renew AWS_SESSION_TOKEN"),
        ("InvalidToken", 400, voice_store.AccessDenied, "correct AWS_SESSION_TOKEN"),
        ("AccessDenied", 403, voice_store.AccessDenied, "give them the right to list, read, write and delete there"),
        ("RequestTimeTooSkewed", 403, voice_store.ClockSkew, "set both by NTP"),
        ("AuthorizationHeaderMalformed", 400, voice_store.WrongRegion, "set AWS_REGION to the bucket's"),
        ("SlowDown", 503, voice_store.StoreUnavailable, "try again later"),
        ("InternalError", 500, voice_store.StoreUnavailable, "try again later"),
        ("SomethingNew", 500, voice_store.StoreUnavailable, "the store answers SomethingNew; try again later"),
        ("SomethingNew", 400, Misconfigured, "refuses the request with SomethingNew; correct the URI or the store's"),
        ("<script>", 400, Misconfigured, "refuses the request with"),
        ("QuotaExceeded", 403, voice_store.StoreUnavailable, "free space or raise the quota"),
    ],
)
def test_an_answer_of_the_store(machine: Any, code: str, status: int, kind: type[StoreError], remedy: str) -> None:
    machine.refuse(code.replace("<", "&lt;").replace(">", "&gt;"), status=status, message="5 of 0x7f00deadbeef")
    sentence = sentence_of(URI, machine.environment(), kind)
    assert sentence.startswith("s3://voices/faults/manifest.json: ")
    assert remedy in sentence
    assert "<" not in sentence


def test_the_right_region_is_named(machine: Any) -> None:
    message = "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-3'"
    machine.refuse("AuthorizationHeaderMalformed", message=message)
    expected = "the bucket lies in another region than AWS_REGION=us-east-1; set AWS_REGION to eu-west-3"
    assert sentence_of(URI, machine.environment(), voice_store.WrongRegion).endswith(expected)
    machine.refuse("PermanentRedirect", status=301, x_amz_bucket_region="eu-west-3")
    assert sentence_of(URI, machine.environment(), voice_store.WrongRegion).endswith(expected)


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (404, Misconfigured, "answers 404 and not as S3 does; correct AWS_ENDPOINT_URL_S3"),
        (200, Misconfigured, "the S3 client refuses the request or its answer; correct the URI or AWS_ENDPOINT_URL_S3"),
        (502, voice_store.StoreUnavailable, "answers 502; try again later"),
        (407, Misconfigured, "the proxy wants a password; put it into HTTPS_PROXY or HTTP_PROXY"),
    ],
)
def test_a_server_that_is_no_store(machine: Any, status: int, kind: type[StoreError], sentence: str) -> None:
    page = b"<html><body>Welcome!<br></html>"
    machine.answer = lambda _: type(machine).page(status, page)
    with pytest.raises(kind) as caught:
        open_store(URI, machine.environment(), transport=ONCE).list()
    assert sentence in str(caught.value)
    assert "Welcome" not in str(caught.value)


def test_half_an_answer_is_no_object(machine: Any, tmp_path: Path) -> None:
    machine.answer = lambda _: type(machine).page(200, b"half", Content_Length="1000")
    with pytest.raises(voice_store.StoreUnavailable, match=r"manifest\.json: the connection to .* broke; try again"):
        open_store(URI, machine.environment(), transport=ONCE).download("manifest.json", tmp_path / "x")
    assert not list(tmp_path.iterdir())


# What those say who hand out keys


def test_no_keys_at_all(machine: Any) -> None:
    expected = (
        "no S3 credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the pod a role by web identity or "
        "pod identity"
    )
    address = {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    disabled = address | {"AWS_EC2_METADATA_DISABLED": "true"}
    assert sentence_of(URI, disabled, voice_store.CredentialsMissing) == expected
    for metadata in ("http://127.0.0.1:9", machine.url):
        environment = address | {"AWS_EC2_METADATA_SERVICE_ENDPOINT": metadata}
        sentence = sentence_of(URI, environment, voice_store.CredentialsMissing)
        assert sentence == f"s3://voices/faults/manifest.json: {expected}"


@pytest.mark.parametrize(
    ("code", "status", "kind", "remedy"),
    [
        ("ExpiredTokenException", 400, voice_store.ExpiredCredentials, "check that the kubelet renews"),
        ("InvalidIdentityToken", 400, voice_store.AccessDenied, "register the cluster's OIDC provider"),
        ("AccessDenied", 403, voice_store.AccessDenied, "allow this service account in the role's trust policy"),
        ("Whatever", 400, voice_store.AccessDenied, "answers 400 Whatever; correct AWS_ENDPOINT_URL_STS or AWS_REGION"),
        ("InternalFailure", 500, voice_store.StoreUnavailable, "answers 500 InternalFailure; try again later"),
    ],
)
def test_a_token_service_that_refuses(
    machine: Any, tmp_path: Path, *, code: str, status: int, kind: type[StoreError], remedy: str
) -> None:
    (tmp_path / "token").write_text("header.payload.signature")
    machine.refuse(code, status=status)
    environment = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_STS": machine.url,
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/voices",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }
    sentence = sentence_of(URI, environment, kind)
    assert sentence.startswith(f"s3://voices/faults/manifest.json: the token service {machine.url} ")
    assert remedy in sentence
    assert "payload" not in sentence


def test_a_service_whose_answer_holds_no_keys(machine: Any, tmp_path: Path) -> None:
    environment = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{machine.url}/v1",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "token",
    }
    for document in ({}, {"Expiration": "tomorrow"}, {"AccessKeyId": "secret", "Expiration": "2026-01-01T00:00:00Z"}):
        answer = machine.json(document)
        machine.answer = lambda _, answer=answer: answer
        sentence = sentence_of(URI, environment, voice_store.CredentialsMissing)
        assert sentence.endswith("/v1 has no usable credentials; check that the node runs the pod identity agent")
    machine.answer = lambda _: type(machine).page(200, b"[]")
    sentence_of(URI, environment, voice_store.CredentialsMissing)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"a\x00b"])
def test_a_token_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    environment = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/voices",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(path),
    }
    sentence = sentence_of(URI, environment, Misconfigured)
    assert f"AWS_WEB_IDENTITY_TOKEN_FILE is {str(path)!r}, which " in sentence
    assert sentence.endswith("mount the token or correct the path")
