"""The signing key is made once; a revision is the operator's by its seal, or by an age that no user can set."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import kopf
import pytest
from tests.support.api_server import ApiServer, an_api_server
from tests.support.signing import KEY, OLDER, PEM, YOUNGER, sealed_revision

from voice_operator.cluster.caches import Caches
from voice_operator.cluster.kube import Kube
from voice_operator.cluster.signing import Signing, public_key, signing_key
from voice_operator.cluster.signing import sealed_revision as verdict
from voice_operator.errors import InvalidObject
from voice_operator.metrics import Metrics

NAME = "voice-operator-signing-key"
DIGEST = "sha256:" + "a" * 64


def run(scenario: Callable[[ApiServer, Kube], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with an_api_server() as server:
            kube = Kube(lambda: kopf.ConnectionInfo(server=server.url), Metrics())
            try:
                await scenario(server, kube)
            finally:
                await kube.close()

    asyncio.run(asyncio.wait_for(whole(), timeout=20))


def put_secret(server: ApiServer, data: dict[str, str]) -> None:
    metadata = {"creationTimestamp": OLDER}
    server.put(NAME, plural="secrets", namespace="voice-system", metadata=metadata, data=data)


def test_replicas_that_start_together_have_one_key() -> None:
    async def scenario(server: ApiServer, kube: Kube) -> None:
        keys = await asyncio.gather(*(signing_key(kube, "voice-system", NAME) for _ in range(4)))
        assert len({key.public.text for key in keys}) == 1
        assert (await signing_key(kube, "voice-system", NAME)).public.text == keys[0].public.text

    run(scenario)


def test_a_key_that_is_there_is_kept_and_its_public_half_is_for_everybody() -> None:
    async def scenario(server: ApiServer, kube: Kube) -> None:
        put_secret(server, {"ed25519.pem": base64.b64encode(PEM).decode()})
        signing = Signing(Caches())
        await signing.load(kube, "voice-system", NAME)
        assert signing.key.public.text == KEY.public.text
        assert (await public_key(kube, "voice-system", NAME)).text == KEY.public.text
        before = server.version
        await Signing(Caches()).load(kube, "voice-system", NAME)
        assert server.version == before, "a start writes nothing"

    run(scenario)


@pytest.mark.parametrize("data", [{}, {"ed25519.pem": "?"}, {"ed25519.pem": base64.b64encode(b"no key").decode()}])
def test_a_secret_without_a_key_is_told_with_the_remedy(data: dict[str, str]) -> None:
    async def scenario(server: ApiServer, kube: Kube) -> None:
        put_secret(server, data)
        with pytest.raises(InvalidObject, match=r"ed25519\.pem"):
            await signing_key(kube, "voice-system", NAME)

    run(scenario)


def changed(**metadata: Any) -> dict[str, Any]:
    item = sealed_revision("alice", "alice-1", DIGEST)
    return item | {"metadata": item["metadata"] | metadata}


def with_spec(**spec: Any) -> dict[str, Any]:
    item = changed(creationTimestamp=YOUNGER)
    return item | {"spec": item["spec"] | spec}


@pytest.mark.parametrize(
    ("item", "sealed", "annotated"),
    [
        pytest.param(changed(creationTimestamp=YOUNGER), True, True, id="a seal"),
        pytest.param(changed(creationTimestamp=YOUNGER, uid="of a restored backup"), True, True, id="a restored one"),
        pytest.param(changed(creationTimestamp=YOUNGER, annotations={}), False, False, id="no seal"),
        pytest.param(changed(creationTimestamp=OLDER, annotations={}), True, False, id="older than the key"),
        pytest.param(changed(annotations={}), False, False, id="an age that is not known"),
        pytest.param(changed(creationTimestamp=YOUNGER, namespace="other"), False, False, id="another namespace"),
        pytest.param(changed(creationTimestamp=YOUNGER, name="alice-2"), False, False, id="another name"),
        pytest.param(with_spec(voiceModel="bob"), False, False, id="another voice"),
        pytest.param(with_spec(artifacts={"uri": "s3://x", "digest": DIGEST}), False, False, id="another address"),
        pytest.param(with_spec(language="ja"), False, False, id="another language"),
        pytest.param(with_spec(source={}), True, True, id="a default that is written down"),
        pytest.param(with_spec(artifacts={}), False, False, id="a spec that is none"),
    ],
)
def test_a_revision_counts(item: dict[str, Any], *, sealed: bool, annotated: bool) -> None:
    found = verdict(item, KEY)
    assert (found is not None) is sealed
    assert found is None or found.annotated is annotated
    assert found is None or found.seal == changed()["metadata"]["annotations"]["voice.sovits.dev/seal"]
