"""A server with a public key serves what the operator signed, entry by entry; removals always count."""

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from voice_inference.bundles.references import VoiceReference
from voice_inference.errors import InvalidSettings
from voice_inference.voices.desired import DesiredVoices, parse_desired
from voice_inference.voices.seals import Seals, statement

KEY, OTHER = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
DIGEST, SPEC = "sha256:" + "0" * 64, "sha256:" + "1" * 64


def public(key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def entry(name: str = "alice", number: int = 1, key: Ed25519PrivateKey = KEY, **changed: Any) -> dict[str, Any]:
    """A sealed revision, some of whose fields were changed after that."""
    names = {"id": f"studio/{name}", "revision": f"{name}-{number}", "uri": f"s3://v/{name}", "digest": DIGEST}
    seal = base64.b64encode(key.sign(statement(VoiceReference(**names), SPEC))).decode()
    return names | {"seal": seal, "spec": SPEC} | changed


def parse(seals: Seals | None, *entries: dict[str, Any]) -> DesiredVoices:
    base = {"name": "tiny", "uri": "embedded:tiny", "digest": ""}
    document = {"schema": "voice.sovits.dev/desired-voices/v1", "generation": 1, "base": base, "voices": entries}
    return parse_desired(json.dumps(document).encode(), source="test", seals=seals)


def served(seals: Seals | None, *entries: dict[str, Any]) -> list[str]:
    return [voice.revision for voice in parse(seals, *entries).voices]


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(entry(seal=""), id="no seal"),
        pytest.param(entry(seal="x"), id="a seal that is no base64"),
        pytest.param(entry(key=OTHER), id="another installation's"),
        pytest.param(entry(id="studio/bob"), id="another voice"),
        pytest.param(entry(revision="alice-2"), id="another revision"),
        pytest.param(entry(digest="sha256:" + "f" * 64), id="another bundle"),
        pytest.param(entry(spec="sha256:" + "f" * 64), id="another record"),
    ],
)
def test_an_entry_that_the_operator_did_not_sign_is_left_out_alone(forged: dict[str, Any]) -> None:
    found = parse(Seals(public(KEY)), forged, entry("carol"))
    assert [voice.id for voice in found.voices] == ["studio/carol"]
    assert "the operator did not sign revision" in found.rejected[0]
    assert len(served(None, forged, entry("carol"))) == 2, "without a key everything is accepted, as on one machine"


@pytest.mark.parametrize("role", ["next", "previous"])
def test_another_revision_without_a_seal_is_left_out_and_the_served_one_stays(role: str) -> None:
    other = {key: value for key, value in entry(number=2, seal="").items() if key != "id"}
    found = parse(Seals(public(KEY)), entry(**{role: other}))
    assert [(voice.revision, getattr(voice, role)) for voice in found.voices] == [("alice-1", None)]
    assert len(found.rejected) == 1
    signed = {key: value for key, value in entry(number=2).items() if key != "id"}
    assert getattr(parse(Seals(public(KEY)), entry(**{role: signed})).voices[0], role) is not None


def test_a_voice_that_is_removed_goes_whatever_stands_beside_it() -> None:
    seals = Seals(public(KEY))
    assert served(seals, entry("alice"), entry("bob")) == ["alice-1", "bob-1"]
    assert served(seals, entry("bob"), entry("mallory", digest="bad"), entry("eve", seal="")) == ["bob-1"]


def test_what_was_accepted_stays_while_the_keys_change() -> None:
    seals = Seals(public(KEY))
    assert served(seals, entry()) == ["alice-1"]
    assert served(seals, entry(key=OTHER)) == ["alice-1"], "the pods of the new key are not ready yet"
    assert served(seals, entry(key=OTHER, digest="sha256:" + "f" * 64)) == []
    assert served(seals) == [], "a removal counts"
    assert served(Seals(public(OTHER)), entry()) == [], "a new process knows the new key alone"


@pytest.mark.parametrize("key", ["x", "", base64.b64encode(b"short").decode()])
def test_a_key_that_is_none_is_refused_with_its_variable(key: str) -> None:
    with pytest.raises(InvalidSettings, match="VOICE_PUBLIC_KEY"):
        Seals(key)
