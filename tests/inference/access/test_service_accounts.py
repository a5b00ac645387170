"""ServiceAccount tokens at a real API server: whose they are, for whom, and how long the server believes it."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.faults.client import Client
from tests.support.waiting import wait_for

from voice_inference.access.callers import Limits
from voice_inference.access.service_accounts import INVALID_SECONDS, VALID_SECONDS, ServiceAccountTokens
from voice_inference.errors import AuthenticationUnavailable, InvalidKey, InvalidSettings

pytestmark = [pytest.mark.anyio, pytest.mark.cluster]

RBAC = "/apis/rbac.authorization.k8s.io/v1"
AUDIENCE = "voice-inference"
TEAM, SPEECH = "keys-team", "keys-speech"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Accounts:
    """Namespaces, ServiceAccounts and their tokens."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self.clients = {name: Client(kubeconfig, name) for name in (TEAM, SPEECH)}
        for name, client in self.clients.items():
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            client.request("POST", client.path("namespaces"), body)
        self.make(SPEECH, "server")
        cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        self.url = cluster["server"]
        authorities = cluster.get("certificate-authority-data")
        self.authorities = (
            base64.b64decode(authorities) if authorities else Path(cluster["certificate-authority"]).read_bytes()
        )
        self.credentials = folder
        folder.mkdir()
        (folder / "ca.crt").write_bytes(self.authorities)
        (folder / "token").write_text(self.token(SPEECH, "server"))

    def make(self, namespace: str, name: str) -> None:
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
        self.clients[namespace].create("serviceaccounts", body)

    def token(self, namespace: str, name: str, *audiences: str) -> str:
        spec = {"audiences": list(audiences)} if audiences else {}
        asked = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        client = self.clients[namespace]
        made = client.request("POST", client.path("serviceaccounts", name) + "/token", asked)
        return str(made["status"]["token"])

    def let_the_server_ask(self) -> None:
        """Give the one right that the chart gives."""
        group = "rbac.authorization.k8s.io"
        rules = [{"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}]
        client = self.clients[SPEECH]
        role = {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "keys-reviews"},
            "rules": rules,
        }
        client.request("POST", f"{RBAC}/clusterroles", role)
        subjects = [{"kind": "ServiceAccount", "name": "server", "namespace": SPEECH}]
        reference = {"apiGroup": group, "kind": "ClusterRole", "name": "keys-reviews"}
        binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "keys-reviews"}}
        client.request("POST", f"{RBAC}/clusterrolebindings", binding | {"roleRef": reference, "subjects": subjects})


@pytest.fixture(scope="module")
def accounts(control_plane: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    made = Accounts(control_plane, tmp_path_factory.mktemp("accounts") / "credentials")
    yield made
    for client in made.clients.values():
        client.close()


Verifier = Callable[..., ServiceAccountTokens]


@pytest.fixture
def verifier(accounts: Accounts) -> Iterator[Verifier]:
    made: list[ServiceAccountTokens] = []

    def make(**changes: Any) -> ServiceAccountTokens:
        given = {"server": accounts.url, "credentials": accounts.credentials, "audience": AUDIENCE, "limits": Limits()}
        made.append(ServiceAccountTokens(**(given | changes)))
        return made[-1]

    yield make
    for one in made:
        one.close()


async def test_a_token_has_the_voices_of_its_namespace_once_the_server_may_ask(
    accounts: Accounts, verifier: Verifier, make_bundle: Any, desired: Any, start_server: Any
) -> None:
    accounts.make(TEAM, "app")
    token = accounts.token(TEAM, "app", AUDIENCE)
    with pytest.raises(AuthenticationUnavailable, match="answers 403"):
        await verifier().caller(token)
    accounts.let_the_server_ask()

    def is_allowed() -> bool:
        accounts_of = verifier()
        try:
            accounts_of._ask(token)
        except AuthenticationUnavailable:
            return False
        return True

    wait_for("the right to ask", is_allowed)
    caller = await verifier().caller(token)
    assert (caller.id, caller.scope.patterns) == (f"serviceaccount:{TEAM}/app", (f"{TEAM}/*",))
    alice = make_bundle(f"{TEAM}/alice").seal()
    desired.write(alice, make_bundle("studio/bob").seal())
    settings = {"token_review": True, "api_server": accounts.url, "api_credentials": accounts.credentials}
    async with start_server(**settings) as server:
        server.client.headers["Authorization"] = f"Bearer {token}"
        voices = await server.until(lambda voices: voices and voices[f"{TEAM}/alice"]["state"] == "ready")
        assert voices.keys() == {f"{TEAM}/alice"}
        assert (await server.create_speech(f"{TEAM}/alice")).status_code == 200
        assert (await server.create_speech("studio/bob")).status_code == 404
        server.client.headers["Authorization"] = f"Bearer {accounts.token(TEAM, 'app')}"
        assert (await server.client.get("/v1/voices")).status_code == 401


async def test_other_tokens_are_not_taken(accounts: Accounts, verifier: Verifier) -> None:
    accounts.make(TEAM, "other")
    good, general = accounts.token(TEAM, "other", AUDIENCE), accounts.token(TEAM, "other")
    elsewhere = accounts.token(TEAM, "other", "somebody-else")
    tokens = verifier()
    assert tokens.is_for(good)
    assert not tokens.is_for("a.b.c")
    for token in (general, elsewhere):
        assert not tokens.is_for(token), "it is not even sent to the API server"
        with pytest.raises(InvalidKey):
            await tokens.caller(token)
    head, body, signature = good.split(".")
    forged = f"{head}.{body}.{'B' if signature.startswith('A') else 'A'}{signature[1:]}"
    assert tokens.is_for(forged)
    with pytest.raises(InvalidKey, match="does not know the token"):
        await tokens.caller(forged)


async def test_what_the_api_server_says_is_believed_for_a_while(accounts: Accounts, verifier: Verifier) -> None:
    accounts.make(TEAM, "leaving")
    token, now = accounts.token(TEAM, "leaving", AUDIENCE), 0.0
    tokens = verifier(clock=lambda: now)
    await tokens.caller(token)
    accounts.clients[TEAM].delete("serviceaccounts", "leaving")
    wait_for("the API server to forget it", lambda: tokens._ask(token) is None, 30)
    now += VALID_SECONDS
    assert await tokens.caller(token)
    now += 1
    with pytest.raises(InvalidKey):
        await tokens.caller(token)
    tokens._url = "https://127.0.0.1:1"
    with pytest.raises(InvalidKey):
        await tokens.caller(token)
    now += INVALID_SECONDS + 1
    with pytest.raises(AuthenticationUnavailable, match="does not answer"):
        await tokens.caller(token)


def test_without_credentials_or_a_cluster_the_server_does_not_start(verifier: Verifier, tmp_path: Path) -> None:
    for changes, message in (
        ({"server": "http://api"}, "VOICE_API_SERVER with https"),
        ({"audience": ""}, "VOICE_TOKEN_AUDIENCE is empty"),
        ({"credentials": tmp_path}, "needs .*token, which is not there"),
    ):
        with pytest.raises(InvalidSettings, match=message):
            verifier(**changes)
