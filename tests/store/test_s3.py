"""S3 as its users set it up: AWS by region or an own server, both addressings, own CA, proxies, every kind of keys."""

import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from voice_store import Misconfigured, S3Settings, Store, StoreFactory, Transport, open_store
from voice_store.connections import retries_of

AWS_HOST = "s3.eu-central-1.amazonaws.com"
OWN_HOST = "objects.example.org"
KEYS = {"AWS_ACCESS_KEY_ID": "test-access", "AWS_SECRET_ACCESS_KEY": "test-secret"}
ONCE = Transport(connect_seconds=2, read_seconds=10, retries=0)


def works(store: Store) -> bool:
    store.write("a/b c", b"content")
    return store.read("a/b c") == b"content" and [entry.key for entry in store.list("a/")] == ["a/b c"]


# Addresses


def test_without_an_endpoint_aws_is_asked_by_region(aws_gateway: Any, authority: Any, proxy_to: Any) -> None:
    # The proxy stands for AWS's network: it leads the host's name to a server that has a certificate for it.
    proxy = proxy_to(aws_gateway)
    environment = {
        "AWS_REGION": "eu-central-1",
        "AWS_CA_BUNDLE": str(authority.pem),
        "HTTPS_PROXY": proxy.url,
        **KEYS,
    }
    assert works(open_store("s3://voices/aws", environment, transport=ONCE))
    assert set(proxy.asked) == {f"voices.{AWS_HOST}:443"}
    assert (aws_gateway.folder / "voices" / "aws" / "a" / "b c").read_bytes() == b"content"


@pytest.mark.parametrize(
    ("gateway_name", "host", "addressing", "asked"),
    [
        pytest.param("aws_gateway", AWS_HOST, "path", AWS_HOST, id="AWS by path"),
        pytest.param("aws_gateway", AWS_HOST, "virtual", f"voices.{AWS_HOST}", id="AWS by host"),
        pytest.param("aws_gateway", AWS_HOST, "auto", f"voices.{AWS_HOST}", id="AWS as it is usual"),
        pytest.param("own_gateway", OWN_HOST, "virtual", f"voices.{OWN_HOST}", id="an own server by host"),
        pytest.param("own_gateway", OWN_HOST, "auto", OWN_HOST, id="an own server as it is usual"),
        pytest.param("own_gateway", OWN_HOST, "path", OWN_HOST, id="an own server by path"),
    ],
)
def test_the_bucket_stands_where_the_addressing_says(
    request: pytest.FixtureRequest,
    authority: Any,
    proxy_to: Any,
    *,
    gateway_name: str,
    host: str,
    addressing: str,
    asked: str,
) -> None:
    proxy = proxy_to(request.getfixturevalue(gateway_name))
    environment = {
        "AWS_ENDPOINT_URL_S3": f"https://{host}",
        "AWS_REGION": "eu-central-1" if host == AWS_HOST else "us-east-1",
        "VOICE_S3_ADDRESSING": addressing,
        "AWS_CA_BUNDLE": str(authority.pem),
        "https_proxy": proxy.url,
        **KEYS,
    }
    store = open_store(f"s3://voices/{uuid.uuid4()}", environment, transport=ONCE)
    assert works(store)
    store.create("a/created", b"1")
    assert set(proxy.asked) == {f"{asked}:443"}


def test_in_china_the_host_has_another_end() -> None:
    assert S3Settings.from_environment({"AWS_REGION": "cn-north-1"}).url.hostname == "s3.cn-north-1.amazonaws.com.cn"
    assert S3Settings.from_environment({"AWS_REGION": "cn-north-1"}).virtual_host


def test_a_bucket_of_several_labels_is_asked_by_path_where_its_certificate_would_not_fit() -> None:
    environment = {"AWS_REGION": "eu-central-1", **KEYS}
    client = StoreFactory(environment).connect().minio
    assert client.get_presigned_url("GET", "a.b.c", "x").startswith(f"https://{AWS_HOST}/a.b.c/x?")
    assert client.get_presigned_url("GET", "abc", "x").startswith(f"https://abc.{AWS_HOST}/x?")


def test_an_own_authority_is_trusted_besides_the_public_ones(own_gateway: Any, authority: Any) -> None:
    for variable in ("AWS_CA_BUNDLE", "SSL_CERT_FILE"):
        environment = {"AWS_ENDPOINT_URL_S3": f"https://127.0.0.1:{own_gateway.port}", variable: str(authority.pem)}
        factory = StoreFactory(environment | KEYS, transport=ONCE)
        assert works(factory.open("s3://voices/tls"))
        context = factory.connect().pool.connection_pool_kw["ssl_context"]
        assert len(context.get_ca_certs()) > 100


def test_a_host_in_no_proxy_is_asked_directly(gateway: Any, plain: dict[str, str], proxy_to: Any) -> None:
    proxy = proxy_to(gateway)
    environment = plain | {"AWS_ENDPOINT_URL_S3": f"http://localhost:{gateway.port}", "HTTP_PROXY": proxy.url}
    assert works(open_store("s3://voices/direct", environment | {"NO_PROXY": ".svc,localhost"}, transport=ONCE))
    assert not proxy.asked


def test_a_proxy_gets_its_password(aws_gateway: Any, authority: Any, proxy_to: Any) -> None:
    proxy = proxy_to(aws_gateway)
    environment = {
        "AWS_REGION": "eu-central-1",
        "AWS_CA_BUNDLE": str(authority.pem),
        "HTTPS_PROXY": proxy.url.replace("//", "//me:p%40ss@"),
        **KEYS,
    }
    assert works(open_store("s3://voices/password", environment, transport=ONCE))
    assert set(proxy.authorizations) == {"Basic bWU6cEBzcw=="}  # me:p@ss


@pytest.mark.parametrize(
    ("no_proxy", "host", "through"),
    [
        ("", "store.example.org", True),
        ("example.org", "store.example.org", False),
        (".example.org", "store.example.org", False),
        ("other.org", "store.example.org", True),
        ("*", "store.example.org", False),
        (".svc, 10.0.0.0/8", "10.43.0.1", False),
        ("10.0.0.0/8", "192.168.0.1", True),
        ("192.168.0.1", "192.168.0.1", False),
        ("", "127.0.0.1", False),
        ("", "169.254.169.254", False),
    ],
)
def test_no_proxy_knows_names_suffixes_and_networks(no_proxy: str, host: str, through: bool) -> None:
    settings = S3Settings.from_environment({"HTTPS_PROXY": "proxy.example:3128", "no_proxy": no_proxy})
    assert settings.proxies.of("https", host) == ("http://proxy.example:3128" if through else "")
    assert settings.proxies.of("http", host) == ""


# Credentials


def test_temporary_keys_come_with_their_session_token(moto: Any) -> None:
    key, secret, token = moto.temporary_keys()
    environment = {"AWS_ENDPOINT_URL_S3": moto.url, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}
    moto.check_requests(on=True)
    try:
        assert works(open_store("s3://voices/token", environment | {"AWS_SESSION_TOKEN": token}, transport=ONCE))
        with pytest.raises(Misconfigured, match=r"s3://voices/token/a: .*; correct AWS_SESSION_TOKEN$"):
            open_store("s3://voices/token", environment | {"AWS_SESSION_TOKEN": "old"}, transport=ONCE).read("a")
        with pytest.raises(Misconfigured, match="correct AWS_ACCESS_KEY_ID"):
            open_store("s3://voices/token", environment, transport=ONCE).read("a")
    finally:
        moto.check_requests(on=False)


def test_a_web_identity_becomes_keys(moto: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("header.payload.signature\n")
    environment = {
        "AWS_ENDPOINT_URL_S3": moto.url,
        "AWS_ENDPOINT_URL_STS": moto.url,
        "AWS_ROLE_ARN": moto.ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }
    store = open_store("s3://voices/web-identity", environment, transport=ONCE)
    store.write("first", b"1")
    moto.check_requests(on=True)  # from here on the role's keys, their signature and their token must be right
    try:
        assert works(store)
    finally:
        moto.check_requests(on=False)


def test_the_web_identity_travels_in_the_body(machine: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("header.payload.signature")
    machine.refuse("ExpiredTokenException", message="Token expired: header.payload.signature")
    environment = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_STS": machine.url,
        "AWS_ROLE_ARN": "arn:aws:iam::1:role/voices",
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
    }
    with pytest.raises(Exception, match="the web identity token has expired") as caught:
        open_store("s3://voices/x", environment, transport=ONCE).read("a")
    assert "payload" not in str(caught.value)
    (asked,) = machine.requests
    assert asked.path == "/"
    assert b"WebIdentityToken=header.payload.signature" in asked.body
    assert b"RoleSessionName=voice-store" in asked.body


def test_a_pod_identity_becomes_keys_and_is_renewed(moto: Any, machine: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first-token")

    def hand_out(minutes: int) -> Any:
        expires = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        named = zip(("AccessKeyId", "SecretAccessKey", "Token"), moto.temporary_keys(), strict=True)
        return machine.json({**dict(named), "Expiration": expires})

    answers = iter([hand_out(minutes=0), hand_out(minutes=60)])
    machine.answer = lambda _: next(answers)
    environment = {
        "AWS_ENDPOINT_URL_S3": moto.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{machine.url}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(tmp_path / "token"),
    }
    store = open_store("s3://voices/pod", environment, transport=ONCE)
    moto.check_requests(on=True)
    try:
        store.write("first", b"1")
        (tmp_path / "token").write_text("second-token")  # as the kubelet does
        assert works(store)
    finally:
        moto.check_requests(on=False)
    assert [(asked.path, asked.headers["Authorization"]) for asked in machine.requests] == [
        ("/v1/credentials", "first-token"),
        ("/v1/credentials", "second-token"),
    ]


def test_a_token_goes_in_plain_text_to_no_stranger(tmp_path: Path) -> None:
    environment = {
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://collector.example/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "secret",
    }
    with pytest.raises(Misconfigured, match="a token must not go there in plain text; use https, this machine"):
        open_store("s3://voices/x", environment)
    for address in ("http://169.254.170.23/v1/credentials", "http://[fd00:ec2::23]/v1/credentials", "https://other/"):
        open_store("s3://voices/x", environment | {"AWS_CONTAINER_CREDENTIALS_FULL_URI": address})


def test_an_instance_gets_the_keys_of_its_role(moto: Any, machine: Any) -> None:
    machine.refuse("AccessDenied", status=403)
    environment = {"AWS_ENDPOINT_URL_S3": machine.url, "AWS_EC2_METADATA_SERVICE_ENDPOINT": moto.url}
    with pytest.raises(Misconfigured, match="the keys may not do this"):
        open_store("s3://voices/instance", environment, transport=ONCE).read("a")
    (asked,) = machine.requests
    assert "Credential=test-key/" in asked.headers["Authorization"]
    assert asked.headers["X-Amz-Security-Token"] == "test-session-token"
    assert "x-amz-security-token" in asked.headers["Authorization"]  # signed, so nobody can take it away


def test_keys_come_from_the_shared_file(gateway: Any, plain: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("[studio]\naws_access_key_id = test-access\naws_secret_access_key = test-secret\n")
    environment = {
        "AWS_ENDPOINT_URL_S3": plain["AWS_ENDPOINT_URL_S3"],
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "keys"),
        "AWS_PROFILE": "studio",
    }
    assert works(open_store("s3://voices/shared", environment, transport=ONCE))
    with pytest.raises(Misconfigured, match=r"the profile 'other' of .* has no usable credentials; .*AWS_PROFILE"):
        open_store("s3://voices/shared", environment | {"AWS_PROFILE": "other"}, transport=ONCE).read("a")


def test_static_keys_come_before_everything_else(gateway: Any, plain: dict[str, str], machine: Any) -> None:
    environment = plain | {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": machine.url,
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": machine.url,
    }
    assert works(open_store("s3://voices/order", environment, transport=ONCE))
    assert not machine.requests


def test_stores_of_one_factory_share_a_connection(gateway: Any, plain: dict[str, str]) -> None:
    factory = StoreFactory(plain)
    assert works(factory.open("s3://voices/one"))
    assert factory.open("s3://voices/two").list() == ()
    assert factory.connect() is factory.connect()


def test_settings_keep_secrets_out_of_their_text() -> None:
    settings = S3Settings.from_environment(
        KEYS | {"AWS_SESSION_TOKEN": "tok-secret", "HTTPS_PROXY": "http://me:pw-secret@proxy:1"}
    )
    assert "secret" not in repr(settings).replace("'test-access'", "").replace("shared", "")


def test_a_lost_answer_to_a_create_is_not_tried_again(machine: Any) -> None:
    # A second attempt would find the first one's object and call it somebody else's.
    machine.refuse("InternalError", status=500)
    patient = Transport(retries=3)
    with pytest.raises(Exception, match="the store failed inside"):
        open_store("s3://voices/x", machine.environment(), transport=patient).create("a", b"1")
    assert len(machine.requests) == 1
    assert machine.requests[0].headers["If-None-Match"] == "*"


def test_nobody_waits_as_long_as_a_store_asks_for() -> None:
    assert not retries_of(Transport(retries=2)).respect_retry_after_header


def test_a_store_that_is_busy_is_asked_again(machine: Any) -> None:
    machine.refuse("SlowDown", status=503)
    with pytest.raises(Exception, match="too many requests; try again later"):
        open_store("s3://voices/x", machine.environment(), transport=Transport(retries=2)).read("a")
    assert len(machine.requests) == 3
