"""Tokens of an issuer that answers on this machine: what is valid, what is not, and how often its keys are fetched."""

import asyncio
import base64
import http.server
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from voice_inference.access.callers import Limits
from voice_inference.access.oidc import REFETCH_SECONDS, USABLE_SECONDS, OidcTokens, PublishedKeys
from voice_inference.errors import AuthenticationUnavailable, InvalidKey, InvalidSettings, NoVoices

pytestmark = pytest.mark.anyio
AUDIENCE = "voices.example.com"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Issuer(http.server.ThreadingHTTPServer):
    """An OpenID Connect issuer: its description, and its keys."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.private: dict[str, Any] = {
            "rsa": rsa.generate_private_key(65537, 2048),
            "ec": ec.generate_private_key(ec.SECP256R1()),
            "ed": ed25519.Ed25519PrivateKey.generate(),
        }
        self.fetches = 0
        self.fails = False
        self.described: dict[str, Any] = {}

    @property
    def keys(self) -> dict[str, Any]:
        algorithms = {
            "rsa": jwt.algorithms.RSAAlgorithm,
            "ec": jwt.algorithms.ECAlgorithm,
            "ed": jwt.algorithms.OKPAlgorithm,
        }
        public = [
            {
                **algorithms[kind[:3].rstrip("0123456789-")].to_jwk(key.public_key(), as_dict=True),
                "kid": kind,
                "use": "sig",
            }
            for kind, key in self.private.items()
        ]
        secret = base64.urlsafe_b64encode(b"s" * 32).decode().rstrip("=")
        return {"keys": [*public, {"kty": "oct", "k": secret, "kid": "shared"}, {"kty": "RSA", "kid": "broken"}, 7]}

    def token(self, kind: str = "rsa", *, key: Any = None, algorithm: str = "", **claims: Any) -> str:
        algorithm = algorithm or {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}[kind]
        now = int(time.time())
        given = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300, "voices": ["studio/*"]}
        left = {name: value for name, value in (given | claims).items() if value is not None}
        return jwt.encode(left, key or self.private[kind], algorithm=algorithm, headers={"kid": kind})


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Issuer

    def do_GET(self) -> None:
        about = {"issuer": self.server.url, "jwks_uri": f"{self.server.url}/keys"} | self.server.described
        document = about if self.path.endswith("openid-configuration") else self.server.keys
        self.server.fetches += self.path == "/keys"
        body = json.dumps(document).encode()
        self.send_response(500 if self.server.fails else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep the test's output readable."""


@pytest.fixture(scope="module")
def only_issuer() -> Iterator[Issuer]:
    with Issuer() as issuer:
        thread = threading.Thread(target=issuer.serve_forever, daemon=True)
        thread.start()
        yield issuer
        issuer.shutdown()
        thread.join()


@pytest.fixture
def issuer(only_issuer: Issuer) -> Issuer:
    only_issuer.fetches, only_issuer.fails, only_issuer.described = 0, False, {}
    return only_issuer


def tokens(issuer: Issuer, **voices: tuple[str, ...]) -> OidcTokens:
    return OidcTokens(issuer.url, AUDIENCE, "voices", voices, Limits(concurrency=2))


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed"])
async def test_a_token_lets_its_subject_use_the_voices_of_its_claim(issuer: Issuer, kind: str) -> None:
    verifier, token = tokens(issuer), issuer.token(kind)
    assert verifier.is_for(token)
    caller = await verifier.caller(token)
    assert (caller.id, caller.scope.patterns, caller.limits.concurrency) == ("oidc:ada", ("studio/*",), 2)


async def test_a_claim_is_a_list_a_text_or_names_of_groups(issuer: Issuer) -> None:
    async def scope(verifier: OidcTokens, claim: Any) -> tuple[str, ...]:
        return (await verifier.caller(issuer.token(voices=claim))).scope.patterns

    assert await scope(tokens(issuer), "studio/* team/bob") == ("studio/*", "team/bob")
    assert await scope(tokens(issuer), ["studio/*", "not a pattern", 7]) == ("studio/*",)
    assert await scope(tokens(issuer, speech=("studio/*",)), ["speech", "team/*"]) == ("studio/*",)
    for nothing in (None, [], "*", {"studio/*": True}, ["*/"]):
        with pytest.raises(NoVoices, match="claim voices gives no voices"):
            await scope(tokens(issuer), nothing)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"exp": 1}, "expired", id="ended"),
        pytest.param({"exp": None}, "exp", id="without end"),
        pytest.param({"nbf": 2**33}, "not yet valid", id="of tomorrow"),
        pytest.param({"aud": "other"}, "udience", id="for another audience"),
        pytest.param({"aud": None}, "aud", id="for nobody"),
        pytest.param({"sub": None}, "sub", id="of nobody"),
        pytest.param({"sub": "x" * 300}, "printable", id="of a long name"),
        pytest.param({"sub": "a\nb"}, "printable", id="of two lines"),
        pytest.param({"iss": "http://127.0.0.1:1"}, "ssuer", id="of another issuer"),
        pytest.param({"key": rsa.generate_private_key(65537, 2048)}, "ignature", id="signed by somebody"),
        pytest.param(
            {"kind": "shared", "key": "s" * 32, "algorithm": "HS256"}, "not published", id="by a shared secret"
        ),
        pytest.param(
            {"kind": "unknown", "key": ec.generate_private_key(ec.SECP256R1()), "algorithm": "ES256"},
            "not published",
            id="by an unknown key",
        ),
        pytest.param({"algorithm": "RS512"}, "alg value is not allowed", id="by an algorithm that is not taken"),
    ],
)
async def test_other_tokens_are_refused(issuer: Issuer, change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidKey, match=message):
        await tokens(issuer).caller(issuer.token(**change))


async def test_an_unsigned_token_and_one_signed_by_the_public_key_are_refused(issuer: Issuer) -> None:
    head, body, _ = issuer.token().split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","kid":"rsa"}').decode().rstrip("=")
    for token in (f"{none}.{body}.", f"{head}.{body}.", f"{head}.{body}", "x", "a.b.c"):
        with pytest.raises(InvalidKey):
            await tokens(issuer).caller(token)
        assert not tokens(issuer).is_for("a.b.c")


async def test_made_up_key_ids_do_not_make_the_server_ask(issuer: Issuer) -> None:
    verifier = tokens(issuer)
    stranger = ec.generate_private_key(ec.SECP256R1())
    await verifier.caller(issuer.token())
    for number in range(20):
        with pytest.raises(InvalidKey, match="not published"):
            await verifier.caller(issuer.token(f"made-up-{number}", key=stranger, algorithm="ES256"))
    await asyncio.gather(*(verifier.caller(issuer.token()) for _ in range(20)))
    assert issuer.fetches == 1


async def test_keys_follow_the_issuer_and_outlast_it_for_a_while(issuer: Issuer) -> None:
    now = 0.0
    keys = PublishedKeys(issuer.url, lambda: now)
    assert await keys.get("rsa")
    issuer.private["ec-2"] = ec.generate_private_key(ec.SECP256R1())
    try:
        assert await keys.get("ec-2") is None, "asked a moment ago"
        now += REFETCH_SECONDS + 1
        assert await keys.get("ec-2")
    finally:
        del issuer.private["ec-2"]
    issuer.fails = True
    now += USABLE_SECONDS - 1
    assert await keys.get("rsa"), "the last ones"
    now += 2
    with pytest.raises(AuthenticationUnavailable):
        await keys.get("rsa")
    issuer.fails = False
    now += REFETCH_SECONDS + 1
    assert await keys.get("rsa")
    assert await keys.get("ec-2") is None, "keys that are withdrawn go"


@pytest.mark.parametrize(
    "described",
    [{"issuer": "https://evil.example.com"}, {"jwks_uri": "http://10.0.0.1/keys"}, {"jwks_uri": "file:///etc/passwd"}],
)
async def test_a_description_of_something_else_is_not_followed(issuer: Issuer, described: dict[str, Any]) -> None:
    issuer.described = described
    with pytest.raises(AuthenticationUnavailable):
        await tokens(issuer).caller(issuer.token())
    assert issuer.fetches == 0


def test_an_issuer_without_tls_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="must be an https:// address"):
        OidcTokens("http://issuer.example.com", AUDIENCE, "voices", {}, Limits())
    with pytest.raises(InvalidSettings, match="VOICE_OIDC_AUDIENCE is empty"):
        OidcTokens("https://issuer.example.com", "", "voices", {}, Limits())


async def test_the_server_lets_in_tokens_and_no_others(
    issuer: Issuer, make_bundle: Any, desired: Any, start_server: Any
) -> None:
    desired.write(make_bundle().seal(), make_bundle("team/bob").seal())
    async with start_server(oidc_issuer=issuer.url, oidc_audience=AUDIENCE) as server:

        async def seen(token: str) -> tuple[int, set[str]]:
            answer = await server.client.get("/v1/voices", headers={"Authorization": f"Bearer {token}"})
            return answer.status_code, {voice["id"] for voice in answer.json().get("data", ())}

        while server.services.registry.generation == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        assert await seen(issuer.token()) == (200, {"studio/alice"})
        assert await seen(issuer.token(exp=1)) == (401, set())
        assert await seen(issuer.token(voices=None)) == (403, set())
        assert await seen("vo_key") == (401, set())
        issuer.fails = True
    async with start_server(oidc_issuer=issuer.url, oidc_audience=AUDIENCE) as server:
        answer = await server.client.get("/v1/voices", headers={"Authorization": f"Bearer {issuer.token()}"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "authentication_unavailable")
        assert answer.headers["retry-after"] == "5"
