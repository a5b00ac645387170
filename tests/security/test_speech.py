"""A real speech server: names, lists and bundles that an attacker reached past all walls before it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.inference.conftest import BASE
from tests.security.bundles import Bundles, entry_of, write_list
from tests.security.installation import TEAM_A, TEAM_B, Installation
from tests.support.speech_server import SpeechServer
from tests.support.voices import DIGEST, Object

pytestmark = [pytest.mark.cluster, pytest.mark.security]

MIB = 1024 * 1024
TINY: Object = BASE.model_dump()
MEMORY_MIB = 64.0  # what one hostile bundle may cost beside the server's own

Start = Callable[[Path], SpeechServer]


def test_a_bare_name_speaks_nobodys_voice(installation: Installation, speech: SpeechServer, alice: str) -> None:
    """Before and after a second tenant takes the name."""
    speech.wait("alice", lambda: speech.speak(f"{TEAM_A}/alice").status_code == 200)
    assert "There is no voice 'alice'" in speech.refusal("alice")
    first = speech.speak(f"{TEAM_A}/alice").content
    installation.train(TEAM_B, "alice")
    speech.wait("the second alice", lambda: speech.speak(f"{TEAM_B}/alice").status_code == 200)
    assert "There is no voice 'alice'" in speech.refusal("alice")
    assert speech.speak(f"{TEAM_A}/alice").content == first
    assert speech.speak(f"{TEAM_B}/alice").content != first


@pytest.fixture
def hostile(bundles: Bundles, tmp_path: Path, stored_server: Start) -> Callable[..., SpeechServer]:
    """Start a server on the honest voice `studio/carol` and on what a test adds."""

    def start(*entries: Object) -> SpeechServer:
        honest = entry_of(bundles.make("studio/carol", "carol-1"))
        write_list(tmp_path / "voices.json", TINY, *entries, honest)
        server = stored_server(tmp_path / "voices.json")
        server.wait("carol", lambda: server.voices().get("studio/carol", {}).get("state") == "ready")
        return server

    return start


def failed(server: SpeechServer, voice: str) -> str:
    """Wait until a voice has failed; its error is what the operator shows to the voice's owner."""
    server.wait(f"{voice} to fail", lambda: server.voices().get(voice, {}).get("state") == "failed")
    return str(server.voices()[voice]["error"])


def test_another_tenants_bundle_is_not_spoken(hostile: Any, bundles: Bundles) -> None:
    server = hostile(entry_of(bundles.make(f"{TEAM_A}/alice", "alice-1"), id=f"{TEAM_B}/alice"))
    said = failed(server, f"{TEAM_B}/alice")
    assert said == "the bundle is of the voice team-a/alice, expected team-b/alice"
    assert server.speak(f"{TEAM_B}/alice").status_code == 503
    assert server.speak("studio/carol").status_code == 200


def test_a_bundle_whose_consent_ended_is_not_spoken(hostile: Any, bundles: Bundles) -> None:
    revoked = bundles.make("studio/rita", "rita-1", consent={"revoked": True, "expires": None})
    expired = bundles.make("studio/ernie", "ernie-1", consent={"revoked": False, "expires": "2020-01-01"})
    both = bundles.make("studio/both", "both-1", consent={"revoked": True, "expires": "2020-01-01"})
    listed = entry_of(bundles.make("studio/late", "late-1"), expires="2020-01-01")
    server = hostile(entry_of(revoked), entry_of(expired), entry_of(both), listed)
    for voice in ("rita", "both"):
        assert failed(server, f"studio/{voice}") == "the bundle says that the speaker has revoked the consent"
        assert server.speak(f"studio/{voice}").status_code == 503
    for voice in ("ernie", "late"):
        ended = f"There is no voice 'studio/{voice}' any more: the consent to it ended on 2020-01-01 (UTC)."
        server.wait(f"{voice}'s end", lambda: server.refusal(f"studio/{voice}") == ended)  # noqa: B023


def test_a_broken_entry_hides_no_removal(hostile: Any, bundles: Bundles, tmp_path: Path) -> None:
    leaving = entry_of(bundles.make("studio/leaving", "leaving-1"))
    broken = [leaving | {"id": "studio/bad", "digest": "bad"}, {"id": 7}, "x", None]
    server = hostile(leaving, *broken)
    server.wait("the other voice", lambda: server.speak("studio/leaving").status_code == 200)
    honest = entry_of(bundles.make("studio/carol", "carol-1"))
    write_list(tmp_path / "voices.json", TINY, *broken, honest, generation=2)
    server.wait("the removal", lambda: "studio/leaving" not in server.voices())
    assert server.speak("studio/leaving").status_code == 404
    assert server.speak("studio/carol").status_code == 200
    assert server.client.get("/readyz").status_code == 200
    assert "voices.0 ('studio/bad'): digest" in server.log.read_text()


@pytest.mark.slow
def test_an_enormous_bundle_costs_little_memory(hostile: Any, bundles: Bundles) -> None:
    large, lists, huge = (bundles.make(f"studio/{name}", f"{name}-1") for name in ("large", "lists", "huge"))
    document = json.dumps(large.voice)[1:]
    (large.folder / "voice.json").write_bytes(b'{"x": "' + b"x" * (16 * MIB) + b'", ' + document.encode())
    (huge.folder / "adapter_config.json").write_bytes(b" " * (110 * MIB))
    (lists.folder / "voice.json").write_bytes(b"[" + b"[]," * 300_000 + b"[]]")
    quiet = hostile()
    usual = quiet.peak_mib()
    quiet.close()
    server = hostile(entry_of(large), entry_of(huge), entry_of(lists))
    assert f"voice.json has {16 * MIB + len(document) + 10} bytes, at most {MIB} are" in failed(server, "studio/large")
    assert "adapter_config.json has 115343360 bytes, at most 1048576 are" in failed(server, "studio/huge")
    assert "more than 10000 objects and lists" in failed(server, "studio/lists")
    assert server.peak_mib() < usual + MEMORY_MIB, f"{server.peak_mib():.0f} MiB, without them {usual:.0f}"
    assert server.speak("studio/carol").status_code == 200


def test_a_list_without_seals_is_not_obeyed(speech: SpeechServer, installation: Installation, alice: str) -> None:
    """Whoever may write the ConfigMap from which pods start has no key to sign an entry with."""
    path = Path(str(speech.log.parent / "voices.json"))
    entry = installation.listed()[f"{TEAM_A}/alice"]
    forged = [entry | {"id": f"{TEAM_B}/eve"}, entry | {"id": f"{TEAM_A}/mallory", "digest": DIGEST}]
    mounted, base = path.read_text(), entry.get("base") or TINY
    write_list(path, base, entry, *forged, generation=10**12)
    speech.wait("the word on it", lambda: "did not sign revision" in speech.log.read_text())
    assert {f"{TEAM_B}/eve", f"{TEAM_A}/mallory"}.isdisjoint(speech.voices())
    path.write_text(mounted)
